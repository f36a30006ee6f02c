/*
 * bulk.c
 *		Inserting a large part of a table at once: rows go to the heap without
 *		index entries, and the indexes are brought up to date afterwards: built anew,
 *		all but one that may get its keys in order (sorted_index.c).
 *
 * Only for the sole writer of the graph, and for tables with exactly the columns
 * that are given.  Until it commits, an abort leaves the old indexes in place,
 * which never heard of the new rows.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "cdp.h"
#include "identity/bulk.h"
#include "identity/sorted_index.h"

#define BULK_SLOTS		1000
#define BULK_BYTES		(1024 * 1024)

struct BulkInsert
{
	MemoryContext context;		/* of the rows at hand */
	Relation	relation;
	BulkInsertState state;
	CommandId	command;
	TupleTableSlot *slots[BULK_SLOTS];
	int			count;
	Size		bytes;
	int64		total;
	SortedIndex *sorted;		/* NULL: every index reads the table */
	Oid			sorted_index;
};

BulkInsert *
bulk_begin(Relation relation)
{
	BulkInsert *bulk = palloc0(sizeof(BulkInsert));

	bulk->context = AllocSetContextCreate(CurrentMemoryContext, "cdp bulk insert", ALLOCSET_DEFAULT_SIZES);
	bulk->relation = relation;
	bulk->state = GetBulkInsertState();
	bulk->command = GetCurrentCommandId(true);
	return bulk;
}

/*
 * Has an index brought up to date from the keys, for which bulk_key is called before each
 * bulk_row; rows is how many there will be at most.  For tables and indexes as
 * sorted_index_begin wants them, otherwise without effect.
 */
void
bulk_sort_keys(BulkInsert *bulk, Oid index, const char *leading, uint64 rows)
{
	bulk->sorted_index = index;
	bulk->sorted = sorted_index_begin(bulk->relation, index, leading, rows);
}

/* The key of the next row, which must live until bulk_end. */
void
bulk_key(BulkInsert *bulk, const char *key, uint32 length)
{
	if (bulk->sorted != NULL)
		sorted_index_add(bulk->sorted, key, length);
}

static void
flush(BulkInsert *bulk)
{
	MemoryContext caller;

	if (bulk->count == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	caller = MemoryContextSwitchTo(bulk->context);
	table_multi_insert(bulk->relation, bulk->slots, bulk->count, bulk->command, TABLE_INSERT_SKIP_FSM, bulk->state);
	MemoryContextSwitchTo(caller);
	for (int i = 0; i < bulk->count; i++)
	{
		if (bulk->sorted != NULL)
			sorted_index_place(bulk->sorted, &bulk->slots[i]->tts_tid);
		ExecClearTuple(bulk->slots[i]);
	}
	MemoryContextReset(bulk->context);
	bulk->total += bulk->count;
	bulk->count = 0;
	bulk->bytes = 0;
}

/* Memory for the values of the next row, kept until it is written. */
MemoryContext
bulk_context(BulkInsert *bulk)
{
	return bulk->context;
}

/*
 * Adds a row.  The values are copied into the heap no later than bulk_end;
 * by-reference ones must live in bulk_context.  size is about what they take.
 */
void
bulk_row(BulkInsert *bulk, const Datum *values, const bool *nulls, Size size)
{
	TupleTableSlot *slot;
	int			columns = RelationGetDescr(bulk->relation)->natts;

	if (bulk->slots[bulk->count] == NULL)
		bulk->slots[bulk->count] = table_slot_create(bulk->relation, NULL);
	slot = bulk->slots[bulk->count];
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(Datum) * columns);
	memcpy(slot->tts_isnull, nulls, sizeof(bool) * columns);
	ExecStoreVirtualTuple(slot);
	bulk->bytes += size;
	if (++bulk->count == BULK_SLOTS || bulk->bytes > BULK_BYTES)
		flush(bulk);
}

static void
update_indexes(BulkInsert *bulk)
{
	List	   *indexes = RelationGetIndexList(bulk->relation);
	char		persistence = bulk->relation->rd_rel->relpersistence;
	ListCell   *cell;

	foreach (cell, indexes)
	{
		Oid			index = lfirst_oid(cell);

		if (bulk->sorted == NULL || index != bulk->sorted_index || !sorted_index_build(bulk->sorted))
			cdp_reindex_index(index, persistence);
		CommandCounterIncrement();
	}
	list_free(indexes);
}

/*
 * Writes the remaining rows and brings the indexes of the table up to date.
 */
void
bulk_end(BulkInsert *bulk)
{
	flush(bulk);
	table_finish_bulk_insert(bulk->relation, TABLE_INSERT_SKIP_FSM);
	FreeBulkInsertState(bulk->state);
	for (int i = 0; i < BULK_SLOTS && bulk->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(bulk->slots[i]);
	CommandCounterIncrement();
	if (bulk->total > 0)
		update_indexes(bulk);
	if (bulk->sorted != NULL)
		sorted_index_free(bulk->sorted);
	MemoryContextDelete(bulk->context);
	pfree(bulk);
}
