/*
 * logit_step.c
 *		cdp.logit_step: the sums of a pass over the rows of a logistic fit, as a
 *		type of its own, and its aggregates.
 *
 * Stored, it is what logit_core.h calls LogitSums behind a length and a version.
 * The binary form has the same numbers in network order and no pending rows; the
 * text form is the binary one in hexadecimal.  docs/score.md specifies it.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "hex.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "nodes/execnodes.h"
#include "score/logit_rows.h"
#include "score/logit_step.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_logit_step_in);
PG_FUNCTION_INFO_V1(cdp_logit_step_out);
PG_FUNCTION_INFO_V1(cdp_logit_step_recv);
PG_FUNCTION_INFO_V1(cdp_logit_step_send);
PG_FUNCTION_INFO_V1(cdp_logit_step_transition);
PG_FUNCTION_INFO_V1(cdp_logit_step_combine);
PG_FUNCTION_INFO_V1(cdp_logit_step_final);

/*
 * Bytes of a step.
 */
Size
logit_step_size(int terms)
{
	return offsetof(LogitStep, sums) + logit_sums_size(terms);
}

static LogitStep *
step_create(MemoryContext context, LogitSumsKind kind, int terms)
{
	LogitStep  *step = MemoryContextAllocZero(context, logit_step_size(terms));

	SET_VARSIZE(step, logit_step_size(terms));
	step->version = LOGIT_STEP_VERSION;
	logit_sums_init(&step->sums, kind, terms);
	return step;
}

static void
invalid_step(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid cdp.logit_step"),
			 errhint("Such values come from cdp.logit_step_agg and cdp.logit_step_merge_agg.")));
}

/*
 * A stored step, checked as far as memory is concerned.
 */
LogitStep *
logit_step_get(Datum datum)
{
	LogitStep  *step = (LogitStep *) PG_DETOAST_DATUM(datum);

	if (VARSIZE(step) < logit_step_size(1) || step->version != LOGIT_STEP_VERSION ||
		step->sums.terms < 1 || step->sums.terms > LOGIT_MAX_TERMS ||
		VARSIZE(step) != logit_step_size(step->sums.terms) ||
		step->sums.pending < 0 || step->sums.pending > LOGIT_BLOCK)
		invalid_step();
	return step;
}

/*
 * A copy without pending rows.
 */
LogitStep *
logit_step_flushed_copy(LogitStep *step)
{
	LogitStep  *copy = palloc(VARSIZE(step));

	memcpy(copy, step, VARSIZE(step));
	logit_sums_flush(&copy->sums);
	return copy;
}

static bytea *
step_to_wire(LogitStep *step)
{
	StringInfoData buffer;
	LogitSums  *sums;

	step = logit_step_flushed_copy(step);
	sums = &step->sums;
	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, LOGIT_STEP_VERSION);
	pq_sendbyte(&buffer, sums->kind);
	pq_sendint32(&buffer, sums->terms);
	pq_sendint64(&buffer, sums->fingerprint);
	pq_sendint64(&buffer, sums->rows);
	pq_sendint64(&buffer, sums->skipped);
	pq_sendfloat8(&buffer, sums->weight);
	pq_sendfloat8(&buffer, sums->positive);
	pq_sendfloat8(&buffer, sums->positive_rows);
	pq_sendfloat8(&buffer, sums->log_likelihood);
	pq_sendfloat8(&buffer, sums->entropy);
	pq_sendfloat8(&buffer, sums->largest);
	for (size_t i = 0; i < 2 * (size_t) sums->terms + LOGIT_TRIANGLE(sums->terms); i++)
		pq_sendfloat8(&buffer, sums->values[i]);
	return pq_endtypsend(&buffer);
}

static LogitStep *
step_from_wire(StringInfo buffer)
{
	const uint8 *bytes = (const uint8 *) buffer->data + buffer->cursor;
	size_t		length = buffer->len - buffer->cursor;
	LogitStep  *step;
	int			terms;

	if (!logit_sums_measure_wire(bytes, length, &terms))
		invalid_step();
	buffer->cursor = buffer->len;
	step = step_create(CurrentMemoryContext, LOGIT_STEP, terms);
	if (!logit_sums_read_wire(bytes, length, &step->sums))
		invalid_step();
	return step;
}

Datum
cdp_logit_step_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	if (!cdp_hex_read(PG_GETARG_CSTRING(0), &buffer))
		invalid_step();
	PG_RETURN_POINTER(step_from_wire(&buffer));
}

Datum
cdp_logit_step_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(cdp_hex_write(step_to_wire(logit_step_get(PG_GETARG_DATUM(0)))));
}

Datum
cdp_logit_step_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(step_from_wire((StringInfo) PG_GETARG_POINTER(0)));
}

Datum
cdp_logit_step_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(step_to_wire(logit_step_get(PG_GETARG_DATUM(0))));
}

