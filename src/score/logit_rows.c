/*
 * logit_rows.c
 *		From SQL values to rows of a logistic model, and the course of a fit
 *		around the solver (see logit_rows.h).
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "cdp.h"
#include "executor/executor.h"
#include "score/logit_rows.h"
#include "utils/builtins.h"

static double
option_number(HeapTupleHeader row, const char *name, double preset, double low, double high)
{
	bool		isnull;
	Datum		value = GetAttributeByName(row, name, &isnull);
	double		number = isnull ? preset : DatumGetFloat8(value);

	if (!(number >= low && number <= high))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option %s must be between %g and %g", name, low, high)));
	return number;
}

static bool
option_boolean(HeapTupleHeader row, const char *name, bool preset)
{
	bool		isnull;
	Datum		value = GetAttributeByName(row, name, &isnull);

	return isnull ? preset : DatumGetBool(value);
}

/*
 * Read a value of type cdp.logit_options; NULL, and a field that is NULL, means
 * the default.
 */
void
logit_options_read(Datum options, bool isnull, LogitOptions *result)
{
	HeapTupleHeader row;
	bool		field_null;
	Datum		field;
	double		positive_weight;

	memset(result, 0, sizeof(LogitOptions));
	result->standardize = true;
	result->max_iterations = 50;
	result->tolerance = 1e-14;
	result->class_weights[0] = result->class_weights[1] = 1;
	if (isnull)
		return;

	row = DatumGetHeapTupleHeader(options);
	result->l1 = option_number(row, "l1", 0, 0, 1e15);
	result->l2 = option_number(row, "l2", 0, 0, 1e15);
	result->standardize = option_boolean(row, "standardize", true);
	field = GetAttributeByName(row, "max_iterations", &field_null);
	if (!field_null)
		result->max_iterations = DatumGetInt32(field);
	if (result->max_iterations < 1 || result->max_iterations > 10000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option max_iterations must be between 1 and 10000")));
	result->tolerance = option_number(row, "tolerance", 1e-14, 1e-24, 1);
	positive_weight = option_number(row, "positive_weight", 1, 1e-9, 1e9);
	result->class_weights[1] = positive_weight;
	result->balanced = option_boolean(row, "balanced", false);
	if (result->balanced && positive_weight != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options balanced and positive_weight exclude each other")));
	field = GetAttributeByName(row, "nulls", &field_null);
	if (!field_null)
	{
		char	   *nulls = text_to_cstring(DatumGetTextPP(field));

		if (strcmp(nulls, "error") == 0)
			result->null_error = true;
		else if (strcmp(nulls, "skip") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option nulls must be \"skip\" or \"error\", not \"%s\"", nulls)));
	}
	field = GetAttributeByName(row, "names", &field_null);
	if (!field_null)
		result->names = DatumGetArrayTypePCopy(field);
}

/*
 * Labels are in [0, 1], weights finite and not negative.
 */
void
logit_check_label(double label, double weight)
{
	if (!(label >= 0 && label <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("label must be between 0 and 1"),
				 errhint("The label is what happened: a boolean, or a number from 0 for no to 1 for yes.")));
	if (!(weight >= 0 && weight <= 1e300))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight must be a finite number that is not negative")));
}

/*
 * The numbers of an array of float8, which must have so many elements, all
 * finite; count 0: any number of them.  Where an element is NULL, has_null is set
 * and the result is NULL.
 */
