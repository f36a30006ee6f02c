/*
 * logit_model.c
 *		The value cdp.logit_model: reading and writing its document (see
 *		logit_model.h), and the functions of the type.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "cdp.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "score/document.h"
#include "score/inputs.h"
#include "score/logit_model.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(cdp_logit_model_in);
PG_FUNCTION_INFO_V1(cdp_logit_model_out);
PG_FUNCTION_INFO_V1(cdp_logit_model_recv);
PG_FUNCTION_INFO_V1(cdp_logit_model_send);
PG_FUNCTION_INFO_V1(cdp_coefficients);

/* ---- writing ---- */

static const char *const kind_names[] = {"number", "vector", "category"};

/*
 * The key "features" with the features of a model.
 */
void
logit_features_write(StringInfo text, const LogitModel *model)
{
	document_write_key(text, "features");
	appendStringInfoChar(text, '[');
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];

		appendStringInfoString(text, i > 0 ? ",{" : "{");
		document_write_string(text, "name", feature->name);
		document_write_string(text, "type", kind_names[feature->kind]);
		if (feature->kind == LOGIT_VECTOR && feature->length > 0)
			document_write_integer(text, "length", feature->length);
		if (feature->kind == LOGIT_CATEGORY)
		{
			document_write_key(text, "levels");
			appendStringInfoChar(text, '[');
			for (int level = 0; level < feature->level_count; level++)
			{
				if (level > 0)
					appendStringInfoChar(text, ',');
				escape_json(text, feature->levels[level]);
			}
			appendStringInfoChar(text, ']');
		}
		input_bins_write(text, feature);
		appendStringInfoChar(text, '}');
	}
	appendStringInfoChar(text, ']');
}

/*
 * The document of a model.
 */
Jsonb *
logit_model_write(const LogitModel *model)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	document_write_string(&text, "model", "logit");
	document_write_integer(&text, "version", LOGIT_MODEL_VERSION);
	if (model->label != NULL)
		document_write_string(&text, "label", model->label);
	document_write_number(&text, "l1", model->l1);
	document_write_number(&text, "l2", model->l2);
	document_write_boolean(&text, "standardize", model->standardize);
	document_write_string(&text, "nulls", model->null_error ? "error" : "skip");
	document_write_key(&text, "class_weights");
	appendStringInfo(&text, "[%s,%s]", float8out_internal(model->class_weights[0]),
					 float8out_internal(model->class_weights[1]));

	logit_features_write(&text, model);

	if (model->fitted)
	{
		double		intercept = model->center;

		document_write_integer(&text, "n", model->rows);
		document_write_integer(&text, "skipped", model->skipped);
		document_write_number(&text, "weight", model->weight);
		document_write_number(&text, "positive", model->positive);
		document_write_number(&text, "log_likelihood", model->log_likelihood);
		document_write_number(&text, "null_log_likelihood", model->null_log_likelihood);
		document_write_integer(&text, "iterations", model->iterations);
		document_write_boolean(&text, "converged", model->converged);
		document_write_number(&text, "decrement", model->decrement);
		document_write_number(&text, "center", model->center);

		for (int i = 1; i < model->terms; i++)
			if (!model->indicator[i])
				intercept -= model->coefficients[i] * model->means[i];
		document_write_key(&text, "terms");
		appendStringInfoChar(&text, '[');
		for (int i = 0; i < model->terms; i++)
		{
			appendStringInfoString(&text, i > 0 ? ",{" : "{");
			document_write_string(&text, "term", logit_term_name(model, i));
			document_write_number(&text, "coefficient", i == 0 ? intercept : model->aliased[i] ? NAN
																							   : model->coefficients[i]);
			document_write_number(&text, "standard_error", model->standard_errors[i]);
			if (i > 0)
			{
				document_write_number(&text, "mean", model->means[i]);
				document_write_number(&text, "deviation", model->deviations[i]);
			}
			if (model->aliased[i])
				document_write_boolean(&text, "aliased", true);
			if (model->separated[i])
				document_write_boolean(&text, "separated", true);
			appendStringInfoChar(&text, '}');
		}
		appendStringInfoChar(&text, ']');
	}
	appendStringInfoChar(&text, '}');
	return document_finish(&text);
}

