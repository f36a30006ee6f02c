/*
 * logit_train.c
 *		cdp.train_logit: a logistic model of the rows of a query, of any number.
 *
 * Nothing is kept: each pass runs an aggregate over the query, with a plan that may
 * be parallel.  The passes are one for the levels of categories, if there are any,
 * one for the moments and for how the features are distributed
 * (cdp.training_sums_agg), and one for each step of the solver (cdp.logit_step_agg).
 */
#include "postgres.h"

#include "cdp.h"
#include "query.h"
#include "score/inputs.h"
#include "score/logit_rows.h"
#include "score/training.h"
#include "score/training_sums.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_train_logit);

#define FUNCTION_NAME "cdp.train_logit"
/* ---- the other passes ---- */

typedef struct PassResult
{
	MemoryContext context;
	bool		is_first;
	LogitStep  *step;
	InputSums  *inputs;			/* of the first pass */
	int64		rows;
} PassResult;

static void
take_step(void *argument, TupleTableSlot *slot)
{
	PassResult *result = (PassResult *) argument;
	bool		isnull;
	Datum		value;

	result->rows = DatumGetInt64(slot_getattr(slot, 2, &isnull));
	value = slot_getattr(slot, 1, &isnull);
	if (isnull)
		return;
	if (result->is_first)
		training_sums_read(result->context, (bytea *) DatumGetPointer(value), &result->step, &result->inputs);
	else
	{
		LogitStep  *step = logit_step_get(value);

		result->step = memcpy(MemoryContextAlloc(result->context, VARSIZE(step)), step, VARSIZE(step));
	}
}

/*
 * One pass over the rows with the model as it is.  With inputs, it is the first one: how these are
 * distributed comes out too, rows with a NULL among them included.
 */
static LogitSums *
pass(Training *training, InputSums **inputs)
{
	PassResult	result = {CurrentMemoryContext, inputs != NULL};
	Datum		document = PointerGetDatum(logit_model_write(training->model));
	CdpQuery   *query;

	query = cdp_query_prepare_parameters(psprintf("SELECT cdp.%s($1, %s, %s, %s, %s), pg_catalog.count(*) FROM (%s\n) AS given",
												  inputs != NULL ? "training_sums_agg" : "logit_step_agg",
												  training->label, training->weight, training->numbers,
												  training->categories != NULL ? training->categories : "NULL", training->query),
										 FUNCTION_NAME, &training->model_type, 1);
	cdp_query_bind(query, &document);
	cdp_query_run(query, CDP_QUERY_PARALLEL, take_step, &result);
	cdp_query_free(query);
	if (result.step == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no rows to fit a logistic model to"),
				 errdetail(INT64_FORMAT " rows have no features.", result.rows)));
	if (training->model->null_error && result.rows != result.step->sums.rows)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("label, weight and features must not be null"),
				 errhint("With the option nulls => 'skip' such rows are left out and counted.")));
	result.step->sums.skipped = result.rows - result.step->sums.rows;
	if (inputs != NULL)
		*inputs = result.inputs;
	return &result.step->sums;
}

/*
 * The length of the vector is what the other features leave.
 */
static void
find_vector_length(LogitModel *model, int terms)
{
	LogitFeature *vector = NULL;

	terms--;
	for (int i = 0; i < model->feature_count; i++)
		if (model->features[i].kind == LOGIT_VECTOR)
			vector = &model->features[i];
		else
			terms -= model->features[i].length;
	if (vector != NULL)
		vector->length = terms;
}

/*
 * cdp.train_logit(query text, label text, features text[], weight text,
 *		options cdp.logit_options) returns cdp.logit_model
 *
 * query: one SELECT.  label, features, weight: names of its columns; without
 * features, all but label and weight.  options: see cdp.logit_options.
 *
 * The query is run about seven times, each time on the snapshot of the calling
 * statement; it must yield the same rows each time.  NULL as query or label is an
 * error, as are labels that are all the same and columns of a type that says
 * nothing.
 */
Datum
cdp_train_logit(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext outer_context;
	MemoryContext pass_context;
	Training	training = {0};
	LogitOptions options;
	LogitFit	fit;
	LogitOutcome outcome;
	LogitSums  *sums;
	InputSums  *inputs = NULL;
	Jsonb	   *document;

	context = AllocSetContextCreate(CurrentMemoryContext, "cdp train logit", ALLOCSET_DEFAULT_SIZES);
	outer_context = MemoryContextSwitchTo(context);

	training_prepare(&training, PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
					 PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
					 PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2),
					 PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), FUNCTION_NAME);
	logit_options_read(PG_GETARG_DATUM(4), PG_ARGISNULL(4), &options);
	if (options.names != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option names is for cdp.logit_fit"),
				 errhint("Features are called like the columns of the query; rename them there.")));
	training.model_type = get_fn_expr_rettype(fcinfo->flinfo);

	logit_fit_begin(&fit, training.model, &options);
	logit_model_number_inputs(training.model);
	if (training.categories != NULL)
	{
		training_find_levels(&training, false);
		logit_model_number_inputs(training.model);
	}

	sums = pass(&training, &inputs);
	find_vector_length(training.model, sums->terms);
	outcome = logit_fit_start(&fit, sums);
	pass_context = AllocSetContextCreate(context, "cdp train logit pass", ALLOCSET_DEFAULT_SIZES);
	while (outcome == LOGIT_SCAN)
	{
		MemoryContextReset(pass_context);
		MemoryContextSwitchTo(pass_context);
		sums = pass(&training, NULL);
		MemoryContextSwitchTo(context);
		outcome = logit_fit_advance(&fit, sums);
	}
	input_sums_finish(inputs, training.model);
	MemoryContextSwitchTo(outer_context);
	document = logit_fit_finish(&fit, outcome);
	MemoryContextDelete(context);
	PG_RETURN_POINTER(document);
}
