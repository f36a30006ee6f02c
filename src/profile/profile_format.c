/*
 * profile_format.c
 *		Reading the packed form of a profile.
 *
 * profile_open checks the version, the counts and the total size; each step
 * after it checks the offsets and the order it follows, so that no bytes, however made, are
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
 * read_front reads counts and offsets of packed bytes, of which only the first
 * "available" ones are there.  "needed" is set to how many must be there to
 * read so far; where that is more than there are, nothing else is valid.
 */
static bool
read_front(ProfileHost *host, ProfileReader *reader, const void *data, size_t available,
		   size_t size, size_t *needed)
{
	const unsigned char *bytes = data;
	unsigned	width;
	uint64_t	next;

	if (size < PACKED_FIXED_SIZE + PACKED_COUNTS || size > PROFILE_MAX_SIZE)
		return corrupt(host, "its size is impossible");
	width = size < 256 ? 1 : size < 65536 ? 2
										  : 4;
	*needed = PACKED_FIXED_SIZE + PACKED_COUNTS * width;
	if (*needed > size)
		return corrupt(host, "its size is impossible");
	if (*needed > available)
		return true;
	if (bytes[0] != PROFILE_VERSION)
		return corrupt(host, "its version is unknown");
	if (bytes[1] != width)
		return corrupt(host, "its width of offsets does not fit its size");
	bytes += PACKED_FIXED_SIZE;

	reader->data = data;
	reader->size = size;
	reader->width = width;
	reader->source_count = packed_read_width(bytes, width);
	reader->origin_count = packed_read_width(bytes + width, width);
	reader->trait_count = packed_read_width(bytes + 2 * width, width);
	reader->leaf_count = reader->trait_count / PACKED_LEAF + (reader->trait_count % PACKED_LEAF != 0);

	/* The counts have 32 bits, so nothing here overflows. */
	next = *needed;
	reader->source_ends = (size_t) next;
	next += (uint64_t) reader->source_count * width;
	reader->origins = (size_t) next;
	next += (uint64_t) reader->origin_count * (width + PACKED_ORIGIN_SIZE);
	reader->index = (size_t) next;
	next += (uint64_t) reader->leaf_count * 2 * width;
	if (next > size)
		return corrupt(host, "its counts do not fit its size");
	*needed = (size_t) next;
	if (*needed > available)
		return true;
	reader->source_names = (size_t) next;
	if (reader->source_count > 0)
		next += packed_read_width(reader->data + reader->origins - width, width);
	reader->leaf_names = (size_t) next;
	if (reader->leaf_count > 0)
	{
		const unsigned char *last = reader->data + reader->source_names - 2 * width;

		next += packed_read_width(last, width);
		if (next + packed_read_width(last + width, width) != size)
			return corrupt(host, "its offsets do not fit its size");
	}
	else if (next != size)
		return corrupt(host, "its offsets do not fit its size");
	reader->leaves = (size_t) next;
	*needed = (size_t) next;
	return true;
}

/*
 * profile_front tells how many of the first bytes are needed for profile_open
 * and profile_find_leaf, as far as can be told from those that are available.
 */
bool
profile_front(ProfileHost *host, const void *data, size_t available, size_t size, size_t *needed)
{
	ProfileReader reader;

	return read_front(host, &reader, data, available, size, needed);
}

/*
 * profile_open begins to read packed bytes, which must stay where they are.
 */
bool
profile_open(ProfileHost *host, ProfileReader *reader, const void *data, size_t size)
{
	size_t		needed;

	return read_front(host, reader, data, size, size, &needed);
}

/*
 * leaf_name gives the name of the first trait of a leaf.
 */
static inline bool
leaf_name(const ProfileReader *reader, uint32_t leaf, const char **name, uint32_t *length)
{
	const unsigned char *entry = reader->data + reader->index + (size_t) leaf * 2 * reader->width;
	uint32_t	start = leaf == 0 ? 0 : packed_read_width(entry - 2 * reader->width, reader->width);
	uint32_t	end = packed_read_width(entry, reader->width);

	if (start > end || end > reader->leaves - reader->leaf_names)
		return false;
	*name = (const char *) reader->data + reader->leaf_names + start;
	*length = end - start;
	return true;
}

