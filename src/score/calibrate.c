/*
 * calibrate.c
 *		From scores to probabilities: the value cdp.calibration, fitted to metrics,
 *		which hold scores with what came true.
 *
 * Platt: 1 / (1 + exp(-(a f + b))) of the log odds f of the score, fitted by
 * Newton's method to the targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) (Platt 1999;
 * Lin, Lin and Weng 2007).  Isotonic: the nondecreasing function with the least
 * squared error, by pooling adjacent violators (Ayer and others 1955), read off by
 * linear interpolation between the ends of its steps.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "miscadmin.h"
#include "score/document.h"
#include "score/logit_core.h"
#include "score/metrics.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(cdp_calibration_in);
PG_FUNCTION_INFO_V1(cdp_calibration_out);
PG_FUNCTION_INFO_V1(cdp_calibration_recv);
PG_FUNCTION_INFO_V1(cdp_calibration_send);
PG_FUNCTION_INFO_V1(cdp_calibrate);
PG_FUNCTION_INFO_V1(cdp_predict_calibrated);

#define CALIBRATION_VERSION	1
#define MAX_POINTS	10000000

typedef struct Calibration
{
	bool		isotonic;
	double		a;
	double		b;
	int			points;			/* isotonic: thresholds, ascending */
	double	   *scores;
	double	   *probabilities;
} Calibration;

/* Log odds, finite for probabilities of 0 and 1 too */
static double
log_odds(double probability)
{
	double		p = fmin(fmax(probability, 1e-15), 1 - 1e-15);

	return log(p) - log1p(-p);
}

static void
read_numbers(JsonbContainer *root, const char *key, int count, double *numbers)
{
	JsonbContainer *array = document_read_array(root, key, true);

	if (JsonContainerSize(array) != count)
		document_invalid("scores and probabilities are not of the same number");
	for (int i = 0; i < count; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvNumeric)
			document_invalid(psprintf("an element of \"%s\" is not a number", key));
		numbers[i] = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		if (!isfinite(numbers[i]) || (i > 0 && numbers[i] < numbers[i - 1]))
			document_invalid(psprintf("\"%s\" is not ascending", key));
	}
}

static Calibration *
calibration_read(Jsonb *document)
{
	Calibration *calibration = palloc0(sizeof(Calibration));
	char	   *method;

	document_check_header(document, "calibration", CALIBRATION_VERSION);
	method = document_value_string(document_read_key(&document->root, "method", true), "method");
	if (strcmp(method, "platt") == 0)
	{
		calibration->a = document_read_number_between(&document->root, "a", NAN, -1e300, 1e300);
		calibration->b = document_read_number_between(&document->root, "b", NAN, -1e300, 1e300);
	}
	else if (strcmp(method, "isotonic") == 0)
	{
		JsonbContainer *array = document_read_array(&document->root, "scores", true);

		calibration->isotonic = true;
		calibration->points = JsonContainerSize(array);
		if (calibration->points < 1)
			document_invalid("it has no scores");
		calibration->scores = cdp_palloc_array(double, calibration->points);
		calibration->probabilities = cdp_palloc_array(double, calibration->points);
		read_numbers(&document->root, "scores", calibration->points, calibration->scores);
		read_numbers(&document->root, "probabilities", calibration->points, calibration->probabilities);
		if (calibration->probabilities[0] < 0 || calibration->probabilities[calibration->points - 1] > 1)
			document_invalid("a probability is not between 0 and 1");
	}
	else
		document_invalid("\"method\" is not \"platt\" or \"isotonic\"");
	return calibration;
}

Datum
cdp_calibration_in(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	calibration_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_calibration_out(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);

	PG_RETURN_CSTRING(JsonbToCString(NULL, &document->root, VARSIZE(document)));
}

Datum
cdp_calibration_recv(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_recv, PG_GETARG_DATUM(0));

	calibration_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_calibration_send(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_send, PG_GETARG_DATUM(0));
}

/*
 * Platt's two parameters.  The log-likelihood is concave, and a step that lowers
 * it is halved.
 */
