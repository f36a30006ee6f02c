/*
 * member.c
 *		Whether a person is in a segment: what the columns of cdp.profile_segments
 *		are computed by.
 *
 * Whoever asks for few people is answered from the index.  Whoever goes on
 * asking is likely to ask for everybody, and then the whole segment is read into
 * a bitmap, which lasts for the query: so reading the view for one person takes
 * a few look-ups and reading it for all takes one pass over each segment, whatever
 * the planner thought of it.
 *
 * The table is read without the executor, and so without its checks of rights.
 * In their place the view hands over the key in cdp_data.segment_key, which only
 * those can know who may read the storage: the owner of the view, for whoever
 * may read the view.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "cdp.h"
#include "identity/settings.h"
#include "segment/audience.h"

/* Look-ups by index before the segment is read for the first time. */
#define FIRST_LOAD		256
/* Members that may be read for each look-up so far; a larger segment is tried again later. */
#define LOAD_FACTOR		32

typedef struct Membership
{
	int32		segment_id;
	pg_uuid_t	key;			/* that was found right */
	Oid			heap;
	Oid			index;

	/* What was read belongs to this snapshot. */
	TransactionId xmin;
	TransactionId xmax;
	CommandId	command;
	uint64		completed;

	uint64		lookups;
	uint64		next_load;
	bool		is_loaded;
	int			container_count;
	AudienceContainer *containers;	/* of the members, in the order of ids */
	MemoryContext context;		/* of what was read */
} Membership;

PG_FUNCTION_INFO_V1(cdp_is_segment_member);

static void
forget_members(Membership *membership)
{
	MemoryContextReset(membership->context);
	membership->container_count = 0;
	membership->is_loaded = false;
}

