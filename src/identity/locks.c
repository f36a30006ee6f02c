/*
 * locks.c
 *		What a real-time call locks, when others may write at the same time.
 *
 * In this order: the key of the record, new identifiers (both as advisory
 * locks in a class of their own, since there is no row yet), then the rows of
 * profiles in the order of their ids.  The lock on a profile covers its
 * members, their states, and every link that one of them is an end of: a link
 * changes only under the locks of both ends.  What was read before a lock was
 * had is read again after it.
 *
 * An operation that is the only writer (graph->exclusive) needs none of this.
 * A transaction with very many advisory locks makes itself that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"
#include "statement.h"

/* Users' own advisory locks are of class 1 and 2. */
#define LOCK_CLASS_RECORD		0xCD01
#define LOCK_CLASS_IDENTIFIER	0xCD02

/*
 * Advisory locks stand in the server's lock table, which all sessions share.  A
 * transaction that takes in very many records becomes the only writer instead.
 */
#define ADVISORY_LOCKS_MAX		(8 * max_locks_per_xact)

static void
lock_hash(Graph *graph, uint32 high, uint32 low, uint16 class)
{
	static TimestampTz transaction = 0;
	static int	count = 0;
	LOCKTAG		tag;

	if (CheckRelationLockedByMe(graph->record_relation, ShareRowExclusiveLock, true))
		return;
	if (transaction != GetCurrentTransactionStartTimestamp())
	{
		transaction = GetCurrentTransactionStartTimestamp();
		count = 0;
	}
	if (++count > ADVISORY_LOCKS_MAX)
	{
		LockRelation(graph->record_relation, ShareRowExclusiveLock);
		return;
	}
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, high, low, class);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * Nobody else writes this record until the end of the transaction.
 */
void
lock_record(Graph *graph, uint32 position)
{
	const GraphRecord *record = &graph->records[position];

	if (graph->exclusive)
		return;
	lock_hash(graph, record->hash, record->key_length, LOCK_CLASS_RECORD);
	graph_refresh_snapshot(graph);
}

static int
compare_record_locks(const void *left, const void *right, void *argument)
{
	const GraphRecord *a = &((const Graph *) argument)->records[*(const uint32 *) left];
	const GraphRecord *b = &((const Graph *) argument)->records[*(const uint32 *) right];

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

/*
 * The same for all records in memory, in an order that everybody keeps to.
 */
void
lock_records(Graph *graph)
{
	uint32	   *order;

	if (graph->exclusive || graph->record_count == 0)
		return;
	order = cdp_palloc_array(uint32, graph->record_count);
	for (uint32 i = 0; i < graph->record_count; i++)
		order[i] = i;
	qsort_arg(order, graph->record_count, sizeof(uint32), compare_record_locks, graph);
	for (uint32 i = 0; i < graph->record_count; i++)
		lock_hash(graph, graph->records[order[i]].hash, graph->records[order[i]].key_length, LOCK_CLASS_RECORD);
	graph_refresh_snapshot(graph);
	pfree(order);
}

static int
compare_uint32(const void *left, const void *right)
{
	uint32		a = *(const uint32 *) left;
	uint32		b = *(const uint32 *) right;

	return (a > b) - (a < b);
}

/*
 * Nobody else stores the identifiers that are not stored yet; some may turn
 * out to be stored by then.
 */
void
lock_new_identifiers(Graph *graph)
{
	uint32	   *hashes;
	uint32		count = 0;

	if (graph->exclusive)
		return;
	hashes = cdp_palloc_array(uint32, add_size(graph->identifier_count, 1));
	for (uint32 i = 0; i < graph->identifier_count; i++)
		if (graph->identifiers[i].id == 0)
			hashes[count++] = graph->identifiers[i].hash;
	if (count > 0)
	{
		qsort(hashes, count, sizeof(uint32), compare_uint32);
		for (uint32 i = 0; i < count; i++)
			if (i == 0 || hashes[i] != hashes[i - 1])
				lock_hash(graph, 0, hashes[i], LOCK_CLASS_IDENTIFIER);
		graph_refresh_snapshot(graph);
		load_stored_ids(graph);
	}
	pfree(hashes);
}

/*
 * Locks the rows of these profiles, in the order of their ids.
 *
 * Errors: a serialization failure when the transaction's snapshot does not
 * see one of them.
 */
void
lock_profiles(Graph *graph, int64 *profile_ids, uint32 count)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum	   *datums;
	Datum		argument;
	uint32		distinct = 0;

	if (count == 0)
		return;
	qsort(profile_ids, count, sizeof(int64), cdp_compare_int64);
	datums = cdp_palloc_array(Datum, count);
	for (uint32 i = 0; i < count; i++)
		if (i == 0 || profile_ids[i] != profile_ids[i - 1])
			datums[distinct++] = Int64GetDatum(profile_ids[i]);
	argument = PointerGetDatum(construct_array(datums, distinct, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));

	SPI_connect();
	cdp_statement(&plan, "SELECT p.profile_id FROM cdp_data.profile AS p"
						 " WHERE p.profile_id OPERATOR(pg_catalog.=) ANY ($1)"
						 " ORDER BY p.profile_id USING OPERATOR(pg_catalog.<) FOR UPDATE",
				  1, types);
	if (SPI_execute_plan(plan, &argument, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock profiles");
	if (SPI_processed != distinct)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent changes of identities"),
				 errhint("Retry the transaction.")));
	SPI_finish();

	for (uint32 i = 0; i < distinct; i++)
	{
		uint32		profile = graph_find_profile(graph, DatumGetInt64(datums[i]), true);

		graph->profiles[profile].is_locked = true;
	}
	pfree(datums);
	graph_refresh_snapshot(graph);
}

/*
 * Locks the profiles of all identifiers that records touch, until none of
 * them moved meanwhile.
 */
void
lock_touched(Graph *graph)
{
	if (graph->exclusive)
		return;
	for (;;)
	{
		int64	   *wanted = NULL;
		uint32		count = 0;
		uint32		capacity = 0;

		for (uint32 i = 0; i < graph->identifier_count; i++)
		{
			const GraphIdentifier *identifier = &graph->identifiers[i];
			uint32		profile;

			if (!identifier->is_touched || identifier->old_profile == 0)
				continue;
			profile = graph_find_profile(graph, identifier->old_profile, true);
			if (graph->profiles[profile].is_locked)
				continue;
			wanted = graph_grow(graph->context, wanted, count, &capacity, sizeof(int64));
			wanted[count++] = identifier->old_profile;
		}
		if (count == 0)
			return;
		lock_profiles(graph, wanted, count);
		pfree(wanted);
		for (uint32 i = 0; i < graph->identifier_count; i++)
			if (graph->identifiers[i].is_touched && graph->identifiers[i].id != 0 &&
				graph->identifiers[i].component == NO_INDEX)
				load_identifier_again(graph, i);
	}
}
