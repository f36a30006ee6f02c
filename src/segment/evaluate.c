/*
 * evaluate.c
 *		Evaluating computed traits and segments for everybody, pass by pass: the
 *		last step of cdp.refresh, and cdp.refresh_segments.
 *
 * A pass evaluates expressions of one owner with the same settings in one read
 * of the events (pass.c) and is a transaction of its own where that is possible,
 * so that what is killed leaves nothing half written, and the next refresh does
 * what is missing.  What fails is divided until the expression that does so is
 * alone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "segment/evaluate.h"
#include "source/refresh.h"

PG_FUNCTION_INFO_V1(cdp_refresh_segments);

/*
 * What a transaction that reads what was there at its beginning wrote would
 * undo what others wrote since: see pass.c.
 */
void
evaluation_check_isolation(bool may_commit)
{
	if (may_commit || !IsolationUsesXactSnapshot())
		return;
	if (SPI_execute("SELECT FROM cdp_data.expression", false, 1) < 0)
		elog(ERROR, "could not read the expressions");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("segments and computed traits cannot be refreshed in a transaction of isolation level repeatable read or serializable"),
				 errhint("Call it outside of a transaction block, where each step is a transaction of its own, or in one of isolation level READ COMMITTED.")));
}

/* The passes that are due, in their order: each an array of expressions. */
static List *
plan_passes(const Evaluation *evaluation, Datum names, bool has_names)
{
	Oid			types[] = {TEXTARRAYOID};
	char		nulls[] = {has_names ? ' ' : 'n', '\0'};
	MemoryContext caller;
	List	   *passes = NIL;

	if (SPI_execute_with_args("SELECT p.expression_ids FROM cdp.plan_evaluation($1) AS p ORDER BY p.place",
							  1, types, &names, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the segments to evaluate");
	caller = MemoryContextSwitchTo(evaluation->context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		is_null;
		Datum		ids = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null);

		if (!is_null)
			passes = lappend(passes, DatumGetArrayTypePCopy(ids));
	}
	MemoryContextSwitchTo(caller);
	return passes;
}

static ArrayType *
some_ids(const Evaluation *evaluation, Datum *ids, int count)
{
	MemoryContext caller = MemoryContextSwitchTo(evaluation->context);
	ArrayType  *array = construct_array(ids, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);

	MemoryContextSwitchTo(caller);
	return array;
}

/* The passes with the first one replaced by its halves. */
static List *
split_pass(const Evaluation *evaluation, List *passes)
{
	Datum	   *ids;
	bool	   *nulls;
	int			count;
	MemoryContext caller;

	deconstruct_array(linitial(passes), INT4OID, sizeof(int32), true, TYPALIGN_INT, &ids, &nulls, &count);
	passes = list_delete_first(passes);
	for (int part = 1; part >= 0; part--)
	{
		int			start = part == 0 ? 0 : count / 2;
		int			size = part == 0 ? count / 2 : count - count / 2;
		ArrayType  *half = some_ids(evaluation, ids + start, size);

		caller = MemoryContextSwitchTo(evaluation->context);
		if (size > 0)
			passes = lcons(half, passes);
		MemoryContextSwitchTo(caller);
	}
	return passes;
}

/* Runs one pass, again where it must; false: it fails and has to be divided. */
static bool
run_pass(const Evaluation *evaluation, ArrayType *ids)
{
	Oid			types[] = {INT8OID, BOOLOID, INT4OID, INT4ARRAYOID};

	for (int attempt = 1;; attempt++)
	{
		Datum		values[] = {Int64GetDatum(evaluation->refresh_id), BoolGetDatum(!evaluation->may_commit),
						  Int32GetDatum(attempt), PointerGetDatum(ids)};
		char	   *outcome;
		bool		again;
		bool		split;

		refresh_begin_step(evaluation->may_commit);
		if (SPI_execute_with_args("SELECT cdp.evaluate_step($1, $2, $3, $4)", 4, types, values, NULL, false, 0) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not evaluate segments");
		outcome = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		again = outcome != NULL && strcmp(outcome, "again") == 0;
		split = outcome != NULL && strcmp(outcome, "split") == 0;
		refresh_end_step(evaluation->may_commit);
		if (!again)
			return !split;
	}
}

/*
 * Evaluates the expressions of these names and what they need (without names:
 * all of them).  SPI is connected.  What fails is noted, not raised.
 */
void
evaluation_run(const Evaluation *evaluation, Datum names, bool has_names)
{
	List	   *passes;
	bool		any = false;

	refresh_begin_step(evaluation->may_commit);
	passes = plan_passes(evaluation, names, has_names);
	refresh_end_step(evaluation->may_commit);
	while (passes != NIL)
	{
		if (run_pass(evaluation, linitial(passes)))
			passes = list_delete_first(passes);
		else
			passes = split_pass(evaluation, passes);
		any = true;
	}
	if (any)
	{
		refresh_begin_step(evaluation->may_commit);
		if (SPI_execute("SELECT cdp.close_segment_days()", false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not count the changes of segments");
		refresh_end_step(evaluation->may_commit);
	}
}

/*
 * cdp.refresh_segments(names text[], on_error text)
 *
 * See its comment in sql/segment_refresh.sql.  NULL names: all.
 *
 * Errors: an unknown name or on_error; a transaction block that does not read
 * what others commit; at the end, with on_error 'error', that expressions
 * failed.
 */
Datum
cdp_refresh_segments(PG_FUNCTION_ARGS)
{
	Evaluation	evaluation = {0};
	Oid			types[] = {TEXTARRAYOID, TEXTOID};
	Datum		values[2];
	char		nulls[3] = {' ', ' ', '\0'};
	bool		raise_errors;
	bool		is_null;

	evaluation.may_commit = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;
	/* of the procedure call, which outlives its transactions */
	evaluation.context = AllocSetContextCreate(evaluation.may_commit ? PortalContext : CurrentMemoryContext,
											   "cdp refresh segments", ALLOCSET_DEFAULT_SIZES);
	raise_errors = PG_ARGISNULL(1) || strcmp(text_to_cstring(PG_GETARG_TEXT_PP(1)), "report") != 0;
	for (int i = 0; i < 2; i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(evaluation.context);

		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(i == 0 ? refresh_names(fcinfo) : PG_GETARG_DATUM(i)));
		MemoryContextSwitchTo(caller);
	}

	if (!evaluation.may_commit)
		ereport(NOTICE,
				(errmsg("cdp.refresh_segments runs inside a transaction block, so all of it is committed at its end or not at all"),
				 errhint("Outside of one, each pass is committed when it is done.")));

	SPI_connect_ext(evaluation.may_commit ? SPI_OPT_NONATOMIC : 0);
	if (SPI_execute_with_args("SELECT cdp.start_evaluation($1, $2)", 2, types, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not start to refresh segments");
	evaluation.refresh_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	evaluation_check_isolation(evaluation.may_commit);
	refresh_end_step(evaluation.may_commit);
	evaluation_run(&evaluation, values[0], nulls[0] == ' ');
	if (raise_errors)
		refresh_raise_failures(evaluation.refresh_id, evaluation.may_commit);
	SPI_finish();
	MemoryContextDelete(evaluation.context);
	PG_RETURN_VOID();
}
