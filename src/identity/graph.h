/*
 * graph.h
 *		The working set of one identity operation.
 *
 * Every operation (stitch, identify, retract, labels, blocks, rebuild) runs
 * the same steps over this structure:
 *
 *	1. take in records		(graph.c, stitch.c, identify.c)
 *	2. load what they touch	(load.c), or all of it when that is cheaper
 *	3. evidence				(evidence.c): record changes -> link changes
 *	4. partition			(partition.c): link changes -> components
 *	5. relabel				(relabel.c): components -> profile ids
 *	6. write the differences	(store.c, bulk.c)
 *
 * Nothing is written before step 6, so steps 3 to 5 read the storage as it
 * was, overlaid by what is in memory.  Objects refer to each other by index
 * into growing arrays, since arrays move.
 */
#ifndef CDP_IDENTITY_GRAPH_H
#define CDP_IDENTITY_GRAPH_H

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "identity/settings.h"
#include "storage/lockdefs.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define NO_INDEX	UINT32_MAX

/* States of identifiers, links and profiles as stored. */
#define IDENTIFIER_USABLE	'u'
#define IDENTIFIER_SHARED	's'
#define IDENTIFIER_BLOCKED	'b'
#define LINK_JOINED			'j'
#define LINK_REFUSED		'r'
#define LINK_UNUSABLE		'u'
#define PROFILE_LIVE		'l'
#define PROFILE_QUEUED		'p'
#define PROFILE_RETIRED		'r'

typedef struct GraphIdentifier
{
	int64		id;				/* 0 until one is assigned */
	int64		old_profile;	/* as stored, 0 when the identifier is new */
	int64		new_profile;
	const char *value;
	uint32		length;
	uint32		hash;
	uint32		component;		/* NO_INDEX until its profile is loaded */
	uint32		before;			/* component before a replay */
	uint32		next_member;	/* of the component */
	uint32		next_special;	/* of the component's constrained members */
	uint32		first_link;		/* adjacency: link index * 2 + end */
	uint32		first_label;	/* NO_INDEX when it has none */
	int16		namespace_index;
	char		old_state;		/* '\0' when new */
	char		state;
	bool		links_loaded:1;
	bool		labels_loaded:1;
	bool		in_region:1;	/* of the replay under way */
	bool		is_touched:1;	/* by a record that changes */
	bool		heads_gained:1; /* links to it came to count heads */
	bool		heads_lost:1;
} GraphIdentifier;

typedef struct GraphLink
{
	uint32		end[2];			/* a, b */
	uint32		next[2];		/* adjacency of either end */
	TimestampTz first_seen;
	TimestampTz last_seen;
	TimestampTz old_first_seen;
	TimestampTz old_last_seen;
	int32		records;
	int32		head_records;
	int32		old_records;
	int32		old_head_records;
	char		old_state;		/* '\0' when not stored */
	char		state;
	bool		must:1;			/* a must-link holds, resting or not */
	bool		old_must:1;
	bool		times_unknown:1;	/* the record that set a bound went away */
	bool		is_changed:1;	/* is in changed_links */
} GraphLink;

typedef struct GraphRecord
{
	const char *source;
	const char *key;
	uint32		key_length;
	uint32		hash;
	TimestampTz observed_at;
	TimestampTz first_seen;
	uint32	   *ids;			/* indexes of identifiers, in order of strength */
	uint32	   *old_ids;
	TimestampTz old_observed_at;
	TimestampTz old_first_seen;
	uint16		id_count;
	uint16		old_id_count;
	uint32		hub;
	uint32		old_hub;
	uint32		row;			/* of the batch, the one that says what is above; 0: none */
	bool		has_time:1;		/* false: the time of arrival */
	bool		is_timeless:1;	/* a row without a time was taken in */
	bool		is_stored:1;	/* there is an old version */
	bool		is_removed:1;
	bool		is_event:1;		/* an event with one identifier is not stored here */
	bool		is_changed:1;
	bool		is_incoming:1;	/* given by the caller, not loaded for a flip */
} GraphRecord;