/*
 * leaf_bounds gives where a leaf begins and ends.
 */
static inline bool
leaf_bounds(const ProfileReader *reader, uint32_t leaf, size_t *start, size_t *end)
{
	const unsigned char *entry = reader->data + reader->index +
		(size_t) leaf * 2 * reader->width + reader->width;

	*start = reader->leaves + (leaf == 0 ? 0 : packed_read_width(entry - 2 * reader->width, reader->width));
	*end = reader->leaves + packed_read_width(entry, reader->width);
	return *start < *end && *end <= reader->size;
}

/*
 * read_name_head reads how much of a name is that of the one before it, and how
 * long its rest is, which follows.
 */
static inline const unsigned char *
read_name_head(const unsigned char *next, const unsigned char *end, uint64_t *shared,
			   uint64_t *suffix)
{
	uint64_t	more;

	if (next >= end)
		return NULL;
	*shared = *next >> PACKED_SHARED_SHIFT;
	*suffix = *next & PACKED_SUFFIX_MASK;
	next++;
	if (*shared == PACKED_LONG_NAME)
	{
		next = packed_read_varint(next, end, &more);
		if (next == NULL || more > PROFILE_MAX_SIZE)
			return NULL;
		*shared += more;
	}
	if (*suffix == PACKED_LONG_NAME)
	{
		next = packed_read_varint(next, end, &more);
		if (next == NULL || more > PROFILE_MAX_SIZE)
			return NULL;
		*suffix += more;
	}
	return *suffix <= (uint64_t) (end - next) ? next : NULL;
}

/*
 * read_candidate_head reads what stands before the bytes of a value: how long
 * they are, the origin with its flag, and how much older it is.
 */
static inline const unsigned char *
read_candidate_head(const unsigned char *next, const unsigned char *end, unsigned char *tag,
					uint64_t *length, uint64_t *origin, uint64_t *older)
{
	if (next >= end)
		return NULL;
	*tag = *next++;
	next = packed_read_varint(next, end, origin);
	if (next == NULL)
		return NULL;
	*older = 0;
	if (*tag & PACKED_OLDER_FLAG)
	{
		next = packed_read_varint(next, end, older);
		if (next == NULL || *older == 0)
			return NULL;
	}
	*length = *tag >> PACKED_LENGTH_SHIFT;
	if (*length == PACKED_SAME)
		*length = 0;
	else if (*length == PACKED_LONG)
	{
		next = packed_read_varint(next, end, length);
		if (next == NULL || *length > PROFILE_MAX_SIZE)
			return NULL;
		*length += PACKED_SAME;
	}
	return *length <= (uint64_t) (end - next) ? next : NULL;
}

/*
 * skip_candidates passes over the candidates of a trait.
 */
static inline const unsigned char *
skip_candidates(const unsigned char *next, const unsigned char *end)
{
	unsigned char tag;
	uint64_t	length;
	uint64_t	origin;
	uint64_t	older;

	do
	{
		/* The head of a short value has two bytes as a rule. */
		if (end - next >= 2 && (*next & PACKED_OLDER_FLAG) == 0 &&
			*next >> PACKED_LENGTH_SHIFT < PACKED_SAME && next[1] < 0x80)
		{
			length = *next >> PACKED_LENGTH_SHIFT;
			origin = next[1];
			next += 2;
			if (length > (uint64_t) (end - next))
				return NULL;
		}
		else
		{
			next = read_candidate_head(next, end, &tag, &length, &origin, &older);
			if (next == NULL)
				return NULL;
		}
		next += length;
	} while (origin & PACKED_MORE_FLAG);
	return next;
}

/*
 * make_name puts the name of a trait together, in memory of the block.
 */
