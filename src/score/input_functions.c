/*
 * input_functions.c
 *		How inputs are distributed, in SQL: the aggregate cdp.input_sums_agg of
 *		training, and the bins of a row by a model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "cdp.h"
#include "fmgr.h"
#include "score/inputs.h"
#include "score/logit_rows.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_input_sums_agg_transition);
PG_FUNCTION_INFO_V1(cdp_input_sums_agg_combine);
PG_FUNCTION_INFO_V1(cdp_input_sums_agg_serialize);
PG_FUNCTION_INFO_V1(cdp_input_sums_agg_deserialize);
PG_FUNCTION_INFO_V1(cdp_input_sums_agg_final);
PG_FUNCTION_INFO_V1(cdp_input_bins);
PG_FUNCTION_INFO_V1(cdp_input_bins_row);

/* The features of the model of the row before, as long as it is the same. */
typedef struct FeatureCache
{
	MemoryContext context;
	LogitModel *features;
	Size		size;
	char	   *bytes;
} FeatureCache;

/*
 * The features of a model of any type that has some.
 */
static const LogitModel *
features_argument(FunctionCallInfo fcinfo, int argument)
{
	struct varlena *document = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(argument));
	FeatureCache *cache = (FeatureCache *) fcinfo->flinfo->fn_extra;
	Size		size = VARSIZE_ANY(document);
	MemoryContext outer_context;

	if (cache != NULL && cache->features != NULL && cache->size == size && memcmp(cache->bytes, document, size) == 0)
		return cache->features;
	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FeatureCache));
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "cdp features", ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = cache;
	}
	cache->features = NULL;
	MemoryContextReset(cache->context);
	outer_context = MemoryContextSwitchTo(cache->context);
	cache->bytes = memcpy(palloc(size), document, size);
	cache->size = size;
	cache->features = palloc0(sizeof(LogitModel));
	logit_features_read(&((Jsonb *) PG_DETOAST_DATUM(PointerGetDatum(document)))->root, cache->features);
	MemoryContextSwitchTo(outer_context);
	return cache->features;
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

/* ---- cdp.input_sums_agg ---- */

/*
 * cdp.input_sums_agg_transition(state, model, weight, numbers, categories)
 *
 * A row without a weight does not count; an array that is NULL is one of NULLs.
 */
Datum
cdp_input_sums_agg_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	InputSums  *sums = PG_ARGISNULL(0) ? NULL : (InputSums *) PG_GETARG_POINTER(0);
	const LogitModel *model;
	const double *numbers = NULL;
	int			count = 0;
	int			some_levels[32];
	int		   *levels = some_levels;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the model given to cdp.input_sums_agg must not be null")));
	if (sums == NULL)
		sums = input_sums_create(context, features_argument(fcinfo, 1));
	if (PG_ARGISNULL(2))
		PG_RETURN_POINTER(sums);
	if (!PG_ARGISNULL(3))
		numbers = numbers_of(PG_GETARG_ARRAYTYPE_P(3), &count);
	if (sums->categories > 0)
	{
		model = features_argument(fcinfo, 1);
		if (model->categories != sums->categories)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the model given to cdp.input_sums_agg must be the same in all rows of a group")));
		if (sums->categories > lengthof(some_levels))
			levels = cdp_palloc_array(int, sums->categories);
		if (PG_ARGISNULL(4))
			for (int i = 0; i < sums->categories; i++)
				levels[i] = LOGIT_NULL_LEVEL;
		else
			logit_levels_with_nulls(model, PG_GETARG_ARRAYTYPE_P(4), levels);
		for (int i = 0; i < sums->categories; i++)
			if (levels[i] >= sums->level_counts[i])
				levels[i] = -1;
	}
	input_sums_add(sums, count, numbers, levels, PG_GETARG_FLOAT8(2));
	PG_RETURN_POINTER(sums);
}

Datum
cdp_input_sums_agg_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	InputSums  *sums;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		sums = input_sums_read(context, input_sums_write((InputSums *) PG_GETARG_POINTER(1)));
	else
	{
		sums = (InputSums *) PG_GETARG_POINTER(0);
		input_sums_merge(sums, (InputSums *) PG_GETARG_POINTER(1));
	}
	PG_RETURN_POINTER(sums);
}

Datum
cdp_input_sums_agg_serialize(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(input_sums_write((InputSums *) PG_GETARG_POINTER(0)));
}

Datum
cdp_input_sums_agg_deserialize(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	PG_RETURN_POINTER(input_sums_read(CurrentMemoryContext, PG_GETARG_BYTEA_PP(0)));
}

Datum
cdp_input_sums_agg_final(PG_FUNCTION_ARGS)
{
	(void) cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(input_sums_write((InputSums *) PG_GETARG_POINTER(0)));
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
	model = features_argument(fcinfo, 0);
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
	model = features_argument(fcinfo, 0);
	numbers = cdp_palloc_array(double, add_size(model->numbers, 1));
	levels = cdp_palloc_array(int, add_size(model->categories, 1));
	(void) logit_row_inputs(model, PG_GETARG_HEAPTUPLEHEADER(1), numbers, levels, true);
	result = bins_of(model, numbers, levels);
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
