/*
 * refresh.c
 *		cdp.refresh: the procedure that goes through the sources step by step.
 *
 * Each step is one SQL function (sql/source_refresh.sql).  The procedure is C
 * because one in PL/pgSQL with a search_path of its own cannot commit, and each
 * step shall be there for good once it is done: a refresh can be killed at any
 * moment, and the next one goes on.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "cdp.h"
#include "query.h"
#include "identity/stitch.h"
#include "segment/evaluate.h"
#include "source/owner.h"
#include "source/refresh.h"

PG_FUNCTION_INFO_V1(cdp_refresh);
PG_FUNCTION_INFO_V1(cdp_source_keys);

/* ---------- the procedure ---------- */

/* What the steps share; lives as long as the call. */
typedef struct Refresh
{
	bool		may_commit;
	bool		full_compare;
	bool		allow_deletes;
	int64		refresh_id;
	int			source_count;
	char	  **sources;
	MemoryContext context;
} Refresh;

/*
 * Each step is a transaction of its own where that is possible.  It reads what
 * others have committed when it gets there, also if the session's default is
 * to read what was there at its beginning.
 */
void
refresh_begin_step(bool may_commit)
{
	if (may_commit && SPI_execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", false, 0) < 0)
		elog(ERROR, "could not set the isolation level");
}

void
refresh_end_step(bool may_commit)
{
	if (may_commit)
		SPI_commit();
	CHECK_FOR_INTERRUPTS();
}

/* What looked like an array is none. */
static void
names_error_callback(void *argument)
{
	if (geterrcode() == ERRCODE_INVALID_TEXT_REPRESENTATION)
		errhint("A text that begins with { is read as an array.  If it is a name, give it in an array: ARRAY[%s].", quote_literal_cstr(argument));
}

/*
 * The first argument of a call, names or one name, as text[]; it is not NULL.
 * The procedures that take one name are there so that CALL cdp.refresh('crm')
 * does what it says.  A literal without a type becomes text, hence '{crm,shop}'
 * is read as the array that it looks like.
 */
Datum
refresh_names(FunctionCallInfo fcinfo)
{
	char	   *name;
	Datum		element;

	if (get_fn_expr_argtype(fcinfo->flinfo, 0) != TEXTOID)
		return PG_GETARG_DATUM(0);
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (name[0] == '{')
	{
		ErrorContextCallback callback = {error_context_stack, names_error_callback, name};
		Datum		names;

		error_context_stack = &callback;
		names = OidInputFunctionCall(F_ARRAY_IN, name, TEXTOID, -1);
		error_context_stack = callback.previous;
		return names;
	}
	element = PG_GETARG_DATUM(0);
	return PointerGetDatum(construct_array(&element, 1, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Runs a step, which takes the number of the refresh, whether it runs in a
 * transaction block, the attempt, and perhaps a source.  It says whether it
 * should be tried again, after a deadlock for example.
 */
static void
run_step(const Refresh *refresh, const char *sql, const char *source)
{
	Oid			types[] = {INT8OID, BOOLOID, INT4OID, TEXTOID, BOOLOID, BOOLOID};
	Datum		values[6];
	bool		again = true;

	for (int attempt = 1; again; attempt++)
	{
		bool		is_null;

		refresh_begin_step(refresh->may_commit);
		values[0] = Int64GetDatum(refresh->refresh_id);
		values[1] = BoolGetDatum(!refresh->may_commit);
		values[2] = Int32GetDatum(attempt);
		if (source != NULL)
			values[3] = CStringGetTextDatum(source);
		values[4] = BoolGetDatum(refresh->full_compare);
		values[5] = BoolGetDatum(refresh->allow_deletes);
		if (SPI_execute_with_args(sql, source == NULL ? 3 : 6, types, values, NULL, false, 0) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not run a step of the refresh");
		again = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null)) && !is_null;
		refresh_end_step(refresh->may_commit);
	}
}

/* Checks the arguments and finds the sources, in the order of their names. */
static void
start_refresh(Refresh *refresh, FunctionCallInfo fcinfo)
{
	Oid			types[] = {TEXTARRAYOID, BOOLOID, BOOLOID, TEXTOID};
	Datum		values[4];
	char		nulls[5] = {' ', ' ', ' ', ' ', '\0'};
	bool		is_null;
	Datum		sources;
	Datum	   *elements;
	bool	   *element_nulls;
	MemoryContext caller;

	for (int i = 0; i < 4; i++)
	{
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : i == 0 ? refresh_names(fcinfo)
														 : PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	if (SPI_execute_with_args("SELECT r.refresh_id, r.names FROM cdp.start_refresh($1, $2, $3, $4) AS r",
							  4, types, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not start the refresh");
	refresh->refresh_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	sources = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null);
	caller = MemoryContextSwitchTo(refresh->context);
	deconstruct_array(DatumGetArrayTypeP(sources), TEXTOID, -1, false, TYPALIGN_INT, &elements, &element_nulls, &refresh->source_count);
	refresh->sources = cdp_palloc_array(char *, add_size(refresh->source_count, 1));
	for (int i = 0; i < refresh->source_count; i++)
		refresh->sources[i] = TextDatumGetCString(elements[i]);
	MemoryContextSwitchTo(caller);
}

/*
 * cdp.refresh(sources text[], full_compare boolean, allow_deletes boolean,
 *		on_error text)
 * cdp.refresh(source text, full_compare boolean, allow_deletes boolean,
 *		on_error text)
 *
 * See its comment in sql/source_refresh.sql.  NULL sources: all of them; the
 * others must not be NULL.
 *
 * Errors: an unknown source or on_error; segments in a transaction block that
 * does not read what others commit; at the end, with on_error 'error', that
 * sources, computed traits or segments failed.
 */
Datum
cdp_refresh(PG_FUNCTION_ARGS)
{
	Refresh		refresh = {0};
	Evaluation	evaluation;
	bool		raise_errors;

	refresh.may_commit = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;
	refresh.full_compare = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	refresh.allow_deletes = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	raise_errors = PG_ARGISNULL(3) || strcmp(text_to_cstring(PG_GETARG_TEXT_PP(3)), "report") != 0;
	/* of the procedure call, which outlives its transactions */
	refresh.context = AllocSetContextCreate(refresh.may_commit ? PortalContext : CurrentMemoryContext,
											"cdp refresh", ALLOCSET_DEFAULT_SIZES);
	if (!refresh.may_commit)
		ereport(NOTICE,
				(errmsg("cdp.refresh runs inside a transaction block, so all of it is committed at its end or not at all"),
				 errhint("Outside of one, each step is committed when it is done.")));

	SPI_connect_ext(refresh.may_commit ? SPI_OPT_NONATOMIC : 0);
	start_refresh(&refresh, fcinfo);
	evaluation_check_isolation(refresh.may_commit);
	refresh_end_step(refresh.may_commit);
	for (int i = 0; i < refresh.source_count; i++)
		run_step(&refresh, "SELECT cdp.refresh_source($1, $2, $3, $4, $5, $6)", refresh.sources[i]);
	run_step(&refresh, "SELECT cdp.refresh_step($1, $2, $3, 'identities')", NULL);
	run_step(&refresh, "SELECT cdp.refresh_step($1, $2, $3, 'profiles')", NULL);
	evaluation.refresh_id = refresh.refresh_id;
	evaluation.may_commit = refresh.may_commit;
	evaluation.context = refresh.context;
	evaluation_run(&evaluation, (Datum) 0, false);
	if (raise_errors)
		run_step(&refresh, "SELECT cdp.finish_refresh($1, $2, $3)", NULL);
	SPI_finish();
	MemoryContextDelete(refresh.context);
	PG_RETURN_VOID();
}

/* ---------- the keys of a source ---------- */

typedef struct KeyList
{
	Tuplestorestate *rows;
	TupleDesc	descriptor;
} KeyList;

static void
keep_key(void *argument, TupleTableSlot *slot)
{
	KeyList	   *list = argument;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	tuplestore_putvalues(list->rows, list->descriptor, slot->tts_values, slot->tts_isnull);
}

/*
 * cdp.source_keys(source text, since text, OUT record_key text,
 *		OUT watermark text) returns setof record
 *
 * The keys of the rows of a source, past a watermark or (NULL) all of them, and
 * their watermarks as text.  Runs under the role of the source's owner and
 * evaluates nothing but these expressions and the filter.
 *
 * Errors: NULL or unknown source; what the expressions raise.
 */
Datum
cdp_source_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result_info = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];
	char		nulls[] = {' ', ' ', '\0'};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	SourceOwner owner = {0};
	const char *source;
	char	   *sql;
	char	   *role;
	CdpQuery   *query;
	KeyList		list;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source of cdp.source_keys must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	source = intake_check_source(PG_GETARG_TEXT_PP(0));
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	nulls[1] = PG_ARGISNULL(1) ? 'n' : ' ';

	SPI_connect();
	if (SPI_execute_with_args("SELECT q.query, q.owner, q.time_zone, q.search_path FROM cdp.source_query($1, 'list', $2) AS q",
							  2, types, values, nulls, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the definition of source \"%s\"", source);
	spi = MemoryContextSwitchTo(context);
	sql = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	role = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	owner.time_zone = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	owner.search_path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4);
	MemoryContextSwitchTo(spi);
	SPI_finish();

	list.rows = result_info->setResult;
	list.descriptor = result_info->setDesc;
	source_owner_find(&owner, source, role);
	source_owner_enter(&owner);
	query = cdp_query_prepare(sql, "cdp.create_source");
	cdp_query_refuse_temporary(query);
	if (cdp_query_descriptor(query)->natts != list.descriptor->natts)
		elog(ERROR, "the list of keys of source \"%s\" has other columns", source);
	(void) cdp_query_run(query, CDP_QUERY_PARALLEL, keep_key, &list);
	source_owner_leave(&owner);
	cdp_query_free(query);
	return (Datum) 0;
}
