/*
 * profile_format.c
 *		Reading the packed form of a profile.
 *
 * profile_open checks the version, the counts and the total size; each step
 * after it checks the offsets it follows, so that no bytes, however made, are
 * read beyond their end.  profile_check checks everything, order included.  No
 * server here: see profile_core.h.
 */
#include "profile/profile_packed.h"

/*
 * profile_fail notes what is wrong, and returns false.
 */
bool
profile_fail(ProfileHost *host, ProfileStatus status, const char *problem, size_t position)
{
	host->status = status;
	host->problem = problem;
	host->position = position;
	return false;
}

static bool
corrupt(ProfileHost *host, const char *problem)
{
	return profile_fail(host, PROFILE_CORRUPT, problem, 0);
}

/*
 * profile_compare_names compares by bytes; what another name begins with is
 * smaller than it.
 */
int
profile_compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t		common = a_length < b_length ? a_length : b_length;
	int			result = common == 0 ? 0 : memcmp(a, b, common);

	if (result != 0)
		return result;
	return a_length < b_length ? -1 : a_length > b_length;
}

/*
 * profile_open begins to read packed bytes, which must stay where they are.
 */
bool
profile_open(ProfileHost *host, ProfileReader *reader, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	unsigned	width;
	uint64_t	next;

	if (size < PACKED_FIXED_SIZE + PACKED_COUNTS || size > PROFILE_MAX_SIZE)
		return corrupt(host, "its size is impossible");
	if (bytes[0] != PROFILE_VERSION)
		return corrupt(host, "its version is unknown");
	width = bytes[1];
	if (width != (size < 256 ? 1 : size < 65536 ? 2 : 4) ||
		size < PACKED_FIXED_SIZE + PACKED_COUNTS * width)
		return corrupt(host, "its width of offsets does not fit its size");
	bytes += PACKED_FIXED_SIZE;

	reader->data = data;
	reader->size = size;
	reader->width = width;
	reader->source_count = packed_read_width(bytes, width);
	reader->origin_count = packed_read_width(bytes + width, width);
	reader->trait_count = packed_read_width(bytes + 2 * width, width);

	/* The counts have 32 bits, so nothing here overflows. */
	next = PACKED_FIXED_SIZE + PACKED_COUNTS * width;
	reader->sources = (size_t) next;
	next += (uint64_t) reader->source_count * width;
	reader->origins = (size_t) next;
	next += (uint64_t) reader->origin_count * (width + PACKED_ORIGIN_SIZE);
	reader->directory = (size_t) next;
	next += (uint64_t) reader->trait_count * 2 * width;
	if (next > size)
		return corrupt(host, "its counts do not fit its size");
	reader->source_names = (size_t) next;
	if (reader->source_count > 0)
		next += packed_read_width(reader->data + reader->origins - width, width);
	reader->trait_names = (size_t) next;
	if (next > size)
		return corrupt(host, "its offsets do not fit its size");
	if (reader->trait_count > 0)
	{
		const unsigned char *last = reader->data + reader->source_names - 2 * width;

		next += packed_read_width(last, width);
		reader->candidates = (size_t) next;
		next += packed_read_width(last + width, width);
	}
	else
		reader->candidates = (size_t) next;
	if (next != size)
		return corrupt(host, "its offsets do not fit its size");
	return true;
}

/*
 * trait_name gives the name of a trait in the directory.
 */
static inline bool
trait_name(const ProfileReader *reader, uint32_t index, const char **name, uint32_t *length)
{
	const unsigned char *entry = reader->data + reader->directory +
		(size_t) index * 2 * reader->width;
	uint32_t	start = index == 0 ? 0 :
		packed_read_width(entry - 2 * reader->width, reader->width);
	uint32_t	end = packed_read_width(entry, reader->width);

	if (start > end || end > reader->candidates - reader->trait_names)
		return false;
	*name = (const char *) reader->data + reader->trait_names + start;
	*length = end - start;
	return true;
}

/*
 * trait_candidates gives where the candidates of a trait are.
 */
static inline bool
trait_candidates(const ProfileReader *reader, uint32_t index, ProfileBlock *block)
{
	const unsigned char *entry = reader->data + reader->directory +
		(size_t) index * 2 * reader->width + reader->width;
	uint32_t	start = index == 0 ? 0 :
		packed_read_width(entry - 2 * reader->width, reader->width);
	uint32_t	end = packed_read_width(entry, reader->width);

	if (start >= end || end > reader->size - reader->candidates)
		return false;
	block->index = index;
	block->next = reader->data + reader->candidates + start;
	block->end = reader->data + reader->candidates + end;
	return true;
}

/*
 * profile_block begins to read the candidates of the trait at that place of the
 * directory, which is below reader->trait_count.
 */
