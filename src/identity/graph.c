/*
 * graph.c
 *		The working set of an identity operation: memory, look-up tables, and
 *		the order of the steps.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"

#define ARENA_BLOCK_SIZE	(1024 * 1024)
#define ARENA_FIRST_SIZE	(16 * 1024)

/* From (namespace, value) to identifier: the key is a position in the array. */
#define SH_PREFIX			valuetable
#define SH_ELEMENT_TYPE		PositionEntry
#define SH_KEY_TYPE			uint32
#define SH_KEY				position
#define SH_HASH_KEY(tb, key) (((Graph *) (tb)->private_data)->identifiers[key].hash)
#define SH_EQUAL(tb, a, b)	same_value((Graph *) (tb)->private_data, a, b)
#define SH_SCOPE			static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a)	(a)->hash
#define SH_DECLARE
#define SH_DEFINE
static inline bool
same_value(const Graph *graph, uint32 a, uint32 b)
{
	const GraphIdentifier *left = &graph->identifiers[a];
	const GraphIdentifier *right = &graph->identifiers[b];

	return left->namespace_index == right->namespace_index &&
		left->length == right->length &&
		memcmp(left->value, right->value, left->length) == 0;
}
#include "lib/simplehash.h"

/* From (source, record_key) to record. */
#define SH_PREFIX			recordtable
#define SH_ELEMENT_TYPE		PositionEntry
#define SH_KEY_TYPE			uint32
#define SH_KEY				position
#define SH_HASH_KEY(tb, key) (((Graph *) (tb)->private_data)->records[key].hash)
#define SH_EQUAL(tb, a, b)	same_record((Graph *) (tb)->private_data, a, b)
#define SH_SCOPE			static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a)	(a)->hash
#define SH_DECLARE
#define SH_DEFINE
static inline bool
same_record(const Graph *graph, uint32 a, uint32 b)
{
	const GraphRecord *left = &graph->records[a];
	const GraphRecord *right = &graph->records[b];

	return left->key_length == right->key_length &&
		memcmp(left->key, right->key, left->key_length) == 0 &&
		strcmp(left->source, right->source) == 0;
}
#include "lib/simplehash.h"

/*
 * Makes room for one more element of a growing array.  The new part is zero.
 */
void *
graph_grow(MemoryContext context, void *array, uint32 count, uint32 *capacity, Size size)
{
	uint32		wanted;

	if (count < *capacity)
		return array;
	if (*capacity >= PG_UINT32_MAX / 4)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many identifiers or links for one operation"),
				 errhint("Stitch the source in several parts.")));
	wanted = Max(*capacity * 2, 16);
	if (array == NULL)
		array = MemoryContextAllocExtended(context, mul_size(size, wanted), MCXT_ALLOC_HUGE);
	else
		array = repalloc_huge(array, mul_size(size, wanted));
	memset((char *) array + size * *capacity, 0, size * (wanted - *capacity));
	*capacity = wanted;
	return array;
}

/*
 * Set while the query of a cdp.stitch runs in this session.  What it calls must
 * not write: the stitch has read rules and records already.
 */
bool		graph_query_is_running = false;

/*
 * The start of everything that writes: checks the rights once, and takes the
 * two locks that order writers.  The rules do not change while somebody holds
 * RowExclusiveLock on cdp_data.namespace; whoever takes more than
 * RowExclusiveLock on cdp_data.record is the only writer of the graph.
 */
void
graph_begin_writing(LOCKMODE lockmode)
{
	const GraphRelations *relations = graph_relations();
	const Oid	written[] = {relations->identifier, relations->record, relations->link, relations->profile};

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change identities during recovery")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change identities in a read-only transaction")));
	if (graph_query_is_running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change identities while the query of cdp.stitch runs"),
				 errhint("Do it before or after, not in a function that the query calls.")));
	for (int i = 0; i < lengthof(written); i++)
	{
		AclResult	result = pg_class_aclcheck(written[i], GetUserId(), ACL_SELECT);

		if (result == ACLCHECK_OK)
			result = pg_class_aclcheck(written[i], GetUserId(), ACL_INSERT);
		if (result == ACLCHECK_OK)
			result = pg_class_aclcheck(written[i], GetUserId(), ACL_UPDATE);
		if (result != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for the storage of cdp"),
					 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'writer').",
							 cdp_quoted_caller())));
	}
	LockRelationOid(relations->namespace, RowExclusiveLock);
	LockRelationOid(relations->record, lockmode);
}

