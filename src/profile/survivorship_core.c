/*
 * survivorship_core.c
 *		The policies of survivorship: which of several values of a trait wins.
 *
 * Each policy is an order of candidates; the greatest wins.  Candidates that a
 * policy finds equal are ordered as under "last": by time, then type, then
 * value, then source, then record.  So there is one winner, whatever the order
 * in which the candidates came.  No server here: see profile_core.h.
 */
#include "profile/survivorship_core.h"

#include "profile/profile_packed.h"

#include <math.h>
#include <stdlib.h>

static const char *const policy_names[SURVIVORSHIP_POLICIES] = {
	[SURVIVORSHIP_LAST] = "last",
	[SURVIVORSHIP_FIRST] = "first",
	[SURVIVORSHIP_PRIORITY] = "priority",
	[SURVIVORSHIP_MOST_FREQUENT] = "most_frequent",
	[SURVIVORSHIP_MIN] = "min",
	[SURVIVORSHIP_MAX] = "max",
	[SURVIVORSHIP_LONGEST] = "longest",
};

/* In the packed form of a rule, beside the policy. */
#define POLICY_MASK			0x07
#define IGNORE_EMPTY_FLAG	0x08

/*
 * survivorship_policy_name returns the name of a policy.
 */
const char *
survivorship_policy_name(SurvivorshipPolicy policy)
{
	return policy_names[policy];
}

static bool
corrupt(ProfileHost *host, const char *problem)
{
	return profile_fail(host, PROFILE_CORRUPT, problem, 0);
}

static bool
out_of_memory(ProfileHost *host)
{
	return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
}

static const unsigned char *
read_name(const unsigned char *next, const unsigned char *end, SurvivorshipName *name)
{
	uint64_t	length;

	next = packed_read_varint(next, end, &length);
	if (next == NULL || length > (uint64_t) (end - next))
		return NULL;
	name->text = (const char *) next;
	name->length = (uint32_t) length;
	return next + length;
}

/*
 * read_rule reads one rule and returns where it ends, or NULL.
 */
static const unsigned char *
read_rule(ProfileHost *host, const unsigned char *next, const unsigned char *end,
		  SurvivorshipRule *rule)
{
	uint64_t	count;

	host->status = PROFILE_CORRUPT;
	host->problem = "a rule is malformed";
	if (next == end || (*next & POLICY_MASK) >= SURVIVORSHIP_POLICIES ||
		(*next & ~(POLICY_MASK | IGNORE_EMPTY_FLAG)) != 0)
		return NULL;
	*rule = (SurvivorshipRule){
		.policy = (SurvivorshipPolicy) (*next & POLICY_MASK),
		.ignore_empty = (*next & IGNORE_EMPTY_FLAG) != 0,
	};
	next++;
	if (rule->policy != SURVIVORSHIP_PRIORITY)
		return next;
	next = packed_read_varint(next, end, &count);
	if (next == NULL || count == 0 || count > (uint64_t) (end - next))
		return NULL;
	rule->sources = host->allocate(host, sizeof(SurvivorshipName) * (size_t) count);
	if (rule->sources == NULL)
	{
		out_of_memory(host);
		return NULL;
	}
	rule->source_count = (uint32_t) count;
	for (uint32_t i = 0; i < rule->source_count; i++)
	{
		next = read_name(next, end, &rule->sources[i]);
		if (next == NULL)
			return NULL;
	}
	return next;
}

/*
 * survivorship_read reads the packed form, which must stay where it is.
 */
