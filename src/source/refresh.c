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
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
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
#include "statement.h"

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

/* The last step: an error when others failed, which names them. */
void
refresh_raise_failures(int64 refresh_id, bool may_commit)
{
	Oid			types[] = {INT8OID, BOOLOID};
	Datum		values[] = {Int64GetDatum(refresh_id), BoolGetDatum(!may_commit)};

	refresh_begin_step(may_commit);
	if (cdp_execute_plainly("SELECT cdp.finish_refresh($1, $2)", 2, types, values, NULL) != SPI_OK_SELECT)
		elog(ERROR, "could not finish the refresh");
	refresh_end_step(may_commit);
}

/* Here and not in SQL, so that an error is not told with the lines of functions that it passed through. */
static void
check_arguments(FunctionCallInfo fcinfo)
{
	Oid			state;

	PreventCommandIfReadOnly("cdp.refresh()");
	(void) graph_relations();	/* raises the errors about storage */
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("full_compare and allow_deletes of cdp.refresh must not be null")));
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("on_error of cdp.refresh must not be null"),
				 errhint("The values are error and report.")));
	if (strcmp(text_to_cstring(PG_GETARG_TEXT_PP(3)), "error") != 0 && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(3)), "report") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid on_error \"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(3))),
				 errhint("The values are error and report.")));
	state = storage_relation(get_namespace_oid("cdp_data", false), "source_state");
	if (pg_class_aclcheck(state, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to refresh"),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'writer').",
						 cdp_quoted_caller())));
}

/* Every name that is asked for must be that of a source. */
static void
check_names(const Refresh *refresh, Datum names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		bool		found = false;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("source must not be null")));
		for (int k = 0; k < refresh->source_count && !found; k++)
			found = strcmp(refresh->sources[k], TextDatumGetCString(elements[i])) == 0;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("source \"%s\" does not exist", TextDatumGetCString(elements[i])),
					 errhint("The view cdp.sources lists the sources.")));
	}
}

/* Finds the sources, in the order of their names, and the number of the refresh.  SPI is connected. */
static void
start_refresh(Refresh *refresh, FunctionCallInfo fcinfo)
{
	Oid			types[] = {TEXTARRAYOID};
	Datum		names[] = {PG_ARGISNULL(0) ? (Datum) 0 : refresh_names(fcinfo)};
	bool		is_null;

	/* Always in this order, so that two refreshes in transaction blocks do not wait for each other. */
	if (SPI_execute_with_args("SELECT s.name FROM cdp_data.source AS s"
							  " WHERE s.relation IS NOT NULL AND ($1 IS NULL OR s.name OPERATOR(pg_catalog.=) ANY ($1)) ORDER BY s.name",
							  1, types, names, PG_ARGISNULL(0) ? "n" : NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the sources");
	refresh->source_count = (int) SPI_processed;
	refresh->sources = MemoryContextAlloc(refresh->context, mul_size(sizeof(char *), add_size(refresh->source_count, 1)));
	for (int i = 0; i < refresh->source_count; i++)
		refresh->sources[i] = MemoryContextStrdup(refresh->context, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	if (!PG_ARGISNULL(0))
		check_names(refresh, names[0]);
	if (SPI_execute("SELECT pg_catalog.nextval('cdp_data.refresh_id')", false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not start the refresh");
	refresh->refresh_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
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
	check_arguments(fcinfo);
	refresh.full_compare = PG_GETARG_BOOL(1);
	refresh.allow_deletes = PG_GETARG_BOOL(2);
	raise_errors = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(3)), "report") != 0;
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
		refresh_raise_failures(refresh.refresh_id, refresh.may_commit);
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
	source_owner_run(query, CDP_QUERY_PARALLEL, keep_key, &list, NULL);
	source_owner_leave(&owner);
	cdp_query_free(query);
	return (Datum) 0;
}
