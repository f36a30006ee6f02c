/*
 * trait_state.c
 *		Fuzz target for the states of the aggregates over events.
 *
 * An input is a kind, a flag that allows a working state, and the bytes of the
 * state.  What passes the check must be usable without harm, must pass again when
 * it is sorted, and must then stay as it is.  With libFuzzer: test/fuzz/fuzz
 * trait_state.  Without: test/fuzz/run replays the corpus.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trait/state_core.h"
#include "require.h"

/*
 * use does with a sorted state what the server does.
 */
static void
use(StateKind kind, void *state)
{
	switch (kind)
	{
		case STATE_SEQUENCE:
		{
			SequenceState *sequence = state;
			int			furthest = sequence_furthest(sequence);

			require(furthest >= 0 && furthest <= (int) sequence->steps, "furthest step");
			require(sequence->count > 0 || furthest == 0, "no step without events");
			require(sequence_same_options(sequence, sequence), "same options");
			break;
		}
		case STATE_SEQUENCE_OPTIONS:
			sequence_step_of(state, "a", 1);
			break;
		case STATE_SESSIONS:
		{
			const SessionState *sessions = state;

			for (uint32_t i = 1; i < sessions->count; i++)
				require(sessions->sessions[i - 1].other < sessions->sessions[i].time, "sessions apart");
			break;
		}
		case STATE_FREQUENCY:
		{
			const FrequencyState *frequencies = state;

			for (size_t offset = 0; offset < frequencies->used;)
			{
				const FrequencyEntry *entry = frequency_entry(frequencies, offset);

				require(entry->count > 0, "counts");
				offset += frequency_entry_size(entry->length);
			}
			break;
		}
		case STATE_DECAYED:
		{
			DecayedState *decayed = state;
			DecayedState twice = *decayed;
			double		value = decayed_value(decayed, decayed->newest);

			require((decayed->flags & DECAYED_NAN) == 0 || isnan(value), "NaN stays");
			if (decayed_merge(&twice, decayed))
			{
				require(decayed_check(&twice, sizeof(twice)) == NULL, "a merged state is sound");
				if (isfinite(value) && fabs(value) < 1e300 && fabs(value) > 1e-300)
					require(fabs(decayed_value(&twice, twice.newest) - 2 * value) <= 1e-14 * fabs(value),
							"twice the rows, twice the sum");
			}
			if (twice.rows < STATE_MAX_ROWS && twice.rows > 0)
			{
				decayed_add(&twice, 0.5, twice.newest);
				require(decayed_check(&twice, sizeof(twice)) == NULL, "a state with one more row is sound");
			}
			decayed_value(decayed, STATE_END_TIME - 1);
			break;
		}
		case STATE_VALUE_AT:
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char kinds[] = {'o', 'q', 's', 'f', 'v', 'd'};
	StateKind	kind;
	bool		working;
	size_t		state_size;
	uint8_t	   *state;

	if (size < 2)
		return 0;
	kind = (StateKind) kinds[data[0] % 6];
	working = (data[1] & 1) != 0;
	state_size = size - 2 + 4;
	state = malloc(state_size);
	if (state == NULL)
		abort();
	memset(state, 0, 4);
	memcpy(state + 4, data + 2, size - 2);
	if (state_check(kind, state, state_size, working) == NULL)
	{
		size_t		used;
		size_t		scratch_size = state_scratch(state);
		void	   *scratch = malloc(scratch_size > 0 ? scratch_size : 1);
		uint8_t	   *sorted;

		if (scratch == NULL)
			abort();
		state_compact(state, scratch);
		free(scratch);
		used = state_used(state);
		require(used <= state_size, "a state does not grow");
		sorted = malloc(used);
		if (sorted == NULL)
			abort();
		memcpy(sorted, state, used);
		require(state_check(kind, sorted, used, false) == NULL, "a sorted state is sound");
		use(kind, sorted);
		require(memcmp(sorted, state, used) == 0, "a sorted state stays as it is");
		free(sorted);
	}
	free(state);
	return 0;
}
