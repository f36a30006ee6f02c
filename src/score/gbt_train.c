/*
 * gbt_train.c
 *		cdp.train_gbt: boosted trees for the rows of a query.
 *
 * XGBoost trains, in the module cdp_gbt, which is loaded on first use; its trees
 * are taken over into a model of our own, and what both say of the first rows is
 * compared.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "cdp.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "query.h"
#include "score/document.h"
#include "score/gbt.h"
#include "score/gbt_model.h"
#include "score/inputs.h"
#include "score/training.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_train_gbt);

#define FUNCTION_NAME "cdp.train_gbt"

/* So many rows are predicted and explained by both. */
#define CHECKED_ROWS	200

/* XGBoost keeps the matrix again, sparse and in bins. */
#define COPIES	5

typedef struct GbtRows
{
	Training   *training;
	MemoryContext context;
	int			columns;		/* 0: not known yet */
	Size		rows;
	Size		room;
	float	   *matrix;
	float	   *labels;
	float	   *weights;
	double	   *numbers;
	double	   *row;
	int		   *levels;
	InputSums  *inputs;
	int64		skipped;
	double		weight;
	double		positive;
} GbtRows;

static void
load_error_hint(void *argument)
{
	errhint("cdp.train_gbt needs the module cdp_gbt and XGBoost (Debian: libxgboost0); everything else, predictions included, works without.");
}

/*
 * The module, loaded once.
 */
static pg_noinline const GbtInterface *
gbt_interface(void)
{
	static const GbtInterface *loaded = NULL;
	ErrorContextCallback callback;
	GbtInterfaceFunction function;
	const GbtInterface *found;

	if (loaded != NULL)
		return loaded;
	callback.callback = load_error_hint;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	function = (GbtInterfaceFunction) load_external_function(GBT_MODULE, GBT_INTERFACE_FUNCTION, true, NULL);
	error_context_stack = callback.previous;
	found = function();
	if (found->interface_version != GBT_INTERFACE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("module \"cdp_gbt\" is of another version of cdp"),
				 errdetail("Its interface has version %d, and version %d is needed.",
						   found->interface_version, GBT_INTERFACE_VERSION),
				 errhint("Install cdp and cdp_gbt from the same package and reconnect.")));
	loaded = found;
	return found;
}

/*
 * Room for more rows, within maintenance_work_mem, of which XGBoost's copies are
 * part.
 */
static void
reserve_row(GbtRows *rows)
{
	Size		row_size = mul_size(sizeof(float), rows->columns + 2);
	Size		limit = (Size) maintenance_work_mem * 1024 / COPIES;
	Size		room;

	if (rows->rows < rows->room)
		return;
	if (mul_size(rows->rows + 1, row_size) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the rows given to %s need more than maintenance_work_mem", FUNCTION_NAME),
				 errdetail("%zu rows of %d columns.", rows->rows + 1, rows->columns),
				 errhint("Raise maintenance_work_mem, or train on a sample of the rows.")));
	room = Max(Min(Max(rows->room * 2, 1024), limit / row_size), rows->rows + 1);
	if (rows->room == 0)
	{
		rows->matrix = MemoryContextAllocHuge(rows->context, mul_size(room, mul_size(sizeof(float), rows->columns)));
		rows->labels = MemoryContextAllocHuge(rows->context, mul_size(room, sizeof(float)));
		rows->weights = MemoryContextAllocHuge(rows->context, mul_size(room, sizeof(float)));
	}
	else
	{
		rows->matrix = repalloc_huge(rows->matrix, mul_size(room, mul_size(sizeof(float), rows->columns)));
		rows->labels = repalloc_huge(rows->labels, mul_size(room, sizeof(float)));
		rows->weights = repalloc_huge(rows->weights, mul_size(room, sizeof(float)));
	}
	rows->room = room;
}

/*
 * With the first array of numbers, the length of the vector is known.
 */
static void
know_columns(GbtRows *rows, int length)
{
	LogitModel *inputs = rows->training->model;
	MemoryContext outer_context = MemoryContextSwitchTo(rows->context);

	if (inputs->terms == 0)
		for (int i = 0; i < inputs->feature_count; i++)
			if (inputs->features[i].kind == LOGIT_VECTOR)
				inputs->features[i].length = Max(length - inputs->numbers, 0);
	logit_model_number_inputs(inputs);
	if (inputs->terms < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is nothing to predict from"),
				 errdetail("Categories have one level, or arrays are empty.")));
	rows->columns = inputs->terms - 1;
	rows->numbers = cdp_palloc0_array(double, inputs->numbers + 1);
	rows->levels = cdp_palloc0_array(int, inputs->categories + 1);
	rows->row = cdp_palloc0_array(double, inputs->terms);
	rows->inputs = input_sums_create(rows->context, inputs);
	MemoryContextSwitchTo(outer_context);
}

