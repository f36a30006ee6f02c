/*
 * metrics_tables.c
 *		What stored metrics are asked for: lift, deciles, calibration, a summary.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "cdp.h"
#include "funcapi.h"
#include "score/metrics.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cdp_lift);
PG_FUNCTION_INFO_V1(cdp_decile_table);
PG_FUNCTION_INFO_V1(cdp_calibration_table);
PG_FUNCTION_INFO_V1(cdp_calibration_error);
PG_FUNCTION_INFO_V1(cdp_metrics_summary);

static void
require_probabilities(ScoreReader *reader)
{
	double		negative;
	double		positive;
	double		log_loss;
	double		brier;
	bool		probabilities;

	scores_totals(reader, &negative, &positive, &log_loss, &brier, &probabilities);
	if (!probabilities)
		metrics_refuse_scores();
}

/*
 * cdp.lift(metrics, share) returns float8
 *
 * share: of the rows, above 0 and up to 1.  Equal scores on the border count in
 * proportion.
 */
Datum
cdp_lift(PG_FUNCTION_ARGS)
{
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	double		share = PG_GETARG_FLOAT8(1);
	double		result;

	if (!(share > 0 && share <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share must be above 0 and at most 1"),
				 errhint("The tenth of the rows with the highest scores is 0.1.")));
	result = scores_lift(&reader, share);
	if (isnan(result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

static int
part_count(FunctionCallInfo fcinfo)
{
	int			count = PG_GETARG_INT32(1);

	if (count < 1 || count > 10000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of parts must be between 1 and 10000")));
	return count;
}

/*
 * cdp.decile_table(metrics, parts integer) returns table(part, lowest_score,
 *		highest_score, weight, positive, rate, lift, captured)
 *
 * Parts of equal weight, part 1 with the highest scores; captured is the share of
 * all that is positive in this part and the ones before.
 */
Datum
cdp_decile_table(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	int			count = part_count(fcinfo);
	GainsRow   *rows = cdp_palloc_array(GainsRow, count);
	double		weight = 0;
	double		positive = 0;
	double		captured = 0;

	InitMaterializedSRF(fcinfo, 0);
	scores_gains(&reader, rows, count);
	for (int i = 0; i < count; i++)
	{
		weight += rows[i].weight;
		positive += rows[i].positive;
	}
	for (int i = count - 1; i >= 0; i--)
	{
		Datum		values[8];
		bool		nulls[8] = {false};

		if (!(rows[i].weight > 0))
			continue;
		captured += rows[i].positive;
		values[0] = Int32GetDatum(count - i);
		values[1] = Float8GetDatum(rows[i].lowest);
		values[2] = Float8GetDatum(rows[i].highest);
		values[3] = Float8GetDatum(rows[i].weight);
		values[4] = Float8GetDatum(rows[i].positive);
		values[5] = Float8GetDatum(rows[i].positive / rows[i].weight);
		nulls[6] = nulls[7] = !(positive > 0);
		values[6] = Float8GetDatum(nulls[6] ? 0 : rows[i].positive / rows[i].weight / (positive / weight));
		values[7] = Float8GetDatum(nulls[7] ? 0 : captured / positive);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * cdp.calibration_table(metrics, parts integer) returns table(low, high, weight,
 *		predicted, observed)
 *
 * Intervals of equal width of the probability, without empty ones: the mean of
 * what was predicted beside the share of what came true.
 */
Datum
cdp_calibration_table(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	int			count = part_count(fcinfo);
	GainsRow   *rows = cdp_palloc_array(GainsRow, count);

	InitMaterializedSRF(fcinfo, 0);
	require_probabilities(&reader);
	scores_calibration(&reader, rows, count);
	for (int i = 0; i < count; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		if (!(rows[i].weight > 0))
			continue;
		values[0] = Float8GetDatum((double) i / count);
		values[1] = Float8GetDatum((i + 1.0) / count);
		values[2] = Float8GetDatum(rows[i].weight);
		values[3] = Float8GetDatum(rows[i].score_sum / rows[i].weight);
		values[4] = Float8GetDatum(rows[i].positive / rows[i].weight);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * cdp.calibration_error(metrics, parts integer) returns float8
 *
 * The expected calibration error (Naeini, Cooper and Hauskrecht 2015): the mean
 * difference between predicted and observed over the intervals.
 */
Datum
cdp_calibration_error(PG_FUNCTION_ARGS)
{
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	int			count = part_count(fcinfo);
	GainsRow   *rows = cdp_palloc_array(GainsRow, count);
	double		weight = 0;
	double		sum = 0;

	require_probabilities(&reader);
	scores_calibration(&reader, rows, count);
	for (int i = 0; i < count; i++)
	{
		weight += rows[i].weight;
		sum += fabs(rows[i].score_sum - rows[i].positive);
	}
	if (!(weight > 0))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sum / weight);
}

/*
 * cdp.metrics_summary(metrics) returns (n, weight, positive, scores, binned)
 */
Datum
cdp_metrics_summary(PG_FUNCTION_ARGS)
{
	Metrics	   *metrics = metrics_get(PG_GETARG_DATUM(0));
	TupleDesc	descriptor;
	Datum		values[5];
	bool		nulls[5] = {false};
	double		weight = 0;
	double		positive = 0;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int64 i = 0; i < metrics->count; i++)
	{
		weight += metrics->groups[i].negative + metrics->groups[i].positive;
		positive += metrics->groups[i].positive;
	}
	values[0] = Int64GetDatum(metrics->rows);
	values[1] = Float8GetDatum(weight);
	values[2] = Float8GetDatum(positive);
	values[3] = Int64GetDatum(metrics->count);
	values[4] = BoolGetDatum(metrics->binned);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}