typedef struct GraphComponent
{
	uint32		first_member;
	uint32		last_member;
	uint32		size;
	uint32		first_special;
	uint32		last_special;
	bool		replay;			/* must be evaluated again */
	bool		in_region;
	bool		is_unsettled;	/* queued replays are left to a later call */
} GraphComponent;

typedef struct GraphLabel
{
	uint32		end[2];
	uint32		next[2];
	bool		is_must;
} GraphLabel;

typedef struct GraphProfile
{
	int64		profile_id;
	int64		anchor;			/* identifier id */
	int64		old_anchor;
	char		old_state;		/* '\0' when new */
	char		state;
	uint32		component;		/* its members, NO_INDEX until loaded */
	uint32		size;			/* how many they were */
	bool		is_locked:1;
	bool		is_loaded:1;	/* the row was read */
	bool		is_changed:1;
} GraphProfile;

/* A row of identity_change. */
typedef struct GraphChange
{
	bool		is_merge;
	int64		profile_id;
	int64		other_profile_id;
	int64		identifiers;
} GraphChange;

typedef struct GraphCounts
{
	int64		rows_read;
	int64		records_new;
	int64		records_changed;
	int64		records_unchanged;
	int64		identifiers_new;
	int64		links_new;
	int64		profiles_new;
	int64		merges;
	int64		splits;
	int64		refusals;
	int64		rejected;
	int64		identifiers_dropped;
	int64		retracted;
} GraphCounts;

/*
 * An index of the storage, read by equality.  The scan stays open between
 * look-ups; one look-up must end before the next on the same index begins.
 */
typedef struct StorageScan
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext context;
	bool		busy;
} StorageScan;

enum
{
	SCAN_IDENTIFIER_BY_ID,
	SCAN_IDENTIFIER_BY_VALUE,
	SCAN_IDENTIFIER_BY_PROFILE,
	SCAN_RECORD_BY_KEY,
	SCAN_RECORD_BY_HUB,
	SCAN_LINK_BY_PAIR,
	SCAN_LINK_BY_B,
	SCAN_LABEL_BY_PAIR,
	SCAN_LABEL_BY_B,
	SCAN_PROFILE_BY_ID,
	SCAN_PROFILE_RETIRED,
	SCAN_PROFILE_QUEUED,
	SCAN_COUNT
};

struct u64map_hash;
struct valuetable_hash;
struct recordtable_hash;
struct SettledRecords;

typedef struct Graph
{
	MemoryContext context;		/* everything below lives here */
	MemoryContext scratch;		/* reset between rows */
	const GraphSettings *settings;
	const GraphRelations *relations;
	const char *cause;			/* for identity_change */
	bool		read_only;		/* nothing will be written */
	bool		exclusive;		/* nobody else writes: no row locks */
	bool		is_realtime;	/* replays no more than max_replay */
	bool		whole;			/* all identifiers and links are in memory */
	bool		derive;			/* links are derived anew from all records */
	bool		has_labels;

	char	   *arena;
	Size		arena_left;

	GraphIdentifier *identifiers;
	uint32		identifier_count;
	uint32		identifier_capacity;
	struct valuetable_hash *by_value;
	struct u64map_hash *by_id;

	GraphLink  *links;
	uint32		link_count;
	uint32		link_capacity;
	struct u64map_hash *by_pair;
	uint32	   *changed_links;
	uint32		changed_link_count;
	uint32		changed_link_capacity;

	GraphRecord *records;
	uint32		record_count;
	uint32		record_capacity;
	struct recordtable_hash *by_key;
	struct SettledRecords *settled; /* what earlier goes of this call settled, see intake_remember */

	GraphComponent *components;
	uint32		component_count;
	uint32		component_capacity;

	GraphLabel *labels;
	uint32		label_count;
	uint32		label_capacity;
	uint32	   *must_class;		/* union-find over identifiers, NULL without must-links */
	uint32		must_class_count;
	struct KeptValues *kept;	/* of large components, see partition.c */
	uint32		kept_count;
	uint32		kept_capacity;
	struct u64map_hash *kept_of;	/* by component; NULL: none */

	GraphProfile *profiles;
	uint32		profile_count;
	uint32		profile_capacity;
	struct u64map_hash *by_profile;

	uint32	   *replay_seeds;	/* identifiers whose components labels touch */
	uint32		replay_seed_count;
	uint32		replay_seed_capacity;
	bool		is_queued;		/* a replay was too large and was left */

	GraphChange *changes;
	uint32		change_count;
	uint32		change_capacity;

	int64	   *moved;			/* profiles that gained, lost or regained an identifier or a record; set by store_changes */
	uint32		moved_count;
	uint32		moved_capacity;

	TimestampTz now;			/* system time of this operation */
	TimestampTz phase_start;	/* for messages about progress */
	double		phase_processor;	/* processor time of the process by then, in seconds */
	Snapshot	snapshot;
	Relation	identifier_relation;
	Relation	record_relation;
	Relation	link_relation;
	Relation	label_relation;
	Relation	profile_relation;
	StorageScan scans[SCAN_COUNT];

	GraphCounts counts;
} Graph;

