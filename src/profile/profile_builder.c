/*
 * profile_builder.c
 *		Making the packed form of a profile from candidates in any order, and
 *		merging profiles.
 *
 * A builder takes origins and candidates, of several profiles too.  When all are
 * in, profile_builder_finish sorts them, keeps the greatest of those with the
 * same key (trait, source, record), and profile_builder_write packs them.  So
 * the same candidates give the same bytes, whatever the order or the grouping
 * in which they came.  Names and values are not copied: they must stay until
 * the end.  No server here: see profile_core.h.
 */
#include "profile/profile_packed.h"

#include <stdlib.h>

/* Up to so many origins are searched one by one, more by a hash table. */
#define FEW_ORIGINS		8

void
profile_builder_init(ProfileBuilder *builder, ProfileHost *host)
{
	memset(builder, 0, sizeof(ProfileBuilder));
	builder->host = host;
}

static bool
out_of_memory(ProfileBuilder *builder)
{
	return profile_fail(builder->host, PROFILE_OUT_OF_MEMORY, NULL, 0);
}

static bool
too_large(ProfileBuilder *builder)
{
	return profile_fail(builder->host, PROFILE_TOO_LARGE, NULL, 0);
}

/*
 * grow makes room in an array for more elements, at least double, and returns
 * the array that holds the old ones, or NULL.
 */
static void *
grow(ProfileBuilder *builder, void *array, size_t element, size_t count, size_t wanted,
	 size_t *capacity)
{
	size_t		room = *capacity * 2 > wanted ? *capacity * 2 : wanted;
	void	   *result;

	if (room < 8)
		room = 8;
	if (room > SIZE_MAX / 2 / element)
		return NULL;
	result = builder->host->allocate(builder->host, room * element);
	if (result == NULL)
		return NULL;
	if (count > 0)
		memcpy(result, array, count * element);
	*capacity = room;
	return result;
}

/*
 * profile_builder_reserve makes room for so many more candidates.
 */
bool
profile_builder_reserve(ProfileBuilder *builder, size_t candidates)
{
	size_t		wanted = builder->candidate_count + candidates;
	void	   *array;

	if (wanted <= builder->candidate_capacity)
		return true;
	array = grow(builder, builder->candidates, sizeof(ProfileCandidate), builder->candidate_count,
				 wanted, &builder->candidate_capacity);
	if (array == NULL)
		return out_of_memory(builder);
	builder->candidates = array;
	return true;
}

static inline bool
is_origin(const ProfileOrigin *origin, const char *source, size_t length, int64_t record)
{
	return origin->record == record && origin->source_length == length &&
		(origin->source == source || memcmp(origin->source, source, length) == 0);
}

/*
 * origin_slot finds the place of an origin in the hash table: where it is, or
 * an empty one.
 */
static uint32_t
origin_slot(const ProfileBuilder *builder, const char *source, size_t length, int64_t record)
{
	uint32_t	mask = builder->origin_table_size - 1;
	uint32_t	slot = (uint32_t) profile_hash(source, length,
											   (uint64_t) record * UINT64_C(0x9E3779B97F4A7C15)) & mask;

	while (builder->origin_table[slot] != 0 &&
		   !is_origin(&builder->origins[builder->origin_table[slot] - 1], source, length, record))
		slot = (slot + 1) & mask;
	return slot;
}

/*
 * make_origin_table makes the hash table, or a greater one.
 */
static bool
make_origin_table(ProfileBuilder *builder)
{
	uint32_t	size = builder->origin_table_size == 0 ? 64 : builder->origin_table_size * 4;

	builder->origin_table = builder->host->allocate(builder->host, sizeof(uint32_t) * size);
	if (builder->origin_table == NULL)
		return out_of_memory(builder);
	memset(builder->origin_table, 0, sizeof(uint32_t) * size);
	builder->origin_table_size = size;
	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		const ProfileOrigin *origin = &builder->origins[i];

		builder->origin_table[origin_slot(builder, origin->source, origin->source_length,
										  origin->record)] = i + 1;
	}
	return true;
}

/*
 * profile_builder_origin gives the index of an origin, a new one if need be.
 */
