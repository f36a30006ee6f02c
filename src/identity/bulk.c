/*
 * bulk.c
 *		Inserting a large part of a table at once: rows go to the heap without
 *		index entries, and the indexes are built afterwards.
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
		ExecClearTuple(bulk->slots[i]);
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

/*
 * Writes the remaining rows and builds the indexes of the table anew.
 */
void
bulk_end(BulkInsert *bulk)
{
	Oid			relation = RelationGetRelid(bulk->relation);

	flush(bulk);
	table_finish_bulk_insert(bulk->relation, TABLE_INSERT_SKIP_FSM);
	FreeBulkInsertState(bulk->state);
	for (int i = 0; i < BULK_SLOTS && bulk->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(bulk->slots[i]);
	CommandCounterIncrement();
	if (bulk->total > 0)
		(void) cdp_reindex_relation(relation);
	MemoryContextDelete(bulk->context);
	pfree(bulk);
}
