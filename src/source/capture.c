/*
 * capture.c
 *		What the trigger function cdp_data.capture() asks C for: the keys of the
 *		rows that a statement changed, and where it stands.
 *
 * The key of a row is an expression of the source's owner, so it is evaluated
 * with the owner's rights, over the rows themselves: they come through a cursor
 * of the trigger function, which alone can read the transition tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "storage/lmgr.h"
#include "storage/latch.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

#include "cdp.h"
#include "query.h"
#include "statement.h"
#include "identity/settings.h"
#include "identity/intake.h"
#include "source/owner.h"
#include "source/take_in.h"

#define FETCH_ROWS	1000

PG_FUNCTION_INFO_V1(cdp_changed_keys);
PG_FUNCTION_INFO_V1(cdp_is_applying);
PG_FUNCTION_INFO_V1(cdp_wait_to_write);

/* The rows of the cursor. */
static Tuplestorestate *
read_changed(const char *name, MemoryContext context, TupleDesc *descriptor)
{
	Portal		portal = SPI_cursor_find(name);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Tuplestorestate *rows = tuplestore_begin_heap(true, false, work_mem);

	if (portal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_CURSOR),
				 errmsg("cursor \"%s\" does not exist", name)));
	*descriptor = CreateTupleDescCopy(portal->tupDesc);
	MemoryContextSwitchTo(caller);
	for (;;)
	{
		SPITupleTable *table;
		uint64		count;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		table = SPI_tuptable;
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
			tuplestore_puttuple(rows, table->vals[i]);
		SPI_freetuptable(table);
		if (count < FETCH_ROWS)
			break;
	}
	return rows;
}

/*
 * Whether the rows in the cursor are what they are said to be is for the trigger
 * function to say, so nobody else may ask: rows of types made for the purpose
 * could run their author's casts with the rights of the source's owner.
 */
static void
require_storage_owner(void)
{
	if (!has_privs_of_role(GetUserId(), storage_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function cdp.changed_keys"),
				 errhint("It is a part of the triggers that capture => 'queue' and 'immediate' install.")));
}

/*
 * cdp.changed_keys(source text, relation regclass, changed refcursor)
 * returns setof text
 *
 * The different keys that the source's expression gives for the rows of an open
 * cursor, NULL ones left out.  No rows when there is no such source, or when
 * the relation is neither its table nor a partition of it.
 *
 * Errors: NULL arguments; no such cursor; what the expression raises; a caller
 * who is not the owner of the storage.
 */
Datum
cdp_changed_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result_info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext per_query;
	MemoryContext context;
	const char *source;
	char	   *cursor;
	char	   *query;
	Oid			types[] = {TEXTOID, REGCLASSOID};
	Datum		arguments[2];
	SourceOwner owner = {0};
	Tuplestorestate *changed;
	TupleDesc	descriptor;
	Tuplestorestate *keys;
	DestReceiver *receiver;
	SPIPlanPtr	plan;
	SPIExecuteOptions options = {0};

	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of cdp.changed_keys must not be null", i == 0 ? "source" : i == 1 ? "relation"
																								  : "changed")));
	require_storage_owner();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	per_query = result_info->econtext->ecxt_per_query_memory;
	source = intake_check_source(PG_GETARG_TEXT_PP(0));
	cursor = text_to_cstring(PG_GETARG_TEXT_PP(2));
	context = CurrentMemoryContext;
	arguments[0] = PG_GETARG_DATUM(0);
	arguments[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	changed = read_changed(cursor, context, &descriptor);
	if (tuplestore_tuple_count(changed) == 0)
	{
		SPI_finish();
		return (Datum) 0;
	}
	if (SPI_execute_with_args("SELECT q.query, q.owner, q.time_zone, q.search_path FROM cdp.changed_query($1, $2) AS q",
							  2, types, arguments, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the definition of source \"%s\"", source);
	if (SPI_processed == 0)
	{
		SPI_finish();
		return (Datum) 0;
	}
	query = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	owner.time_zone = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	owner.search_path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4);
	source_owner_find(&owner, source, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	cdp_register_rows("changed", descriptor, changed);

	source_owner_enter(&owner);
	keys = result_info->setResult;
	receiver = CreateDestReceiver(DestTuplestore);
	SetTuplestoreDestReceiverParams(receiver, keys, per_query, false, NULL, NULL);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	cdp_refuse_temporary((Node *) ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->query_list, "cdp.create_source");
	options.read_only = true;
	options.dest = receiver;
	PG_TRY();
	{
		if (SPI_execute_plan_extended(plan, &options) < 0)
			elog(ERROR, "could not read the keys of changed rows");
	}
	PG_CATCH();
	{
		cdp_rethrow_of_text(context);
	}
	PG_END_TRY();
	source_owner_leave(&owner);
	SPI_finish();
	tuplestore_end(changed);
	return (Datum) 0;
}

/*
 * cdp.is_applying() returns boolean
 *
 * Whether changes of another server are being applied row by row, so that only
 * triggers for rows fire.  The first copy of a table into a subscription fires
 * those for statements as well.
 */
Datum
cdp_is_applying(PG_FUNCTION_ARGS)
{
	if (IsLogicalWorker())
		PG_RETURN_BOOL(MyLogicalRepWorker == NULL || MyLogicalRepWorker->relstate != SUBREL_STATE_DATASYNC);
	/* Workers of other replication systems run no statement either. */
	PG_RETURN_BOOL(ActivePortal == NULL);
}

/*
 * cdp.wait_to_write(keys bigint, patience integer) returns boolean
 *
 * Takes the lock that cdp.take_in needs for so many keys, and waits for it no
 * longer than patience milliseconds.  False: somebody else has it, such as a
 * refresh.
 *
 * Errors: no right to write.
 */
Datum
cdp_wait_to_write(PG_FUNCTION_ARGS)
{
	int64		keys = PG_GETARG_INT64(0);
	int32		patience = PG_GETARG_INT32(1);
	LOCKMODE	lockmode = keys <= TAKE_IN_REALTIME_KEYS ? RowExclusiveLock : ShareRowExclusiveLock;
	Oid			record = graph_relations()->record;
	TimestampTz start = GetCurrentTimestamp();

	if (pg_class_aclcheck(record, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the storage of cdp")));
	while (!ConditionalLockRelationOid(record, lockmode))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), patience))
			PG_RETURN_BOOL(false);
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	PG_RETURN_BOOL(true);
}