/*
 * Whether the record is in, or goes to, cdp_data.record.  The row of an event
 * with one identifier, which gives no link, is its own evidence.
 */
static inline bool
graph_record_is_kept(const GraphRecord *record)
{
	return record->is_stored || !(record->is_event && record->id_count == 1);
}

/* graph.c */
extern bool graph_query_is_running;
extern Graph *graph_create(const GraphSettings *settings, bool exclusive, const char *cause);
extern Graph *graph_create_for(const GraphSettings *settings, bool exclusive, const char *cause, bool read_only);
extern void graph_begin_writing(LOCKMODE lockmode);
extern void graph_check_readable(void);
extern void graph_refresh_snapshot(Graph *graph);
extern void graph_finish(Graph *graph);
extern void graph_expect_records(Graph *graph, double records);
extern void graph_expect_stored(Graph *graph, double identifiers, double links);
extern void graph_expect_profiles(Graph *graph, uint32 profiles);
extern Size graph_memory(Graph *graph);
extern char *graph_keep_bytes(Graph *graph, const char *bytes, uint32 length);
extern void *graph_keep(Graph *graph, Size size);
extern uint32 graph_intern_value(Graph *graph, int namespace_index, const char *value, uint32 length);
extern uint32 graph_intern_hashed(Graph *graph, int namespace_index, const char *value, uint32 length, uint32 hash);
extern void graph_prefetch_value(const Graph *graph, int namespace_index, uint32 hash, int step);
extern uint32 graph_find_by_id(Graph *graph, int64 id);
extern void graph_register_id(Graph *graph, uint32 identifier);
extern uint32 graph_find_pair(Graph *graph, uint32 a, uint32 b);
extern void graph_prefetch_pair(const Graph *graph, uint32 a, uint32 b);
extern uint32 graph_new_link(Graph *graph, uint32 a, uint32 b);
extern void graph_link_changed(Graph *graph, uint32 link);
extern uint32 graph_take_record(Graph *graph, const char *source, const char *key, uint32 key_length, bool *found);
extern uint32 graph_take_hashed(Graph *graph, const char *source, const char *key, uint32 key_length, uint32 hash, bool *found);
extern uint32 graph_record_hash(uint32 source_hash, const char *key, uint32 key_length);
extern void graph_prefetch_record(const Graph *graph, uint32 hash);
extern bool graph_has_record(Graph *graph, const char *source, const char *key, uint32 key_length);
extern uint32 graph_new_component(Graph *graph);
extern void graph_add_member(Graph *graph, uint32 component, uint32 identifier);
extern uint32 graph_new_label(Graph *graph, uint32 a, uint32 b, bool is_must);
extern uint32 graph_find_profile(Graph *graph, int64 profile_id, bool create);
extern void graph_add_replay_seed(Graph *graph, uint32 identifier);
extern int	graph_compare_identifiers(const Graph *graph, uint32 a, uint32 b);
extern int	graph_compare_by_name(const Graph *graph, uint32 a, uint32 b);
extern void graph_sort_identifiers(const Graph *graph, uint32 *ids, uint32 count);
extern void graph_report_phase(Graph *graph, const char *phase);
extern void graph_apply(Graph *graph);

