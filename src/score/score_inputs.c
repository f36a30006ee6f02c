/*
 * score_inputs.c
 *		cdp.count_inputs: how the inputs of a score's model are distributed now.
 *
 * The definition of the score, which is guarded like that of any computed trait,
 * is evaluated for a sample of people with the bins of the inputs in the place of
 * the prediction, with the rights and settings of its owner and in a
 * subtransaction: what fails leaves the score as it is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "cdp.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "query.h"
#include "score/score_expression.h"
#include "statement.h"
#include "trait/expression.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(cdp_count_inputs);

typedef struct InputCounts
{
	MemoryContext context;
	int			inputs;
	int			room;			/* bins of each input */
	int64	   *counts;
	int64		people;
	bool		has_scored;		/* a second column says who is scored */
} InputCounts;

/*
 * People of whom the bins are told: every so many by a hash of their ids, which is
 * the same at each refresh.
 */
static Datum
sample_people(int every)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(every)};
	MemoryContext caller = CurrentMemoryContext;
	Datum		ids = (Datum) 0;
	bool		is_null;

	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.array_agg(r.profile_id) FROM cdp_data.profile_row AS r"
							  " WHERE $1 OPERATOR(pg_catalog.<=) 1 OR"
							  " (pg_catalog.hashint8extended(r.profile_id, 0) OPERATOR(pg_catalog.&) 9223372036854775807) OPERATOR(pg_catalog.%) $1 OPERATOR(pg_catalog.=) 0",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not choose people");
	ids = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	if (!is_null)
	{
		MemoryContext connected = MemoryContextSwitchTo(caller);

		ids = PointerGetDatum(DatumGetArrayTypePCopy(ids));
		MemoryContextSwitchTo(connected);
	}
	SPI_finish();
	return is_null ? (Datum) 0 : ids;
}

static void
take_bins(void *argument, TupleTableSlot *slot)
{
	InputCounts *counts = argument;
	ArrayType  *array;
	const int16 *bins;
	int			length;
	int			most = 0;

	slot_getallattrs(slot);
	if (slot->tts_isnull[1] || (counts->has_scored && slot->tts_isnull[2]))
		return;
	array = DatumGetArrayTypeP(slot->tts_values[1]);
	if (ARR_ELEMTYPE(array) != INT2OID || array_contains_nulls(array))
		return;
	length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	bins = (const int16 *) ARR_DATA_PTR(array);
	for (int i = 0; i < length; i++)
		most = Max(most, bins[i]);
	if (counts->counts == NULL)
		counts->inputs = length;
	/* of one model, all have the same length */
	if (length != counts->inputs)
		return;
	if (counts->counts == NULL || most >= counts->room)
	{
		int			room = Max(most + 1, 16);
		int64	   *grown = MemoryContextAllocZero(counts->context, mul_size(mul_size(sizeof(int64), room), add_size(length, 1)));

		for (int i = 0; i < length && counts->counts != NULL; i++)
			memcpy(grown + (Size) i * room, counts->counts + (Size) i * counts->room, sizeof(int64) * counts->room);
		counts->counts = grown;
		counts->room = room;
	}
	for (int i = 0; i < length; i++)
		if (bins[i] >= 0)
			counts->counts[(Size) i * counts->room + bins[i]]++;
	counts->people++;
}

static Expression *
with_definition(const Expression *expression, char *definition, const char *type_name)
{
	Expression *result = palloc(sizeof(Expression));

	*result = *expression;
	result->definition = definition;
	result->type_name = pstrdup(type_name);
	return result;
}

/*
 * Evaluates expressions, the first of which gives bins, for the people.  The
 * owner's rights are in force.
 */