const double *
logit_read_numbers(ArrayType *array, int count, double *buffer, bool *has_null)
{
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const double *numbers;
	double		check[4] = {0, 0, 0, 0};

	*has_null = false;
	if (ARR_ELEMTYPE(array) != FLOAT8OID || ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("features must be a one-dimensional array of double precision")));
	if (count > 0 && length != count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of features has %d elements, not %d", length, count),
				 errhint("Each row has the same features, in the same order.")));
	if (array_contains_nulls(array))
	{
		*has_null = true;
		return NULL;
	}
	numbers = (const double *) ARR_DATA_PTR(array);

	/* the product with 0 is NaN for what is not finite; no branch for each number */
	for (int i = 0; i + 3 < length; i += 4)
	{
		check[0] += numbers[i] * 0;
		check[1] += numbers[i + 1] * 0;
		check[2] += numbers[i + 2] * 0;
		check[3] += numbers[i + 3] * 0;
	}
	for (int i = length & ~3; i < length; i++)
		check[0] += numbers[i] * 0;
	if (check[0] + check[1] + check[2] + check[3] != 0)
		for (int i = 0; i < length; i++)
			if (!isfinite(numbers[i]))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("feature %d is not a finite number", i + 1),
						 errhint("Use NULL for what is not known.")));
	return numbers;
}

/*
 * The places of the levels of the categories, -1 for unknown ones.  False if one
 * is NULL.
 */
bool
logit_read_levels(const LogitModel *model, ArrayType *array, int *levels)
{
	int			length = array == NULL ? 0 : ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	char	   *position;

	if (length != model->categories)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of categories has %d elements, not %d", length, model->categories),
				 errhint("Pass the values of the model's categories, in its order.")));
	if (length == 0)
		return true;
	if (ARR_ELEMTYPE(array) != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("categories must be an array of text")));
	if (array_contains_nulls(array))
		return false;
	position = ARR_DATA_PTR(array);
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];

		if (feature->kind != LOGIT_CATEGORY)
			continue;
		levels[feature->input] = logit_level(feature, VARDATA_ANY(position), VARSIZE_ANY_EXHDR(position));
		position = position + VARSIZE_ANY(position);
		position = (char *) att_align_nominal(position, TYPALIGN_INT);
	}
	return true;
}

/*
 * A fit begins: the model has its features, the options are taken over.
 */
void
logit_fit_begin(LogitFit *fit, LogitModel *model, const LogitOptions *options)
{
	memset(fit, 0, sizeof(LogitFit));
	fit->model = model;
	fit->options = *options;
	model->l1 = options->l1;
	model->l2 = options->l2;
	model->standardize = options->standardize;
	model->null_error = options->null_error;
	model->class_weights[0] = options->class_weights[0];
	model->class_weights[1] = options->class_weights[1];
}

static void logit_fit_update_model(LogitFit *fit, const double *coefficients);

/*
 * With the moments of the rows: how many terms there are is known now, if not
 * before.  The labels must not be all the same.
 */
LogitOutcome
logit_fit_start(LogitFit *fit, LogitSums *moments)
{
	LogitModel *model = fit->model;
	LogitSolver *solver = &fit->solver;
	int			terms = moments->terms;
	LogitOutcome outcome;

	logit_model_number_inputs(model);
	if (model->terms != terms)
		elog(ERROR, "moments have %d terms, the model %d", terms, model->terms);
	logit_model_allocate_terms(model);

	solver->terms = terms;
	solver->l1 = model->l1;
	solver->l2 = model->l2;
	solver->standardize = model->standardize;
	solver->max_iterations = fit->options.max_iterations;
	solver->tolerance = fit->options.tolerance;
	solver->only_moments = fit->options.balanced;
	solver->mean = model->means;
	solver->deviation = model->deviations;
	solver->scale = model->scales;
	solver->indicator = model->indicator;
	solver->standard_errors = model->standard_errors;
	solver->aliased = model->aliased;
	solver->separated = model->separated;
	solver->coefficients = cdp_palloc0_array(double, terms);
	solver->candidate = cdp_palloc0_array(double, terms);
	solver->step = cdp_palloc0_array(double, terms);
	solver->work = cdp_palloc0_array(double, 2 * (Size) terms);
	solver->factor = cdp_palloc0_array(double, LOGIT_TRIANGLE(terms));
	solver->curvature = cdp_palloc0_array(double, LOGIT_TRIANGLE(terms));

	model->rows = moments->rows;
	model->skipped = moments->skipped;
	model->weight = moments->weight;
	model->positive = moments->positive;
	outcome = logit_solver_start(solver, moments);
	if (outcome == LOGIT_STOPPED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 moments->rows == 0 ? errmsg("no rows to fit a logistic model to") : errmsg("a logistic model cannot be fitted: all labels are %s", moments->positive > 0 ? "1" : "0"),
				 errdetail(INT64_FORMAT " rows, " INT64_FORMAT " more left out because of a NULL.",
						   moments->rows, moments->skipped)));
	for (int i = 0; i < model->terms; i++)
		if (!isfinite(LOGIT_MATRIX(moments)[LOGIT_TRIANGLE(i) + i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("values of the term \"%s\" are too large for a logistic model", logit_term_name(model, i)),
					 errhint("Give them in a larger unit, or take their logarithm.")));
	if (fit->options.balanced)
	{
		model->class_weights[0] = moments->weight / (2 * (moments->weight - moments->positive));
		model->class_weights[1] = moments->weight / (2 * moments->positive);
		solver->null_log_likelihood = -moments->weight * M_LN2;
		solver->coefficients[0] = solver->candidate[0] = 0;
	}
	logit_fit_update_model(fit, solver->candidate);
	model->fitted = true;
	return outcome;
}

