/*
 * logit_predict.c
 *		Probabilities by a logistic model, for arrays and for rows, and what each
 *		feature contributes to one.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "funcapi.h"
#include "score/logit_rows.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cdp_predict);
PG_FUNCTION_INFO_V1(cdp_predict_row);
PG_FUNCTION_INFO_V1(cdp_explain_prediction);
PG_FUNCTION_INFO_V1(cdp_explain_prediction_row);

static void
require_fitted(const LogitModel *model)
{
	if (!model->fitted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the logistic model has no coefficients")));
}

/*
 * Arguments numbers and categories as the model wants them; false if a value is
 * NULL.  levels has room for the model's categories.
 */
static bool
array_inputs(FunctionCallInfo fcinfo, const LogitModel *model, const double **numbers, int *levels)
{
	bool		has_null;

	if (PG_ARGISNULL(1))
		return false;
	*numbers = NULL;
	if (model->numbers > 0 || ArrayGetNItems(ARR_NDIM(PG_GETARG_ARRAYTYPE_P(1)), ARR_DIMS(PG_GETARG_ARRAYTYPE_P(1))) > 0)
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);

		if (model->numbers == 0)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("array of features must be empty for a model without numbers")));
		*numbers = logit_read_numbers(array, model->numbers, NULL, &has_null);
		if (has_null)
			return false;
	}
	if (PG_NARGS() > 2)
	{
		if (PG_ARGISNULL(2))
			return false;
		return logit_read_levels(model, PG_GETARG_ARRAYTYPE_P(2), levels);
	}
	if (model->categories > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the logistic model has categories"),
				 errhint("Use cdp.predict_row(model, row), or pass the categories as an array of text.")));
	return true;
}

/*
 * cdp.predict(model, features float8[] [, categories text[]]) returns float8
 *
 * The probability that the label is 1.  NULL if the model, an array or one of
 * their elements is NULL; a level that the model does not know counts like the
 * reference.
 */
Datum
cdp_predict(PG_FUNCTION_ARGS)
{
	LogitModel *model;
	const double *numbers;
	int			some_levels[32];
	int		   *levels = some_levels;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	model = logit_model_argument(fcinfo, 0);
	require_fitted(model);
	if (model->categories > lengthof(some_levels))
		levels = cdp_palloc_array(int, model->categories);
	if (!array_inputs(fcinfo, model, &numbers, levels))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(logit_probability(logit_linear_predictor(model, numbers, levels)));
}

/*
 * cdp.predict_row(model, row) returns float8
 *
 * The same, with the values taken from the columns of the row that are called
 * like the model's features.  NULL if one of them is NULL; a column that is
 * missing is an error.
 */
Datum
cdp_predict_row(PG_FUNCTION_ARGS)
{
	LogitModel *model;
	double	   *numbers;
	int		   *levels;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	model = logit_model_argument(fcinfo, 0);
	require_fitted(model);
	numbers = cdp_palloc_array(double, model->numbers + 1);
	levels = cdp_palloc_array(int, model->categories + 1);
	if (!logit_row_inputs(model, PG_GETARG_HEAPTUPLEHEADER(1), numbers, levels, false))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(logit_probability(logit_linear_predictor(model, numbers, levels)));
}

/*
 * One row for the baseline, which is the linear predictor at the means of all
 * terms, and one for each feature: the sum of coefficient * (value - mean) over
 * its terms.  All together are the linear predictor of the row.
 */
static void
write_contributions(ReturnSetInfo *result, const LogitModel *model, const double *numbers, const int *levels)
{
	double		baseline = model->center;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	for (int i = 1; i < model->terms; i++)
		if (model->indicator[i])
			baseline += model->coefficients[i] * model->means[i];
	values[0] = CStringGetTextDatum("(baseline)");
	values[1] = Float8GetDatum(baseline);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];
		double		sum = 0;

		for (int j = 0; j < feature->length; j++)
		{
			int			term = feature->first_term + j;
			double		value = feature->kind == LOGIT_CATEGORY ? levels[feature->input] == j + 1 : numbers[feature->input + j];

			if (feature->kind == LOGIT_VECTOR)
			{
				values[0] = CStringGetTextDatum(logit_term_name(model, term));
				values[1] = Float8GetDatum(model->coefficients[term] * (value - model->means[term]));
				tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			}
			sum += model->coefficients[term] * (value - model->means[term]);
		}
		if (feature->kind == LOGIT_VECTOR)
			continue;
		values[0] = CStringGetTextDatum(feature->name);
		values[1] = Float8GetDatum(sum);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * cdp.explain_prediction(model, features float8[] [, categories text[]])
 *		returns table(feature text, contribution float8)
 *
 * No rows where cdp.predict is NULL.
 */
Datum
cdp_explain_prediction(PG_FUNCTION_ARGS)
{
	LogitModel *model;
	const double *numbers;
	int		   *levels;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	model = logit_model_read(PG_GETARG_LOGIT_MODEL_P(0));
	require_fitted(model);
	levels = cdp_palloc_array(int, model->categories + 1);
	if (array_inputs(fcinfo, model, &numbers, levels))
		write_contributions((ReturnSetInfo *) fcinfo->resultinfo, model, numbers, levels);
	return (Datum) 0;
}

/*
 * cdp.explain_prediction(model, row) returns table(feature text, contribution float8)
 */
Datum
cdp_explain_prediction_row(PG_FUNCTION_ARGS)
{
	LogitModel *model;
	double	   *numbers;
	int		   *levels;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	model = logit_model_read(PG_GETARG_LOGIT_MODEL_P(0));
	require_fitted(model);
	numbers = cdp_palloc_array(double, model->numbers + 1);
	levels = cdp_palloc_array(int, model->categories + 1);
	if (logit_row_inputs(model, PG_GETARG_HEAPTUPLEHEADER(1), numbers, levels, false))
		write_contributions((ReturnSetInfo *) fcinfo->resultinfo, model, numbers, levels);
	return (Datum) 0;
}
