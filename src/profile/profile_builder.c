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
											(uint64_t) record * UINT64_C(0x9E3779B97F4A7C15)) &
		mask;

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
	ProfileBlock block = {0};
	uint32_t	few[16];
	uint32_t   *origins = few;

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
	block.room = builder->room;
	block.room_left = builder->room_left;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		uint64_t	prefix;

		if (i % 1024 == 1023)
			host->poll(host);
		if (!profile_block(host, &reader, i, &block))
			return false;
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
		} while (block.has_more);
	}
	builder->room = block.room;
	builder->room_left = block.room_left;
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
 * compare_keys orders candidates by trait and origin.  Where both have the same
 * trait, they share its name from then on, so that it is compared once.
 */
static inline int
compare_keys(const ProfileCandidate *a, ProfileCandidate *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	if (a->trait != b->trait)
	{
		int			order = profile_compare_names(a->trait, a->trait_length,
										  b->trait, b->trait_length);

		if (order != 0)
			return order;
		b->trait = a->trait;
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
		   ProfileCandidate *right, size_t right_count, ProfileCandidate *output)
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
	size_t		first = 1;
	size_t		runs = 0;

	/* Sorted already, as a parsed output of the server is? */
	while (first < count && compare_keys(&candidates[first - 1], &candidates[first]) < 0)
		first++;
	if (first >= count)
		return true;
	other = host->allocate(host, sizeof(ProfileCandidate) * count);
	ends = host->allocate(host, sizeof(size_t) * (count - first + 1));
	if (other == NULL || ends == NULL)
		return out_of_memory(builder);
	ends[runs++] = first;
	for (size_t i = first + 1; i < count; i++)
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
 * repeats_value tells whether a candidate has the value of the one before it,
 * of the same trait.
 */
static inline bool
repeats_value(const ProfileCandidate *candidate)
{
	const ProfileValue *value = &candidate->value;
	const ProfileValue *before = &(candidate - 1)->value;

	return value->length > 0 && value->length == before->length && value->type == before->type &&
		memcmp(value->bytes, before->bytes, value->length) == 0;
}

static size_t
candidate_size(const ProfileBuilder *builder, const ProfileCandidate *candidate, bool is_first)
{
	int64_t		newest = builder->origins[candidate->origin].newest;
	uint32_t	length = candidate->value.length;
	size_t		size = 1 + packed_varint_size((uint64_t) candidate->origin << PACKED_ORIGIN_SHIFT);

	if (newest != candidate->observed_at)
		size += packed_varint_size((uint64_t) newest - (uint64_t) candidate->observed_at);
	if (!is_first && repeats_value(candidate))
		return size;
	if (length >= PACKED_SAME)
		size += packed_varint_size(length - PACKED_SAME);
	return size + length;
}

/*
 * shared_length returns how much of the name of a trait is left out after the
 * name of the trait before it.
 */
static inline uint32_t
shared_length(const ProfileCandidate *before, const ProfileCandidate *candidate)
{
	uint32_t	common = packed_common(before->trait, before->trait_length,
									candidate->trait, candidate->trait_length);

	return common < PACKED_LEAST_SHARED ? 0 : common;
}

static size_t
name_size(const ProfileCandidate *before, const ProfileCandidate *candidate)
{
	uint32_t	shared = shared_length(before, candidate);
	uint32_t	suffix = candidate->trait_length - shared;
	size_t		size = 1 + (size_t) suffix;

	if (shared >= PACKED_LONG_NAME)
		size += packed_varint_size(shared - PACKED_LONG_NAME);
	if (suffix >= PACKED_LONG_NAME)
		size += packed_varint_size(suffix - PACKED_LONG_NAME);
	return size;
}

/*
 * profile_builder_finish sorts what was added.  Nothing is added after it.
 */
bool
profile_builder_finish(ProfileBuilder *builder)
{
	ProfileCandidate *candidates;
	uint64_t	size = PACKED_FIXED_SIZE;
	uint64_t	counts = PACKED_COUNTS;
	uint64_t	names = 0;
	uint32_t	traits = 0;

	if (!sort_origins(builder) || !sort_candidates(builder))
		return false;
	candidates = builder->candidates;
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		ProfileOrigin *origin = &builder->origins[candidates[i].origin];

		if (candidates[i].observed_at > origin->newest)
			origin->newest = candidates[i].observed_at;
	}
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		bool		is_first = i == 0 || !same_trait(&candidates[i - 1], &candidates[i]);

		if (is_first)
		{
			if (traits % PACKED_LEAF == 0)
			{
				size += candidates[i].trait_length;
				counts += 2;
			}
			else
				size += name_size(&candidates[i - 1], &candidates[i]);
			names += candidates[i].trait_length;
			traits++;
		}
		else
			candidates[i].trait = candidates[i - 1].trait;
		size += candidate_size(builder, &candidates[i], is_first);
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
	if (size + counts < 256)
		size += counts;
	else if (size + counts * 2 < 65536)
		size += counts * 2;
	else
		size += counts * 4;
	/* Names are put together again when they are read, which takes memory. */
	if (size > PROFILE_MAX_SIZE || names > PROFILE_MAX_SIZE)
		return too_large(builder);
	builder->trait_count = traits;
	builder->size = (size_t) size;
	return true;
}

/*
 * profile_builder_size returns how many bytes profile_builder_write writes.
 */
size_t
profile_builder_size(const ProfileBuilder *builder)
{
	return builder->size;
}

