/*
 * sorted_index.c
 *		Bringing an index over (text, text) up to date with the many rows that
 *		a table has got, from their keys in order.
 *
 * PostgreSQL sorts what an index build reads.  Records of one source have the
 * same first column and often keys with the same beginning, so abbreviated
 * keys tell none of them apart there, and each of n log n comparisons goes to
 * two tuples anywhere in memory: half of the time that all indexes of a first
 * load took, and the part that grew most.  Here the keys, which are in memory
 * anyway, are sorted by eight bytes at a time, beside what is compared, and the
 * build gets them in order; it finds that nothing is left to sort, reads memory
 * from front to back, and need not scan the table.
 *
 * In a table that had rows before, the keys go into the index that is there, one
 * after the other: that is less than building it anew, since neighbours come
 * to the same page.
 *
 * The build asks the table's access method for the rows.  While it runs, the
 * relation's access method is a copy with that one function replaced.  Should
 * the server renew the relation's entry meanwhile, then with the original, and
 * the build reads the table as usual.  What the index holds does not depend on
 * the order in which the rows come.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "port/pg_bswap.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "cdp.h"
#include "identity/settings.h"
#include "identity/sorted_index.h"

/* How many keys ahead memory is fetched. */
#define LOOK_AHEAD		16

typedef struct SortedKey
{
	uint64		prefix;			/* the eight bytes that are compared now */
	const char *key;
	ItemPointerData place;
	uint16		length;
} SortedKey;

StaticAssertDecl(IDENTIFIER_MAX_LENGTH <= PG_UINT16_MAX, "lengths of keys take 16 bits");

struct SortedIndex
{
	Relation	heap;
	Oid			index;
	bool		was_empty;		/* the table had no rows before */
	Datum		leading;		/* first column of every row */
	SortedKey  *keys;
	uint64		capacity;
	uint64		added;
	uint64		placed;
};

#define ST_SORT			sort_by_prefix
#define ST_ELEMENT_TYPE SortedKey
#define ST_COMPARE(a, b) (((a)->prefix > (b)->prefix) - ((a)->prefix < (b)->prefix))
#define ST_SCOPE		static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT			sort_by_rest
#define ST_ELEMENT_TYPE SortedKey
#define ST_COMPARE_ARG_TYPE const uint32
#define ST_COMPARE(a, b, depth) \
	compare_bytes((a)->key + *(depth), (a)->length - *(depth), (b)->key + *(depth), (b)->length - *(depth))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Groups of up to this many keys are compared byte by byte. */
#define SMALL_GROUP		16

/* Whether rows of the index are a leading column and a key, for every row of the table. */
static bool
holds_keys_only(Oid index_id)
{
	Relation	index = index_open(index_id, AccessShareLock);
	bool		result = index->rd_index->indnatts == 2 &&
		RelationGetIndexPredicate(index) == NIL && RelationGetIndexExpressions(index) == NIL;

	index_close(index, NoLock);
	return result;
}

/*
 * Sets out to note the keys of rows that go into the table: an index whose
 * columns are the same leading text in every row, and a key.  NULL when the
 * table is not a heap, the index holds anything besides, or the memory budget does
 * not allow it; the index is to be built the usual way then.
 */
SortedIndex *
sorted_index_begin(Relation heap, Oid index, const char *leading, uint64 rows)
{
	SortedIndex *sorted;

	if (rows == 0 || heap->rd_tableam != GetHeapamTableAmRoutine() ||
		rows > (uint64) maintenance_work_mem * 1024 / 8 / sizeof(SortedKey) || !holds_keys_only(index))
		return NULL;
	sorted = palloc0(sizeof(SortedIndex));
	sorted->heap = heap;
	sorted->index = index;
	sorted->was_empty = RelationGetNumberOfBlocks(heap) == 0;
	sorted->leading = CStringGetTextDatum(leading);
	sorted->capacity = rows;
	sorted->keys = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(SortedKey), rows));
	return sorted;
}

/* The key of the next row, which must live until the index is built. */
void
sorted_index_add(SortedIndex *sorted, const char *key, uint32 length)
{
	if (sorted->added < sorted->capacity)
	{
		sorted->keys[sorted->added].key = key;
		sorted->keys[sorted->added].length = (uint16) length;
	}
	sorted->added++;
}

/* Where the next row came to stand, in the order in which they were added. */
void
sorted_index_place(SortedIndex *sorted, const ItemPointerData *place)
{
	if (sorted->placed < sorted->capacity)
		sorted->keys[sorted->placed].place = *place;
	sorted->placed++;
}

/* Eight bytes as a number in their order; what is beyond the end counts as zero, which no text contains. */
static inline uint64
prefix_at(const SortedKey *key, uint32 depth)
{
	uint64		prefix = 0;
	uint32		left = key->length - depth;

	if (left >= sizeof(prefix))
	{
		memcpy(&prefix, key->key + depth, sizeof(prefix));
		return pg_ntoh64(prefix);
	}
	memcpy(&prefix, key->key + depth, left);
	return pg_ntoh64(prefix);
}

