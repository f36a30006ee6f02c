/*
 * input_functions.c
 *		How inputs are distributed, in SQL: the aggregate cdp.training_sums_agg of
 *		the first pass of training, and the bins of a row by a model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "cdp.h"
#include "fmgr.h"
#include "score/document.h"
#include "score/inputs.h"
#include "score/logit_rows.h"
#include "score/training_sums.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_training_sums_agg_transition);
PG_FUNCTION_INFO_V1(cdp_training_sums_agg_combine);
PG_FUNCTION_INFO_V1(cdp_training_sums_agg_serialize);
PG_FUNCTION_INFO_V1(cdp_training_sums_agg_deserialize);
PG_FUNCTION_INFO_V1(cdp_training_sums_agg_final);
PG_FUNCTION_INFO_V1(cdp_input_bins);
PG_FUNCTION_INFO_V1(cdp_input_bins_row);

static void *
read_features(Jsonb *document)
{
	LogitModel *features = palloc0(sizeof(LogitModel));

	logit_features_read(&document->root, features);
	return features;
}

/*
 * The features of a model of any type that has some, read once for all calls that get the same.
 */
static const LogitModel *
features_argument(FunctionCallInfo fcinfo)
{
	return document_argument(fcinfo, 0, read_features);
}

/*
 * The numbers of an array, NAN where they are NULL; not a copy where none is.
 */
static const double *
numbers_of(ArrayType *array, int *count)
{
	double	   *numbers;
	Datum	   *elements;
	bool	   *nulls;

	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (!array_contains_nulls(array))
		return (const double *) ARR_DATA_PTR(array);
	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, count);
	numbers = cdp_palloc_array(double, add_size(*count, 1));
	for (int i = 0; i < *count; i++)
		numbers[i] = nulls[i] ? NAN : DatumGetFloat8(elements[i]);
	pfree(elements);
	pfree(nulls);
	return numbers;
}

/* ---- cdp.training_sums_agg ---- */

/* A step and the distributions of what it was made of: one aggregate, so that arrays are built once */
typedef struct TrainingSums
{
	LogitStep  *step;			/* NULL: no row with numbers yet */
	InputSums  *inputs;
} TrainingSums;

/* The serial form, followed by the bytes of the step and then those of the inputs */
typedef struct TrainingSumsHeader
{
	int32		vl_len_;
	int32		step_size;		/* 0: there is none */
} TrainingSumsHeader;

/*
 * Adds the inputs of a row that is left out of the step: with NULLs, or without an array.
 */
static void
add_incomplete(FunctionCallInfo fcinfo, InputSums *sums, double weight)
{
	const LogitModel *model = logit_step_model(fcinfo);
	double	   *numbers = NULL;
	int			count = 0;
	int		   *levels = cdp_palloc_array(int, add_size(model->categories, 1));

	if (!PG_ARGISNULL(4))
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(4);

		count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		numbers = cdp_palloc_array(double, add_size(count, 1));
		logit_numbers_with_nulls(array, numbers);
	}
	if (PG_ARGISNULL(5))
		for (int i = 0; i < model->categories; i++)
			levels[i] = LOGIT_NULL_LEVEL;
	else
		logit_levels_with_nulls(model, PG_GETARG_ARRAYTYPE_P(5), levels);
	input_sums_add(sums, count, numbers, levels, weight);
}

/*
 * cdp.training_sums_agg_transition(state, model, label, weight, numbers, categories)
 *
 * The step is that of cdp.logit_step_agg.  For the distributions, a row without a label or a
 * weight does not count, and an array that is NULL is one of NULLs.
 */
Datum
cdp_training_sums_agg_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	TrainingSums *sums = PG_ARGISNULL(0) ? NULL : (TrainingSums *) PG_GETARG_POINTER(0);
	const LogitModel *model = logit_step_model(fcinfo);
	LogitStepRow row;

	if (sums == NULL)
	{
		sums = MemoryContextAllocZero(context, sizeof(TrainingSums));
		sums->inputs = input_sums_create(context, model);
	}
	if (!input_sums_fit(sums->inputs, model))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model given to cdp.training_sums_agg must be the same in all rows of a group")));
	sums->step = logit_step_add(fcinfo, sums->step, context, &row);
	if (row.levels != NULL)
		input_sums_add(sums->inputs, row.count, row.numbers, row.levels, PG_GETARG_FLOAT8(3));
	else if (!PG_ARGISNULL(2) && !PG_ARGISNULL(3))
		add_incomplete(fcinfo, sums->inputs, PG_GETARG_FLOAT8(3));
	PG_RETURN_POINTER(sums);
}

static bytea *
training_sums_write(TrainingSums *sums)
{
	LogitStep  *step = sums->step == NULL ? NULL : logit_step_flushed_copy(sums->step);
	bytea	   *inputs = input_sums_write(sums->inputs);
	Size		step_size = step == NULL ? 0 : VARSIZE(step);
	Size		size = add_size(add_size(sizeof(TrainingSumsHeader), step_size), VARSIZE(inputs));
	TrainingSumsHeader *header = palloc(size);

	SET_VARSIZE(header, size);
	header->step_size = (int32) step_size;
	if (step != NULL)
		memcpy(header + 1, step, step_size);
	memcpy((char *) (header + 1) + step_size, inputs, VARSIZE(inputs));
	return (bytea *) header;
}

