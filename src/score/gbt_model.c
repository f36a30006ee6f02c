/*
 * gbt_model.c
 *		Boosted trees: the value cdp.gbt_model, predictions and contributions.  They
 *		need neither XGBoost nor the module that trains.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "cdp.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "score/document.h"
#include "score/gbt_model.h"
#include "score/logit_rows.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_gbt_model_in);
PG_FUNCTION_INFO_V1(cdp_gbt_model_out);
PG_FUNCTION_INFO_V1(cdp_gbt_model_recv);
PG_FUNCTION_INFO_V1(cdp_gbt_model_send);
PG_FUNCTION_INFO_V1(cdp_predict_gbt);
PG_FUNCTION_INFO_V1(cdp_predict_row_gbt);
PG_FUNCTION_INFO_V1(cdp_explain_prediction_gbt);
PG_FUNCTION_INFO_V1(cdp_explain_prediction_gbt_row);

/* ---- the document ---- */

void
gbt_allocate_tree(GbtTree *tree, int nodes)
{
	tree->nodes = nodes;
	tree->feature = cdp_palloc0_array(int, add_size(nodes, 1));
	tree->threshold = cdp_palloc0_array(float, add_size(nodes, 1));
	tree->left = cdp_palloc0_array(int, add_size(nodes, 1));
	tree->right = cdp_palloc0_array(int, add_size(nodes, 1));
	tree->missing_left = cdp_palloc0_array(bool, add_size(nodes, 1));
	tree->value = cdp_palloc0_array(double, add_size(nodes, 1));
	tree->cover = cdp_palloc0_array(double, add_size(nodes, 1));
	tree->mean = cdp_palloc0_array(double, add_size(nodes, 1));
}

/*
 * The key "trees"; each array has an element for each node.
 */
void
gbt_write_trees(StringInfo text, const GbtTree *trees, int count)
{
	static const char *const keys[] = {"feature", "threshold", "left", "right", "missing_left", "value", "cover"};

	document_write_key(text, "trees");
	appendStringInfoChar(text, '[');
	for (int i = 0; i < count; i++)
	{
		const GbtTree *tree = &trees[i];

		appendStringInfoString(text, i > 0 ? ",{" : "{");
		for (int key = 0; key < lengthof(keys); key++)
		{
			document_write_key(text, keys[key]);
			appendStringInfoChar(text, '[');
			for (int node = 0; node < tree->nodes; node++)
			{
				const double numbers[] = {tree->feature[node], tree->threshold[node], tree->left[node], tree->right[node],
										  tree->missing_left[node], tree->value[node], tree->cover[node]};

				appendStringInfo(text, "%s%s", node > 0 ? "," : "", float8out_internal(numbers[key]));
			}
			appendStringInfoChar(text, ']');
		}
		appendStringInfoChar(text, '}');
	}
	appendStringInfoChar(text, ']');
}

static int
node_number(double number)
{
	if (number != floor(number) || number < -1 || number > INT_MAX)
		document_invalid("a node is not an integer");
	return (int) number;
}

static void
read_tree(JsonbContainer *object, GbtTree *tree, int columns)
{
	static const char *const keys[] = {"feature", "threshold", "left", "right", "missing_left", "value", "cover"};
	const char *problem;
	double	   *numbers[lengthof(keys)];
	int			nodes = 0;

	for (int key = 0; key < lengthof(keys); key++)
	{
		int			count = document_read_numbers(object, keys[key], &numbers[key]);

		if (key > 0 && count != nodes)
			document_invalid("the arrays of a tree are not of the same length");
		nodes = count;
	}
	gbt_allocate_tree(tree, nodes);
	for (int i = 0; i < nodes; i++)
	{
		if (fabs(numbers[1][i]) > FLT_MAX)
			document_invalid("a threshold is out of range");
		tree->feature[i] = node_number(numbers[0][i]);
		tree->threshold[i] = (float) numbers[1][i];
		tree->left[i] = node_number(numbers[2][i]);
		tree->right[i] = node_number(numbers[3][i]);
		tree->missing_left[i] = numbers[4][i] != 0;
		tree->value[i] = numbers[5][i];
		tree->cover[i] = numbers[6][i];
	}
	problem = gbt_check_tree(tree, columns);
	if (problem != NULL)
		document_invalid(problem);
	for (int key = 0; key < lengthof(keys); key++)
		pfree(numbers[key]);
}

/*
 * Read and check a document.
 */
static GbtModel *
gbt_model_read(Jsonb *document)
{
	GbtModel   *model = palloc0(sizeof(GbtModel));
	JsonbContainer *root = &document->root;
	JsonbContainer *array;

	document_check_header(document, "gbt", GBT_MODEL_VERSION);
	model->inputs = palloc0(sizeof(LogitModel));
	logit_features_read(root, model->inputs);
	if (model->inputs->terms < 1)
		document_invalid("the length of a vector is missing");
	model->base = document_read_number_between(root, "base", NAN, -1e6, 1e6);
	array = document_read_array(root, "trees", true);
	model->tree_count = JsonContainerSize(array);
	if (model->tree_count > GBT_MAX_TREES)
		document_invalid("it has too many trees");
	model->trees = cdp_palloc0_array(GbtTree, add_size(model->tree_count, 1));
	for (int i = 0; i < model->tree_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_tree(document_element_object(array, i, "trees"), &model->trees[i], model->inputs->terms - 1);
	}
	return model;
}

Datum
cdp_gbt_model_in(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	gbt_model_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_gbt_model_out(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);

	PG_RETURN_CSTRING(JsonbToCString(NULL, &document->root, VARSIZE(document)));
}