bool
profile_builder_origin(ProfileBuilder *builder, const char *source, size_t length,
					   int64_t record, uint32_t *origin)
{
	uint32_t	slot = 0;
	ProfileOrigin *new_origin;

	if (builder->origin_count > 0 &&
		is_origin(&builder->origins[builder->last_origin], source, length, record))
	{
		*origin = builder->last_origin;
		return true;
	}
	if (builder->origin_count > FEW_ORIGINS)
	{
		if (builder->origin_count >= builder->origin_table_size / 2 && !make_origin_table(builder))
			return false;
		slot = origin_slot(builder, source, length, record);
		if (builder->origin_table[slot] != 0)
		{
			*origin = builder->last_origin = builder->origin_table[slot] - 1;
			return true;
		}
	}
	else
	{
		for (uint32_t i = 0; i < builder->origin_count; i++)
		{
			if (is_origin(&builder->origins[i], source, length, record))
			{
				*origin = builder->last_origin = i;
				return true;
			}
		}
	}

	if (builder->origin_count == builder->origin_capacity)
	{
		size_t		capacity = builder->origin_capacity;
		void	   *array = grow(builder, builder->origins, sizeof(ProfileOrigin),
								 builder->origin_count, builder->origin_count + 1, &capacity);

		/* Each origin takes 17 bytes at least, so more could not be written. */
		if (array == NULL || capacity > UINT32_MAX / 4)
			return array == NULL ? out_of_memory(builder) : too_large(builder);
		builder->origins = array;
		builder->origin_capacity = (uint32_t) capacity;
	}
	new_origin = &builder->origins[builder->origin_count];
	new_origin->source = source;
	new_origin->source_length = (uint32_t) length;
	new_origin->record = record;
	new_origin->newest = PROFILE_TIME_MINUS_INFINITY;
	*origin = builder->last_origin = builder->origin_count++;
	if (builder->origin_table != NULL)
		builder->origin_table[slot] = builder->origin_count;
	return true;
}

/*
 * profile_builder_add adds a candidate.  The bytes of its value are canonical.
 */
bool
profile_builder_add(ProfileBuilder *builder, const char *trait, size_t length, uint32_t origin,
					int64_t observed_at, const ProfileValue *value)
{
	ProfileCandidate *candidate;

	if (length > PROFILE_MAX_SIZE || value->length > PROFILE_MAX_SIZE)
		return too_large(builder);
	if (builder->candidate_count == builder->candidate_capacity &&
		!profile_builder_reserve(builder, 1))
		return false;
	candidate = &builder->candidates[builder->candidate_count++];
	candidate->prefix = packed_prefix(trait, length);
	candidate->trait = trait;
	candidate->trait_length = (uint32_t) length;
	candidate->origin = origin;
	candidate->observed_at = observed_at;
	candidate->value = *value;
	return true;
}

/*
 * profile_builder_add_packed adds all candidates of a packed profile.
 */
bool
profile_builder_add_packed(ProfileBuilder *builder, const void *data, size_t size)
{
	ProfileHost *host = builder->host;
	ProfileReader reader;
	ProfileBlock block;
	uint32_t	few[16];
	uint32_t   *origins = few;
	const char *before = NULL;
	uint32_t	before_length = 0;

	if (!profile_open(host, &reader, data, size))
		return false;
	if (reader.origin_count > sizeof(few) / sizeof(few[0]))
	{
		origins = host->allocate(host, sizeof(uint32_t) * reader.origin_count);
		if (origins == NULL)
			return out_of_memory(builder);
	}
	for (uint32_t i = 0; i < reader.origin_count; i++)
	{
		ProfileOrigin origin;

		if (!profile_origin(host, &reader, i, &origin) ||
			!profile_builder_origin(builder, origin.source, origin.source_length, origin.record,
									&origins[i]))
			return false;
	}
	if (!profile_builder_reserve(builder, reader.trait_count))
		return false;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		uint64_t	prefix;

		if (i % 1024 == 1023)
			host->poll(host);
		if (!profile_block(host, &reader, i, &block))
			return false;
		if (i > 0 && profile_compare_names(before, before_length,
										   block.trait, block.trait_length) >= 0)
			return profile_fail(host, PROFILE_CORRUPT, "its traits are out of order", 0);
		before = block.trait;
		before_length = block.trait_length;
		prefix = packed_prefix(block.trait, block.trait_length);
		do
		{
			ProfileCandidate *candidate;

			if (builder->candidate_count == builder->candidate_capacity &&
				!profile_builder_reserve(builder, 1))
				return false;
			candidate = &builder->candidates[builder->candidate_count];
			if (!profile_next(host, &reader, &block, candidate))
				return false;
			candidate->prefix = prefix;
			candidate->origin = origins[candidate->origin];
			builder->candidate_count++;
		} while (block.next < block.end);
	}
	return true;
}

