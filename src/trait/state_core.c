/*
 * state_core.c
 *		Checks of the states of aggregates, sorting, sessions and frequencies.
 *
 * Needs no running server; see state_core.h.
 */
#include "trait/state_core.h"

#include <string.h>

/*
 * A heap sort over whatever "less" and "swap" know: in place and without a bad
 * case.
 */
typedef struct Sorter
{
	void	   *base;
	bool		(*less) (void *base, size_t a, size_t b);
	void		(*swap) (void *base, size_t a, size_t b);
} Sorter;

static void
sift_down(const Sorter *sorter, size_t root, size_t count)
{
	for (;;)
	{
		size_t		child = 2 * root + 1;

		if (child >= count)
			return;
		if (child + 1 < count && sorter->less(sorter->base, child, child + 1))
			child++;
		if (!sorter->less(sorter->base, root, child))
			return;
		sorter->swap(sorter->base, root, child);
		root = child;
	}
}

static void
sort(const Sorter *sorter, size_t count)
{
	size_t		sorted = 1;

	while (sorted < count && !sorter->less(sorter->base, sorted, sorted - 1))
		sorted++;
	if (sorted >= count)
		return;
	for (size_t i = count / 2; i-- > 0;)
		sift_down(sorter, i, count);
	for (size_t end = count; end-- > 1;)
	{
		sorter->swap(sorter->base, 0, end);
		sift_down(sorter, 0, end);
	}
}

static bool
pair_less(void *base, size_t a, size_t b)
{
	StatePair  *pairs = base;

	if (pairs[a].time != pairs[b].time)
		return pairs[a].time < pairs[b].time;
	return pairs[a].other < pairs[b].other;
}

static void
pair_swap(void *base, size_t a, size_t b)
{
	StatePair  *pairs = base;
	StatePair	pair = pairs[a];

	pairs[a] = pairs[b];
	pairs[b] = pair;
}

static void
sort_pairs(StatePair *pairs, size_t count)
{
	Sorter		sorter = {pairs, pair_less, pair_swap};

	sort(&sorter, count);
}

/*
 * further_than: whether the later time is more than a distance behind.
 */
static inline bool
further_than(int64_t later, int64_t earlier, int64_t distance)
{
	return (uint64_t) later - (uint64_t) earlier > (uint64_t) distance;
}

static inline bool
is_time(int64_t time)
{
	return time >= STATE_MIN_TIME && time < STATE_END_TIME;
}

/*
 * session_add_in_order adds the session from first to last where that needs no
 * sorting, and returns whether it did.
 */
bool
session_add_in_order(SessionState *state, int64_t first, int64_t last, bool has_room)
{
	StatePair  *newest;

	if (state->sorted < state->count)
		return false;
	if (state->count > 0)
	{
		newest = &state->sessions[state->count - 1];
		if (first < newest->time)
			return false;
		if (first <= newest->other || !further_than(first, newest->other, state->gap))
		{
			if (last > newest->other)
				newest->other = last;
			return true;
		}
	}
	if (!has_room)
		return false;
	state->sessions[state->count++] = (StatePair){first, last};
	state->sorted = state->count;
	return true;
}

/*
 * session_compact sorts the sessions and joins those that are one.
 */
void
session_compact(SessionState *state)
{
	uint32_t	kept = 0;

	if (state->sorted == state->count)
		return;
	sort_pairs(state->sessions, state->count);
	for (uint32_t i = 1; i < state->count; i++)
	{
		StatePair	session = state->sessions[i];
		StatePair  *before = &state->sessions[kept];

		if (session.time <= before->other || !further_than(session.time, before->other, state->gap))
		{
			if (session.other > before->other)
				before->other = session.other;
		}
		else
			state->sessions[++kept] = session;
	}
	state->count = state->sorted = kept + 1;
}

/*
 * frequency_entry_size is what a value of a length takes.
 */
size_t
frequency_entry_size(size_t length)
{
	return STATE_ALIGN(offsetof(FrequencyEntry, bytes) + length);
}

/*
 * frequency_entry is the one at an offset of the entries.
 */
FrequencyEntry *
frequency_entry(const FrequencyState *state, size_t offset)
{
	return (FrequencyEntry *) (uintptr_t) (state->entries + offset);
}

/*
 * entry_order compares values by their bytes.
 */
static int
entry_order(const FrequencyEntry *a, const FrequencyEntry *b)
{
	int			order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);

	if (order != 0)
		return order;
	return a->length < b->length ? -1 : a->length > b->length;
}

typedef struct EntrySorter
{
	const FrequencyState *state;
	uint32_t   *offsets;
} EntrySorter;

static bool
entry_less(void *base, size_t a, size_t b)
{
	EntrySorter *sorter = base;

	return entry_order(frequency_entry(sorter->state, sorter->offsets[a]),
					   frequency_entry(sorter->state, sorter->offsets[b])) < 0;
}