/*
 * What training_sums_write wrote, in the given context; the step is NULL where there is none.
 */
void
training_sums_read(MemoryContext context, bytea *bytes, LogitStep **step, InputSums **inputs)
{
	TrainingSumsHeader *header = (TrainingSumsHeader *) PG_DETOAST_DATUM_COPY(PointerGetDatum(bytes));
	Size		size = VARSIZE(header);

	if (size < sizeof(TrainingSumsHeader) + VARHDRSZ || header->step_size < 0 || header->step_size > size - sizeof(TrainingSumsHeader) - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of cdp.training_sums_agg")));
	*step = NULL;
	if (header->step_size > 0)
	{
		LogitStep  *copy = memcpy(MemoryContextAlloc(context, header->step_size), header + 1, header->step_size);

		*step = logit_step_get(PointerGetDatum(copy));
	}
	*inputs = input_sums_read(context, (bytea *) ((char *) (header + 1) + header->step_size));
	pfree(header);
}

static TrainingSums *
training_sums_of(MemoryContext context, bytea *bytes)
{
	TrainingSums *sums = MemoryContextAlloc(context, sizeof(TrainingSums));

	training_sums_read(context, bytes, &sums->step, &sums->inputs);
	return sums;
}

Datum
cdp_training_sums_agg_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	TrainingSums *sums;
	TrainingSums *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (TrainingSums *) PG_GETARG_POINTER(1);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(training_sums_of(context, training_sums_write(other)));
	sums = (TrainingSums *) PG_GETARG_POINTER(0);
	input_sums_merge(sums->inputs, other->inputs);
	if (sums->step == NULL && other->step != NULL)
		sums->step = memcpy(MemoryContextAlloc(context, VARSIZE(other->step)), other->step, VARSIZE(other->step));
	else if (other->step != NULL)
		logit_step_merge(sums->step, other->step);
	PG_RETURN_POINTER(sums);
}

Datum
cdp_training_sums_agg_serialize(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(training_sums_write((TrainingSums *) PG_GETARG_POINTER(0)));
}

Datum
cdp_training_sums_agg_deserialize(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	PG_RETURN_POINTER(training_sums_of(CurrentMemoryContext, PG_GETARG_BYTEA_PP(0)));
}

Datum
cdp_training_sums_agg_final(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(training_sums_write((TrainingSums *) PG_GETARG_POINTER(0)));
}

/* ---- bins of a row ---- */

static Datum
bins_of(const LogitModel *model, const double *numbers, const int *levels)
{
	Datum	   *bins = cdp_palloc_array(Datum, add_size(add_size(model->numbers, model->categories), 1));
	int			count = 0;

	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];

		for (int j = 0; j < feature->bins_count; j++)
			if (feature->kind == LOGIT_CATEGORY)
			{
				int			level = levels[feature->input];

				bins[count++] = Int16GetDatum((int16) (level >= 0 ? level : feature->level_count + (level == LOGIT_NULL_LEVEL ? 1 : 0)));
			}
			else
				bins[count++] = Int16GetDatum((int16) input_number_bin(&feature->bins[j], numbers[feature->input + j]));
	}
	if (count == 0)
		return (Datum) 0;
	return PointerGetDatum(construct_array(bins, count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

/*
 * cdp.input_bins(model, features float8[] [, categories text[]]) returns int2[]
 *
 * The bin of each input, from 0, in the order of cdp.feature_shares; that of NULL
 * is the last one.  Arguments as of cdp.predict; NULL where these are not what the
 * model wants, where it does not say how its inputs were distributed, and without
 * a model.
 */
Datum
cdp_input_bins(PG_FUNCTION_ARGS)
{
	const LogitModel *model;
	const double *numbers = NULL;
	int			count = 0;
	int		   *levels;
	Datum		result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	model = features_argument(fcinfo);
	if (PG_ARGISNULL(1))
	{
		double	   *none = cdp_palloc_array(double, add_size(model->numbers, 1));

		for (int i = 0; i < model->numbers; i++)
			none[i] = NAN;
		numbers = none;
	}
	else
	{
		numbers = numbers_of(PG_GETARG_ARRAYTYPE_P(1), &count);
		if (count != model->numbers)
			PG_RETURN_NULL();
	}
	levels = cdp_palloc_array(int, add_size(model->categories, 1));
	if (PG_NARGS() < 3 || PG_ARGISNULL(2))
	{
		for (int i = 0; i < model->categories; i++)
			levels[i] = LOGIT_NULL_LEVEL;
	}
	else
		logit_levels_with_nulls(model, PG_GETARG_ARRAYTYPE_P(2), levels);
	result = bins_of(model, numbers, levels);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * cdp.input_bins(model, row) returns int2[]
 *
 * The same for a row, as of cdp.predict_row.
 */
Datum
cdp_input_bins_row(PG_FUNCTION_ARGS)
{
	const LogitModel *model;
	double	   *numbers;
	int		   *levels;
	Datum		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	model = features_argument(fcinfo);
	numbers = cdp_palloc_array(double, add_size(model->numbers, 1));
	levels = cdp_palloc_array(int, add_size(model->categories, 1));
	(void) logit_row_inputs(model, PG_GETARG_HEAPTUPLEHEADER(1), numbers, levels, true);
	result = bins_of(model, numbers, levels);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