/* Numbers that lie side by side in the arguments and in the terms */
typedef struct NumberRun
{
	int			input;
	int			first_term;
	int			length;
} NumberRun;

/* What the transition keeps between rows */
typedef struct StepCache
{
	bool		stable;			/* is the model the same in all calls? */
	bool		ready;
	bytea	   *bytes;			/* the model read */
	LogitModel *model;
	uint64		fingerprint;
	double	   *row;			/* NULL: the number of terms is not known yet */
	double	   *coefficients;	/* on scaled rows */
	double	   *factors;		/* reciprocal scales */
	int			run_count;
	NumberRun  *runs;
	int		   *levels;
	MemoryContext context;
} StepCache;

/*
 * Is the first argument of the aggregate the same in all rows?
 */
static bool
model_is_stable(FunctionCallInfo fcinfo)
{
	Aggref	   *aggregate = AggGetAggref(fcinfo);
	Node	   *expression;

	if (aggregate == NULL || aggregate->args == NIL)
		return false;
	expression = (Node *) linitial_node(TargetEntry, aggregate->args)->expr;
	return IsA(expression, Const) ||
		(IsA(expression, Param) && castNode(Param, expression)->paramkind == PARAM_EXTERN);
}

/*
 * The model that is argument 1, read once for all calls that get the same.
 */
static StepCache *
step_cache(FunctionCallInfo fcinfo)
{
	StepCache  *cache = (StepCache *) fcinfo->flinfo->fn_extra;
	bytea	   *document;
	MemoryContext outer_context;

	if (cache != NULL && cache->ready && cache->stable)
		return cache;
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model given to cdp.logit_step_agg must not be null")));
	document = (bytea *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (cache != NULL && cache->ready && VARSIZE(cache->bytes) == VARSIZE(document) &&
		memcmp(cache->bytes, document, VARSIZE(document)) == 0)
		return cache;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(StepCache));
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "cdp logit step", ALLOCSET_SMALL_SIZES);
		cache->stable = model_is_stable(fcinfo);
		fcinfo->flinfo->fn_extra = cache;
	}
	cache->ready = false;
	cache->row = NULL;
	MemoryContextReset(cache->context);
	outer_context = MemoryContextSwitchTo(cache->context);
	cache->bytes = memcpy(palloc(VARSIZE(document)), document, VARSIZE(document));
	cache->fingerprint = hash_bytes_extended((unsigned char *) VARDATA(document), VARSIZE(document) - VARHDRSZ, 0);
	cache->model = logit_model_read((Jsonb *) document);
	cache->ready = true;
	MemoryContextSwitchTo(outer_context);
	return cache;
}

/*
 * Room for the terms of a row, and what is the same for all of them.
 */
static void
prepare_terms(StepCache *cache, ArrayType *numbers)
{
	LogitModel *model = cache->model;
	MemoryContext outer_context = MemoryContextSwitchTo(cache->context);

	if (model->terms == 0)
	{
		/* the length of a vector is known from the first row */
		int			length = ArrayGetNItems(ARR_NDIM(numbers), ARR_DIMS(numbers));

		for (int i = 0; i < model->feature_count; i++)
			if (model->features[i].kind == LOGIT_VECTOR && model->features[i].length == 0)
			{
				model->features[i].length = Max(length - model->numbers, 0);
				logit_model_number_inputs(model);
			}
		if (model->terms == 0)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("array of features is empty")));
	}
	cache->coefficients = cdp_palloc0_array(double, model->terms);
	cache->factors = cdp_palloc0_array(double, model->terms);
	cache->levels = cdp_palloc0_array(int, model->categories + 1);
	if (model->fitted)
	{
		cache->coefficients[0] = model->center;
		for (int i = 1; i < model->terms; i++)
		{
			cache->coefficients[i] = model->coefficients[i] * model->scales[i];
			cache->factors[i] = 1 / model->scales[i];
		}
	}
	cache->run_count = 0;
	cache->runs = cdp_palloc_array(NumberRun, add_size(model->feature_count, 1));
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];
		NumberRun  *last = cache->run_count > 0 ? &cache->runs[cache->run_count - 1] : NULL;

		if (feature->kind == LOGIT_CATEGORY)
			continue;
		if (last != NULL && last->first_term + last->length == feature->first_term)
			last->length += feature->length;
		else
			cache->runs[cache->run_count++] = (NumberRun){feature->input, feature->first_term, feature->length};
	}
	cache->row = cdp_palloc0_array(double, model->terms);
	MemoryContextSwitchTo(outer_context);
}

/*
 * One row: the terms of its numbers and levels, centred and scaled when the model
 * has been fitted so far that it has means.
 */