static void
entry_swap(void *base, size_t a, size_t b)
{
	EntrySorter *sorter = base;
	uint32_t	offset = sorter->offsets[a];

	sorter->offsets[a] = sorter->offsets[b];
	sorter->offsets[b] = offset;
}

/*
 * state_add_counts adds up to what a state can count, and one more, by which
 * state_check() finds that it was too much.
 */
int64_t
state_add_counts(int64_t a, int64_t b)
{
	return a > STATE_MAX_ROWS - b ? STATE_MAX_ROWS + 1 : a + b;
}

/*
 * frequency_compact sorts the values and adds up the counts of equal ones.  The
 * scratch has state_scratch() bytes.
 */
static void
frequency_compact(FrequencyState *state, void *scratch)
{
	char	   *output = scratch;
	EntrySorter entries = {state, (uint32_t *) (void *) (output + state->used)};
	Sorter		sorter = {&entries, entry_less, entry_swap};
	size_t		count = 0;
	size_t		used = 0;
	FrequencyEntry *last = NULL;

	if (state->sorted == state->used)
		return;
	for (size_t offset = 0; offset < state->used; count++)
	{
		entries.offsets[count] = (uint32_t) offset;
		offset += frequency_entry_size(frequency_entry(state, offset)->length);
	}
	sort(&sorter, count);
	for (size_t i = 0; i < count; i++)
	{
		const FrequencyEntry *entry = frequency_entry(state, entries.offsets[i]);
		size_t		size = frequency_entry_size(entry->length);

		if (last != NULL && entry_order(last, entry) == 0)
			last->count = state_add_counts(last->count, entry->count);
		else
		{
			last = (FrequencyEntry *) (void *) (output + used);
			memcpy(last, entry, size);
			used += size;
		}
	}
	memcpy(state->entries, output, used);
	state->used = state->sorted = (uint32_t) used;
}

/*
 * state_scratch is the memory that state_compact() needs besides the state.
 */
size_t
state_scratch(const void *state)
{
	const StateHeader *header = state;

	if (header->kind != STATE_FREQUENCY)
		return 0;
	/* a copy, and four bytes for each entry, which has sixteen at least */
	return (size_t) ((const FrequencyState *) state)->used / 4 * 5;
}

/*
 * state_used is the size of a state without the room at its end.
 */
size_t
state_used(const void *state)
{
	switch ((StateKind) ((const StateHeader *) state)->kind)
	{
		case STATE_SEQUENCE_OPTIONS:
		case STATE_SEQUENCE:
			return sequence_events_offset(state) +
				((const SequenceState *) state)->count * sizeof(StatePair);
		case STATE_SESSIONS:
			return offsetof(SessionState, sessions) +
				((const SessionState *) state)->count * sizeof(StatePair);
		case STATE_FREQUENCY:
			return offsetof(FrequencyState, entries) + ((const FrequencyState *) state)->used;
		case STATE_VALUE_AT:
			return offsetof(ValueAtState, bytes) + ((const ValueAtState *) state)->length;
		case STATE_DECAYED:
			return sizeof(DecayedState);
	}
	return sizeof(StateHeader);
}

/*
 * state_compact sorts and joins what a state holds, and makes it a stored one, of
 * state_used() bytes.
 */
void
state_compact(void *state, void *scratch)
{
	StateHeader *header = state;

	if (!header->working)
		return;
	switch ((StateKind) header->kind)
	{
		case STATE_SEQUENCE:
			sequence_compact(state);
			break;
		case STATE_SESSIONS:
			session_compact(state);
			break;
		case STATE_FREQUENCY:
			frequency_compact(state, scratch);
			break;
		case STATE_SEQUENCE_OPTIONS:
		case STATE_VALUE_AT:
		case STATE_DECAYED:
			break;
	}
	header->working = 0;
}

static bool
all_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint8_t		any = 0;

	for (size_t i = 0; i < size; i++)
		any |= at[i];
	return any == 0;
}

static const char *
check_sessions(const SessionState *state, size_t size, bool working)
{
	if (size < offsetof(SessionState, sessions))
		return "it is too short";
	if (state->gap < 0)
		return "its gap is negative";
	if (state->count > (size - offsetof(SessionState, sessions)) / sizeof(StatePair) ||
		state->sorted > state->count ||
		(!working && (state->sorted != state->count || state_used(state) != size)))
		return "its size is wrong";
	for (uint32_t i = 0; i < state->count; i++)
	{
		const StatePair *session = &state->sessions[i];

		if (!is_time(session->time) || !is_time(session->other) || session->time > session->other)
			return "a session has impossible times";
		if (i > 0 && i < state->sorted &&
			(session->time <= session[-1].other || !further_than(session->time, session[-1].other, state->gap)))
			return "its sessions are not in order";
	}
	return NULL;
}