/*
 * The name of a term: "(intercept)", the feature's name, name[i] of a vector's
 * i-th element, name=level of a category's level.
 */
char *
logit_term_name(const LogitModel *model, int term)
{
	if (term == 0)
		return pstrdup("(intercept)");
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];
		int			place = term - feature->first_term;

		if (place < 0 || place >= feature->length)
			continue;
		if (feature->kind == LOGIT_NUMBER)
			return pstrdup(feature->name);
		if (feature->kind == LOGIT_VECTOR)
			return psprintf("%s[%d]", feature->name, place + 1);
		return psprintf("%s=%s", feature->name, feature->levels[place + 1]);
	}
	elog(ERROR, "no term %d", term);
}

/* ---- reading ---- */

static void
read_feature(JsonbContainer *object, LogitFeature *feature)
{
	char	   *kind = document_value_string(document_read_key(object, "type", true), "type");
	JsonbContainer *levels;

	feature->name = document_value_string(document_read_key(object, "name", true), "name");
	if (strcmp(kind, "number") == 0)
	{
		feature->kind = LOGIT_NUMBER;
		feature->length = 1;
	}
	else if (strcmp(kind, "vector") == 0)
	{
		feature->kind = LOGIT_VECTOR;
		feature->length = (int) document_read_number_between(object, "length", 0, 0, LOGIT_MAX_TERMS - 1);
	}
	else if (strcmp(kind, "category") == 0)
	{
		feature->kind = LOGIT_CATEGORY;
		levels = document_read_array(object, "levels", true);
		if (JsonContainerSize(levels) < 1 || JsonContainerSize(levels) > LOGIT_MAX_TERMS)
			document_invalid("a category has no or too many levels");
		feature->level_count = JsonContainerSize(levels);
		feature->length = feature->level_count - 1;
		feature->levels = cdp_palloc_array(char *, feature->level_count);
		for (int i = 0; i < feature->level_count; i++)
		{
			feature->levels[i] = document_value_string(getIthJsonbValueFromContainer(levels, i), "levels");
			if (i > 0 && strcmp(feature->levels[i - 1], feature->levels[i]) >= 0)
				document_invalid("levels are not in bytewise order");
		}
	}
	else
		document_invalid("a feature's type is not number, vector or category");
	input_bins_read(object, feature);
}

/*
 * Where the values of each feature are in the arrays that are passed, and which
 * terms are its own; terms stays 0 while a vector's length is not known.
 */
void
logit_model_number_inputs(LogitModel *model)
{
	int			terms = 1;
	bool		known = true;

	model->numbers = 0;
	model->categories = 0;
	for (int i = 0; i < model->feature_count; i++)
	{
		LogitFeature *feature = &model->features[i];

		if (feature->kind == LOGIT_CATEGORY)
			feature->input = model->categories++;
		else
		{
			feature->input = model->numbers;
			model->numbers += feature->length;
			if (feature->length == 0)
				known = false;
		}
		feature->first_term = terms;
		terms += feature->length;
		if (terms > LOGIT_MAX_TERMS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a logistic model cannot have more than %d terms", LOGIT_MAX_TERMS),
					 errhint("A category has one term for each of its levels but the first; group rare levels.")));
	}
	model->terms = known ? terms : 0;
}

/*
 * Room for what each term has; all is zero, but standard errors are none.
 */
