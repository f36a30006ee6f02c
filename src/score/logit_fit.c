/*
 * logit_fit.c
 *		cdp.logit_fit: a logistic model of the rows of a group, which the state
 *		keeps, eight bytes for each number, so that its final function can pass
 *		over them.  For more rows than memory holds there is cdp.train_logit.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "cdp.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "score/logit_rows.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_logit_fit_transition);
PG_FUNCTION_INFO_V1(cdp_logit_fit_combine);
PG_FUNCTION_INFO_V1(cdp_logit_fit_serialize);
PG_FUNCTION_INFO_V1(cdp_logit_fit_deserialize);
PG_FUNCTION_INFO_V1(cdp_logit_fit_final);

/* A row is its label, its weight and its numbers. */
typedef struct FitState
{
	MemoryContext context;
	bool		has_options;
	int			numbers;		/* in each row; -1: no row yet */
	LogitOptions options;
	Size		rows;
	Size		room;			/* in rows */
	int64		skipped;
	double	   *data;
} FitState;

static FitState *
fit_state_create(MemoryContext context)
{
	FitState   *state = MemoryContextAllocZero(context, sizeof(FitState));

	state->context = context;
	state->numbers = -1;
	return state;
}

static Size
row_length(const FitState *state)
{
	return (Size) state->numbers + 2;
}

/*
 * Make room for more rows.  What is kept must fit into maintenance_work_mem.
 */
static double *
fit_state_extend(FitState *state, Size rows)
{
	Size		row_size = mul_size(sizeof(double), row_length(state));
	Size		wanted = add_size(state->rows, rows);

	if (wanted > state->room)
	{
		Size		limit = (Size) maintenance_work_mem * 1024;
		Size		room = Max(Max(state->room * 2, wanted), 64);

		if (mul_size(wanted, row_size) > limit)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("the rows given to cdp.logit_fit need more than maintenance_work_mem"),
					 errdetail("%zu rows of %d features.", wanted, state->numbers),
					 errhint("Use cdp.train_logit, which keeps no rows, or raise maintenance_work_mem.")));
		room = Max(Min(room, limit / row_size), wanted);
		if (state->data == NULL)
			state->data = MemoryContextAllocHuge(state->context, mul_size(room, row_size));
		else
			state->data = repalloc_huge(state->data, mul_size(room, row_size));
		state->room = room;
	}
	return state->data + state->rows * row_length(state);
}

/* The number of an argument by the name the SQL signature gives it, or -1 */
static void
find_arguments(FunctionCallInfo fcinfo, int *weight, int *options)
{
	/* state, label, features [, weight] [, options] */
	int			count = PG_NARGS();

	*weight = *options = -1;
	if (count == 5)
	{
		*weight = 3;
		*options = 4;
	}
	else if (count == 4)
		*options = 3;
}

/*
 * cdp.logit_fit_transition(state, label, features [, weight], [options])
 *
 * label: boolean, or a number from 0 to 1; a NULL in it, in weight or in features
 * leaves the row out.
 */