static void
take_row(void *argument, TupleTableSlot *slot)
{
	GbtRows	   *rows = (GbtRows *) argument;
	bool		isnull[4];
	Datum		values[4];
	double		label;
	double		weight;
	ArrayType  *array;
	float	   *target;

	for (int i = 0; i < 4; i++)
		values[i] = slot_getattr(slot, i + 1, &isnull[i]);
	if (isnull[0] || isnull[1] || isnull[2])
	{
		rows->skipped++;
		return;
	}
	label = DatumGetFloat8(values[0]);
	weight = DatumGetFloat8(values[1]);
	logit_check_label(label, weight);
	array = DatumGetArrayTypeP(values[2]);
	if (rows->columns == 0)
		know_columns(rows, ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != rows->training->model->numbers)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of features has %d elements, not %d", ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)),
						rows->training->model->numbers),
				 errhint("Each row has the same features, in the same order.")));
	logit_numbers_with_nulls(array, rows->numbers);
	logit_levels_with_nulls(rows->training->model, isnull[3] ? NULL : DatumGetArrayTypeP(values[3]), rows->levels);
	gbt_fill_row(rows->training->model, rows->numbers, rows->levels, rows->row);
	input_sums_add(rows->inputs, rows->training->model->numbers, rows->numbers, rows->levels, weight);

	reserve_row(rows);
	target = rows->matrix + rows->rows * rows->columns;
	for (int i = 0; i < rows->columns; i++)
	{
		target[i] = (float) rows->row[i];
		if (isinf(target[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("a feature is too large for boosted trees"),
					 errhint("They calculate with numbers of type real.")));
	}
	rows->labels[rows->rows] = (float) label;
	rows->weights[rows->rows] = (float) weight;
	rows->rows++;
	rows->weight += weight;
	rows->positive += weight * label;
}

/* ---- taking over XGBoost's trees ---- */

typedef struct XgboostTree
{
	int			nodes;
	double	   *left;
	double	   *right;
	double	   *feature;
	double	   *condition;
	double	   *missing_left;
	double	   *cover;
} XgboostTree;

/*
 * A node and those below it, each before its children; nodes that XGBoost pruned
 * are not reached.
 */
static int
take_node(const XgboostTree *source, int node, GbtTree *tree, int *used)
{
	int			here = (*used)++;

	check_stack_depth();
	if (node < 0 || node >= source->nodes || here >= source->nodes)
		elog(ERROR, "unexpected tree of XGBoost");
	tree->cover[here] = source->cover[node];
	if (source->left[node] < 0)
	{
		tree->left[here] = tree->right[here] = -1;
		tree->value[here] = source->condition[node];
		return here;
	}
	tree->feature[here] = (int) source->feature[node];
	tree->threshold[here] = (float) source->condition[node];
	tree->missing_left[here] = source->missing_left[node] != 0;
	tree->left[here] = take_node(source, (int) source->left[node], tree, used);
	tree->right[here] = take_node(source, (int) source->right[node], tree, used);
	return here;
}

static JsonbContainer *
object_below(JsonbContainer *object, const char *key)
{
	JsonbValue *value = document_read_key(object, key, true);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		elog(ERROR, "unexpected model of XGBoost: \"%s\"", key);
	return value->val.binary.data;
}