/*
 * Whether the caller may read the graph; tables are read here without the
 * executor, which would check it.
 */
void
graph_check_readable(void)
{
	const GraphRelations *relations = graph_relations();
	const Oid	read[] = {relations->identifier, relations->record, relations->link, relations->profile, relations->label};

	for (int i = 0; i < lengthof(read); i++)
		if (pg_class_aclcheck(read[i], GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for the storage of cdp"),
					 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'reader').",
							 cdp_quoted_caller())));
}

/*
 * A new, empty working set.  With exclusive, the caller has made itself the
 * only writer by graph_begin_writing(ShareRowExclusiveLock).
 */
Graph *
graph_create(const GraphSettings *settings, bool exclusive, const char *cause)
{
	return graph_create_for(settings, exclusive, cause, false);
}

/*
 * The same, optionally for reading only, which a standby can do as well.
 */
Graph *
graph_create_for(const GraphSettings *settings, bool exclusive, const char *cause, bool read_only)
{
	LOCKMODE	lockmode = read_only ? AccessShareLock : RowExclusiveLock;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "cdp graph", ALLOCSET_DEFAULT_SIZES);
	Graph	   *graph = MemoryContextAllocZero(context, sizeof(Graph));

	graph->context = context;
	graph->scratch = AllocSetContextCreate(context, "cdp graph scratch", ALLOCSET_DEFAULT_SIZES);
	graph->settings = settings;
	((GraphSettings *) settings)->user_count++;
	graph->relations = graph_relations();
	graph->cause = cause;
	graph->is_realtime = !exclusive;
	graph->read_only = read_only;
	graph->by_value = valuetable_create(context, 64, graph);
	graph->by_id = u64map_create(context, 64, NULL);
	graph->by_pair = u64map_create(context, 64, NULL);
	graph->by_key = recordtable_create(context, 64, graph);
	graph->by_profile = u64map_create(context, 64, NULL);

	graph->identifier_relation = table_open(graph->relations->identifier, lockmode);
	graph->record_relation = table_open(graph->relations->record, lockmode);
	graph->link_relation = table_open(graph->relations->link, lockmode);
	graph->label_relation = table_open(graph->relations->label, AccessShareLock);
	graph->profile_relation = table_open(graph->relations->profile, lockmode);
	/* The transaction may have become the only writer by an earlier call. */
	graph->exclusive = exclusive ||
		(!read_only && CheckRelationLockedByMe(graph->record_relation, ShareRowExclusiveLock, true));
	graph_refresh_snapshot(graph);
	graph->phase_start = graph->now;

	/* Labels are rare and do not change now: whether there are any is asked once. */
	if (RelationGetNumberOfBlocks(graph->label_relation) > 0)
		graph->has_labels = scan_has_rows(graph_scan(graph, SCAN_LABEL_BY_B));
	return graph;
}

/*
 * From here on the storage is read as it is now.  The latest snapshot is used
 * at every isolation level, as foreign keys do: what was read is protected by
 * row locks, and a row that was changed since the transaction's own snapshot
 * fails when it is written.
 */
void
graph_refresh_snapshot(Graph *graph)
{
	for (int i = 0; i < SCAN_COUNT; i++)
		scan_close(&graph->scans[i]);
	if (graph->snapshot != NULL)
		UnregisterSnapshot(graph->snapshot);
	graph->snapshot = RegisterSnapshot(GetLatestSnapshot());
	graph->now = GetCurrentTimestamp();
}

void
graph_finish(Graph *graph)
{
	((GraphSettings *) graph->settings)->user_count--;
	for (int i = 0; i < SCAN_COUNT; i++)
		scan_close(&graph->scans[i]);
	UnregisterSnapshot(graph->snapshot);
	/* The locks stay until the end of the transaction. */
	table_close(graph->identifier_relation, NoLock);
	table_close(graph->record_relation, NoLock);
	table_close(graph->link_relation, NoLock);
	table_close(graph->label_relation, NoLock);
	table_close(graph->profile_relation, NoLock);
	MemoryContextDelete(graph->context);
}