static bool
make_name(ProfileHost *host, ProfileBlock *block, uint32_t shared, const char *suffix,
		  uint32_t suffix_length)
{
	size_t		length = (size_t) shared + suffix_length;
	char	   *name;

	/* Few bytes can stand for very many; the writer sees to it that they do not. */
	block->made += length;
	if (block->made > PROFILE_MAX_SIZE)
		return corrupt(host, "the names of its traits are too long");
	if (block->room == NULL || block->room_left < length)
	{
		size_t		room = length > 256 ? length * 2 : 1024;

		block->room = host->allocate(host, room);
		if (block->room == NULL)
			return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
		block->room_left = room;
	}
	name = block->room;
	memcpy(name, block->trait, shared);
	if (suffix_length > 0)
		memcpy(name + shared, suffix, suffix_length);
	block->room += length;
	block->room_left -= length;
	block->trait = name;
	block->trait_length = (uint32_t) length;
	return true;
}

/*
 * profile_block begins to read the candidates of a trait.  It is called for the
 * traits 0, 1, 2 … in order, below reader->trait_count, with the same block,
 * which is zeroed before.  The names it gives last as long as the packed bytes
 * and the memory of the host.
 */
bool
profile_block(ProfileHost *host, const ProfileReader *reader, uint32_t index,
			  ProfileBlock *block)
{
	const char *before = block->trait;
	uint32_t	before_length = block->trait_length;

	if (index > 0 && block->has_more)
	{
		block->next = skip_candidates(block->next, block->end);
		if (block->next == NULL)
			return corrupt(host, "a candidate is malformed");
	}
	if (index % PACKED_LEAF == 0)
	{
		size_t		start;
		size_t		end;

		if (index > 0 && block->next != block->end)
			return corrupt(host, "something follows the last candidate of a leaf");
		if (!leaf_name(reader, index / PACKED_LEAF, &block->trait, &block->trait_length) ||
			!leaf_bounds(reader, index / PACKED_LEAF, &start, &end))
			return corrupt(host, "an offset of a leaf is wrong");
		block->next = reader->data + start;
		block->end = reader->data + end;
	}
	else
	{
		uint64_t	shared;
		uint64_t	suffix;
		const char *name;

		block->next = read_name_head(block->next, block->end, &shared, &suffix);
		if (block->next == NULL || shared > block->trait_length)
			return corrupt(host, "the name of a trait is malformed");
		name = (const char *) block->next;
		block->next += suffix;
		if (shared == 0)
		{
			block->trait = name;
			block->trait_length = (uint32_t) suffix;
		}
		else if (!make_name(host, block, (uint32_t) shared, name, (uint32_t) suffix))
			return false;
	}
	if (index > 0 && profile_compare_names(before, before_length, block->trait, block->trait_length) >= 0)
		return corrupt(host, "its traits are out of order");
	block->index = index;
	block->has_more = true;
	block->last_value.bytes = NULL;
	return true;
}

/*
 * profile_find_leaf finds the leaf in which a trait is, if there is one, and
 * its bytes from "start" to "end".
 */
