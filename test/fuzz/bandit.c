/*
 * bandit.c
 *		Fuzz target for cdp.beta_bandit: what passes the checks can be searched,
 *		merged and asked.  With libFuzzer: test/fuzz/fuzz bandit.  Without:
 *		test/fuzz/run replays the corpus.
 *
 * The input is a kind (0: a stored state without the server's four bytes, else:
 * the binary form), and the bytes of the value.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "score/bandit_core.h"
#include "require.h"

/*
 * use does with a sound state what the server does.
 */
static void
use(const BanditState *state, size_t size)
{
	size_t		merged_size = bandit_merged_size(state, state);
	BanditState *merged;
	BanditState *longer;
	size_t		offset;
	BanditBelief beliefs[4];
	int			count = 0;

	require(merged_size == size, "a state merged with itself has its size");
	merged = room(merged_size);
	if (bandit_merge(merged, state, state))
		require(bandit_check(merged, merged_size) == NULL, "a merged state is sound");
	free(merged);

	longer = room(size + bandit_arm_size(3));
	memcpy(longer, state, size);
	if (state->count < BANDIT_MAX_ARMS && bandit_find(longer, "new", 3, &offset) == NULL)
	{
		require(bandit_add(bandit_insert(longer, offset, "new", 3), 2, BANDIT_MICROS), "a new arm takes trials");
		require(bandit_check(longer, size + bandit_arm_size(3)) == NULL, "a state with one more arm is sound");
		require(bandit_find(longer, "new", 3, &offset) != NULL, "a new arm is found");
	}
	free(longer);

	for (offset = 0; offset < state->used && count < 4; count++)
	{
		BanditArm  *arm = bandit_arm(state, offset);

		beliefs[count].alpha = 1 + (double) arm->reward / BANDIT_MICROS;
		beliefs[count].beta = 1 + (double) arm->trials - (double) arm->reward / BANDIT_MICROS;
		require(isfinite(bandit_draw(offset, &beliefs[count])), "draws are finite");
		offset += bandit_arm_size(arm->length);
	}
	if (count > 0)
	{
		size_t		point_count;
		double	   *points;
		double	   *scratch = room(BANDIT_SCRATCH(count) * sizeof(double));
		double		best[4];
		double		sum = 0;

		require(bandit_best_room(beliefs, count, &point_count), "there is room for few arms");
		points = room(point_count * sizeof(double));
		require(bandit_best(beliefs, count, points, scratch, best, NULL), "nothing interrupts");
		for (int i = 0; i < count; i++)
		{
			require(best[i] >= 0 && best[i] <= 1, "probabilities of being best");
			sum += best[i];
		}
		require(fabs(sum - 1) < 1e-9, "one arm is best");
		free(points);
		free(scratch);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BanditState *state;
	size_t		state_size;

	if (size < 1)
		return 0;
	if (data[0] == 0)
	{
		state_size = size - 1 + 4;
		state = room(state_size);
		memcpy((char *) state + 4, data + 1, size - 1);
	}
	else
	{
		/* a copy to the byte, so that the sanitizer sees what is read past it */
		uint8_t	   *bytes = room(size - 1);

		memcpy(bytes, data + 1, size - 1);
		if (bandit_measure_wire(bytes, size - 1, &state_size) != NULL)
		{
			free(bytes);
			return 0;
		}
		state = room(state_size);
		bandit_read_wire(bytes, size - 1, state);
		free(bytes);
	}
	if (bandit_check(state, state_size) == NULL)
		use(state, state_size);
	free(state);
	return 0;
}