Size
graph_memory(Graph *graph)
{
	return MemoryContextMemAllocated(graph->context, true);
}

/* Memory that lives as long as the graph, without an allocation of its own. */
void *
graph_keep(Graph *graph, Size size)
{
	char	   *result;

	size = MAXALIGN(size);
	if (size > graph->arena_left)
	{
		Size		block = graph->arena == NULL ? ARENA_FIRST_SIZE : ARENA_BLOCK_SIZE;

		if (size > block / 8)
			return MemoryContextAlloc(graph->context, size);
		graph->arena = MemoryContextAlloc(graph->context, block);
		graph->arena_left = block;
	}
	result = graph->arena;
	graph->arena += size;
	graph->arena_left -= size;
	return result;
}

char *
graph_keep_bytes(Graph *graph, const char *bytes, uint32 length)
{
	char	   *copy = graph_keep(graph, (Size) length + 1);

	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

/*
 * Makes room for about this many records at once, as far as a share of the
 * memory budget allows, so that the look-up tables need not grow step by step.
 */
void
graph_expect_records(Graph *graph, double records)
{
	uint64		limit = (uint64) maintenance_work_mem * 1024 / 400;
	uint64		expected = records > 0 ? (uint64) Min(records, (double) limit) : 0;

	if (expected < 10000)
		return;
	/* So full that few look-ups go on to the next place, whatever power of two it comes to. */
	expected = expected / 3 * 4;
	recordtable_grow(graph->by_key, expected);
	valuetable_grow(graph->by_value, expected);
	u64map_grow(graph->by_pair, expected);
}

/* Makes room for about so many identifiers and links that are stored. */
void
graph_expect_stored(Graph *graph, double identifiers, double links)
{
	double		limit = (double) maintenance_work_mem * 1024 / 400;

	identifiers = Min(identifiers, limit) / 3 * 4;
	links = ((double) graph->by_pair->members + Min(links, limit)) / 3 * 4;
	if (identifiers > (double) graph->by_id->size)
		u64map_grow(graph->by_id, (uint64) identifiers);
	if (links > (double) graph->by_pair->size)
		u64map_grow(graph->by_pair, (uint64) links);
	identifiers += (double) graph->by_value->members / 3 * 4;
	if (identifiers > (double) graph->by_value->size)
		valuetable_grow(graph->by_value, (uint64) identifiers);
}

/* Makes room for so many more profiles at once. */
void
graph_expect_profiles(Graph *graph, uint32 profiles)
{
	uint64		expected = ((uint64) graph->profile_count + profiles) / 3 * 4;

	if (expected > graph->by_profile->size)
		u64map_grow(graph->by_profile, expected);
}

/* ---------- identifiers ---------- */

/*
 * Begins to fetch what interning a value with this hash will read, in three
 * steps with some work between them: its place in the look-up table, the
 * identifier that is there, and that one's value.
 */
void
graph_prefetch_value(const Graph *graph, int namespace_index, uint32 hash, int step)
{
	const struct valuetable_hash *table = graph->by_value;

	hash = hash_combine(hash, (uint32) namespace_index);
	if (step == 0)
	{
		prefetch(&table->data[hash & table->sizemask]);
		return;
	}
	/* Not far from its home, if it is there. */
	for (uint32 i = 0; i < 4; i++)
	{
		const PositionEntry *entry = &table->data[(hash + i) & table->sizemask];

		if (entry->status == valuetable_SH_EMPTY)
			return;
		if (entry->hash != hash)
			continue;
		if (step == 1)
			prefetch(&graph->identifiers[entry->position]);
		else
			prefetch(graph->identifiers[entry->position].value);
		return;
	}
}

/*
 * The identifier with this value, made when there is none in memory; whether
 * it is stored is load.c's to find out.
 */
uint32
graph_intern_value(Graph *graph, int namespace_index, const char *value, uint32 length)
{
	return graph_intern_hashed(graph, namespace_index, value, length, graph_value_hash(value, length));
}

/* The same for a value whose graph_value_hash is known. */
uint32
graph_intern_hashed(Graph *graph, int namespace_index, const char *value, uint32 length, uint32 hash)
{
	uint32		position = graph->identifier_count;
	GraphIdentifier *identifier;
	PositionEntry *entry;
	bool		found;

	graph->identifiers = graph_grow(graph->context, graph->identifiers, position,
									&graph->identifier_capacity, sizeof(GraphIdentifier));
	identifier = &graph->identifiers[position];
	identifier->namespace_index = namespace_index;
	identifier->value = value;
	identifier->length = length;
	identifier->hash = hash_combine(hash, (uint32) namespace_index);
	entry = valuetable_insert_hash(graph->by_value, position, identifier->hash, &found);
	if (found)
	{
		memset(identifier, 0, sizeof(*identifier));
		return entry->position;
	}
	entry->position = position;
	identifier->value = graph_keep_bytes(graph, value, length);
	identifier->component = NO_INDEX;
	identifier->before = NO_INDEX;
	identifier->next_member = NO_INDEX;
	identifier->next_special = NO_INDEX;
	identifier->first_link = NO_INDEX;
	identifier->first_label = NO_INDEX;
	identifier->state = graph_is_blocked(graph->settings, namespace_index, value, length, hash)
		? IDENTIFIER_BLOCKED
		: IDENTIFIER_USABLE;
	graph->identifier_count++;
	return position;
}

/* An identifier in memory by its stored id, or NO_INDEX. */
uint32
graph_find_by_id(Graph *graph, int64 id)
{
	U64Entry   *entry = u64map_lookup(graph->by_id, (uint64) id);

	return entry == NULL ? NO_INDEX : entry->position;
}

void
graph_register_id(Graph *graph, uint32 identifier)
{
	bool		found;
	U64Entry   *entry = u64map_insert(graph->by_id, (uint64) graph->identifiers[identifier].id, &found);

	entry->position = identifier;
}

/*
 * The order of strength: priority and name of the namespace, then the value
 * as bytes.  Two different identifiers are never equal.
 */
int
graph_compare_identifiers(const Graph *graph, uint32 a, uint32 b)
{
	const GraphIdentifier *left = &graph->identifiers[a];
	const GraphIdentifier *right = &graph->identifiers[b];

	if (a == b)
		return 0;
	if (left->namespace_index != right->namespace_index)
		return left->namespace_index < right->namespace_index ? -1 : 1;
	return compare_bytes(left->value, left->length, right->value, right->length);
}

/*
 * The order of names: that of the namespace, then the value, whatever the
 * priorities are.
 */
int
graph_compare_by_name(const Graph *graph, uint32 a, uint32 b)
{
	const GraphIdentifier *left = &graph->identifiers[a];
	const GraphIdentifier *right = &graph->identifiers[b];

	if (left->namespace_index != right->namespace_index)
		return strcmp(graph->settings->namespaces[left->namespace_index].name,
					  graph->settings->namespaces[right->namespace_index].name);
	return compare_bytes(left->value, left->length, right->value, right->length);
}

static int
compare_identifier_positions(const void *left, const void *right, void *argument)
{
	return graph_compare_identifiers(argument, *(const uint32 *) left, *(const uint32 *) right);
}

void
graph_sort_identifiers(const Graph *graph, uint32 *ids, uint32 count)
{
	if (count > 1)
		qsort_arg(ids, count, sizeof(uint32), compare_identifier_positions, (void *) graph);
}

/* ---------- links ---------- */

static inline uint64
pair_key(uint32 a, uint32 b)
{
	return ((uint64) a << 32) | b;
}

uint32
graph_find_pair(Graph *graph, uint32 a, uint32 b)
{
	U64Entry   *entry = u64map_lookup(graph->by_pair, pair_key(a, b));

	return entry == NULL ? NO_INDEX : entry->position;
}

/* Begins to fetch what graph_find_pair will read. */
void
graph_prefetch_pair(const Graph *graph, uint32 a, uint32 b)
{
	u64map_prefetch(graph->by_pair, pair_key(a, b));
}

/* A link in memory, without evidence as yet; the pair must not be there. */
uint32
graph_new_link(Graph *graph, uint32 a, uint32 b)
{
	uint32		position = graph->link_count;
	GraphLink  *link;
	U64Entry   *entry;
	bool		found;

	graph->links = graph_grow(graph->context, graph->links, position,
							  &graph->link_capacity, sizeof(GraphLink));
	link = &graph->links[position];
	link->first_seen = link->old_first_seen = DT_NOEND;
	link->last_seen = link->old_last_seen = DT_NOBEGIN;
	for (int i = 0; i < 2; i++)
	{
		uint32		identifier = i == 0 ? a : b;

		link->end[i] = identifier;
		link->next[i] = graph->identifiers[identifier].first_link;
		graph->identifiers[identifier].first_link = position * 2 + i;
	}
	entry = u64map_insert(graph->by_pair, pair_key(a, b), &found);
	Assert(!found);
	entry->position = position;
	graph->link_count++;
	return position;
}

void
graph_link_changed(Graph *graph, uint32 link)
{
	if (graph->links[link].is_changed)
		return;
	graph->links[link].is_changed = true;
	graph->changed_links = graph_grow(graph->context, graph->changed_links, graph->changed_link_count,
									  &graph->changed_link_capacity, sizeof(uint32));
	graph->changed_links[graph->changed_link_count++] = link;
}

/* ---------- records ---------- */

/* The hash by which a record is looked up. */
uint32
graph_record_hash(uint32 source_hash, const char *key, uint32 key_length)
{
	return hash_combine(graph_value_hash(key, key_length), source_hash);
}

/* Begins to fetch what looking up a record with this hash will read. */
void
graph_prefetch_record(const Graph *graph, uint32 hash)
{
	prefetch(&graph->by_key->data[hash & graph->by_key->sizemask]);
}

/*
 * The record with this key in memory, made when there is none.  The source
 * must live as long as the graph; the key is copied.
 */
uint32
graph_take_record(Graph *graph, const char *source, const char *key, uint32 key_length, bool *found)
{
	return graph_take_hashed(graph, source, key, key_length,
							 graph_record_hash(graph_value_hash(source, strlen(source)), key, key_length), found);
}

/* The same for a key whose hash is known. */
uint32
graph_take_hashed(Graph *graph, const char *source, const char *key, uint32 key_length, uint32 hash, bool *found)
{
	uint32		position = graph->record_count;
	GraphRecord *record;
	PositionEntry *entry;

	graph->records = graph_grow(graph->context, graph->records, position,
								&graph->record_capacity, sizeof(GraphRecord));
	record = &graph->records[position];
	record->source = source;
	record->key = key;
	record->key_length = key_length;
	record->hash = hash;
	entry = recordtable_insert_hash(graph->by_key, position, record->hash, found);
	if (*found)
	{
		memset(record, 0, sizeof(*record));
		return entry->position;
	}
	entry->position = position;
	record->key = graph_keep_bytes(graph, key, key_length);
	record->hub = record->old_hub = NO_INDEX;
	graph->record_count++;
	return position;
}

/* Whether the record is in memory. */
bool
graph_has_record(Graph *graph, const char *source, const char *key, uint32 key_length)
{
	uint32		position = graph->record_count;
	GraphRecord *record;
	bool		found;

	graph->records = graph_grow(graph->context, graph->records, position,
								&graph->record_capacity, sizeof(GraphRecord));
	record = &graph->records[position];
	record->source = source;
	record->key = key;
	record->key_length = key_length;
	record->hash = graph_record_hash(graph_value_hash(source, strlen(source)), key, key_length);
	found = recordtable_lookup_hash(graph->by_key, position, record->hash) != NULL;
	memset(record, 0, sizeof(*record));
	return found;
}

/* ---------- components and profiles ---------- */

uint32
graph_new_component(Graph *graph)
{
	GraphComponent *component;

	graph->components = graph_grow(graph->context, graph->components, graph->component_count,
								   &graph->component_capacity, sizeof(GraphComponent));
	component = &graph->components[graph->component_count];
	memset(component, 0, sizeof(*component));
	component->first_member = component->last_member = NO_INDEX;
	component->first_special = component->last_special = NO_INDEX;
	return graph->component_count++;
}

/*
 * Whether a constraint other than size concerns the identifier: only these
 * members are looked at when two components want to become one.
 */
static inline bool
is_special(const Graph *graph, const GraphIdentifier *identifier)
{
	return identifier->first_label != NO_INDEX ||
		graph->settings->namespaces[identifier->namespace_index].max_per_profile > 0;
}

void
graph_add_member(Graph *graph, uint32 component, uint32 identifier)
{
	GraphComponent *into = &graph->components[component];
	GraphIdentifier *member = &graph->identifiers[identifier];

	member->component = component;
	member->next_member = NO_INDEX;
	if (into->last_member == NO_INDEX)
		into->first_member = identifier;
	else
		graph->identifiers[into->last_member].next_member = identifier;
	into->last_member = identifier;
	into->size++;

	member->next_special = NO_INDEX;
	if (is_special(graph, member))
	{
		if (into->last_special == NO_INDEX)
			into->first_special = identifier;
		else
			graph->identifiers[into->last_special].next_special = identifier;
		into->last_special = identifier;
	}
}

uint32
graph_new_label(Graph *graph, uint32 a, uint32 b, bool is_must)
{
	uint32		position = graph->label_count;
	GraphLabel *label;

	graph->labels = graph_grow(graph->context, graph->labels, position,
							   &graph->label_capacity, sizeof(GraphLabel));
	label = &graph->labels[position];
	label->is_must = is_must;
	for (int i = 0; i < 2; i++)
	{
		uint32		identifier = i == 0 ? a : b;

		label->end[i] = identifier;
		label->next[i] = graph->identifiers[identifier].first_label;
		graph->identifiers[identifier].first_label = position * 2 + i;
	}
	graph->label_count++;
	return position;
}

/* A profile id in memory, or NO_INDEX. */
uint32
graph_find_profile(Graph *graph, int64 profile_id, bool create)
{
	GraphProfile *profile;
	U64Entry   *entry;
	bool		found;

	if (!create)
	{
		entry = u64map_lookup(graph->by_profile, (uint64) profile_id);
		return entry == NULL ? NO_INDEX : entry->position;
	}
	entry = u64map_insert(graph->by_profile, (uint64) profile_id, &found);
	if (found)
		return entry->position;
	entry->position = graph->profile_count;
	graph->profiles = graph_grow(graph->context, graph->profiles, graph->profile_count,
								 &graph->profile_capacity, sizeof(GraphProfile));
	profile = &graph->profiles[graph->profile_count];
	profile->profile_id = profile_id;
	profile->component = NO_INDEX;
	return graph->profile_count++;
}

void
graph_add_replay_seed(Graph *graph, uint32 identifier)
{
	graph->replay_seeds = graph_grow(graph->context, graph->replay_seeds, graph->replay_seed_count,
									 &graph->replay_seed_capacity, sizeof(uint32));
	graph->replay_seeds[graph->replay_seed_count++] = identifier;
}

/*
 * For whoever asks where the time of a large operation goes
 * (client_min_messages = debug1): what has just ended, and what it took.
 */
void
graph_report_phase(Graph *graph, const char *phase)
{
	TimestampTz now = GetCurrentTimestamp();
	struct rusage usage;
	double		processor;

	getrusage(RUSAGE_SELF, &usage);
	processor = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / USECS_PER_SEC;
	if (graph->exclusive)
		ereport(DEBUG1,
				(errmsg_internal("%s: %s took %.3f s, %.3f s of processor time, %zu MB", graph->cause, phase,
								 (double) (now - graph->phase_start) / USECS_PER_SEC,
								 processor - graph->phase_processor,
								 graph_memory(graph) / (1024 * 1024))));
	graph->phase_start = now;
	graph->phase_processor = processor;
}

/*
 * Carries the records and seeds in memory through to the storage.
 */
void
graph_apply(Graph *graph)
{
	evidence_update(graph);
	graph_report_phase(graph, "evidence");
	partition_update(graph);
	graph_report_phase(graph, "partition");
	relabel_profiles(graph);
	graph_report_phase(graph, "relabel");
	store_changes(graph);
	graph_report_phase(graph, "end");
}
