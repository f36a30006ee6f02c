/*
 * sequence_core.c
 *		Ordered funnels: how far a person's events go through a list of steps.
 *
 * Needs no running server; see state_core.h.
 */
#include "trait/state_core.h"

#include <string.h>

/*
 * sequence_events_offset is where the events begin.
 */
size_t
sequence_events_offset(const SequenceState *state)
{
	return offsetof(SequenceState, text) + state->text_bytes;
}

/*
 * sequence_events gives the events: times, and the first step with their name.
 */
StatePair *
sequence_events(SequenceState *state)
{
	return (StatePair *) (void *) (state->text + state->text_bytes);
}

/*
 * step_names finds the first step with the same name, for each step, and how
 * many steps have it.
 */
static void
step_names(const SequenceState *state, int first[SEQUENCE_MAX_STEPS], uint32_t copies[SEQUENCE_MAX_STEPS])
{
	const char *names[SEQUENCE_MAX_STEPS];
	uint16_t	lengths[SEQUENCE_MAX_STEPS];
	const char *at = state->text;

	for (uint32_t i = 0; i < state->steps; i++)
	{
		uint32_t	j = 0;

		memcpy(&lengths[i], at, sizeof(uint16_t));
		names[i] = at + sizeof(uint16_t);
		at = names[i] + lengths[i];
		while (lengths[j] != lengths[i] || memcmp(names[j], names[i], lengths[i]) != 0)
			j++;
		first[i] = (int) j;
		copies[i] = 0;
		copies[j]++;
	}
}

/*
 * sequence_step_of returns the first step with a name, or -1.
 */
int
sequence_step_of(const SequenceState *state, const char *name, size_t length)
{
	const char *at = state->text;

	for (uint32_t i = 0; i < state->steps; i++)
	{
		uint16_t	step_length;

		memcpy(&step_length, at, sizeof(step_length));
		at += sizeof(step_length);
		if (step_length == length && memcmp(at, name, length) == 0)
			return (int) i;
		at += step_length;
	}
	return -1;
}

/*
 * sequence_same_options: whether two states, or options, have the same ones.
 */
bool
sequence_same_options(const SequenceState *a, const SequenceState *b)
{
	return a->within == b->within && a->steps == b->steps && a->strict == b->strict &&
		a->text_bytes == b->text_bytes && memcmp(a->text, b->text, a->text_bytes) == 0;
}

/*
 * copies_allowed: more events of one name at one time than steps have the name
 * change nothing; nor does a second one where each step must be later.
 */
static uint32_t
copies_allowed(const SequenceState *state, const uint32_t *copies, int64_t step)
{
	return state->strict ? 1 : copies[step];
}

/*
 * sequence_check_events checks the events of a state whose rest is sound.
 */
const char *
sequence_check_events(const SequenceState *state)
{
	const StatePair *events = (const StatePair *) (const void *) (state->text + state->text_bytes);
	int			first[SEQUENCE_MAX_STEPS];
	uint32_t	copies[SEQUENCE_MAX_STEPS];
	uint32_t	run = 0;

	step_names(state, first, copies);
	for (uint32_t i = 0; i < state->count; i++)
	{
		int64_t		step = events[i].other;

		if (!state_is_time(events[i].time))
			return "an event has an impossible time";
		if (step < 0 || step >= (int64_t) state->steps || first[step] != step)
			return "an event is of no step";
		if (i == 0 || i >= state->sorted)
			run = 1;
		else if (events[i].time == events[i - 1].time && step == events[i - 1].other)
			run++;
		else if (events[i].time < events[i - 1].time ||
				 (events[i].time == events[i - 1].time && step < events[i - 1].other))
			return "its events are not in order";
		else
			run = 1;
		if (run > copies_allowed(state, copies, step))
			return "it has more equal events than matter";
	}
	return NULL;
}

/*
 * sequence_compact sorts the events and leaves out those that change nothing.
 */
void
sequence_compact(SequenceState *state)
{
	StatePair  *events = sequence_events(state);
	int			first[SEQUENCE_MAX_STEPS];
	uint32_t	copies[SEQUENCE_MAX_STEPS];
	uint32_t	kept = 0;
	uint32_t	run = 0;

	if (state->sorted == state->count)
		return;
	state_sort_pairs(events, state->count);
	step_names(state, first, copies);
	for (uint32_t i = 0; i < state->count; i++)
	{
		StatePair	event = events[i];

		if (kept > 0 && events[kept - 1].time == event.time && events[kept - 1].other == event.other)
			run++;
		else
			run = 1;
		if (run <= copies_allowed(state, copies, event.other))
			events[kept++] = event;
	}
	state->count = state->sorted = kept;
}

/*
 * For each number of steps, the latest time at which a chain of events begins
 * that has gone so far: with a window, the one that can go on for longest.
 */
typedef struct Chains
{
	bool		any[SEQUENCE_MAX_STEPS + 1];
	int64_t		start[SEQUENCE_MAX_STEPS + 1];
} Chains;

static void
reach(Chains *chains, uint32_t steps, int64_t start)
{
	if (!chains->any[steps] || chains->start[steps] < start)
	{
		chains->any[steps] = true;
		chains->start[steps] = start;
	}
}

/*
 * sequence_furthest returns how many of the steps were gone through, in their
 * order and within the window.  Compacts the state.
 *
 * Events at one time count in any order, each for one step, or, where each step
 * must be later, all of them for one step.
 */
int
sequence_furthest(SequenceState *state)
{
	const StatePair *events;
	int			first[SEQUENCE_MAX_STEPS];
	uint32_t	copies[SEQUENCE_MAX_STEPS];
	Chains		chains;
	uint32_t	furthest = 0;

	sequence_compact(state);
	events = sequence_events(state);
	step_names(state, first, copies);
	memset(&chains, 0, sizeof(chains));

	for (uint32_t begin = 0; begin < state->count;)
	{
		int64_t		time = events[begin].time;
		uint32_t	here[SEQUENCE_MAX_STEPS] = {0};
		uint32_t	end;
		Chains		before = chains;

		for (end = begin; end < state->count && events[end].time == time; end++)
			here[events[end].other]++;

		for (uint32_t from = 0; from < state->steps; from++)
		{
			uint32_t	left[SEQUENCE_MAX_STEPS];
			int64_t		start = time;

			if (from > 0)
			{
				if (!before.any[from])
					break;
				start = before.start[from];
				if ((uint64_t) time - (uint64_t) start > (uint64_t) state->within)
					continue;
			}
			if (here[first[from]] == 0)
				continue;
			memcpy(left, here, sizeof(left));
			for (uint32_t step = from; step < state->steps && left[first[step]] > 0; step++)
			{
				left[first[step]]--;
				reach(&chains, step + 1, start);
				if (step + 1 > furthest)
					furthest = step + 1;
				if (state->strict)
					break;
			}
		}
		if (furthest == state->steps)
			break;
		begin = end;
	}
	return (int) furthest;
}