static const char *
check_sequence(const SequenceState *state, size_t size, bool working)
{
	size_t		room;
	size_t		offset = 0;

	if (size < offsetof(SequenceState, text))
		return "it is too short";
	room = size - offsetof(SequenceState, text);
	if (state->within < 0)
		return "its window is negative";
	if (state->steps < 1 || state->steps > SEQUENCE_MAX_STEPS)
		return "it has an impossible number of steps";
	if (state->strict > 1 || !all_zero(state->zero, sizeof(state->zero)))
		return "it has an unknown option";
	if (state->text_bytes > room || state->text_bytes % 8 != 0)
		return "its size is wrong";
	for (uint32_t i = 0; i < state->steps; i++)
	{
		uint16_t	length;

		if (state->text_bytes - offset < sizeof(length))
			return "a step is cut off";
		memcpy(&length, state->text + offset, sizeof(length));
		offset += sizeof(length);
		if (length > state->text_bytes - offset)
			return "a step is cut off";
		offset += length;
	}
	if (STATE_ALIGN(offset) != state->text_bytes ||
		!all_zero(state->text + offset, state->text_bytes - offset))
		return "its size is wrong";
	room -= state->text_bytes;
	if (state->count > room / sizeof(StatePair) || state->sorted > state->count ||
		(!working && (state->sorted != state->count || state_used(state) != size)))
		return "its size is wrong";
	if (state->header.kind == STATE_SEQUENCE_OPTIONS && state->count > 0)
		return "options have events";
	return sequence_check_events(state);
}

static const char *
check_frequency(const FrequencyState *state, size_t size, bool working)
{
	const FrequencyEntry *last = NULL;
	int64_t		rows = 0;

	if (size < offsetof(FrequencyState, entries))
		return "it is too short";
	if (!all_zero(state->zero, sizeof(state->zero)) || state->zero_too != 0)
		return "it has an unknown option";
	if (state->used > size - offsetof(FrequencyState, entries) || state->sorted > state->used ||
		(!working && (state->sorted != state->used || state_used(state) != size)))
		return "its size is wrong";
	for (size_t offset = 0; offset < state->used;)
	{
		const FrequencyEntry *entry = frequency_entry(state, offset);
		size_t		entry_size;

		if (state->used - offset < offsetof(FrequencyEntry, bytes) ||
			entry->length > state->used - offset - offsetof(FrequencyEntry, bytes))
			return "a value is cut off";
		entry_size = frequency_entry_size(entry->length);
		if (entry_size > state->used - offset ||
			!all_zero(entry->bytes + entry->length,
					  entry_size - offsetof(FrequencyEntry, bytes) - entry->length))
			return "its size is wrong";
		if (entry->count < 1 || entry->count > STATE_MAX_ROWS || rows > STATE_MAX_ROWS - entry->count)
			return "a value has an impossible count";
		rows += entry->count;
		if (offset < state->sorted && last != NULL && entry_order(last, entry) >= 0)
			return "its values are not in order";
		last = entry;
		offset += entry_size;
	}
	return NULL;
}

static const char *
check_value_at(const ValueAtState *state, size_t size)
{
	if (size < offsetof(ValueAtState, bytes))
		return "it is too short";
	if (state->last > 1 || !all_zero(state->zero, sizeof(state->zero)))
		return "it has an unknown option";
	if (state->length != size - offsetof(ValueAtState, bytes))
		return "its size is wrong";
	if (!is_time(state->time) && state->time != INT64_MIN && state->time != INT64_MAX)
		return "its time is impossible";
	return NULL;
}

/*
 * state_check returns NULL for a sound state of the kind, or what is wrong with
 * it.
 */
const char *
state_check(StateKind kind, const void *state, size_t size, bool working_allowed)
{
	const StateHeader *header = state;

	if (size < sizeof(StateHeader))
		return "it is too short";
	if (header->version != STATE_VERSION)
		return "its version is unknown";
	if (header->kind != kind)
		return "it is of another kind";
	if (header->working > (working_allowed ? 1 : 0) || header->zero != 0)
		return "it has an unknown option";
	switch (kind)
	{
		case STATE_SEQUENCE_OPTIONS:
		case STATE_SEQUENCE:
			return check_sequence(state, size, header->working);
		case STATE_SESSIONS:
			return check_sessions(state, size, header->working);
		case STATE_FREQUENCY:
			return check_frequency(state, size, header->working);
		case STATE_VALUE_AT:
			return check_value_at(state, size);
		case STATE_DECAYED:
			return decayed_check(state, size);
	}
	return "it is of an unknown kind";
}

/*
 * state_sort_pairs sorts by time, and by the other number where times are equal.
 */
void
state_sort_pairs(StatePair *pairs, size_t count)
{
	sort_pairs(pairs, count);
}

/*
 * state_is_time: whether this is a time that PostgreSQL has, and not infinite.
 */
bool
state_is_time(int64_t time)
{
	return is_time(time);
}