static void
fill_row(StepCache *cache, const double *numbers)
{
	LogitModel *model = cache->model;
	double	   *row = cache->row;

	row[0] = 1;
	for (int i = 0; i < cache->run_count; i++)
	{
		const NumberRun *run = &cache->runs[i];
		int			term = run->first_term;

		if (model->fitted)
			logit_scale_numbers(row + term, numbers + run->input, model->means + term, cache->factors + term, run->length);
		else
			memcpy(row + term, numbers + run->input, sizeof(double) * run->length);
	}
	for (int i = 0; i < model->feature_count && model->categories > 0; i++)
	{
		const LogitFeature *feature = &model->features[i];

		if (feature->kind == LOGIT_CATEGORY)
		{
			int			level = cache->levels[feature->input];

			memset(row + feature->first_term, 0, sizeof(double) * feature->length);
			if (level > 0)
				row[feature->first_term + level - 1] = 1;
		}
	}
}

/*
 * The model that is argument 1 of a transition, an error if it is NULL.
 */
const LogitModel *
logit_step_model(FunctionCallInfo fcinfo)
{
	return step_cache(fcinfo)->model;
}

/*
 * Adds a row to a step, which is made in the context where it is NULL: arguments 1 to 5 of a
 * transition are model, label, weight, numbers and categories.
 *
 * A row with a NULL label, weight, number or category is left out and counted,
 * or an error if the model says so; where there has been no row with numbers, there may
 * be no step yet.
 */
LogitStep *
logit_step_add(FunctionCallInfo fcinfo, LogitStep *step, MemoryContext context, LogitStepRow *row)
{
	StepCache  *cache = step_cache(fcinfo);
	LogitModel *model = cache->model;
	ArrayType  *array;
	const double *numbers;
	double		label;
	double		weight;
	bool		has_null = false;

	*row = (LogitStepRow){0, NULL, NULL};
	if (PG_ARGISNULL(4))
	{
		if (step != NULL)
			step->sums.skipped++;
		return step;
	}
	array = PG_GETARG_ARRAYTYPE_P(4);
	if (cache->row == NULL)
		prepare_terms(cache, array);

	if (step == NULL)
	{
		step = step_create(context, model->fitted ? LOGIT_STEP : LOGIT_MOMENTS, model->terms);
		step->sums.fingerprint = cache->fingerprint;
	}
	else if (step->sums.terms != model->terms || step->sums.fingerprint != cache->fingerprint)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model given to cdp.logit_step_agg must be the same in all rows of a group")));

	/* without numbers, nothing is read from here */
	numbers = cache->row;
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		has_null = true;
	else if (model->numbers > 0)
		numbers = logit_read_numbers(array, model->numbers, cache->row, &has_null);
	if (!has_null && !logit_read_levels(model, PG_ARGISNULL(5) ? NULL : PG_GETARG_ARRAYTYPE_P(5), cache->levels))
		has_null = true;
	if (has_null)
	{
		if (model->null_error)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("label, weight and features must not be null"),
					 errhint("With the option nulls => 'skip' such rows are left out and counted.")));
		step->sums.skipped++;
		return step;
	}

	label = PG_GETARG_FLOAT8(2);
	weight = PG_GETARG_FLOAT8(3);
	logit_check_label(label, weight);
	weight *= model->class_weights[0] * (1 - label) + model->class_weights[1] * label;
	fill_row(cache, numbers);
	if (step->sums.kind == LOGIT_MOMENTS)
		logit_sums_add_moments(&step->sums, cache->row, label, weight);
	else
		logit_sums_add_step(&step->sums, cache->row, cache->coefficients, label, weight);
	*row = (LogitStepRow){model->numbers, numbers, cache->levels};
	return step;
}

/*
 * Adds the rows of another step, an error if it is of another model.
 */
void
logit_step_merge(LogitStep *step, LogitStep *other)
{
	if (!logit_sums_merge(&step->sums, &other->sums))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values of type cdp.logit_step belong to different models"),
				 errhint("Merge steps that were made with the same model only.")));
}

/*
 * cdp.logit_step_transition(state, model, label, weight, numbers, categories)
 */
Datum
cdp_logit_step_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	LogitStep  *step = PG_ARGISNULL(0) ? NULL : (LogitStep *) PG_GETARG_POINTER(0);
	LogitStepRow row;

	step = logit_step_add(fcinfo, step, context, &row);
	if (step == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(step);
}

/*
 * Combine two states, or merge a stored step into a state.
 */
Datum
cdp_logit_step_combine(PG_FUNCTION_ARGS)
{
	LogitStep  *step;
	LogitStep  *other;

	(void) cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = logit_step_flushed_copy(logit_step_get(PG_GETARG_DATUM(1)));
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(other);
	step = (LogitStep *) PG_GETARG_POINTER(0);
	logit_step_merge(step, other);
	PG_RETURN_POINTER(step);
}

Datum
cdp_logit_step_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(logit_step_flushed_copy((LogitStep *) PG_GETARG_POINTER(0)));
}