/*
 * compare_origins orders origins by source and record.
 */
static int
compare_origins(const void *a, const void *b)
{
	const ProfileOrigin *left = *(const ProfileOrigin *const *) a;
	const ProfileOrigin *right = *(const ProfileOrigin *const *) b;
	int			order = profile_compare_names(left->source, left->source_length,
											  right->source, right->source_length);

	if (order != 0)
		return order;
	return left->record < right->record ? -1 : left->record > right->record;
}

/*
 * sort_origins sorts the origins that are used, and has the candidates point to
 * their new places.
 */
static bool
sort_origins(ProfileBuilder *builder)
{
	ProfileHost *host = builder->host;
	uint32_t	count = builder->origin_count;
	uint32_t	used = 0;
	ProfileOrigin *sorted;
	ProfileOrigin **order;
	uint32_t   *places;

	if (count == 0)
		return true;
	if (count == 1)
	{
		if (builder->candidate_count == 0)
			builder->origin_count = 0;
		return true;
	}
	order = host->allocate(host, sizeof(ProfileOrigin *) * count);
	places = host->allocate(host, sizeof(uint32_t) * count);
	sorted = host->allocate(host, sizeof(ProfileOrigin) * count);
	if (order == NULL || places == NULL || sorted == NULL)
		return out_of_memory(builder);

	memset(places, 0, sizeof(uint32_t) * count);
	for (size_t i = 0; i < builder->candidate_count; i++)
		places[builder->candidates[i].origin] = 1;
	for (uint32_t i = 0; i < count; i++)
	{
		if (places[i])
			order[used++] = &builder->origins[i];
	}
	if (used <= FEW_ORIGINS)
	{
		for (uint32_t i = 1; i < used; i++)
		{
			ProfileOrigin *origin = order[i];
			uint32_t	place = i;

			for (; place > 0 && compare_origins(&order[place - 1], &origin) > 0; place--)
				order[place] = order[place - 1];
			order[place] = origin;
		}
	}
	else
		qsort(order, used, sizeof(ProfileOrigin *), compare_origins);
	for (uint32_t i = 0; i < used; i++)
	{
		sorted[i] = *order[i];
		places[order[i] - builder->origins] = i;
	}
	for (size_t i = 0; i < builder->candidate_count; i++)
		builder->candidates[i].origin = places[builder->candidates[i].origin];
	builder->origins = sorted;
	builder->origin_count = used;
	builder->origin_capacity = count;
	builder->origin_table = NULL;
	builder->origin_table_size = 0;
	builder->last_origin = 0;
	return true;
}

/*
 * compare_keys orders candidates by trait and origin.
 */
static inline int
compare_keys(const ProfileCandidate *a, const ProfileCandidate *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	if (a->trait != b->trait)
	{
		int			order = profile_compare_names(a->trait, a->trait_length,
												  b->trait, b->trait_length);

		if (order != 0)
			return order;
	}
	else if (a->trait_length != b->trait_length)
		return a->trait_length < b->trait_length ? -1 : 1;
	return a->origin < b->origin ? -1 : a->origin > b->origin;
}

/*
 * supersedes tells whether of two candidates with the same key the first one is
 * kept, because it is greater by (observed_at, type, value).
 */
static bool
supersedes(const ProfileCandidate *a, const ProfileCandidate *b)
{
	if (a->observed_at != b->observed_at)
		return a->observed_at > b->observed_at;
	if (a->value.type != b->value.type)
		return a->value.type > b->value.type;
	return profile_compare_values(&a->value, &b->value) > 0;
}

/*
 * merge_runs merges two sorted runs, of which keys may be in both, and returns
 * the length of the result.
 */
