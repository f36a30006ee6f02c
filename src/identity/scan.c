/*
 * scan.c
 *		Look-ups by equality in the indexes of the storage, without the
 *		executor: a real-time call makes dozens of them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "cdp.h"
#include "identity/graph.h"

/*
 * Prepares look-ups in an index of the heap, which stays the caller's.  The
 * current memory context must live as long as the scan.
 */
void
scan_open(StorageScan *scan, Relation heap, Oid index, Snapshot snapshot)
{
	scan->heap = heap;
	scan->index = index_open(index, AccessShareLock);
	scan->snapshot = snapshot;
	scan->slot = table_slot_create(heap, NULL);
	scan->scan = NULL;
	scan->busy = false;
	scan->context = CurrentMemoryContext;
}

static void
start(StorageScan *scan, int key_count, ScanKey keys)
{
	MemoryContext caller;

	if (scan->busy)
		elog(ERROR, "look-ups in index \"%s\" overlap", RelationGetRelationName(scan->index));
	scan->busy = true;
	/* The index keeps memory of its own from one look-up to the next. */
	caller = MemoryContextSwitchTo(scan->context);
	if (scan->scan == NULL || scan->scan->numberOfKeys != key_count)
	{
		if (scan->scan != NULL)
			index_endscan(scan->scan);
		scan->scan = cdp_index_beginscan(scan->heap, scan->index, scan->snapshot, key_count);
	}
	index_rescan(scan->scan, keys, key_count, NULL, 0);
	MemoryContextSwitchTo(caller);
}

static void
init_key(ScanKey key, int column, RegProcedure equal, Oid collation, Datum value)
{
	ScanKeyEntryInitialize(key, 0, column, BTEqualStrategyNumber, InvalidOid, collation, equal, value);
}

void
scan_int64(StorageScan *scan, int64 value)
{
	ScanKeyData key;

	init_key(&key, 1, F_INT8EQ, InvalidOid, Int64GetDatum(value));
	start(scan, 1, &key);
}

void
scan_pair(StorageScan *scan, int64 a, int64 b)
{
	ScanKeyData keys[2];

	init_key(&keys[0], 1, F_INT8EQ, InvalidOid, Int64GetDatum(a));
	init_key(&keys[1], 2, F_INT8EQ, InvalidOid, Int64GetDatum(b));
	start(scan, 2, keys);
}

void
scan_value(StorageScan *scan, int16 namespace_id, const char *value, uint32 length)
{
	ScanKeyData keys[2];

	init_key(&keys[0], 1, F_TEXTEQ, C_COLLATION_OID,
			 PointerGetDatum(cstring_to_text_with_len(value, (int) length)));
	init_key(&keys[1], 2, F_INT2EQ, InvalidOid, Int16GetDatum(namespace_id));
	start(scan, 2, keys);
}

/* The records of a source. */
void
scan_source(StorageScan *scan, const char *source)
{
	ScanKeyData key;

	init_key(&key, 1, F_TEXTEQ, C_COLLATION_OID, PointerGetDatum(cstring_to_text(source)));
	start(scan, 1, &key);
}

void
scan_record(StorageScan *scan, const char *source, const char *key, uint32 key_length)
{
	ScanKeyData keys[2];

	init_key(&keys[0], 1, F_TEXTEQ, C_COLLATION_OID, PointerGetDatum(cstring_to_text(source)));
	init_key(&keys[1], 2, F_TEXTEQ, C_COLLATION_OID,
			 PointerGetDatum(cstring_to_text_with_len(key, (int) key_length)));
	start(scan, 2, keys);
}

/* All rows of the index. */
void
scan_all(StorageScan *scan)
{
	start(scan, 0, NULL);
}

/* The next row, in scan->slot with all its columns; false at the end. */
bool
scan_next(StorageScan *scan)
{
	MemoryContext caller = MemoryContextSwitchTo(scan->context);
	bool		found = index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);

	MemoryContextSwitchTo(caller);
	if (!found)
	{
		scan->busy = false;
		return false;
	}
	slot_getallattrs(scan->slot);
	return true;
}

/* Whether the index has any row. */
bool
scan_has_rows(StorageScan *scan)
{
	bool		found;

	scan_all(scan);
	found = scan_next(scan);
	if (found)
		scan_end(scan);
	return found;
}

/* Ends a look-up before its last row. */
void
scan_end(StorageScan *scan)
{
	ExecClearTuple(scan->slot);
	scan->busy = false;
}

void
scan_close(StorageScan *scan)
{
	if (scan->index == NULL)
		return;
	if (scan->scan != NULL)
		index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
	memset(scan, 0, sizeof(*scan));
}

/* One of the graph's scans, opened on first use. */
StorageScan *
graph_scan(Graph *graph, int which)
{
	StorageScan *scan = &graph->scans[which];
	const GraphRelations *names = graph->relations;

	if (scan->index == NULL)
	{
		const struct
		{
			Relation	heap;
			Oid			index;
		}			sources[SCAN_COUNT] = {
			[SCAN_IDENTIFIER_BY_ID] = {graph->identifier_relation, names->identifier_pkey},
			[SCAN_IDENTIFIER_BY_VALUE] = {graph->identifier_relation, names->identifier_value_key},
			[SCAN_IDENTIFIER_BY_PROFILE] = {graph->identifier_relation, names->identifier_profile_id},
			[SCAN_RECORD_BY_KEY] = {graph->record_relation, names->record_key},
			[SCAN_RECORD_BY_HUB] = {graph->record_relation, names->record_hub},
			[SCAN_LINK_BY_PAIR] = {graph->link_relation, names->link_pkey},
			[SCAN_LINK_BY_B] = {graph->link_relation, names->link_b},
			[SCAN_LABEL_BY_PAIR] = {graph->label_relation, names->label_pair},
			[SCAN_LABEL_BY_B] = {graph->label_relation, names->label_b},
			[SCAN_PROFILE_BY_ID] = {graph->profile_relation, names->profile_pkey},
			[SCAN_PROFILE_RETIRED] = {graph->profile_relation, names->profile_retired_anchor},
			[SCAN_PROFILE_QUEUED] = {graph->profile_relation, names->profile_queued},
		};
		MemoryContext caller = MemoryContextSwitchTo(graph->context);

		scan_open(scan, sources[which].heap, sources[which].index, graph->snapshot);
		MemoryContextSwitchTo(caller);
	}
	return scan;
}