bool
survivorship_read(ProfileHost *host, const void *data, size_t size, Survivorship *survivorship)
{
	const unsigned char *next = data;
	const unsigned char *end = next + size;
	uint64_t	count;

	if (size < 1 || *next++ != SURVIVORSHIP_VERSION)
		return corrupt(host, "its version is unknown");
	next = read_rule(host, next, end, &survivorship->fallback);
	if (next == NULL)
		return false;
	next = packed_read_varint(next, end, &count);
	if (next == NULL || count > (uint64_t) (end - next) / 2)
		return corrupt(host, "its number of traits does not fit its size");
	survivorship->trait_count = (uint32_t) count;
	survivorship->traits = host->allocate(host, sizeof(SurvivorshipName) * ((size_t) count + 1));
	survivorship->rules = host->allocate(host, sizeof(SurvivorshipRule) * ((size_t) count + 1));
	if (survivorship->traits == NULL || survivorship->rules == NULL)
		return out_of_memory(host);
	for (uint32_t i = 0; i < survivorship->trait_count; i++)
	{
		SurvivorshipName *trait = &survivorship->traits[i];

		next = read_name(next, end, trait);
		if (next == NULL)
			return corrupt(host, "a trait is malformed");
		if (i > 0 && profile_compare_names(trait[-1].text, trait[-1].length, trait->text, trait->length) >= 0)
			return corrupt(host, "its traits are out of order");
		next = read_rule(host, next, end, &survivorship->rules[i]);
		if (next == NULL)
			return false;
	}
	if (next != end)
		return corrupt(host, "something follows its last rule");
	return true;
}

static bool
write_varint(ProfileBuffer *buffer, uint64_t number)
{
	unsigned char bytes[PACKED_VARINT_SIZE];

	return profile_buffer_append(buffer, bytes,
								 (size_t) (packed_write_varint(bytes, number) - bytes));
}

static bool
write_rule(ProfileBuffer *buffer, const SurvivorshipRule *rule)
{
	unsigned char head = (unsigned char) (rule->policy | (rule->ignore_empty ? IGNORE_EMPTY_FLAG : 0));

	if (!profile_buffer_append(buffer, &head, 1))
		return false;
	if (rule->policy != SURVIVORSHIP_PRIORITY)
		return true;
	if (!write_varint(buffer, rule->source_count))
		return false;
	for (uint32_t i = 0; i < rule->source_count; i++)
	{
		if (!write_varint(buffer, rule->sources[i].length) ||
			!profile_buffer_append(buffer, rule->sources[i].text, rule->sources[i].length))
			return false;
	}
	return true;
}

/*
 * survivorship_write writes the packed form; the traits are sorted and distinct.
 */
bool
survivorship_write(ProfileBuffer *buffer, const Survivorship *survivorship)
{
	unsigned char version = SURVIVORSHIP_VERSION;

	if (!profile_buffer_append(buffer, &version, 1) ||
		!write_rule(buffer, &survivorship->fallback) ||
		!write_varint(buffer, survivorship->trait_count))
		return false;
	for (uint32_t i = 0; i < survivorship->trait_count; i++)
	{
		if (!write_varint(buffer, survivorship->traits[i].length) ||
			!profile_buffer_append(buffer, survivorship->traits[i].text,
								   survivorship->traits[i].length) ||
			!write_rule(buffer, &survivorship->rules[i]))
			return false;
	}
	return true;
}

/*
 * survivorship_rule finds the rule of a trait.
 */