static size_t
merge_runs(const ProfileCandidate *left, size_t left_count,
		   const ProfileCandidate *right, size_t right_count, ProfileCandidate *output)
{
	ProfileCandidate *next = output;

	while (left_count > 0 && right_count > 0)
	{
		int			order = compare_keys(left, right);

		if (order == 0)
		{
			*next++ = supersedes(right, left) ? *right : *left;
			left++;
			left_count--;
			right++;
			right_count--;
		}
		else if (order < 0)
		{
			*next++ = *left++;
			left_count--;
		}
		else
		{
			*next++ = *right++;
			right_count--;
		}
	}
	if (left_count > 0)
	{
		memcpy(next, left, left_count * sizeof(ProfileCandidate));
		next += left_count;
	}
	if (right_count > 0)
	{
		memcpy(next, right, right_count * sizeof(ProfileCandidate));
		next += right_count;
	}
	return (size_t) (next - output);
}

/*
 * sort_candidates sorts by key and keeps one candidate of each: a merge sort
 * that begins with the runs it finds, since profiles that are merged are sorted
 * by themselves.
 */
static bool
sort_candidates(ProfileBuilder *builder)
{
	ProfileHost *host = builder->host;
	ProfileCandidate *candidates = builder->candidates;
	size_t		count = builder->candidate_count;
	ProfileCandidate *other;
	size_t	   *ends;
	size_t		runs = 0;

	/* Sorted already, as a parsed output of the server is? */
	for (size_t i = 1; i < count; i++)
	{
		if (compare_keys(&candidates[i - 1], &candidates[i]) >= 0)
			runs++;
	}
	if (runs == 0)
		return true;
	runs++;
	other = host->allocate(host, sizeof(ProfileCandidate) * count);
	ends = host->allocate(host, sizeof(size_t) * runs);
	if (other == NULL || ends == NULL)
		return out_of_memory(builder);
	runs = 0;
	for (size_t i = 1; i < count; i++)
	{
		if (compare_keys(&candidates[i - 1], &candidates[i]) >= 0)
			ends[runs++] = i;
	}
	ends[runs++] = count;

	while (runs > 1)
	{
		size_t		start = 0;
		size_t		output = 0;
		size_t		merged = 0;

		for (size_t i = 0; i < runs; i += 2)
		{
			size_t		middle = ends[i];

			if (i + 1 < runs)
			{
				output += merge_runs(candidates + start, middle - start,
									 candidates + middle, ends[i + 1] - middle, other + output);
				start = ends[i + 1];
			}
			else
			{
				memcpy(other + output, candidates + start,
					   (middle - start) * sizeof(ProfileCandidate));
				output += middle - start;
			}
			ends[merged++] = output;
			if (i % 1024 == 0)
				host->poll(host);
		}
		{
			ProfileCandidate *swap = candidates;

			candidates = other;
			other = swap;
		}
		count = output;
		runs = merged;
	}
	builder->candidates = candidates;
	builder->candidate_count = count;
	return true;
}

static size_t
candidate_size(const ProfileBuilder *builder, const ProfileCandidate *candidate)
{
	int64_t		newest = builder->origins[candidate->origin].newest;
	size_t		size = 1 + packed_varint_size(candidate->origin) + candidate->value.length;

	if (newest != candidate->observed_at)
		size += packed_varint_size((uint64_t) newest - (uint64_t) candidate->observed_at);
	if (candidate->value.length >= PACKED_LONG)
		size += packed_varint_size(candidate->value.length - PACKED_LONG);
	return size;
}

static inline bool
same_trait(const ProfileCandidate *a, const ProfileCandidate *b)
{
	return a->prefix == b->prefix && a->trait_length == b->trait_length &&
		(a->trait == b->trait || memcmp(a->trait, b->trait, a->trait_length) == 0);
}

static inline bool
same_source(const ProfileOrigin *a, const ProfileOrigin *b)
{
	return a->source_length == b->source_length &&
		(a->source == b->source || memcmp(a->source, b->source, a->source_length) == 0);
}

/*
 * profile_builder_finish sorts what was added.  Nothing is added after it.
 */
bool
profile_builder_finish(ProfileBuilder *builder)
{
	uint64_t	size = 0;
	uint64_t	counts = PACKED_COUNTS;

	if (!sort_origins(builder) || !sort_candidates(builder))
		return false;
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		const ProfileCandidate *candidate = &builder->candidates[i];
		ProfileOrigin *origin = &builder->origins[candidate->origin];

		if (candidate->observed_at > origin->newest)
			origin->newest = candidate->observed_at;
	}
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		const ProfileCandidate *candidate = &builder->candidates[i];

		size += candidate_size(builder, candidate);
		if (i == 0 || !same_trait(candidate - 1, candidate))
		{
			size += candidate->trait_length;
			counts += 2;
		}
	}
	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		size += PACKED_ORIGIN_SIZE;
		counts++;
		if (i == 0 || !same_source(&builder->origins[i - 1], &builder->origins[i]))
		{
			size += builder->origins[i].source_length;
			counts++;
		}
	}
	size += PACKED_FIXED_SIZE;
	if (size + counts < 256)
		size += counts;
	else if (size + counts * 2 < 65536)
		size += counts * 2;
	else
		size += counts * 4;
	if (size > PROFILE_MAX_SIZE)
		return too_large(builder);
	builder->byte_count = size;
	return true;
}