/* Whether this is the key of the storage. */
static bool
is_key(const pg_uuid_t *key, Oid schema, Snapshot snapshot)
{
	Relation	relation = table_open(storage_relation(schema, "segment_key"), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	bool		right = false;

	while (!right && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		null;
		Datum		value = slot_getattr(slot, 1, &null);

		right = !null && memcmp(DatumGetUUIDP(value), key, sizeof(pg_uuid_t)) == 0;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	return right;
}

/* A look-up of the members of a segment (one key) or of one of them (two keys). */
typedef struct MemberScan
{
	Relation	heap;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} MemberScan;

static void
begin_scan(MemberScan *scan, const Membership *membership, Snapshot snapshot, int key_count, int64 profile_id)
{
	ScanKeyData keys[2];

	scan->heap = table_open(membership->heap, AccessShareLock);
	scan->index = index_open(membership->index, AccessShareLock);
	scan->slot = table_slot_create(scan->heap, NULL);
	scan->scan = cdp_index_beginscan(scan->heap, scan->index, snapshot, key_count);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(membership->segment_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(profile_id));
	index_rescan(scan->scan, keys, key_count, NULL, 0);
}

static void
end_scan(MemberScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
	table_close(scan->heap, NoLock);
}

static bool
find_member(const Membership *membership, Snapshot snapshot, int64 profile_id)
{
	MemberScan	scan;
	bool		found;

	begin_scan(&scan, membership, snapshot, 2, profile_id);
	found = index_getnext_slot(scan.scan, ForwardScanDirection, scan.slot);
	end_scan(&scan);
	return found;
}

/* Where the ids with the upper bits of this one are; NULL: none is a member. */
static const AudienceContainer *
container_of(const Membership *membership, uint64 profile_id)
{
	int			low = 0;
	int			high = membership->container_count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (membership->containers[middle].key == profile_id >> 16)
			return &membership->containers[middle];
		if (membership->containers[middle].key < profile_id >> 16)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Takes an audience apart, so that each look-up goes to its container at once. */
static void
keep_containers(Membership *membership, AudienceBytes audience)
{
	AudienceReader reader;
	AudienceContainer container;
	AudienceStatus status;
	int			capacity = 0;

	cdp_audience_check(audience_read(&reader, audience.data, audience.length, false, false), NULL);
	while ((status = audience_next(&reader, &container)) == AUDIENCE_OK)
	{
		if (membership->container_count == capacity)
		{
			AudienceContainer *containers;

			capacity = Max(16, capacity * 2);
			containers = MemoryContextAlloc(membership->context, mul_size(sizeof(AudienceContainer), capacity));
			if (membership->container_count > 0)
			{
				memcpy(containers, membership->containers, mul_size(sizeof(AudienceContainer), membership->container_count));
				pfree(membership->containers);
			}
			membership->containers = containers;
		}
		membership->containers[membership->container_count++] = container;
	}
	if (status != AUDIENCE_END)
		cdp_audience_check(status, reader.problem);
}

/* Reads the segment, unless it turns out to be too large for what was asked so far. */
static void
load_members(Membership *membership, Snapshot snapshot)
{
	MemberScan	scan;
	AudienceSet members;
	uint64		most = membership->lookups * LOAD_FACTOR;
	uint64		count = 0;
	bool		fits = true;

	audience_set_begin(&members, &cdp_audience_host, membership->context);
	begin_scan(&scan, membership, snapshot, 1, 0);
	while (fits && count <= most && index_getnext_slot(scan.scan, ForwardScanDirection, scan.slot))
	{
		bool		null;
		int64		profile_id = DatumGetInt64(slot_getattr(scan.slot, 2, &null));

		/* nobody has a negative id; where the table says so all the same, it is asked each time */
		fits = profile_id >= 0;
		if (fits)
			cdp_audience_check(audience_set_add(&members, (uint64) profile_id), NULL);
		if (++count % 8192 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	end_scan(&scan);
	if (fits && count <= most)
	{
		cdp_audience_check(audience_set_finish(&members), NULL);
		keep_containers(membership, (AudienceBytes){members.bytes.data, members.bytes.length});
		membership->is_loaded = true;
	}
	else
	{
		forget_members(membership);
		membership->next_load = fits ? membership->lookups * 4 : PG_UINT64_MAX;
	}
}

/* The state of this call in this query, for the snapshot of now. */
static Membership *
get_membership(FmgrInfo *call, int32 segment_id, const pg_uuid_t *key, Snapshot snapshot)
{
	Membership *membership = call->fn_extra;
	Oid			schema;

	if (membership == NULL)
	{
		membership = MemoryContextAllocZero(call->fn_mcxt, sizeof(Membership));
		membership->context = AllocSetContextCreate(call->fn_mcxt, "cdp members", ALLOCSET_DEFAULT_SIZES);
		call->fn_extra = membership;
	}
	else if (membership->segment_id == segment_id && membership->xmin == snapshot->xmin && membership->xmax == snapshot->xmax &&
			 membership->command == snapshot->curcid && membership->completed == snapshot->snapXactCompletionCount &&
			 memcmp(&membership->key, key, sizeof(pg_uuid_t)) == 0)
		return membership;

	forget_members(membership);
	schema = get_namespace_oid("cdp_data", false);
	if (!is_key(key, schema, snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to look members of segments up"),
				 errhint("The view cdp.profile_segments shows who is in which segment.")));
	membership->heap = storage_relation(schema, "segment_member");
	membership->index = storage_relation(schema, "segment_member_pkey");
	membership->segment_id = segment_id;
	membership->key = *key;
	membership->xmin = snapshot->xmin;
	membership->xmax = snapshot->xmax;
	membership->command = snapshot->curcid;
	membership->completed = snapshot->snapXactCompletionCount;
	membership->lookups = 0;
	membership->next_load = FIRST_LOAD;
	return membership;
}

/*
 * cdp.is_segment_member(segment_id integer, profile_id bigint, key uuid)
 *		returns boolean
 *
 * Whether the person is in the segment; NULL when an argument is NULL.
 *
 * Errors: the key is not that in cdp_data.segment_key; no storage.
 */
Datum
cdp_is_segment_member(PG_FUNCTION_ARGS)
{
	int32		segment_id = PG_GETARG_INT32(0);
	int64		profile_id = PG_GETARG_INT64(1);
	Snapshot	snapshot = GetActiveSnapshot();
	Membership *membership = get_membership(fcinfo->flinfo, segment_id, PG_GETARG_UUID_P(2), snapshot);

	if (!membership->is_loaded && membership->lookups >= membership->next_load)
		load_members(membership, snapshot);
	if (membership->is_loaded)
	{
		const AudienceContainer *container = container_of(membership, (uint64) profile_id);

		PG_RETURN_BOOL(container != NULL && audience_container_has(container, (uint16) profile_id));
	}
	membership->lookups++;
	PG_RETURN_BOOL(find_member(membership, snapshot, profile_id));
}