void
logit_model_allocate_terms(LogitModel *model)
{
	int			terms = model->terms;

	model->coefficients = cdp_palloc0_array(double, terms);
	model->standard_errors = cdp_palloc0_array(double, terms);
	model->means = cdp_palloc0_array(double, terms);
	model->deviations = cdp_palloc0_array(double, terms);
	model->scales = cdp_palloc0_array(double, terms);
	model->indicator = cdp_palloc0_array(bool, terms);
	model->aliased = cdp_palloc0_array(bool, terms);
	model->separated = cdp_palloc0_array(bool, terms);
	for (int i = 0; i < terms; i++)
	{
		model->standard_errors[i] = NAN;
		model->scales[i] = 1;
	}
	for (int i = 0; i < model->feature_count; i++)
		if (model->features[i].kind == LOGIT_CATEGORY)
			for (int j = 0; j < model->features[i].length; j++)
				model->indicator[model->features[i].first_term + j] = true;
}

/*
 * The features of a document.
 */
void
logit_features_read(JsonbContainer *root, LogitModel *model)
{
	JsonbContainer *array;

	array = document_read_array(root, "features", true);
	if (JsonContainerSize(array) > LOGIT_MAX_TERMS)
		document_invalid("it has too many features");
	model->feature_count = JsonContainerSize(array);
	model->features = cdp_palloc0_array(LogitFeature, model->feature_count + 1);
	for (int i = 0; i < model->feature_count; i++)
		read_feature(document_element_object(array, i, "features"), &model->features[i]);
	logit_model_number_inputs(model);
}

/*
 * Read and check a document.  The result lives in the current memory context and
 * does not point into the document.
 */
LogitModel *
logit_model_read(Jsonb *document)
{
	JsonbContainer *root = &document->root;
	LogitModel *model = palloc0(sizeof(LogitModel));
	JsonbContainer *array;
	JsonbValue *value;

	document_check_header(document, "logit", LOGIT_MODEL_VERSION);
	value = document_read_key(root, "label", false);
	model->label = value == NULL ? NULL : document_value_string(value, "label");
	model->l1 = document_read_number_between(root, "l1", 0, 0, 1e300);
	model->l2 = document_read_number_between(root, "l2", 0, 0, 1e300);
	model->standardize = document_read_boolean(root, "standardize");
	value = document_read_key(root, "nulls", false);
	model->null_error = value != NULL && strcmp(document_value_string(value, "nulls"), "error") == 0;
	model->class_weights[0] = model->class_weights[1] = 1;
	array = document_read_array(root, "class_weights", false);
	if (array != NULL)
	{
		if (JsonContainerSize(array) != 2)
			document_invalid("\"class_weights\" has not two elements");
		for (int i = 0; i < 2; i++)
		{
			value = getIthJsonbValueFromContainer(array, i);
			if (value->type != jbvNumeric)
				document_invalid("a class weight is not a number");
			model->class_weights[i] = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
			if (!(model->class_weights[i] > 0 && isfinite(model->class_weights[i])))
				document_invalid("a class weight is not a positive number");
		}
	}

	logit_features_read(root, model);
	array = document_read_array(root, "terms", false);
	if (array == NULL)
		return model;
	if (model->terms == 0 || JsonContainerSize(array) != model->terms)
		document_invalid("the number of terms is not what the features say");
	logit_model_allocate_terms(model);
	model->fitted = true;
	for (int i = 0; i < model->terms; i++)
	{
		JsonbContainer *term = document_element_object(array, i, "terms");

		model->aliased[i] = i > 0 && document_read_boolean(term, "aliased");
		model->separated[i] = document_read_boolean(term, "separated");
		model->coefficients[i] = document_read_number(term, "coefficient", 0);
		model->standard_errors[i] = document_read_number(term, "standard_error", NAN);
		model->means[i] = document_read_number(term, "mean", 0);
		model->deviations[i] = document_read_number_between(term, "deviation", 0, 0, DBL_MAX);
		if (model->aliased[i])
			model->coefficients[i] = 0;
		if (!model->indicator[i] && model->deviations[i] > 0)
			model->scales[i] = model->deviations[i];
	}
	model->center = document_read_number(root, "center", 0);
	model->rows = (int64) document_read_number_between(root, "n", 0, 0, 9e18);
	model->skipped = (int64) document_read_number_between(root, "skipped", 0, 0, 9e18);
	model->weight = document_read_number(root, "weight", 0);
	model->positive = document_read_number(root, "positive", 0);
	model->log_likelihood = document_read_number(root, "log_likelihood", NAN);
	model->null_log_likelihood = document_read_number(root, "null_log_likelihood", NAN);
	model->decrement = document_read_number(root, "decrement", NAN);
	model->iterations = (int) document_read_number_between(root, "iterations", 0, 0, INT_MAX);
	model->converged = document_read_boolean(root, "converged");
	return model;
}