static void
take_model(const char *json, size_t length, GbtModel *model)
{
	Jsonb	   *document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(json, length))));
	JsonbContainer *learner = object_below(&document->root, "learner");
	JsonbContainer *trees = document_read_array(object_below(object_below(learner, "gradient_booster"), "model"), "trees", true);
	char	   *base = document_value_string(document_read_key(object_below(learner, "learner_model_param"), "base_score", true), "base_score");
	double		mean;

	/* newer versions write a vector of one */
	mean = strtod(base[0] == '[' ? base + 1 : base, NULL);
	if (!(mean > 0 && mean < 1))
		elog(ERROR, "unexpected base score of XGBoost: %s", base);
	model->base = -log(1 / mean - 1);
	model->tree_count = JsonContainerSize(trees);
	model->trees = cdp_palloc0_array(GbtTree, add_size(model->tree_count, 1));
	for (int i = 0; i < model->tree_count; i++)
	{
		JsonbContainer *object = document_element_object(trees, i, "trees");
		XgboostTree source;
		GbtTree	   *tree = &model->trees[i];
		const char *problem;
		int			used = 0;

		CHECK_FOR_INTERRUPTS();
		source.nodes = document_read_numbers(object, "left_children", &source.left);
		if (document_read_numbers(object, "right_children", &source.right) != source.nodes ||
			document_read_numbers(object, "split_indices", &source.feature) != source.nodes ||
			document_read_numbers(object, "split_conditions", &source.condition) != source.nodes ||
			document_read_numbers(object, "default_left", &source.missing_left) != source.nodes ||
			document_read_numbers(object, "sum_hessian", &source.cover) != source.nodes)
			elog(ERROR, "unexpected tree of XGBoost");
		gbt_allocate_tree(tree, source.nodes);
		take_node(&source, 0, tree, &used);
		tree->nodes = used;
		problem = gbt_check_tree(tree, model->inputs->terms - 1);
		if (problem != NULL)
			elog(ERROR, "unexpected tree of XGBoost: %s", problem);
	}
}

/*
 * The largest difference between what XGBoost and our own code say of the rows
 * that were checked: of probabilities, and of contributions.
 */
static void
compare(const GbtModel *model, const GbtRows *rows, const GbtRequest *request, const GbtResult *result,
		double *probability, double *contribution)
{
	int			columns = rows->columns;
	double	   *contributions = cdp_palloc_array(double, columns + 1);

	*probability = *contribution = 0;
	for (uint64 i = 0; i < request->checked; i++)
	{
		double		baseline;

		for (int j = 0; j < columns; j++)
			rows->row[j] = rows->matrix[i * columns + j];
		*probability = Max(*probability, fabs(logit_probability(gbt_log_odds(model, rows->row)) - logit_probability(result->margins[i])));
		baseline = gbt_contributions(model, rows->row, contributions);
		for (int j = 0; j <= columns; j++)
			*contribution = Max(*contribution, fabs((j < columns ? contributions[j] : baseline) - result->contributions[i * (columns + 1) + j]));
	}
}

/* The error that ended the training, such as a cancel. */
static ErrorData *interruption;

/*
 * Asked before each tree: whether to end.  An interrupt need not be the end, and
 * an error must not jump over what XGBoost holds, so it is kept.
 */
static bool
interrupted(void)
{
	MemoryContext caller = CurrentMemoryContext;

	interruption = NULL;
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		interruption = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return interruption != NULL;
}

static double
option_between(HeapTupleHeader row, const char *name, bool integer, double preset, double low, double high)
{
	bool		isnull = true;
	Datum		value = row == NULL ? (Datum) 0 : GetAttributeByName(row, name, &isnull);
	double		number = preset;

	if (!isnull)
		number = integer ? DatumGetInt32(value) : DatumGetFloat8(value);
	if (!(number >= low && number <= high))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option %s must be between %g and %g", name, low, high)));
	return number;
}

/*
 * cdp.train_gbt(query text, label text, features text[], weight text,
 *		options cdp.gbt_options) returns cdp.gbt_model
 *
 * The arguments are those of cdp.train_logit; NULL in a feature is a missing
 * value, rows without label or weight are left out.  The rows are held in memory,
 * within maintenance_work_mem.  The same rows in the same order give the same
 * model.
 */
Datum
cdp_train_gbt(PG_FUNCTION_ARGS)
{
	HeapTupleHeader options = PG_ARGISNULL(4) ? NULL : DatumGetHeapTupleHeader(PG_GETARG_DATUM(4));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdp train gbt", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer_context = MemoryContextSwitchTo(context);
	Training	training = {0};
	GbtRows		rows = {0};
	GbtModel	model = {0};
	GbtRequest	request = {0};
	GbtResult	result = {0};
	GbtStatus	status;
	const char *parameters[32];
	int			count = 0;
	CdpQuery   *query;
	StringInfoData written;
	double		probability = 0;
	double		contribution = 0;
	Jsonb	   *document;

	/* before anything else: without the module all of it would be in vain */
	(void) gbt_interface();
	training_prepare(&training, PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
					 PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
					 PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2),
					 PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), FUNCTION_NAME);
	request.trees = (int) option_between(options, "trees", true, 200, 1, GBT_MAX_TREES);