static unsigned char *
write_name(const ProfileCandidate *before, const ProfileCandidate *candidate,
		   unsigned char *output)
{
	uint32_t	shared = shared_length(before, candidate);
	uint32_t	suffix = candidate->trait_length - shared;

	*output++ = (unsigned char) ((shared < PACKED_LONG_NAME ? shared : PACKED_LONG_NAME) << PACKED_SHARED_SHIFT |
								 (suffix < PACKED_LONG_NAME ? suffix : PACKED_LONG_NAME));
	if (shared >= PACKED_LONG_NAME)
		output = packed_write_varint(output, shared - PACKED_LONG_NAME);
	if (suffix >= PACKED_LONG_NAME)
		output = packed_write_varint(output, suffix - PACKED_LONG_NAME);
	if (suffix > 0)
		memcpy(output, candidate->trait + shared, suffix);
	return output + suffix;
}

static unsigned char *
write_candidate(const ProfileBuilder *builder, const ProfileCandidate *candidate,
				bool is_first, bool has_more, unsigned char *output)
{
	int64_t		newest = builder->origins[candidate->origin].newest;
	uint32_t	length = candidate->value.length;
	bool		is_same = !is_first && repeats_value(candidate);
	unsigned	length_code = is_same ? PACKED_SAME : length < PACKED_SAME ? length
																		: PACKED_LONG;
	unsigned char tag = (unsigned char) (candidate->value.type | length_code << PACKED_LENGTH_SHIFT);

	if (newest != candidate->observed_at)
		tag |= PACKED_OLDER_FLAG;
	*output++ = tag;
	output = packed_write_varint(output, (uint64_t) candidate->origin << PACKED_ORIGIN_SHIFT | (has_more ? PACKED_MORE_FLAG : 0));
	if (newest != candidate->observed_at)
		output = packed_write_varint(output,
									 (uint64_t) newest - (uint64_t) candidate->observed_at);
	if (length_code == PACKED_LONG)
		output = packed_write_varint(output, length - PACKED_SAME);
	if (is_same || length == 0)
		return output;
	memcpy(output, candidate->value.bytes, length);
	return output + length;
}

/*
 * write_origins writes the ends of the sources' names, the origins, and at
 * "names" the names themselves; it returns where these end.
 */
static unsigned char *
write_origins(const ProfileBuilder *builder, unsigned width, uint32_t sources,
			  unsigned char *output, unsigned char *names)
{
	const ProfileOrigin *origins = builder->origins;
	unsigned char *origin_output = output + (size_t) sources * width;
	uint32_t	end = 0;
	uint32_t	source = 0;

	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i == 0 || !same_source(&origins[i - 1], &origins[i]))
		{
			source += i > 0;
			if (origins[i].source_length > 0)
				memcpy(names + end, origins[i].source, origins[i].source_length);
			end += origins[i].source_length;
			output = packed_write_width(output, end, width);
		}
		origin_output = packed_write_width(origin_output, source, width);
		origin_output = packed_write_64(origin_output, (uint64_t) origins[i].record);
		origin_output = packed_write_64(origin_output, (uint64_t) origins[i].newest);
	}
	return names + end;
}

/*
 * profile_builder_write writes the packed form: profile_builder_size bytes.
 */
void
profile_builder_write(const ProfileBuilder *builder, void *output)
{
	const ProfileCandidate *candidates = builder->candidates;
	unsigned	width = builder->size < 256 ? 1 : builder->size < 65536 ? 2
																	 : 4;
	unsigned char *next = output;
	unsigned char *index;
	unsigned char *names;
	unsigned char *leaves;
	uint32_t	sources = 0;
	uint32_t	leaf_count = builder->trait_count / PACKED_LEAF + (builder->trait_count % PACKED_LEAF != 0);
	uint32_t	name_end = 0;
	uint32_t	traits = 0;

	for (uint32_t i = 0; i < builder->origin_count; i++)
	{
		if (i == 0 || !same_source(&builder->origins[i - 1], &builder->origins[i]))
			sources++;
	}
	*next++ = PROFILE_VERSION;
	*next++ = (unsigned char) width;
	next = packed_write_width(next, sources, width);
	next = packed_write_width(next, builder->origin_count, width);
	next = packed_write_width(next, builder->trait_count, width);
	index = next + (size_t) sources * width +
		(size_t) builder->origin_count * (width + PACKED_ORIGIN_SIZE);
	names = write_origins(builder, width, sources, next, index + (size_t) leaf_count * 2 * width);

	/* Where the leaves begin depends on the names that each begins with. */
	leaves = names;
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		if (i > 0 && same_trait(&candidates[i - 1], &candidates[i]))
			continue;
		if (traits++ % PACKED_LEAF == 0)
			leaves += candidates[i].trait_length;
	}
	next = leaves;
	traits = 0;
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		bool		is_first = i == 0 || !same_trait(&candidates[i - 1], &candidates[i]);
		bool		is_last = i + 1 == builder->candidate_count ||
			!same_trait(&candidates[i], &candidates[i + 1]);

		if (is_first && traits % PACKED_LEAF == 0)
		{
			if (traits > 0)
				index = packed_write_width(index, (uint32_t) (next - leaves), width);
			if (candidates[i].trait_length > 0)
				memcpy(names + name_end, candidates[i].trait, candidates[i].trait_length);
			name_end += candidates[i].trait_length;
			index = packed_write_width(index, name_end, width);
		}
		else if (is_first)
			next = write_name(&candidates[i - 1], &candidates[i], next);
		traits += is_first;
		next = write_candidate(builder, &candidates[i], is_first, !is_last, next);
	}
	if (traits > 0)
		packed_write_width(index, (uint32_t) (next - leaves), width);
}