static void
fit_platt(ScoreReader *reader, double negatives, double positives, double *a, double *b)
{
	double		high = (positives + 1) / (positives + 2);
	double		low = 1 / (negatives + 2);
	double		best = -INFINITY;
	double		at[2] = {0, log((positives + 1) / (negatives + 1))};
	double		step[2] = {0, 0};

	for (int iteration = 0; iteration < 200; iteration++)
	{
		double		likelihood = 0;
		double		gradient[2] = {0, 0};
		double		hessian[3] = {1e-12, 0, 1e-12};
		double		determinant;
		double		decrement;
		ScoreGroup	group;

		CHECK_FOR_INTERRUPTS();
		rewind_scores(reader);
		while (next_score_group(reader, &group))
		{
			double		f = log_odds(group.score);
			double		eta = at[0] * f + at[1];
			double		p = logit_probability(eta);
			double		weight = group.negative + group.positive;
			double		target = (group.negative * low + group.positive * high) / weight;
			double		residual = weight * (target - p);
			double		curvature = weight * p * (1 - p);

			likelihood -= weight * (target * logit_softplus(-eta) + (1 - target) * logit_softplus(eta));
			gradient[0] += residual * f;
			gradient[1] += residual;
			hessian[0] += curvature * f * f;
			hessian[1] += curvature * f;
			hessian[2] += curvature;
		}
		if (likelihood < best - 1e-12 * (1 + fabs(best)))
		{
			step[0] /= 2;
			step[1] /= 2;
			at[0] -= step[0];
			at[1] -= step[1];
			continue;
		}
		best = likelihood;
		determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
		if (!(determinant > 1e-14 * hessian[0] * hessian[2]))
		{
			/* all scores are the same: only b can be told */
			step[0] = 0;
			step[1] = gradient[1] / hessian[2];
		}
		else
		{
			step[0] = (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant;
			step[1] = (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant;
		}
		at[0] += step[0];
		at[1] += step[1];
		decrement = step[0] * gradient[0] + step[1] * gradient[1];
		if (decrement < 1e-14)
			break;
	}
	*a = at[0];
	*b = at[1];
}

typedef struct IsotonicBlock
{
	double		low;
	double		high;
	double		weight;
	double		positive;
} IsotonicBlock;

static void
write_isotonic(ScoreReader *reader, Size count, StringInfo text)
{
	IsotonicBlock *blocks = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(IsotonicBlock)));
	Size		used = 0;
	ScoreGroup	group;
	StringInfoData probabilities;

	rewind_scores(reader);
	while (next_score_group(reader, &group))
	{
		IsotonicBlock *block = &blocks[used++];

		block->low = block->high = group.score;
		block->weight = group.negative + group.positive;
		block->positive = group.positive;
		/* products, so that no rounding of quotients decides */
		while (used > 1 &&
			   blocks[used - 2].positive * blocks[used - 1].weight >= blocks[used - 1].positive * blocks[used - 2].weight)
		{
			blocks[used - 2].high = blocks[used - 1].high;
			blocks[used - 2].weight += blocks[used - 1].weight;
			blocks[used - 2].positive += blocks[used - 1].positive;
			used--;
		}
	}
	if (used > MAX_POINTS / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("isotonic calibration has more than %d steps", MAX_POINTS / 2),
				 errhint("Calibrate binned metrics.")));
	initStringInfo(&probabilities);
	document_write_key(text, "scores");
	appendStringInfoChar(text, '[');
	for (Size i = 0; i < used; i++)
	{
		const char *value = float8out_internal(fmin(blocks[i].positive / blocks[i].weight, 1));

		appendStringInfo(text, "%s%s", i > 0 ? "," : "", float8out_internal(blocks[i].low));
		appendStringInfo(&probabilities, "%s%s", i > 0 ? "," : "", value);
		if (blocks[i].high > blocks[i].low)
		{
			appendStringInfo(text, ",%s", float8out_internal(blocks[i].high));
			appendStringInfo(&probabilities, ",%s", value);
		}
	}
	appendStringInfoChar(text, ']');
	document_write_key(text, "probabilities");
	appendStringInfo(text, "[%s]", probabilities.data);
}

/*
 * cdp.calibrate(metrics, method text) returns cdp.calibration
 *
 * method: platt, for which scores must be probabilities, or isotonic, for any
 * scores.  Rows of both labels are needed.
 */
Datum
cdp_calibrate(PG_FUNCTION_ARGS)
{
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	char	   *method = text_to_cstring(PG_GETARG_TEXT_PP(1));
	StringInfoData text;
	double		negative;
	double		positive;
	double		log_loss;
	double		brier;
	bool		probabilities;

	scores_totals(&reader, &negative, &positive, &log_loss, &brier, &probabilities);
	if (!(negative > 0 && positive > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scores can be calibrated only to rows of both labels")));
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	document_write_string(&text, "model", "calibration");
	document_write_integer(&text, "version", CALIBRATION_VERSION);
	document_write_string(&text, "method", method);
	document_write_number(&text, "weight", negative + positive);
	document_write_number(&text, "positive", positive);
	if (strcmp(method, "platt") == 0)
	{
		double		a;
		double		b;

		if (!probabilities)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("scores must be probabilities, from 0 to 1"),
					 errhint("For other scores use the method isotonic, or cdp.logit_fit with the score as its only feature.")));
		fit_platt(&reader, negative, positive, &a, &b);
		document_write_number(&text, "a", a);
		document_write_number(&text, "b", b);
	}
	else if (strcmp(method, "isotonic") == 0)
		write_isotonic(&reader, reader.group_count, &text);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("method must be \"platt\" or \"isotonic\", not \"%s\"", method)));
	appendStringInfoChar(&text, '}');
	PG_RETURN_POINTER(document_finish(&text));
}

static void *
read_calibration(Jsonb *document)
{
	return calibration_read(document);
}

/*
 * cdp.predict(calibration, score float8) returns float8
 *
 * The calibrated probability of a score.
 */
Datum
cdp_predict_calibrated(PG_FUNCTION_ARGS)
{
	double		score = PG_GETARG_FLOAT8(1);
	Calibration *calibration;
	int			low;
	int			high;

	if (!isfinite(score))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("score must be a finite number")));
	calibration = document_argument(fcinfo, 0, read_calibration);
	if (!calibration->isotonic)
	{
		if (score < 0 || score > 1)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("scores must be probabilities, from 0 to 1")));
		PG_RETURN_FLOAT8(logit_probability(calibration->a * log_odds(score) + calibration->b));
	}

	low = 0;
	high = calibration->points - 1;
	if (score <= calibration->scores[low])
		PG_RETURN_FLOAT8(calibration->probabilities[low]);
	if (score >= calibration->scores[high])
		PG_RETURN_FLOAT8(calibration->probabilities[high]);
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (calibration->scores[middle] <= score)
			low = middle;
		else
			high = middle;
	}
	{
		double		from = calibration->scores[low];
		double		to = calibration->scores[high];
		/* the distance of two scores may exceed a double */
		double		share = isinf(to - from) ? (score / 2 - from / 2) / (to / 2 - from / 2) : (score - from) / (to - from);

		PG_RETURN_FLOAT8(calibration->probabilities[low] +
						 share * (calibration->probabilities[high] - calibration->probabilities[low]));
	}
}