LogitOutcome
logit_fit_advance(LogitFit *fit, LogitSums *sums)
{
	LogitOutcome outcome = logit_solver_advance(&fit->solver, sums);

	logit_fit_update_model(fit, outcome == LOGIT_SCAN ? fit->solver.candidate : fit->solver.coefficients);
	return outcome;
}

/*
 * Take the solver's coefficients over, on the raw scale.
 */
static void
logit_fit_update_model(LogitFit *fit, const double *coefficients)
{
	LogitModel *model = fit->model;

	model->center = coefficients[0];
	for (int i = 1; i < model->terms; i++)
		model->coefficients[i] = coefficients[i] / model->scales[i];
}

static void
warn_of_terms(const LogitModel *model, const bool *marked, const char *message, const char *hint)
{
	StringInfoData names;
	int			count = 0;

	initStringInfo(&names);
	for (int i = 1; i < model->terms; i++)
		if (marked[i])
		{
			if (count++ < 20)
				appendStringInfo(&names, "%s%s", count > 1 ? ", " : "", logit_term_name(model, i));
		}
	if (count > 20)
		appendStringInfo(&names, " and %d more", count - 20);
	if (count > 0)
		ereport(WARNING,
				(errmsg("%s: %s", message, names.data),
				 errhint("%s", hint)));
}

/*
 * The document of the model, with warnings about what is wrong with it.
 */
Jsonb *
logit_fit_finish(LogitFit *fit, LogitOutcome outcome)
{
	LogitModel *model = fit->model;
	LogitSolver *solver = &fit->solver;

	model->coefficients[0] = model->center;
	for (int i = 1; i < model->terms; i++)
		if (!model->indicator[i])
			model->coefficients[0] -= model->coefficients[i] * model->means[i];
	model->log_likelihood = solver->log_likelihood;
	model->null_log_likelihood = solver->null_log_likelihood;
	model->decrement = solver->decrement;
	model->iterations = solver->iterations;
	model->converged = solver->converged;

	warn_of_terms(model, model->aliased, "terms left out of the logistic model, because others say the same",
				  "They are marked as aliased in the model; leave their features out, or set l2.");
	if (outcome == LOGIT_SEPARATED)
		warn_of_terms(model, model->separated, "the labels are separated by terms of the logistic model, whose coefficients are without bound",
					  "Their standard errors mean nothing; set l2, or leave the features out.");
	else if (outcome == LOGIT_STOPPED)
		ereport(WARNING,
				(errmsg("the logistic model did not converge in %d iterations", solver->iterations),
				 errhint("Raise max_iterations, or set l2.")));
	return logit_model_write(model);
}