Datum
cdp_logit_fit_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	FitState   *state;
	int			weight_argument;
	int			options_argument;
	ArrayType  *array = NULL;
	const double *numbers = NULL;
	double		label = 0;
	double		weight = 1;
	double	   *row;
	bool		has_null = PG_ARGISNULL(1) || PG_ARGISNULL(2);

	context = cdp_aggregate_context(fcinfo);
	find_arguments(fcinfo, &weight_argument, &options_argument);
	state = PG_ARGISNULL(0) ? fit_state_create(context) : (FitState *) PG_GETARG_POINTER(0);
	if (!state->has_options)
	{
		MemoryContext outer_context = MemoryContextSwitchTo(context);

		logit_options_read(options_argument < 0 ? (Datum) 0 : PG_GETARG_DATUM(options_argument),
						   options_argument < 0 || PG_ARGISNULL(options_argument), &state->options);
		state->has_options = true;
		MemoryContextSwitchTo(outer_context);
	}

	if (weight_argument >= 0)
	{
		has_null = has_null || PG_ARGISNULL(weight_argument);
		if (!has_null)
			weight = PG_GETARG_FLOAT8(weight_argument);
	}
	if (!has_null)
	{
		array = PG_GETARG_ARRAYTYPE_P(2);
		/* boolean or double precision: the two are told apart by the declared type */
		label = get_fn_expr_argtype(fcinfo->flinfo, 1) == BOOLOID ? (double) PG_GETARG_BOOL(1) : PG_GETARG_FLOAT8(1);
		logit_check_label(label, weight);
		numbers = logit_read_numbers(array, 0, NULL, &has_null);
	}
	if (has_null)
	{
		if (state->options.null_error)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("label, weight and features must not be null"),
					 errhint("With the option nulls => 'skip' such rows are left out and counted.")));
		state->skipped++;
		PG_RETURN_POINTER(state);
	}

	if (state->numbers < 0)
	{
		state->numbers = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		if (state->numbers >= LOGIT_MAX_TERMS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a logistic model cannot have more than %d terms", LOGIT_MAX_TERMS)));
	}
	else
		logit_read_numbers(array, state->numbers, NULL, &has_null);
	row = fit_state_extend(state, 1);
	row[0] = label;
	row[1] = weight;
	memcpy(row + 2, numbers, sizeof(double) * state->numbers);
	state->rows++;
	PG_RETURN_POINTER(state);
}

Datum
cdp_logit_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	FitState   *state;
	FitState   *other;

	context = cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (FitState *) PG_GETARG_POINTER(1);
	state = PG_ARGISNULL(0) ? fit_state_create(context) : (FitState *) PG_GETARG_POINTER(0);
	if (!state->has_options && other->has_options)
	{
		state->options = other->options;
		if (other->options.names != NULL)
		{
			Size		size = VARSIZE(other->options.names);

			state->options.names = memcpy(MemoryContextAlloc(context, size), other->options.names, size);
		}
		state->has_options = true;
	}
	state->skipped += other->skipped;
	if (other->rows > 0)
	{
		if (state->numbers >= 0 && state->numbers != other->numbers)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("array of features has %d elements, not %d", other->numbers, state->numbers),
					 errhint("Each row has the same features, in the same order.")));
		state->numbers = other->numbers;
		memcpy(fit_state_extend(state, other->rows), other->data,
			   mul_size(mul_size(sizeof(double), row_length(other)), other->rows));
		state->rows += other->rows;
	}
	PG_RETURN_POINTER(state);
}

/*
 * From one process to another of the same server: native numbers.
 */
Datum
cdp_logit_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = (FitState *) PG_GETARG_POINTER(0);
	Size		names = state->options.names == NULL ? 0 : MAXALIGN(VARSIZE(state->options.names));
	Size		data = state->rows == 0 ? 0 : mul_size(mul_size(sizeof(double), row_length(state)), state->rows);
	Size		size = add_size(add_size(MAXALIGN(VARHDRSZ + sizeof(FitState)), names), data);
	bytea	   *result;
	char	   *position;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rows given to cdp.logit_fit are too many to pass between processes"),
				 errhint("Use cdp.train_logit, which keeps no rows.")));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), state, sizeof(FitState));
	position = (char *) result + MAXALIGN(VARHDRSZ + sizeof(FitState));
	if (names > 0)
		memcpy(position, state->options.names, VARSIZE(state->options.names));
	if (data > 0)
		memcpy(position + names, state->data, data);
	PG_RETURN_BYTEA_P(result);
}