static void *
read_model(Jsonb *document)
{
	return logit_model_read(document);
}

/*
 * The model that is an argument of a function, read once for all calls that get
 * the same.
 */
LogitModel *
logit_model_argument(FunctionCallInfo fcinfo, int argument)
{
	return document_argument(fcinfo, argument, read_model);
}

/*
 * The place of a level of a category, or -1 where the model does not know it.
 */
int
logit_level(const LogitFeature *feature, const char *value, size_t length)
{
	int			low = 0;
	int			high = feature->level_count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = strncmp(value, feature->levels[middle], length);

		if (order == 0 && feature->levels[middle][length] != '\0')
			order = -1;
		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

/*
 * The linear predictor of a row.  levels: for each category the place of its
 * level; an unknown one (-1) counts like the reference.
 */
double
logit_linear_predictor(const LogitModel *model, const double *numbers, const int *levels)
{
	double		eta = model->center;

	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];
		int			term = feature->first_term;

		if (feature->kind == LOGIT_CATEGORY)
		{
			if (levels[feature->input] > 0)
				eta += model->coefficients[term + levels[feature->input] - 1];
		}
		else
			for (int j = 0; j < feature->length; j++)
				eta += model->coefficients[term + j] * (numbers[feature->input + j] - model->means[term + j]);
	}
	return eta;
}

/* ---- functions of the type ---- */

/*
 * Input: the document as JSON text, checked.
 */
Datum
cdp_logit_model_in(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	logit_model_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_logit_model_out(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_LOGIT_MODEL_P(0);

	PG_RETURN_CSTRING(JsonbToCString(NULL, &document->root, VARSIZE(document)));
}

/*
 * The binary form is jsonb's, which is a version byte and the text.
 */
Datum
cdp_logit_model_recv(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_recv, PG_GETARG_DATUM(0));

	logit_model_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_logit_model_send(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_send, PG_GETARG_DATUM(0));
}

/*
 * cdp.coefficients(model) returns table(term, coefficient, standard_error, z,
 * p_value, odds_ratio, aliased, separated)
 *
 * One row for each term, the intercept first.  z is coefficient / standard error,
 * p_value that of Wald's two-sided test, odds_ratio exp(coefficient).  Aliased
 * terms have no coefficient, penalised models no standard errors: NULL.
 */
Datum
cdp_coefficients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	LogitModel *model = logit_model_read(PG_GETARG_LOGIT_MODEL_P(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->terms && model->fitted; i++)
	{
		double		coefficient = model->coefficients[i];
		double		error = model->standard_errors[i];
		bool		has_error = isfinite(error) && error > 0;
		Datum		values[8];
		bool		nulls[8] = {false};

		values[0] = CStringGetTextDatum(logit_term_name(model, i));
		values[1] = Float8GetDatum(coefficient);
		nulls[1] = model->aliased[i];
		values[2] = Float8GetDatum(error);
		nulls[2] = model->aliased[i] || !has_error;
		values[3] = Float8GetDatum(has_error ? coefficient / error : 0);
		nulls[3] = nulls[2];
		values[4] = Float8GetDatum(has_error ? erfc(fabs(coefficient / error) / M_SQRT2) : 0);
		nulls[4] = nulls[2];
		values[5] = Float8GetDatum(exp(fmin(coefficient, 709)));
		nulls[5] = model->aliased[i];
		values[6] = BoolGetDatum(model->aliased[i]);
		values[7] = BoolGetDatum(model->separated[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
