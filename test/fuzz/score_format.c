/*
 * score_format.c
 *		Fuzz target for the formats of rfm states, lifetime models, metrics and
 *		logistic steps: what passes the checks can be used without harm, and gives
 *		finite figures.  With libFuzzer: test/fuzz/fuzz score_format.  Without:
 *		test/fuzz/run replays the corpus.
 *
 * The input is a kind and the bytes of a binary form (m: lifetime model, r: rfm
 * state, g: metrics, l: logistic step) or of a stored value without the server's
 * four bytes (M, R).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "score/lifetime_format.h"
#include "score/logit_core.h"
#include "score/metrics_core.h"
#include "score/rfm_core.h"
#include "require.h"

static void
require_probability(double value, const char *rule)
{
	require(value >= 0 && value <= 1, rule);
}

/*
 * use_model scores customers by a sound model.
 */
static void
use_model(const LifetimeModel *model)
{
	static const double customers[][3] = {{0, 0, 0}, {0, 0, 52}, {3, 10, 12}, {40, 51, 52}, {3000, 1, 1000}};
	const double *parameters = model->parameters;
	LifetimeFamily family = (LifetimeFamily) model->family;

	for (size_t i = 0; i < sizeof(customers) / sizeof(customers[0]); i++)
	{
		LifetimeRow row = {customers[i][0], customers[i][1], customers[i][2], 1};
		LifetimeSums sums;

		switch (family)
		{
			case LIFETIME_GAMMA_GAMMA:
				row.y = 20;
				require(isfinite(lifetime_expected_spend(parameters, row.x, row.y)), "spend is finite");
				break;
			case LIFETIME_SBG:
				row.x += 1;
				row.y = 1;
				require_probability(lifetime_survival(parameters, row.x), "survival");
				require(isfinite(lifetime_residual_life(parameters, row.x, 0.1)), "residual life is finite");
				break;
			default:
				if (lifetime_check_row(family, &row) != NULL)
					continue;
				require_probability(lifetime_alive(family, parameters, row.x, row.y, row.z, 0), "alive");
				require_probability(lifetime_no_purchase(family, parameters, row.x, row.y, row.z, 10), "no purchase");
				require(isfinite(lifetime_expected_purchases(family, parameters, row.x, row.y, row.z, 10)), "purchases are finite");
				break;
		}
		lifetime_likelihood(family, parameters, &row, 1, false, &sums, NULL);
		require(isfinite(sums.value), "likelihood is finite");
	}
}

static void
fuzz_model(const uint8_t *bytes, size_t size, bool stored)
{
	LifetimeModel model;
	int			parameter = -1;

	memset(&model, 0, sizeof(model));
	if (stored)
	{
		if (size != sizeof(model) - 4)
			return;
		memcpy((char *) &model + 4, bytes, size);
	}
	else if (lifetime_model_read_wire(bytes, size, &model) != LIFETIME_MODEL_SOUND)
		return;
	switch (lifetime_model_check(&model, &parameter))
	{
		case LIFETIME_MODEL_SOUND:
			use_model(&model);
			break;
		case LIFETIME_MODEL_OUT_OF_RANGE:
			require(parameter >= 0 && parameter < LIFETIME_PARAMETERS, "a parameter is named");
			break;
		default:
			break;
	}
}

static void
fuzz_rfm(const uint8_t *bytes, size_t size, bool stored)
{
	RfmState   *state;
	size_t		state_size = size + 4;
	uint32_t	count;

	if (stored)
	{
		if (state_size < offsetof(RfmState, entries))
			return;
		state = room(state_size);
		memcpy((char *) state + 4, bytes, size);
	}
	else
	{
		if (size > 0 && bytes[0] != RFM_STATE_VERSION)
			return;
		if (!rfm_state_measure_wire(bytes, size, &count))
			return;
		state_size = offsetof(RfmState, entries) + count * sizeof(RfmEntry);
		state = room(state_size);
		rfm_state_read_wire(bytes, size, state);
		require((uint32_t) state->count == count, "as many entries as measured");
	}
	if (rfm_state_valid(state, state_size))
	{
		int64_t		sum = 0;

		require(strnlen(state->rules.zone, RFM_ZONE_LENGTH + 1) <= RFM_ZONE_LENGTH, "the zone ends");
		for (int32_t i = 0; i < state->count; i++)
			sum ^= state->entries[i].key + state->entries[i].amount % 2;
		require(sum != INT64_MIN, "entries can be read");
	}
	free(state);
}

static void
fuzz_metrics(const uint8_t *bytes, size_t size)
{
	MetricsHeader header;
	ScoreGroup *groups;

	if (!metrics_read_header(bytes, size, &header))
		return;
	groups = room(header.count * sizeof(ScoreGroup));
	if (metrics_read_groups(bytes, size, &header, groups))
	{
		ScoreReader reader = {groups, header.count, NULL, 0, NULL, 0, 0, 0, 0};
		double		auc = scores_auc(&reader);
		double		negative;
		double		positive;
		double		log_loss;
		double		brier;
		bool		probabilities;
		GainsRow	rows[10];

		require(isnan(auc) || (auc >= 0 && auc <= 1 + 1e-9), "AUC");
		rewind_scores(&reader);
		auc = scores_ks(&reader);
		require(isnan(auc) || (auc >= 0 && auc <= 1 + 1e-9), "KS");
		rewind_scores(&reader);
		scores_lift(&reader, 0.1);
		rewind_scores(&reader);
		scores_totals(&reader, &negative, &positive, &log_loss, &brier, &probabilities);
		rewind_scores(&reader);
		scores_gains(&reader, rows, 10);
		rewind_scores(&reader);
		if (probabilities)
			scores_calibration(&reader, rows, 10);
	}
	free(groups);
}

static void
fuzz_step(const uint8_t *bytes, size_t size)
{
	LogitSums  *sums;
	LogitSums  *other;
	int			terms;

	if (!logit_sums_measure_wire(bytes, size, &terms) || terms > 200)
		return;
	sums = room(logit_sums_size(terms));
	other = room(logit_sums_size(terms));
	if (logit_sums_read_wire(bytes, size, sums))
	{
		memcpy(other, sums, logit_sums_size(terms));
		require(logit_sums_merge(sums, other), "a step goes with itself");
		logit_sums_flush(sums);
	}
	free(sums);
	free(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy to the byte, so that the sanitizer sees what is read past it */
	uint8_t	   *bytes;

	if (size < 1)
		return 0;
	bytes = room(size - 1);
	memcpy(bytes, data + 1, size - 1);
	switch (data[0])
	{
		case 'm':
		case 'M':
			fuzz_model(bytes, size - 1, data[0] == 'M');
			break;
		case 'r':
		case 'R':
			fuzz_rfm(bytes, size - 1, data[0] == 'R');
			break;
		case 'g':
			fuzz_metrics(bytes, size - 1);
			break;
		case 'l':
			fuzz_step(bytes, size - 1);
			break;
		default:
			break;
	}
	free(bytes);
	return 0;
}