/*
 * profile_builder_size returns how many bytes profile_builder_write writes.
 */
size_t
profile_builder_size(const ProfileBuilder *builder)
{
	return (size_t) builder->byte_count;
}

static unsigned char *
write_candidate(const ProfileBuilder *builder, const ProfileCandidate *candidate,
				unsigned char *output)
{
	int64_t		newest = builder->origins[candidate->origin].newest;
	uint32_t	length = candidate->value.length;
	unsigned char tag = (unsigned char) candidate->value.type;

	if (newest != candidate->observed_at)
		tag |= PACKED_OLDER_FLAG;
	tag |= (unsigned char) ((length < PACKED_LONG ? length : PACKED_LONG) << PACKED_LENGTH_SHIFT);
	*output++ = tag;
	output = packed_write_varint(output, candidate->origin);
	if (newest != candidate->observed_at)
		output = packed_write_varint(output,
									 (uint64_t) newest - (uint64_t) candidate->observed_at);
	if (length >= PACKED_LONG)
		output = packed_write_varint(output, length - PACKED_LONG);
	if (length > 0)
		memcpy(output, candidate->value.bytes, length);
	return output + length;
}

/*
 * profile_builder_write writes the packed form: profile_builder_size bytes.
 */
void
profile_builder_write(const ProfileBuilder *builder, void *output)
{
	size_t		size = (size_t) builder->byte_count;
	unsigned	width = size < 256 ? 1 : size < 65536 ? 2 : 4;
	const ProfileOrigin *origins = builder->origins;
	const ProfileCandidate *candidates = builder->candidates;
	unsigned char *start = output;
	unsigned char *next = start;
	unsigned char *names;
	unsigned char *directory;
	uint32_t	sources = 0;
	uint32_t	traits = 0;
	uint32_t	end;
	size_t		name_bytes = 0;

	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i == 0 || !same_source(&origins[i - 1], &origins[i]))
			sources++;
	}
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		if (i == 0 || !same_trait(&candidates[i - 1], &candidates[i]))
		{
			traits++;
			name_bytes += candidates[i].trait_length;
		}
	}
	*next++ = PROFILE_VERSION;
	*next++ = (unsigned char) width;
	next = packed_write_width(next, sources, width);
	next = packed_write_width(next, builder->origin_count, width);
	next = packed_write_width(next, traits, width);

	end = 0;
	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i == 0 || !same_source(&origins[i - 1], &origins[i]))
		{
			end += origins[i].source_length;
			next = packed_write_width(next, end, width);
		}
	}
	sources = 0;
	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i > 0 && !same_source(&origins[i - 1], &origins[i]))
			sources++;
		next = packed_write_width(next, sources, width);
		next = packed_write_64(next, (uint64_t) origins[i].record);
		next = packed_write_64(next, (uint64_t) origins[i].newest);
	}

	directory = next;
	next += (size_t) traits * 2 * width;
	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i == 0 || !same_source(&origins[i - 1], &origins[i]))
		{
			if (origins[i].source_length > 0)
				memcpy(next, origins[i].source, origins[i].source_length);
			next += origins[i].source_length;
		}
	}

	names = next;
	next += name_bytes;
	start = next;
	end = 0;
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		if (i == 0 || !same_trait(&candidates[i - 1], &candidates[i]))
		{
			if (i > 0)
				directory = packed_write_width(directory, (uint32_t) (next - start), width);
			if (candidates[i].trait_length > 0)
				memcpy(names + end, candidates[i].trait, candidates[i].trait_length);
			end += candidates[i].trait_length;
			directory = packed_write_width(directory, end, width);
		}
		next = write_candidate(builder, &candidates[i], next);
	}
	if (traits > 0)
		packed_write_width(directory, (uint32_t) (next - start), width);
}