/* Sorts keys that are the same up to depth. */
static void
sort_keys(SortedKey *keys, uint64 count, uint32 depth)
{
	uint64		run;

	check_stack_depth();
	for (uint64 i = 0; i < count; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i + LOOK_AHEAD < count)
			__builtin_prefetch(keys[i + LOOK_AHEAD].key + depth);
		keys[i].prefix = prefix_at(&keys[i], depth);
	}
	sort_by_prefix(keys, count);
	depth += sizeof(uint64);
	for (uint64 i = 0; i < count; i = run)
	{
		for (run = i + 1; run < count && keys[run].prefix == keys[i].prefix; run++)
			;
		/* Keys that ended within the prefix are the same, which a unique index does not have. */
		if (run - i == 1 || (keys[i].prefix & 0xff) == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (run - i <= SMALL_GROUP)
			sort_by_rest(&keys[i], run - i, &depth);
		else
			sort_keys(&keys[i], run - i, depth);
	}
}

/* The key at a place of the order, in memory that each of them is put into. */
static inline void
put_key(const SortedIndex *sorted, uint64 i, text *key)
{
	const SortedKey *at = &sorted->keys[i];

	if (i % 1024 == 0)
		CHECK_FOR_INTERRUPTS();
	if (i + LOOK_AHEAD < sorted->added)
		__builtin_prefetch(at[LOOK_AHEAD].key);
	SET_VARSIZE(key, VARHDRSZ + at->length);
	memcpy(VARDATA(key), at->key, at->length);
}

/* ---------- in place of the scan of the table ---------- */

static SortedIndex *feeding = NULL;
static TableAmRoutine feeding_methods;

static double
feed_index_build(Relation heap, Relation index, IndexInfo *info, bool allow_sync, bool anyvisible, bool progress,
				 BlockNumber start, BlockNumber blocks, IndexBuildCallback callback, void *state, TableScanDesc scan)
{
	SortedIndex *sorted = feeding;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	text	   *key;

	if (sorted == NULL || RelationGetRelid(index) != sorted->index || scan != NULL ||
		start != 0 || blocks != InvalidBlockNumber)
	{
		/* The scan of the table asks its access method for more than this function. */
		heap->rd_tableam = GetHeapamTableAmRoutine();
		return heap->rd_tableam->index_build_range_scan(heap, index, info, allow_sync, anyvisible, progress,
														start, blocks, callback, state, scan);
	}
	key = palloc(VARHDRSZ + IDENTIFIER_MAX_LENGTH);
	values[0] = sorted->leading;
	values[1] = PointerGetDatum(key);
	for (uint64 i = 0; i < sorted->added; i++)
	{
		put_key(sorted, i, key);
		callback(index, &sorted->keys[i].place, values, nulls, true, state);
	}
	pfree(key);
	return (double) sorted->added;
}

static void
build_anew(SortedIndex *sorted)
{
	int			guc_level;

	feeding_methods = *GetHeapamTableAmRoutine();
	feeding_methods.index_build_range_scan = feed_index_build;
	feeding = sorted;
	sorted->heap->rd_tableam = &feeding_methods;
	guc_level = NewGUCNestLevel();
	PG_TRY();
	{
		/* Several processes would scan the table, each for a part. */
		(void) set_config_option("max_parallel_maintenance_workers", "0", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		cdp_reindex_index(sorted->index, sorted->heap->rd_rel->relpersistence);
	}
	PG_FINALLY();
	{
		sorted->heap->rd_tableam = GetHeapamTableAmRoutine();
		feeding = NULL;
	}
	PG_END_TRY();
	AtEOXact_GUC(true, guc_level);
}

/* ---------- into the index that is there ---------- */

static void
insert_keys(SortedIndex *sorted)
{
	Relation	index = index_open(sorted->index, RowExclusiveLock);
	IndexInfo  *info = BuildIndexInfo(index);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdp index insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	text	   *key = palloc(VARHDRSZ + IDENTIFIER_MAX_LENGTH);
	Datum		values[2];
	bool		nulls[2] = {false, false};

	values[0] = sorted->leading;
	values[1] = PointerGetDatum(key);
	caller = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < sorted->added; i++)
	{
		put_key(sorted, i, key);
		(void) index_insert(index, values, nulls, &sorted->keys[i].place, sorted->heap, UNIQUE_CHECK_YES, false, info);
		if (i % 1024 == 0)
			MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	pfree(key);
	pfree(info);
	index_close(index, NoLock);
}

/*
 * Brings the index up to date; false when the keys are not all there, and
 * nothing was done.
 */
bool
sorted_index_build(SortedIndex *sorted)
{
	if (sorted->added > sorted->capacity || sorted->placed != sorted->added)
		return false;
	sort_keys(sorted->keys, sorted->added, 0);
	if (sorted->was_empty)
		build_anew(sorted);
	else
		insert_keys(sorted);
	return true;
}

void
sorted_index_free(SortedIndex *sorted)
{
	pfree(DatumGetPointer(sorted->leading));
	pfree(sorted->keys);
	pfree(sorted);
}