#define PARAMETER(name, value) (parameters[count++] = (name), parameters[count++] = (value))
	PARAMETER("max_depth", psprintf("%d", (int) option_between(options, "depth", true, 3, 1, GBT_MAX_DEPTH)));
	PARAMETER("eta", float8out_internal(option_between(options, "learning_rate", false, 0.1, 1e-6, 1)));
	PARAMETER("min_child_weight", float8out_internal(option_between(options, "min_weight", false, 1, 1e-6, 1e9)));
	PARAMETER("lambda", float8out_internal(option_between(options, "l2", false, 1, 0, 1e9)));
	PARAMETER("alpha", float8out_internal(option_between(options, "l1", false, 0, 0, 1e9)));
	PARAMETER("gamma", float8out_internal(option_between(options, "min_gain", false, 0, 0, 1e9)));
	PARAMETER("subsample", float8out_internal(option_between(options, "row_share", false, 1, 0.01, 1)));
	PARAMETER("colsample_bytree", float8out_internal(option_between(options, "column_share", false, 1, 0.01, 1)));
	PARAMETER("scale_pos_weight", float8out_internal(option_between(options, "positive_weight", false, 1, 1e-9, 1e9)));
	PARAMETER("seed", psprintf("%d", (int) option_between(options, "seed", true, 0, 0, INT_MAX)));
	PARAMETER("objective", "binary:logistic");
	PARAMETER("tree_method", "hist");
	parameters[count] = NULL;

	if (training.categories != NULL)
	{
		training_find_levels(&training, true);
		logit_model_number_inputs(training.model);
	}
	rows.training = &training;
	rows.context = context;
	query = cdp_query_prepare(psprintf("SELECT %s, (%s)::pg_catalog.float8, %s, %s FROM (%s\n) AS given", training.label, training.weight,
									   training.numbers, training.categories != NULL ? training.categories : "NULL::pg_catalog.text[]", training.query),
							  FUNCTION_NAME);
	cdp_query_run(query, CDP_QUERY_PARALLEL, take_row, &rows);
	cdp_query_free(query);
	if (rows.rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no rows to fit a model to"),
				 errdetail(INT64_FORMAT " rows left out because of a NULL.", rows.skipped)));
	if (!(rows.positive > 0 && rows.positive < rows.weight))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("boosted trees cannot be fitted: all labels are %s", rows.positive > 0 ? "1" : "0")));
	PARAMETER("base_score", float8out_internal(rows.positive / rows.weight));
	parameters[count] = NULL;
	Assert(count < lengthof(parameters));

	request.matrix = rows.matrix;
	request.labels = rows.labels;
	request.weights = rows.weights;
	request.rows = rows.rows;
	request.columns = rows.columns;
	request.checked = Min(rows.rows, CHECKED_ROWS);
	request.parameters = parameters;
	request.interrupted = interrupted;
	status = gbt_interface()->train(&request, &result);
	if (status == GBT_INTERRUPTED)
		ReThrowError(interruption);
	if (status == GBT_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("XGBoost could not train: %s", result.message)));

	input_sums_finish(rows.inputs, training.model);
	model.inputs = training.model;
	PG_TRY();
	{
		take_model(result.model, result.length, &model);
		compare(&model, &rows, &request, &result, &probability, &contribution);
	}
	PG_FINALLY();
	{
		gbt_interface()->release(&result);
	}
	PG_END_TRY();
	if (!(probability < 1e-4 && contribution < 1e-3))
		elog(ERROR, "trees taken over from XGBoost give other predictions: %g, %g", probability, contribution);

	initStringInfo(&written);
	appendStringInfoChar(&written, '{');
	document_write_string(&written, "model", "gbt");
	document_write_integer(&written, "version", GBT_MODEL_VERSION);
	document_write_string(&written, "label", training.model->label);
	logit_features_write(&written, training.model);
	document_write_key(&written, "options");
	appendStringInfoChar(&written, '{');
	document_write_integer(&written, "trees", request.trees);
	for (int i = 0; parameters[i] != NULL; i += 2)
		document_write_string(&written, parameters[i], parameters[i + 1]);
	appendStringInfoChar(&written, '}');
	document_write_integer(&written, "n", rows.rows);
	document_write_integer(&written, "skipped", rows.skipped);
	document_write_number(&written, "weight", rows.weight);
	document_write_number(&written, "positive", rows.positive);
	document_write_number(&written, "largest_difference", Max(probability, contribution));
	document_write_number(&written, "base", model.base);
	gbt_write_trees(&written, model.trees, model.tree_count);
	appendStringInfoChar(&written, '}');
	MemoryContextSwitchTo(outer_context);
	document = document_finish(&written);
	MemoryContextDelete(context);
	PG_RETURN_POINTER(document);
}