/* scan.c */
extern void scan_open(StorageScan *scan, Relation heap, Oid index, Snapshot snapshot);
extern void scan_int64(StorageScan *scan, int64 key);
extern void scan_pair(StorageScan *scan, int64 a, int64 b);
extern void scan_value(StorageScan *scan, int16 namespace_id, const char *value, uint32 length);
extern void scan_source(StorageScan *scan, const char *source);
extern void scan_record(StorageScan *scan, const char *source, const char *key, uint32 key_length);
extern void scan_all(StorageScan *scan);
extern bool scan_has_rows(StorageScan *scan);
extern bool scan_next(StorageScan *scan);
extern void scan_end(StorageScan *scan);
extern void scan_close(StorageScan *scan);
extern StorageScan *graph_scan(Graph *graph, int which);

/* load.c */
extern void load_stored_ids(Graph *graph);
extern uint32 load_identifier_by_id(Graph *graph, int64 id);
extern bool load_identifier_by_value(Graph *graph, uint32 identifier);
extern bool load_if_block_flips(Graph *graph, TupleTableSlot *slot);
extern bool load_record(Graph *graph, uint32 record);
extern bool load_source_exists(Graph *graph, const char *source);
extern void load_records_of_hub(Graph *graph, uint32 hub, uint32 containing);
extern void load_hubs_of(Graph *graph, uint32 identifier, uint32 **hubs, uint32 *count);
extern uint32 load_link(Graph *graph, uint32 a, uint32 b);
extern void load_links_of(Graph *graph, uint32 identifier);
extern int	load_head_count(Graph *graph, uint32 identifier, int limit);
extern void load_labels_of(Graph *graph, uint32 identifier);
extern uint32 load_profile(Graph *graph, int64 profile_id);
extern void load_profile_row(Graph *graph, uint32 profile);
extern void load_profile_members(Graph *graph, uint32 profile);
extern int64 load_retired_anchored(Graph *graph, int64 anchor);
extern int64 load_incidences(Graph *graph, uint32 identifier);
extern void load_link_times(Graph *graph);
extern void load_whole(Graph *graph);
extern void load_identifier_again(Graph *graph, uint32 identifier);
extern void load_component_of(Graph *graph, uint32 identifier);
extern void load_all_records(Graph *graph);
extern void load_queued_profiles(Graph *graph);
extern void load_all_profiles(Graph *graph);

/* locks.c */
extern void lock_record(Graph *graph, uint32 record);
extern void lock_records(Graph *graph);
extern void lock_new_identifiers(Graph *graph);
extern void lock_touched(Graph *graph);
extern void lock_profiles(Graph *graph, int64 *profile_ids, uint32 count);

/* evidence.c */
extern void evidence_update(Graph *graph);
extern bool graph_link_active(const Graph *graph, const GraphLink *link);
extern void graph_fetch_changed(const Graph *graph, uint32 i);
extern bool graph_link_was_active(const Graph *graph, const GraphLink *link);

/* partition.c */
extern void partition_update(Graph *graph);

/* relabel.c */
extern void relabel_profiles(Graph *graph);

/* store.c */
extern void store_changes(Graph *graph);

/* identify.c */
extern void identify_report_moved(const Graph *graph);

#endif							/* CDP_IDENTITY_GRAPH_H */