Datum
cdp_gbt_model_recv(PG_FUNCTION_ARGS)
{
	Datum		document = DirectFunctionCall1(jsonb_recv, PG_GETARG_DATUM(0));

	gbt_model_read(DatumGetJsonbP(document));
	PG_RETURN_DATUM(document);
}

Datum
cdp_gbt_model_send(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_send, PG_GETARG_DATUM(0));
}

/* ---- predictions ---- */

/*
 * The columns of a row: numbers as they are, NAN where missing; an indicator for
 * each level of a category but the first, all missing where it is NULL.
 */
void
gbt_fill_row(const LogitModel *inputs, const double *numbers, const int *levels, double *row)
{
	for (int i = 0; i < inputs->feature_count; i++)
	{
		const LogitFeature *feature = &inputs->features[i];

		for (int j = 0; j < feature->length; j++)
			row[feature->first_term - 1 + j] = feature->kind != LOGIT_CATEGORY ? numbers[feature->input + j] : levels[feature->input] == LOGIT_NULL_LEVEL ? NAN
																																						  : levels[feature->input] == j + 1;
	}
}

double
gbt_log_odds(const GbtModel *model, const double *row)
{
	double		sum = model->base;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < model->tree_count; i++)
		sum += gbt_tree_value(&model->trees[i], row);
	return sum;
}

/*
 * What each column contributes to the log odds; the result is the baseline.
 */
double
gbt_contributions(const GbtModel *model, const double *row, double *contributions)
{
	double		baseline = model->base;

	memset(contributions, 0, sizeof(double) * (model->inputs->terms - 1));
	for (int i = 0; i < model->tree_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		baseline += model->trees[i].mean[0];
		gbt_tree_contributions(&model->trees[i], row, contributions);
	}
	return baseline;
}

static void *
read_model(Jsonb *document)
{
	return gbt_model_read(document);
}

/*
 * The model that is argument 0, read once for all calls that get the same.
 */
static GbtModel *
model_argument(FunctionCallInfo fcinfo)
{
	return document_argument(fcinfo, 0, read_model);
}

/*
 * The columns of a row from arguments of the function: arrays, or a row.
 */
static double *
row_argument(FunctionCallInfo fcinfo, const GbtModel *model, bool composite)
{
	const LogitModel *inputs = model->inputs;
	double	   *row = cdp_palloc_array(double, inputs->terms);
	double	   *numbers = cdp_palloc_array(double, inputs->numbers + 1);
	int		   *levels = cdp_palloc_array(int, inputs->categories + 1);

	if (composite)
		logit_row_inputs(inputs, PG_GETARG_HEAPTUPLEHEADER(1), numbers, levels, true);
	else
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);

		if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != inputs->numbers)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("array of features has %d elements, not %d",
							ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), inputs->numbers)));
		logit_numbers_with_nulls(array, numbers);
		if (PG_NARGS() > 2)
			logit_levels_with_nulls(inputs, PG_GETARG_ARRAYTYPE_P(2), levels);
		else if (inputs->categories > 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the model has categories"),
					 errhint("Use cdp.predict_row(model, row), or pass the categories as an array of text.")));
	}
	gbt_fill_row(inputs, numbers, levels, row);
	return row;
}

/*
 * cdp.predict(model cdp.gbt_model, features float8[] [, categories text[]])
 *		returns float8
 *
 * The probability that the label is 1.  A NULL element is a missing value, which
 * trees deal with.
 */
Datum
cdp_predict_gbt(PG_FUNCTION_ARGS)
{
	GbtModel   *model = model_argument(fcinfo);

	PG_RETURN_FLOAT8(logit_probability(gbt_log_odds(model, row_argument(fcinfo, model, false))));
}

/*
 * cdp.predict_row(model cdp.gbt_model, row) returns float8
 */
Datum
cdp_predict_row_gbt(PG_FUNCTION_ARGS)
{
	GbtModel   *model = model_argument(fcinfo);

	PG_RETURN_FLOAT8(logit_probability(gbt_log_odds(model, row_argument(fcinfo, model, true))));
}

static Datum
explain(FunctionCallInfo fcinfo, bool composite)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	GbtModel   *model = gbt_model_read(PG_GETARG_JSONB_P(0));
	double	   *contributions = cdp_palloc_array(double, model->inputs->terms);
	Datum		values[2];
	bool		nulls[2] = {false, false};

	InitMaterializedSRF(fcinfo, 0);
	values[0] = CStringGetTextDatum("(baseline)");
	values[1] = Float8GetDatum(gbt_contributions(model, row_argument(fcinfo, model, composite), contributions));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < model->inputs->feature_count; i++)
	{
		const LogitFeature *feature = &model->inputs->features[i];
		double		sum = 0;

		for (int j = 0; j < feature->length; j++)
		{
			sum += contributions[feature->first_term - 1 + j];
			if (feature->kind != LOGIT_VECTOR)
				continue;
			values[0] = CStringGetTextDatum(logit_term_name(model->inputs, feature->first_term + j));
			values[1] = Float8GetDatum(contributions[feature->first_term - 1 + j]);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
		if (feature->kind == LOGIT_VECTOR)
			continue;
		values[0] = CStringGetTextDatum(feature->name);
		values[1] = Float8GetDatum(sum);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * cdp.explain_prediction(model cdp.gbt_model, features float8[] [, categories text[]])
 *		returns table(feature text, contribution float8)
 */
Datum
cdp_explain_prediction_gbt(PG_FUNCTION_ARGS)
{
	return explain(fcinfo, false);
}

/*
 * cdp.explain_prediction(model cdp.gbt_model, row)
 *		returns table(feature text, contribution float8)
 */
Datum
cdp_explain_prediction_gbt_row(PG_FUNCTION_ARGS)
{
	return explain(fcinfo, true);
}