Datum
cdp_logit_fit_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = (bytea *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	FitState   *state = palloc(sizeof(FitState));
	char	   *position = (char *) bytes + MAXALIGN(VARHDRSZ + sizeof(FitState));

	memcpy(state, VARDATA(bytes), sizeof(FitState));
	state->context = CurrentMemoryContext;
	state->room = state->rows;
	if (state->options.names != NULL)
	{
		state->options.names = (ArrayType *) position;
		position += MAXALIGN(VARSIZE(position));
	}
	state->data = (double *) position;
	PG_RETURN_POINTER(state);
}

/*
 * The features of a model of numbers only.
 */
static LogitModel *
model_of_numbers(int numbers, ArrayType *names)
{
	LogitModel *model = palloc0(sizeof(LogitModel));
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			count = 0;

	if (names != NULL)
	{
		deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
		if (count != numbers)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("option names has %d elements for %d features", count, numbers)));
	}
	model->feature_count = numbers;
	model->features = cdp_palloc0_array(LogitFeature, add_size(numbers, 1));
	for (int i = 0; i < numbers; i++)
	{
		model->features[i].kind = LOGIT_NUMBER;
		model->features[i].length = 1;
		if (names != NULL && nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("option names must not contain nulls")));
		model->features[i].name = names != NULL ? TextDatumGetCString(elements[i]) : psprintf("x%d", i + 1);
	}
	return model;
}

/*
 * One pass over the rows, with the coefficients where the solver wants them.
 */
static void
pass(const FitState *state, LogitFit *fit, LogitSumsKind kind, LogitSums *sums)
{
	int			terms = state->numbers + 1;
	const double *row = state->data;
	const LogitModel *model = fit->model;
	double	   *x = cdp_palloc_array(double, terms);

	logit_sums_init(sums, kind, terms);
	x[0] = 1;
	for (Size i = 0; i < state->rows; i++)
	{
		double		weight = row[1] * (model->class_weights[0] * (1 - row[0]) + model->class_weights[1] * row[0]);

		if ((i & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		if (kind == LOGIT_MOMENTS)
		{
			memcpy(x + 1, row + 2, sizeof(double) * state->numbers);
			logit_sums_add_moments(sums, x, row[0], weight);
		}
		else
		{
			for (int j = 1; j < terms; j++)
				x[j] = (row[j + 1] - model->means[j]) / model->scales[j];
			logit_sums_add_step(sums, x, fit->solver.candidate, row[0], weight);
		}
		row += row_length(state);
	}
	pfree(x);
}

/*
 * The model.  NULL without rows; a group whose labels are all the same has no
 * model, which is an error for cdp.train_logit, but here NULL with a warning, so
 * that the other groups get theirs.
 */
Datum
cdp_logit_fit_final(PG_FUNCTION_ARGS)
{
	FitState   *state;
	LogitFit	fit;
	LogitModel *model;
	LogitSums  *sums;
	LogitOutcome outcome;
	double		low = 1;
	double		high = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (FitState *) PG_GETARG_POINTER(0);
	for (Size i = 0; i < state->rows; i++)
		if (state->data[i * row_length(state) + 1] > 0)
		{
			low = Min(low, state->data[i * row_length(state)]);
			high = Max(high, state->data[i * row_length(state)]);
		}
	if (high <= 0 || low >= 1)
	{
		ereport(WARNING,
				(errmsg("no logistic model: %s", high < low ? "no rows" : "all labels of the group are the same")));
		PG_RETURN_NULL();
	}

	model = model_of_numbers(state->numbers, state->options.names);
	logit_model_number_inputs(model);
	logit_fit_begin(&fit, model, &state->options);
	sums = palloc(logit_sums_size(model->terms));
	pass(state, &fit, LOGIT_MOMENTS, sums);
	sums->skipped = state->skipped;
	outcome = logit_fit_start(&fit, sums);
	while (outcome == LOGIT_SCAN)
	{
		pass(state, &fit, LOGIT_STEP, sums);
		outcome = logit_fit_advance(&fit, sums);
	}
	PG_RETURN_POINTER(logit_fit_finish(&fit, outcome));
}