bool
profile_block(ProfileHost *host, const ProfileReader *reader, uint32_t index,
			  ProfileBlock *block)
{
	if (!trait_name(reader, index, &block->trait, &block->trait_length) ||
		!trait_candidates(reader, index, block))
		return corrupt(host, "an offset of a trait is wrong");
	return true;
}

/*
 * profile_find looks a trait up.  It returns false only for corrupt bytes.
 */
bool
profile_find(ProfileHost *host, const ProfileReader *reader, const char *trait, size_t length,
			 ProfileBlock *block, bool *found)
{
	uint32_t	low = 0;
	uint32_t	high = reader->trait_count;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		int			order;

		if (!trait_name(reader, middle, &block->trait, &block->trait_length))
			return corrupt(host, "an offset of a trait is wrong");
		order = profile_compare_names(trait, length, block->trait, block->trait_length);
		if (order == 0)
		{
			*found = true;
			if (!trait_candidates(reader, middle, block))
				return corrupt(host, "an offset of a trait is wrong");
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*found = false;
	return true;
}

/*
 * profile_next reads the next candidate of a trait.  Its origin is an index for
 * profile_origin.  Call it while block->next < block->end.
 */
bool
profile_next(ProfileHost *host, const ProfileReader *reader, ProfileBlock *block,
			 ProfileCandidate *candidate)
{
	const unsigned char *next = block->next;
	const unsigned char *end = block->end;
	const unsigned char *newest;
	unsigned char tag;
	uint64_t	number;
	uint64_t	older = 0;

	tag = *next++;
	next = packed_read_varint(next, end, &number);
	if (next == NULL || number >= reader->origin_count)
		return corrupt(host, "a candidate has no origin");
	candidate->origin = (uint32_t) number;
	newest = reader->data + reader->origins +
		(size_t) number * (reader->width + PACKED_ORIGIN_SIZE) + reader->width + 8;
	if (tag & PACKED_OLDER_FLAG)
	{
		next = packed_read_varint(next, end, &older);
		if (next == NULL || older == 0 ||
			older > packed_read_64(newest) + ((uint64_t) 1 << 63))
			return corrupt(host, "the time of a candidate is wrong");
	}
	candidate->observed_at = (int64_t) (packed_read_64(newest) - older);

	number = tag >> PACKED_LENGTH_SHIFT;
	if (number == PACKED_LONG)
	{
		next = packed_read_varint(next, end, &number);
		if (next == NULL || number > PROFILE_MAX_SIZE)
			return corrupt(host, "the length of a value is wrong");
		number += PACKED_LONG;
	}
	if (number > (size_t) (end - next))
		return corrupt(host, "the length of a value is wrong");
	candidate->value.type = (ProfileType) (tag & PACKED_TYPE_MASK);
	candidate->value.length = (uint32_t) number;
	candidate->value.bytes = (const char *) next;
	if (!profile_check_value(&candidate->value))
		return corrupt(host, "a value is not of its type");
	block->next = next + number;
	candidate->trait = block->trait;
	candidate->trait_length = block->trait_length;
	return true;
}

/*
 * profile_check_value tells whether bytes are the canonical ones of a value of
 * their type.  Texts are not looked into.
 */
bool
profile_check_value(const ProfileValue *value)
{
	const unsigned char *bytes = (const unsigned char *) value->bytes;
	uint32_t	length = value->length;

	switch (value->type)
	{
		case PROFILE_NULL:
			return length == 0;
		case PROFILE_BOOLEAN:
			return length == 1 && bytes[0] <= 1;
		case PROFILE_BIGINT:
		case PROFILE_TIMESTAMPTZ:
			/* No byte that only repeats the sign. */
			if (length > 8)
				return false;
			if (length == 1 && bytes[0] == 0)
				return false;
			if (length > 1 && ((bytes[length - 1] == 0 && bytes[length - 2] < 0x80) ||
							   (bytes[length - 1] == 0xFF && bytes[length - 2] >= 0x80)))
				return false;
			if (value->type == PROFILE_TIMESTAMPTZ)
			{
				int64_t		time = profile_unpack_integer(value);

				return (time >= PROFILE_TIME_FIRST && time < PROFILE_TIME_END) ||
					time == PROFILE_TIME_INFINITY || time == PROFILE_TIME_MINUS_INFINITY;
			}
			return true;
		case PROFILE_FLOAT8:
			{
				char		canonical[8];

				if (length != 8)
					return false;
				profile_pack_double(profile_unpack_double(value), canonical);
				return memcmp(canonical, bytes, 8) == 0;
			}
		case PROFILE_NUMERIC:
			return profile_check_decimal(value);
		case PROFILE_TEXT:
			return true;
		case PROFILE_JSONB:
			return length >= 2 && ((bytes[0] == '{' && bytes[length - 1] == '}') ||
								   (bytes[0] == '[' && bytes[length - 1] == ']'));
	}
	return false;
}

/*
 * profile_origin reads the origin of a candidate.
 */
bool
profile_origin(ProfileHost *host, const ProfileReader *reader, uint32_t index,
			   ProfileOrigin *origin)
{
	const unsigned char *entry;
	const unsigned char *source_end;
	uint32_t	source;
	uint32_t	start;
	uint32_t	end;

	if (index >= reader->origin_count)
		return corrupt(host, "a candidate has no origin");
	entry = reader->data + reader->origins + (size_t) index * (reader->width + PACKED_ORIGIN_SIZE);
	source = packed_read_width(entry, reader->width);
	if (source >= reader->source_count)
		return corrupt(host, "an origin has no source");
	source_end = reader->data + reader->sources + (size_t) source * reader->width;
	start = source == 0 ? 0 : packed_read_width(source_end - reader->width, reader->width);
	end = packed_read_width(source_end, reader->width);
	if (start > end || end > reader->trait_names - reader->source_names)
		return corrupt(host, "an offset of a source is wrong");
	origin->source = (const char *) reader->data + reader->source_names + start;
	origin->source_length = end - start;
	origin->record = (int64_t) packed_read_64(entry + reader->width);
	origin->newest = (int64_t) packed_read_64(entry + reader->width + 8);
	if (!((origin->newest >= PROFILE_TIME_FIRST && origin->newest < PROFILE_TIME_END) ||
		  origin->newest == PROFILE_TIME_INFINITY || origin->newest == PROFILE_TIME_MINUS_INFINITY))
		return corrupt(host, "the time of an origin is wrong");
	return true;
}

/*
 * check_origins checks the order of origins and sources, and that each source
 * has an origin.
 */
static bool
check_origins(ProfileHost *host, const ProfileReader *reader)
{
	ProfileOrigin before = {0};
	ProfileOrigin origin;
	uint32_t	sources = 0;

	for (uint32_t i = 0; i < reader->origin_count; i++)
	{
		int			order;

		if (!profile_origin(host, reader, i, &origin))
			return false;
		order = i == 0 ? -1 : profile_compare_names(before.source, before.source_length,
													origin.source, origin.source_length);
		if (order > 0 || (order == 0 && before.record >= origin.record))
			return corrupt(host, "its origins are out of order");
		if (order < 0 &&
			packed_read_width(reader->data + reader->origins +
							  (size_t) i * (reader->width + PACKED_ORIGIN_SIZE),
							  reader->width) != sources++)
			return corrupt(host, "its sources are out of order");
		before = origin;
	}
	if (sources != reader->source_count)
		return corrupt(host, "a source has no origin");
	return true;
}

/*
 * profile_check checks packed bytes wholly: what passes is what the writer makes
 * of the same candidates, byte by byte (texts are not looked into).
 */
bool
profile_check(ProfileHost *host, const void *data, size_t size)
{
	ProfileReader reader;
	ProfileBlock block;
	ProfileCandidate candidate;
	const char *before = NULL;
	uint32_t	before_length = 0;
	bool	   *is_newest;

	if (!profile_open(host, &reader, data, size) || !check_origins(host, &reader))
		return false;
	is_newest = host->allocate(host, (size_t) reader.origin_count + 1);
	if (is_newest == NULL)
		return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
	memset(is_newest, 0, (size_t) reader.origin_count + 1);
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		int64_t		last_origin = -1;

		if (i % 1024 == 0)
			host->poll(host);
		if (!profile_block(host, &reader, i, &block))
			return false;
		if (i > 0 && profile_compare_names(before, before_length,
										   block.trait, block.trait_length) >= 0)
			return corrupt(host, "its traits are out of order");
		before = block.trait;
		before_length = block.trait_length;
		while (block.next < block.end)
		{
			if (!profile_next(host, &reader, &block, &candidate))
				return false;
			if (candidate.origin <= last_origin)
				return corrupt(host, "its candidates are out of order");
			last_origin = candidate.origin;
			if (packed_read_64(reader.data + reader.origins +
							   (size_t) candidate.origin * (reader.width + PACKED_ORIGIN_SIZE) +
							   reader.width + 8) == (uint64_t) candidate.observed_at)
				is_newest[candidate.origin] = true;
			if (!((candidate.observed_at >= PROFILE_TIME_FIRST &&
				   candidate.observed_at < PROFILE_TIME_END) ||
				  candidate.observed_at == PROFILE_TIME_INFINITY ||
				  candidate.observed_at == PROFILE_TIME_MINUS_INFINITY))
				return corrupt(host, "the time of a candidate is wrong");
		}
	}
	for (uint32_t i = 0; i < reader.origin_count; i++)
	{
		if (!is_newest[i])
			return corrupt(host, "the time of an origin is wrong");
	}
	return true;
}