bool
profile_find_leaf(ProfileHost *host, const ProfileReader *reader, const char *trait,
				  size_t length, uint32_t *leaf, size_t *start, size_t *end, bool *found)
{
	uint32_t	low = 0;
	uint32_t	high = reader->leaf_count;

	/* The last leaf that begins with this name or a smaller one. */
	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		const char *name;
		uint32_t	name_length;

		if (!leaf_name(reader, middle, &name, &name_length))
			return corrupt(host, "an offset of a leaf is wrong");
		if (profile_compare_names(trait, length, name, name_length) < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*found = low > 0;
	if (low == 0)
		return true;
	*leaf = low - 1;
	if (!leaf_bounds(reader, *leaf, start, end))
		return corrupt(host, "an offset of a leaf is wrong");
	return true;
}

/*
 * profile_find looks a trait up.  It returns false only for corrupt bytes.
 */
bool
profile_find(ProfileHost *host, const ProfileReader *reader, const char *trait, size_t length,
			 ProfileBlock *block, bool *found)
{
	size_t		start;
	size_t		leaf_end;
	uint32_t	leaf;
	uint32_t	index;
	const char *name;
	uint32_t	name_length;
	uint32_t	matched;
	const unsigned char *next;
	const unsigned char *end;

	/* Where there is but one leaf, its first name is compared once, below. */
	if (reader->leaf_count == 1)
	{
		leaf = 0;
		if (!leaf_bounds(reader, leaf, &start, &leaf_end))
			return corrupt(host, "an offset of a leaf is wrong");
	}
	else
	{
		if (!profile_find_leaf(host, reader, trait, length, &leaf, &start, &leaf_end, found))
			return false;
		if (!*found)
			return true;
	}
	index = leaf * PACKED_LEAF;
	if (!leaf_name(reader, leaf, &name, &name_length))
		return corrupt(host, "an offset of a leaf is wrong");
	next = reader->data + start;
	end = reader->data + leaf_end;

	/*
	 * As many bytes of the name that was passed last as "matched" are those of
	 * the name looked for, and it is smaller.  Most names can be passed by
	 * their length in common with the one before.
	 */
	matched = packed_common(trait, (uint32_t) length, name, name_length);
	*found = matched == length && matched == name_length;
	if (!*found && matched < name_length &&
		(matched == length || (unsigned char) name[matched] > (unsigned char) trait[matched]))
		return true;
	while (!*found)
	{
		uint64_t	shared;
		uint64_t	suffix;
		uint32_t	common;

		index++;
		if (index % PACKED_LEAF == 0 || index == reader->trait_count)
			return true;
		next = skip_candidates(next, end);
		if (next != NULL)
			next = read_name_head(next, end, &shared, &suffix);
		if (next == NULL)
			return corrupt(host, "the name of a trait is malformed");
		name = (const char *) next;
		next += suffix;
		if (shared > matched)
			continue;
		if (shared > 0 && shared < matched)
			return true;
		common = packed_common(trait + shared, (uint32_t) (length - shared), name, (uint32_t) suffix);
		matched = (uint32_t) shared + common;
		if (common == suffix)
			*found = matched == length;
		else if (matched == length ||
				 (unsigned char) name[common] > (unsigned char) trait[matched])
			return true;
	}
	*block = (ProfileBlock){
		.index = index,
		.trait = trait,
		.trait_length = (uint32_t) length,
		.has_more = true,
		.next = next,
		.end = end,
	};
	return true;
}

static bool profile_check_value(const ProfileValue *value);

/*
 * profile_next reads the next candidate of a trait.  Its origin is an index for
 * profile_origin.  Call it while block->has_more.
 */
bool
profile_next(ProfileHost *host, const ProfileReader *reader, ProfileBlock *block,
			 ProfileCandidate *candidate)
{
	unsigned char tag;
	uint64_t	length;
	uint64_t	origin;
	uint64_t	older;
	uint64_t	newest;
	const unsigned char *next = read_candidate_head(block->next, block->end, &tag, &length,
													&origin, &older);

	if (next == NULL)
		return corrupt(host, "a candidate is malformed");
	block->has_more = (origin & PACKED_MORE_FLAG) != 0;
	origin >>= PACKED_ORIGIN_SHIFT;
	if (origin >= reader->origin_count)
		return corrupt(host, "a candidate has no origin");
	newest = packed_read_64(reader->data + reader->origins +
							(size_t) origin * (reader->width + PACKED_ORIGIN_SIZE) + reader->width + 8);
	/* not before the first of all times */
	if (older > newest + ((uint64_t) 1 << 63))
		return corrupt(host, "the time of a candidate is wrong");

	candidate->origin = (uint32_t) origin;
	candidate->observed_at = (int64_t) (newest - older);
	candidate->trait = block->trait;
	candidate->trait_length = block->trait_length;
	candidate->value.type = (ProfileType) (tag & PACKED_TYPE_MASK);
	if (tag >> PACKED_LENGTH_SHIFT == PACKED_SAME)
	{
		if (block->last_value.bytes == NULL || block->last_value.type != candidate->value.type)
			return corrupt(host, "a value is that of another one that is not there");
		candidate->value = block->last_value;
	}
	else
	{
		candidate->value.length = (uint32_t) length;
		candidate->value.bytes = (const char *) next;
		if (!profile_check_value(&candidate->value))
			return corrupt(host, "a value is not of its type");
		block->last_value = candidate->value;
	}
	block->next = next + length;
	if (!block->has_more && block->next != block->end &&
		(block->index + 1 == reader->trait_count || (block->index + 1) % PACKED_LEAF == 0))
		return corrupt(host, "something follows the last candidate of a leaf");
	return true;
}

/*
 * profile_check_value tells whether bytes are the canonical ones of a value of
 * their type.  Texts are not looked into.
 */
static bool
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
			if (length > 1 && ((bytes[length - 1] == 0 && bytes[length - 2] < 0x80) || (bytes[length - 1] == 0xFF && bytes[length - 2] >= 0x80)))
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
			return length >= 2 && ((bytes[0] == '{' && bytes[length - 1] == '}') || (bytes[0] == '[' && bytes[length - 1] == ']'));
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
	source_end = reader->data + reader->source_ends + (size_t) source * reader->width;
	start = source == 0 ? 0 : packed_read_width(source_end - reader->width, reader->width);
	end = packed_read_width(source_end, reader->width);
	if (start > end || end > reader->leaf_names - reader->source_names)
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
		order = i == 0 ? -1 : profile_compare_names(before.source, before.source_length, origin.source, origin.source_length);
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
 * is_canonical_name tells whether the name of a trait that is read stands as the
 * writer writes it: without what it shares with the one before it.
 */
static bool
is_canonical_name(const ProfileBlock *block, const char *before, uint32_t before_length,
				  const unsigned char *head)
{
	uint32_t	common = packed_common(before, before_length, block->trait, block->trait_length);
	uint64_t	shared;
	uint64_t	suffix;

	return read_name_head(head, block->end, &shared, &suffix) != NULL &&
		shared == (common < PACKED_LEAST_SHARED ? 0 : common);
}

/*
 * check_candidates checks the candidates of a trait: their order, their times,
 * and that a value that is repeated is not stored again.  Where one is the
 * newest of its origin, that is noted.
 */
static bool
check_candidates(ProfileHost *host, const ProfileReader *reader, ProfileBlock *block,
				 bool *is_newest)
{
	ProfileValue before = {PROFILE_NULL, 0, NULL};
	ProfileCandidate candidate;
	int64_t		last_origin = -1;

	while (block->has_more)
	{
		bool		is_same = block->next < block->end &&
			*block->next >> PACKED_LENGTH_SHIFT == PACKED_SAME;
		ProfileOrigin origin;

		if (!profile_next(host, reader, block, &candidate) ||
			!profile_origin(host, reader, candidate.origin, &origin))
			return false;
		if (candidate.origin <= last_origin)
			return corrupt(host, "its candidates are out of order");
		last_origin = candidate.origin;
		if (candidate.observed_at == origin.newest)
			is_newest[candidate.origin] = true;
		else if (candidate.observed_at < PROFILE_TIME_FIRST &&
				 candidate.observed_at != PROFILE_TIME_MINUS_INFINITY)
			return corrupt(host, "the time of a candidate is wrong");
		else if (candidate.observed_at >= PROFILE_TIME_END)
			return corrupt(host, "the time of a candidate is wrong");
		if (is_same != (before.bytes != NULL && before.type == candidate.value.type && before.length == candidate.value.length && before.length > 0 && memcmp(before.bytes, candidate.value.bytes, before.length) == 0))
			return corrupt(host, "a value is repeated");
		before = candidate.value;
	}
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
	ProfileBlock block = {0};
	bool	   *is_newest;

	if (!profile_open(host, &reader, data, size) || !check_origins(host, &reader))
		return false;
	is_newest = host->allocate(host, (size_t) reader.origin_count + 1);
	if (is_newest == NULL)
		return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
	memset(is_newest, 0, (size_t) reader.origin_count + 1);
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		const char *before = block.trait;
		uint32_t	before_length = block.trait_length;
		const unsigned char *head = block.next;

		if (i % 1024 == 0)
			host->poll(host);
		if (!profile_block(host, &reader, i, &block))
			return false;
		if (i % PACKED_LEAF != 0 && !is_canonical_name(&block, before, before_length, head))
			return corrupt(host, "the name of a trait is malformed");
		if (!check_candidates(host, &reader, &block, is_newest))
			return false;
	}
	for (uint32_t i = 0; i < reader.origin_count; i++)
	{
		if (!is_newest[i])
			return corrupt(host, "the time of an origin is wrong");
	}
	return true;
}