const SurvivorshipRule *
survivorship_rule(const Survivorship *survivorship, const char *trait, size_t length)
{
	uint32_t	low = 0;
	uint32_t	high = survivorship->trait_count;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		const SurvivorshipName *name = &survivorship->traits[middle];
		int			order = profile_compare_names(trait, length, name->text, name->length);

		if (order == 0)
			return &survivorship->rules[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return &survivorship->fallback;
}

/*
 * is_empty tells what ignore_empty leaves out: NULL, a text of nothing but white
 * space, an array or object without elements.
 */
static bool
is_empty(const ProfileValue *value)
{
	static const char white_space[] = " \t\n\r\f\v";

	switch (value->type)
	{
		case PROFILE_NULL:
			return true;
		case PROFILE_TEXT:
			for (uint32_t i = 0; i < value->length; i++)
			{
				if (memchr(white_space, value->bytes[i], sizeof(white_space) - 1) == NULL)
					return false;
			}
			return true;
		case PROFILE_JSONB:
			return value->length == 2;
		default:
			return false;
	}
}

/*
 * count_characters returns the length of a value's text.
 */
static int64_t
count_characters(ProfileHost *host, const ProfileValue *value)
{
	ProfileBuffer buffer = {.host = host};

	if (value->type == PROFILE_NULL)
		return -1;
	if (!profile_write_value_text(&buffer, value))
		return -2;
	return (int64_t) (host->count_characters == NULL ? buffer.length : host->count_characters(host, buffer.data, buffer.length));
}

/*
 * source_rank returns the place of a candidate's source among those of a rule;
 * all that are not listed share the last one.
 */
static bool
source_rank(ProfileHost *host, const ProfileReader *reader, const SurvivorshipRule *rule,
			const ProfileCandidate *candidate, int64_t *rank)
{
	ProfileOrigin origin;

	if (!profile_origin(host, reader, candidate->origin, &origin))
		return false;
	if (rule->source_count > 1000)
		host->poll(host);
	for (*rank = 0; *rank < rule->source_count; (*rank)++)
	{
		const SurvivorshipName *source = &rule->sources[*rank];

		if (source->length == origin.source_length &&
			memcmp(source->text, origin.source, source->length) == 0)
			break;
	}
	return true;
}

static inline bool
is_number(const ProfileValue *value)
{
	return value->type == PROFILE_BIGINT || value->type == PROFILE_FLOAT8 ||
		value->type == PROFILE_NUMERIC;
}

/*
 * to_decimal gives a number of any type as a decimal; a float8 as the shortest
 * one, which is how it is shown.
 */
static bool
to_decimal(ProfileHost *host, const ProfileValue *number, ProfileValue *decimal)
{
	ProfileBuffer buffer = {.host = host};
	bool		is_integer;

	if (number->type == PROFILE_NUMERIC)
	{
		*decimal = *number;
		return true;
	}
	return profile_write_value_text(&buffer, number) &&
		profile_pack_decimal(host, buffer.data, buffer.length, decimal, &is_integer);
}

/*
 * compare_sizes orders values for min and max: numbers of all types by their
 * size, and else as profile_compare_values does, by types first.
 */
static int
compare_sizes(ProfileHost *host, const ProfileValue *a, const ProfileValue *b)
{
	ProfileValue left;
	ProfileValue right;

	/* Decimals that memory is missing for are taken for equal; the error stays noted. */
	if (a->type != b->type && is_number(a) && is_number(b))
		return to_decimal(host, a, &left) && to_decimal(host, b, &right) ? profile_compare_decimals(&left, &right) : 0;
	return profile_compare_values(a, b);
}

static inline int
compare_integers(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/*
 * compare_by_policy orders two candidates by the policy alone: greater is
 * better.  For min, max, longest and most_frequent a NULL is the worst.
 */
static int
compare_by_policy(ProfileHost *host, const SurvivorshipRule *rule,
				  const SurvivorshipEntry *a, const SurvivorshipEntry *b)
{
	const ProfileValue *left = &a->candidate.value;
	const ProfileValue *right = &b->candidate.value;

	switch (rule->policy)
	{
		case SURVIVORSHIP_LAST:
			return 0;
		case SURVIVORSHIP_FIRST:
			return compare_integers(b->candidate.observed_at, a->candidate.observed_at);
		case SURVIVORSHIP_PRIORITY:
			return compare_integers(b->key, a->key);
		case SURVIVORSHIP_MOST_FREQUENT:
		case SURVIVORSHIP_LONGEST:
			return compare_integers(a->key, b->key);
		case SURVIVORSHIP_MIN:
		case SURVIVORSHIP_MAX:
			if (left->type == PROFILE_NULL || right->type == PROFILE_NULL)
				return (right->type == PROFILE_NULL) - (left->type == PROFILE_NULL);
			return rule->policy == SURVIVORSHIP_MAX ? compare_sizes(host, left, right) : compare_sizes(host, right, left);
	}
	return 0;
}

/*
 * compare_entries orders two candidates wholly, the better one greater.  Since
 * origins are sorted by source and record, their indexes are compared.
 */
static int
compare_entries(ProfileHost *host, const SurvivorshipRule *rule,
				const SurvivorshipEntry *a, const SurvivorshipEntry *b)
{
	int			order;

	if (a->is_ignored != b->is_ignored)
		return a->is_ignored ? -1 : 1;
	order = compare_by_policy(host, rule, a, b);
	if (order == 0)
		order = compare_integers(a->candidate.observed_at, b->candidate.observed_at);
	if (order == 0)
		order = profile_compare_values(&a->candidate.value, &b->candidate.value);
	if (order == 0)
		order = compare_integers(a->candidate.origin, b->candidate.origin);
	return order;
}

/*
 * prepare sets what a candidate is judged by, except its frequency.
 */
static bool
prepare(ProfileHost *host, const ProfileReader *reader, const SurvivorshipRule *rule,
		SurvivorshipEntry *entry)
{
	entry->is_ignored = rule->ignore_empty && is_empty(&entry->candidate.value);
	entry->key = 0;
	if (rule->policy == SURVIVORSHIP_PRIORITY)
		return source_rank(host, reader, rule, &entry->candidate, &entry->key);
	if (rule->policy == SURVIVORSHIP_LONGEST)
	{
		entry->key = count_characters(host, &entry->candidate.value);
		return entry->key != -2;
	}
	return true;
}

/* A sort whose comparison needs to know the rule. */
typedef struct SortContext
{
	ProfileHost *host;
	const SurvivorshipRule *rule;
} SortContext;

/*
 * sort_entries sorts pointers to entries, by value or by rank (best first): a
 * merge sort, since the C library's qsort hands nothing to the comparison.
 */
static void
sort_entries(const SortContext *context, SurvivorshipEntry **entries, SurvivorshipEntry **room,
			 uint32_t count)
{
	for (uint32_t width = 1; width<count; width = width> count / 2 ? count : width * 2)
	{
		for (uint32_t start = 0; start<count; start = count - start> 2 * (uint64_t) width ? start + 2 * width : count)
		{
			uint32_t	middle = count - start > width ? start + width : count;
			uint32_t	end = count - middle > width ? middle + width : count;
			uint32_t	left = start;
			uint32_t	right = middle;

			for (uint32_t i = start; i < end; i++)
			{
				bool		take_left;

				if (left == middle || right == end)
					take_left = right == end;
				else if (context->rule == NULL)
					take_left = profile_compare_values(&entries[left]->candidate.value,
													   &entries[right]->candidate.value) <= 0;
				else
					take_left = compare_entries(context->host, context->rule,
												entries[left], entries[right]) >= 0;
				room[i] = take_left ? entries[left++] : entries[right++];
			}
		}
		memcpy(entries, room, sizeof(SurvivorshipEntry *) * count);
		context->host->poll(context->host);
	}
}

/*
 * read_entries reads all candidates of a trait, prepared.
 */
static bool
read_entries(ProfileHost *host, const ProfileReader *reader, ProfileBlock block,
			 const SurvivorshipRule *rule, SurvivorshipEntry **entries,
			 SurvivorshipEntry ***order, SurvivorshipEntry ***room, uint32_t *count)
{
	ProfileBlock rest = block;
	ProfileCandidate candidate;
	uint32_t	i = 0;

	*count = 0;
	while (rest.has_more)
	{
		if (!profile_next(host, reader, &rest, &candidate))
			return false;
		(*count)++;
	}
	*entries = host->allocate(host, sizeof(SurvivorshipEntry) * (size_t) *count);
	*order = host->allocate(host, sizeof(SurvivorshipEntry *) * (size_t) *count);
	*room = host->allocate(host, sizeof(SurvivorshipEntry *) * (size_t) *count);
	if (*entries == NULL || *order == NULL || *room == NULL)
		return out_of_memory(host);
	for (rest = block; rest.has_more; i++)
	{
		if (!profile_next(host, reader, &rest, &(*entries)[i].candidate) ||
			!prepare(host, reader, rule, &(*entries)[i]))
			return false;
		(*order)[i] = &(*entries)[i];
	}
	if (rule->policy == SURVIVORSHIP_MOST_FREQUENT)
	{
		SortContext context = {host, NULL};
		uint32_t	start = 0;

		sort_entries(&context, *order, *room, *count);
		for (i = 1; i <= *count; i++)
		{
			int64_t		frequency = (int64_t) i - start;

			if (i < *count && profile_compare_values(&(*order)[i]->candidate.value, &(*order)[start]->candidate.value) == 0)
				continue;
			for (; start < i; start++)
				(*order)[start]->key = (*order)[start]->candidate.value.type == PROFILE_NULL ? 0 : frequency;
		}
	}
	return true;
}

/*
 * survivorship_pick finds the winner of a trait; none if all values are empty
 * and ignored.
 */
bool
survivorship_pick(ProfileHost *host, const ProfileReader *reader, ProfileBlock block,
				  const SurvivorshipRule *rule, ProfileCandidate *winner, bool *found)
{
	SurvivorshipEntry best;
	SurvivorshipEntry entry;
	SurvivorshipEntry *entries;
	SurvivorshipEntry **order;
	SurvivorshipEntry **room;
	uint32_t	count;

	/* Most traits have one value. */
	*found = rule->policy == SURVIVORSHIP_LAST && !rule->ignore_empty;
	if (*found)
	{
		if (!profile_next(host, reader, &block, winner))
			return false;
		if (!block.has_more)
			return true;
		best.candidate = *winner;
		best.is_ignored = false;
		best.key = 0;
	}
	if (rule->policy == SURVIVORSHIP_MOST_FREQUENT)
	{
		if (!read_entries(host, reader, block, rule, &entries, &order, &room, &count))
			return false;
		for (uint32_t i = 0; i < count; i++)
		{
			if (!entries[i].is_ignored &&
				(!*found || compare_entries(host, rule, &entries[i], &best) > 0))
			{
				best = entries[i];
				*found = true;
			}
		}
	}
	else
	{
		host->status = PROFILE_OK;
		while (block.has_more)
		{
			if (!profile_next(host, reader, &block, &entry.candidate) ||
				!prepare(host, reader, rule, &entry))
				return false;
			if (!entry.is_ignored &&
				(!*found || compare_entries(host, rule, &entry, &best) > 0))
			{
				best = entry;
				*found = true;
			}
		}
		if (host->status != PROFILE_OK)
			return false;
	}
	if (*found)
		*winner = best.candidate;
	return true;
}

/*
 * survivorship_rank gives all candidates of a trait, the winner first, then the
 * one that would win without it, and so on; ignored ones last.
 */
bool
survivorship_rank(ProfileHost *host, const ProfileReader *reader, ProfileBlock block,
				  const SurvivorshipRule *rule, SurvivorshipEntry **entries, uint32_t *count)
{
	SortContext context = {host, rule};
	SurvivorshipEntry *unsorted;
	SurvivorshipEntry **order;
	SurvivorshipEntry **room;

	host->status = PROFILE_OK;
	if (!read_entries(host, reader, block, rule, &unsorted, &order, &room, count))
		return false;
	sort_entries(&context, order, room, *count);
	*entries = host->allocate(host, sizeof(SurvivorshipEntry) * (size_t) *count);
	if (*entries == NULL)
		return out_of_memory(host);
	for (uint32_t i = 0; i < *count; i++)
		(*entries)[i] = *order[i];
	return host->status == PROFILE_OK;
}

/*
 * survivorship_reason tells why the winner won against another candidate.
 */
SurvivorshipReason
survivorship_reason(ProfileHost *host, const SurvivorshipRule *rule,
					const SurvivorshipEntry *winner, const SurvivorshipEntry *other)
{
	if (other->is_ignored)
		return SURVIVORSHIP_BY_EMPTINESS;
	if (compare_by_policy(host, rule, winner, other) != 0)
		return SURVIVORSHIP_BY_POLICY;
	if (winner->candidate.observed_at != other->candidate.observed_at)
		return SURVIVORSHIP_BY_TIME;
	if (winner->candidate.value.type != other->candidate.value.type)
		return SURVIVORSHIP_BY_TYPE;
	if (profile_compare_values(&winner->candidate.value, &other->candidate.value) != 0)
		return SURVIVORSHIP_BY_VALUE;
	return SURVIVORSHIP_BY_ORIGIN;
}