static void
count_bins(List *expressions, Datum people, InputCounts *counts)
{
	Oid			types[] = {INT8ARRAYOID};
	char	   *sql = expression_statement(expressions, EXPRESSION_GIVEN, 0);
	CdpQuery   *query = cdp_query_prepare_parameters(sql, "cdp.count_inputs", types, 1);

	if (TupleDescAttr(cdp_query_descriptor(query), 1)->atttypid != INT2ARRAYOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the expression of the score is more than a prediction")));
	cdp_query_bind(query, &people);
	(void) cdp_query_run(query, CDP_QUERY_PARALLEL, take_bins, counts);
	cdp_query_free(query);
}

/*
 * The same as the owner; the error, in the current memory context, or NULL.
 */
static ErrorData *
count_as_owner(List *expressions, Datum people, InputCounts *counts)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner_of_resources = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		SourceOwner owner = {0};

		expression_enter(linitial(expressions), &owner);
		cdp_set_option("jit", "off");
		count_bins(expressions, people, counts);
		source_owner_leave(&owner);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner_of_resources;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner_of_resources;
		if (!cdp_is_about_text(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

static void
check_rights(void)
{
	bool		is_null;
	bool		may;

	SPI_connect();
	if (SPI_execute("SELECT pg_catalog.has_table_privilege('cdp_data.score_input', 'INSERT')", true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not look at the rights on scores");
	may = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	SPI_finish();
	if (!may)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to evaluate scores"),
				 errhint("cdp.refresh does so; the owner of the storage grants it with cdp.grant_access(role, 'writer').")));
}

static void
put_row(ReturnSetInfo *result, int place, const InputCounts *counts, const char *problem)
{
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, false, true};

	values[2] = Int64GetDatum(counts->people);
	if (problem != NULL)
	{
		values[3] = CStringGetTextDatum(problem);
		nulls[3] = false;
	}
	else
	{
		Datum	   *elements = cdp_palloc_array(Datum, counts->room);

		for (int i = 0; i < counts->room; i++)
			elements[i] = Int64GetDatum(counts->counts[(Size) (place - 1) * counts->room + i]);
		values[0] = Int32GetDatum(place);
		values[1] = PointerGetDatum(construct_array(elements, counts->room, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
		nulls[0] = nulls[1] = false;
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * cdp.count_inputs(score text, look_up text, every integer,
 *		OUT place integer, OUT counts bigint[], OUT people bigint, OUT problem text)
 *
 * See its comment in sql/score_model_inputs.sql.  Strict.
 *
 * Errors: a caller who may not refresh; what is not due to the expression.
 */
Datum
cdp_count_inputs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	InputCounts counts = {CurrentMemoryContext};
	Expression *expression;
	ScoreInputs inputs;
	ErrorData  *error = NULL;
	Datum		people;

	InitMaterializedSRF(fcinfo, 0);
	check_rights();
	expression = expression_find("trait", text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	if (!score_expression_inputs(expression->definition, text_to_cstring(PG_GETARG_TEXT_PP(1)), &inputs))
	{
		put_row(result, 0, &counts, "its expression does not call cdp.predict or cdp.predict_row with the model");
		return (Datum) 0;
	}
	people = sample_people(PG_GETARG_INT32(2));
	if (people == (Datum) 0)
		return (Datum) 0;
	if (inputs.inputs != NULL)
		error = count_as_owner(list_make1(with_definition(expression, inputs.inputs, "smallint[]")), people, &counts);
	if (inputs.inputs == NULL || error != NULL)
	{
		memset(&counts, 0, sizeof(counts));
		counts.context = CurrentMemoryContext;
		counts.has_scored = true;
		error = count_as_owner(list_make2(with_definition(expression, inputs.call, "smallint[]"),
										  with_definition(expression, inputs.scored, "double precision")),
							   people, &counts);
	}
	if (error != NULL)
		put_row(result, 0, &counts, psprintf("its features cannot be told from its expression (SQLSTATE %s)", unpack_sql_state(error->sqlerrcode)));
	else
		for (int i = 1; i <= counts.inputs; i++)
			put_row(result, i, &counts, NULL);
	return (Datum) 0;
}
