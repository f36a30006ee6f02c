/*
 * load.c
 *		From the storage into the working set: one by one through indexes, or
 *		everything by scans where a large part is needed anyway.
 *
 * All of these read the storage as it was before the operation; what is in
 * memory already is newer and is never overwritten.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"

/* Columns of the storage, counted from zero. */
enum
{
	IDENTIFIER_ID,
	IDENTIFIER_PROFILE_ID,
	IDENTIFIER_CREATED_AT,
	IDENTIFIER_NAMESPACE_ID,
	IDENTIFIER_STATE,
	IDENTIFIER_VALUE
};

enum
{
	RECORD_OBSERVED_AT,
	RECORD_FIRST_SEEN,
	RECORD_HUB,
	RECORD_SOURCE,
	RECORD_RECORD_KEY,
	RECORD_IDS
};

enum
{
	LINK_A,
	LINK_B,
	LINK_FIRST_SEEN,
	LINK_LAST_SEEN,
	LINK_RECORDS,
	LINK_HEAD_RECORDS,
	LINK_STATE
};

enum
{
	LABEL_ID,
	LABEL_KIND,
	LABEL_A,
	LABEL_B
};

enum
{
	PROFILE_ID,
	PROFILE_ANCHOR,
	PROFILE_CHANGED_AT,
	PROFILE_STATE
};

/* ---------- identifiers ---------- */

static int
namespace_index_of(Graph *graph, int16 namespace_id)
{
	for (int i = 0; i < graph->settings->namespace_count; i++)
		if (graph->settings->namespaces[i].namespace_id == namespace_id)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("namespace %d of stored identifiers does not exist", namespace_id),
			 errhint("Restore its row in cdp_data.namespace.")));
}

static void
fill_identifier(Graph *graph, uint32 position, TupleTableSlot *slot)
{
	GraphIdentifier *identifier = &graph->identifiers[position];
	char		previous = identifier->old_state;

	identifier->id = DatumGetInt64(slot->tts_values[IDENTIFIER_ID]);
	identifier->old_profile = DatumGetInt64(slot->tts_values[IDENTIFIER_PROFILE_ID]);
	identifier->old_state = DatumGetChar(slot->tts_values[IDENTIFIER_STATE]);

	/*
	 * What is blocked follows from the settings, what is shared from the
	 * evidence; until the evidence changes it is what was stored.  A row that
	 * is read again says nothing against what the evidence said meanwhile.
	 */
	if (identifier->state != IDENTIFIER_BLOCKED && (previous == '\0' || identifier->state == previous))
		identifier->state = identifier->old_state == IDENTIFIER_SHARED ? IDENTIFIER_SHARED : IDENTIFIER_USABLE;
	graph_register_id(graph, position);
}

static uint32
take_identifier(Graph *graph, TupleTableSlot *slot)
{
	text	   *value = DatumGetTextPP(slot->tts_values[IDENTIFIER_VALUE]);
	uint32		position;

	position = graph_intern_value(graph,
								  namespace_index_of(graph, DatumGetInt16(slot->tts_values[IDENTIFIER_NAMESPACE_ID])),
								  VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (graph->identifiers[position].id == 0)
		fill_identifier(graph, position, slot);
	return position;
}

/*
 * Looks up an identifier that is in memory only; false when it is not stored.
 */
bool
load_identifier_by_value(Graph *graph, uint32 position)
{
	GraphIdentifier *identifier = &graph->identifiers[position];
	StorageScan *scan;
	bool		found;

	if (identifier->id != 0)
		return true;
	if (graph->whole)
		return false;
	scan = graph_scan(graph, SCAN_IDENTIFIER_BY_VALUE);
	scan_value(scan, graph->settings->namespaces[identifier->namespace_index].namespace_id,
			   identifier->value, identifier->length);
	found = scan_next(scan);
	if (found)
	{
		fill_identifier(graph, position, scan->slot);
		scan_end(scan);
	}
	return found;
}

/*
 * Takes a stored identifier in when what the settings block says otherwise
 * than its state; returns whether it did.
 */
bool
load_if_block_flips(Graph *graph, TupleTableSlot *slot)
{
	text	   *value = DatumGetTextPP(slot->tts_values[IDENTIFIER_VALUE]);
	int			namespace_index = namespace_index_of(graph, DatumGetInt16(slot->tts_values[IDENTIFIER_NAMESPACE_ID]));
	bool		was_blocked = DatumGetChar(slot->tts_values[IDENTIFIER_STATE]) == IDENTIFIER_BLOCKED;
	bool		is_blocked = graph_is_blocked(graph->settings, namespace_index, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
									   graph_value_hash(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));

	if (was_blocked == is_blocked)
		return false;
	(void) take_identifier(graph, slot);
	return true;
}

/* Looks up all identifiers that are in memory only. */
void
load_stored_ids(Graph *graph)
{
	MemoryContext caller = MemoryContextSwitchTo(graph->scratch);

	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) load_identifier_by_value(graph, i);
		if (i % 1024 == 0)
			MemoryContextReset(graph->scratch);
	}
	MemoryContextSwitchTo(caller);
}

uint32
load_identifier_by_id(Graph *graph, int64 id)
{
	uint32		position = graph_find_by_id(graph, id);
	StorageScan *scan;

	if (position != NO_INDEX)
		return position;
	scan = graph_scan(graph, SCAN_IDENTIFIER_BY_ID);
	scan_int64(scan, id);
	if (graph->whole || !scan_next(scan))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("identifier %lld is missing from the storage", (long long) id),
				 errhint("SELECT * FROM cdp.check_identities() shows what is inconsistent.")));
	position = take_identifier(graph, scan->slot);
	scan_end(scan);
	return position;
}

/*
 * Reads an identifier again after its profile was locked.
 */
void
load_identifier_again(Graph *graph, uint32 position)
{
	StorageScan *scan = graph_scan(graph, SCAN_IDENTIFIER_BY_ID);

	scan_int64(scan, graph->identifiers[position].id);
	if (scan_next(scan))
	{
		fill_identifier(graph, position, scan->slot);
		scan_end(scan);
	}
}

/*
 * Sees to it that an identifier is a member of a component: its profile, or
 * for a new identifier one of its own.
 */
void
load_component_of(Graph *graph, uint32 position)
{
	while (graph->identifiers[position].component == NO_INDEX)
	{
		if (graph->identifiers[position].old_profile == 0)
		{
			graph_add_member(graph, graph_new_component(graph), position);
			return;
		}
		(void) load_profile(graph, graph->identifiers[position].old_profile);
		/* It moved to another profile before this one was locked. */
		if (graph->identifiers[position].component == NO_INDEX)
			load_identifier_again(graph, position);
	}
}

/* ---------- records ---------- */

/* The identifiers of a record that has more than its hub. */
static const int64 *
stored_ids(TupleTableSlot *slot, int *count)
{
	ArrayType  *array = DatumGetArrayTypeP(slot->tts_values[RECORD_IDS]);

	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (ARR_HASNULL(array) || *count < 1 || *count > PG_UINT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored record has an invalid set of identifiers"),
				 errhint("Look for rows of cdp_data.record whose ids are empty or contain NULL.")));
	return (int64 *) ARR_DATA_PTR(array);
}

static void
fill_record(Graph *graph, uint32 position, TupleTableSlot *slot)
{
	int64		hub = DatumGetInt64(slot->tts_values[RECORD_HUB]);
	const int64 *ids = &hub;
	int			count = 1;
	uint32	   *members;
	GraphRecord *record;

	if (!slot->tts_isnull[RECORD_IDS])
		ids = stored_ids(slot, &count);
	members = graph_keep(graph, mul_size(sizeof(uint32), count));
	for (int i = 0; i < count; i++)
		members[i] = load_identifier_by_id(graph, ids[i]);
	graph_sort_identifiers(graph, members, count);

	record = &graph->records[position];
	record->is_stored = true;
	record->old_ids = members;
	record->old_id_count = count;
	record->old_hub = load_identifier_by_id(graph, hub);
	record->old_observed_at = DatumGetTimestampTz(slot->tts_values[RECORD_OBSERVED_AT]);
	record->old_first_seen = DatumGetTimestampTz(slot->tts_values[RECORD_FIRST_SEEN]);
}

/* Makes the new version of a record the same as the stored one. */
static void
keep_record(GraphRecord *record)
{
	record->ids = record->old_ids;
	record->id_count = record->old_id_count;
	record->hub = record->old_hub;
	record->observed_at = record->old_observed_at;
	record->first_seen = record->old_first_seen;
	record->has_time = true;
}

/* Reads the stored version of a record into its old_ fields, if there is one. */
bool
load_record(Graph *graph, uint32 position)
{
	StorageScan *scan = graph_scan(graph, SCAN_RECORD_BY_KEY);
	GraphRecord *record = &graph->records[position];
	bool		found;

	scan_record(scan, record->source, record->key, record->key_length);
	found = scan_next(scan);
	if (found)
	{
		fill_record(graph, position, scan->slot);
		scan_end(scan);
	}
	return found;
}

/* Whether any record of the source is stored. */
bool
load_source_exists(Graph *graph, const char *source)
{
	StorageScan *scan = graph_scan(graph, SCAN_RECORD_BY_KEY);
	bool		found;

	scan_source(scan, source);
	found = scan_next(scan);
	if (found)
		scan_end(scan);
	return found;
}

static uint32
take_record(Graph *graph, TupleTableSlot *slot)
{
	text	   *source = DatumGetTextPP(slot->tts_values[RECORD_SOURCE]);
	text	   *key = DatumGetTextPP(slot->tts_values[RECORD_RECORD_KEY]);
	uint32		position;
	bool		found;

	position = graph_take_record(graph,
								 graph_keep_bytes(graph, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source)),
								 VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), &found);
	if (found)
		return NO_INDEX;
	fill_record(graph, position, slot);
	keep_record(&graph->records[position]);
	return position;
}

/*
 * Brings in the stored records with this hub that hold the other identifier
 * (or are the hub's own, when both are the same).
 */
void
load_records_of_hub(Graph *graph, uint32 hub, uint32 containing)
{
	StorageScan *scan = graph_scan(graph, SCAN_RECORD_BY_HUB);
	int64		wanted = graph->identifiers[containing].id;
	MemoryContext caller;

	if (graph->identifiers[hub].id == 0 || wanted == 0)
		return;
	scan_int64(scan, graph->identifiers[hub].id);
	caller = MemoryContextSwitchTo(graph->scratch);
	while (scan_next(scan))
	{
		bool		holds = hub == containing;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(graph->scratch);
		if (!holds && !scan->slot->tts_isnull[RECORD_IDS])
		{
			int			count;
			const int64 *ids = stored_ids(scan->slot, &count);

			for (int i = 0; i < count && !holds; i++)
				holds = ids[i] == wanted;
		}
		if (holds)
			(void) take_record(graph, scan->slot);
	}
	MemoryContextSwitchTo(caller);
}

/* ---------- links ---------- */

static void
fill_link(Graph *graph, uint32 position, TupleTableSlot *slot)
{
	GraphLink  *link = &graph->links[position];

	link->first_seen = link->old_first_seen = DatumGetTimestampTz(slot->tts_values[LINK_FIRST_SEEN]);
	link->last_seen = link->old_last_seen = DatumGetTimestampTz(slot->tts_values[LINK_LAST_SEEN]);
	link->records = link->old_records = DatumGetInt32(slot->tts_values[LINK_RECORDS]);
	link->head_records = link->old_head_records = DatumGetInt32(slot->tts_values[LINK_HEAD_RECORDS]);
	link->old_state = link->state = DatumGetChar(slot->tts_values[LINK_STATE]);
	if (graph->derive)
	{
		/* The evidence will say anew; only the row as it is remains. */
		link->first_seen = DT_NOEND;
		link->last_seen = DT_NOBEGIN;
		link->records = link->head_records = 0;
	}
}

static uint32
take_link(Graph *graph, TupleTableSlot *slot)
{
	uint32		a = load_identifier_by_id(graph, DatumGetInt64(slot->tts_values[LINK_A]));
	uint32		b = load_identifier_by_id(graph, DatumGetInt64(slot->tts_values[LINK_B]));
	uint32		position = graph_find_pair(graph, a, b);

	/* A must-link may have made the pair known before its row was read. */
	if (position == NO_INDEX)
		position = graph_new_link(graph, a, b);
	else if (graph->links[position].old_state != '\0' || graph->links[position].records > 0 ||
			 graph->links[position].head_records > 0)
		return position;
	fill_link(graph, position, slot);
	return position;
}

/* The link from a to b, or NO_INDEX when there is none. */
uint32
load_link(Graph *graph, uint32 a, uint32 b)
{
	uint32		position = graph_find_pair(graph, a, b);
	StorageScan *scan;

	if (position != NO_INDEX || graph->whole ||
		graph->identifiers[a].id == 0 || graph->identifiers[b].id == 0 ||
		graph->identifiers[a].links_loaded || graph->identifiers[b].links_loaded)
		return position;
	scan = graph_scan(graph, SCAN_LINK_BY_PAIR);
	scan_pair(scan, graph->identifiers[a].id, graph->identifiers[b].id);
	if (scan_next(scan))
	{
		position = take_link(graph, scan->slot);
		scan_end(scan);
	}
	return position;
}

/* All links of an identifier, in both directions. */
void
load_links_of(Graph *graph, uint32 identifier)
{
	int64		id = graph->identifiers[identifier].id;
	const int	directions[] = {SCAN_LINK_BY_PAIR, SCAN_LINK_BY_B};

	if (graph->whole || id == 0 || graph->identifiers[identifier].links_loaded)
		return;
	for (int i = 0; i < lengthof(directions); i++)
	{
		StorageScan *scan = graph_scan(graph, directions[i]);

		scan_int64(scan, id);
		while (scan_next(scan))
		{
			CHECK_FOR_INTERRUPTS();
			(void) take_link(graph, scan->slot);
		}
	}
	graph->identifiers[identifier].links_loaded = true;
}

/*
 * The stored hubs of the records that hold an identifier: itself, and the
 * other end of the links that lead to it.
 */
void
load_hubs_of(Graph *graph, uint32 identifier, uint32 **hubs, uint32 *count)
{
	uint32		capacity = 0;

	*hubs = NULL;
	*count = 0;
	load_links_of(graph, identifier);
	*hubs = graph_grow(graph->context, *hubs, *count, &capacity, sizeof(uint32));
	(*hubs)[(*count)++] = identifier;
	for (uint32 half = graph->identifiers[identifier].first_link; half != NO_INDEX;)
	{
		GraphLink  *link = &graph->links[half / 2];

		if (half % 2 == 1 && link->old_records > 0)
		{
			*hubs = graph_grow(graph->context, *hubs, *count, &capacity, sizeof(uint32));
			(*hubs)[(*count)++] = link->end[0];
		}
		half = link->next[half % 2];
	}
}

/*
 * How many different heads of strictly stronger namespaces the records of an
 * identifier have, counted up to limit + 1.
 */
int
load_head_count(Graph *graph, uint32 identifier, int limit)
{
	int			namespace_index = graph->identifiers[identifier].namespace_index;
	int			count = 0;
	StorageScan *scan;

	for (uint32 half = graph->identifiers[identifier].first_link; half != NO_INDEX && count <= limit;)
	{
		GraphLink  *link = &graph->links[half / 2];

		if (half % 2 == 1 && link->head_records > 0 &&
			graph->identifiers[link->end[0]].namespace_index < namespace_index)
			count++;
		half = link->next[half % 2];
	}
	if (graph->whole || graph->identifiers[identifier].id == 0 || graph->identifiers[identifier].links_loaded)
		return count;
	scan = graph_scan(graph, SCAN_LINK_BY_B);
	scan_int64(scan, graph->identifiers[identifier].id);
	while (count <= limit)
	{
		uint32		head;

		CHECK_FOR_INTERRUPTS();
		if (!scan_next(scan))
			return count;
		head = graph_find_by_id(graph, DatumGetInt64(scan->slot->tts_values[LINK_A]));
		if (head != NO_INDEX && graph_find_pair(graph, head, identifier) != NO_INDEX)
			continue;			/* counted above */
		if (DatumGetInt32(scan->slot->tts_values[LINK_HEAD_RECORDS]) == 0)
			continue;
		if (head == NO_INDEX)
			head = load_identifier_by_id(graph, DatumGetInt64(scan->slot->tts_values[LINK_A]));
		if (graph->identifiers[head].namespace_index < namespace_index)
			count++;
	}
	scan_end(scan);
	return count;
}

/*
 * Takes the times of a hub's stored records that are not in memory into the
 * links of that hub whose times are unknown.
 */
static void
load_times_of_hub(Graph *graph, uint32 hub)
{
	StorageScan *scan = graph_scan(graph, SCAN_RECORD_BY_HUB);
	MemoryContext caller;

	scan_int64(scan, graph->identifiers[hub].id);
	caller = MemoryContextSwitchTo(graph->scratch);
	while (scan_next(scan))
	{
		TupleTableSlot *slot = scan->slot;
		const int64 *ids;
		int			count;
		text	   *source;
		text	   *key;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(graph->scratch);
		if (slot->tts_isnull[RECORD_IDS])
			continue;
		source = DatumGetTextPP(slot->tts_values[RECORD_SOURCE]);
		key = DatumGetTextPP(slot->tts_values[RECORD_RECORD_KEY]);
		if (graph_has_record(graph, text_to_cstring(source), VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)))
			continue;
		ids = stored_ids(slot, &count);
		for (int k = 0; k < count; k++)
		{
			uint32		other = graph_find_by_id(graph, ids[k]);
			uint32		position = other == NO_INDEX ? NO_INDEX : graph_find_pair(graph, hub, other);
			GraphLink  *link;

			if (position == NO_INDEX || !graph->links[position].times_unknown)
				continue;
			link = &graph->links[position];
			link->first_seen = Min(link->first_seen, DatumGetTimestampTz(slot->tts_values[RECORD_FIRST_SEEN]));
			link->last_seen = Max(link->last_seen, DatumGetTimestampTz(slot->tts_values[RECORD_OBSERVED_AT]));
		}
	}
	MemoryContextSwitchTo(caller);
}

/*
 * The bounds in time of the links whose bounding record went away: from the
 * stored records that are not in memory, hub by hub, then from those that are.
 */
void
load_link_times(Graph *graph)
{
	struct u64map_hash *hubs = NULL;

	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		GraphLink  *link = &graph->links[graph->changed_links[i]];
		bool		found;

		if (!link->times_unknown || link->records == 0)
			continue;
		link->first_seen = DT_NOEND;
		link->last_seen = DT_NOBEGIN;
		if (hubs == NULL)
			hubs = u64map_create(graph->context, 64, NULL);
		(void) u64map_insert(hubs, link->end[0], &found);
	}
	if (hubs == NULL)
		return;
	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		uint32		hub = graph->links[graph->changed_links[i]].end[0];

		if (graph->identifiers[hub].id != 0 && u64map_delete(hubs, hub))
			load_times_of_hub(graph, hub);
	}
	u64map_destroy(hubs);
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		GraphRecord *record = &graph->records[i];

		if (record->is_removed)
			continue;
		for (int k = 0; k < record->id_count; k++)
		{
			uint32		position;
			GraphLink  *link;

			if (record->ids[k] == record->hub)
				continue;
			position = graph_find_pair(graph, record->hub, record->ids[k]);
			if (position == NO_INDEX || !graph->links[position].times_unknown)
				continue;
			link = &graph->links[position];
			link->first_seen = Min(link->first_seen, record->first_seen);
			link->last_seen = Max(link->last_seen, record->observed_at);
		}
	}
}

/*
 * In how many stored records an identifier is: where it is the hub, and where
 * a link leads to it.
 */
int64
load_incidences(Graph *graph, uint32 identifier)
{
	int64		count = 0;
	StorageScan *scan;

	if (graph->identifiers[identifier].id == 0)
		return 0;
	load_links_of(graph, identifier);
	for (uint32 half = graph->identifiers[identifier].first_link; half != NO_INDEX;)
	{
		GraphLink  *link = &graph->links[half / 2];

		if (half % 2 == 1)
			count += link->old_records;
		half = link->next[half % 2];
	}
	scan = graph_scan(graph, SCAN_RECORD_BY_HUB);
	scan_int64(scan, graph->identifiers[identifier].id);
	while (scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	return count;
}

/* ---------- labels ---------- */

static void
take_label(Graph *graph, TupleTableSlot *slot)
{
	uint32		a = load_identifier_by_id(graph, DatumGetInt64(slot->tts_values[LABEL_A]));
	uint32		b = load_identifier_by_id(graph, DatumGetInt64(slot->tts_values[LABEL_B]));
	text	   *kind = DatumGetTextPP(slot->tts_values[LABEL_KIND]);
	bool		is_must = VARSIZE_ANY_EXHDR(kind) > 0 && VARDATA_ANY(kind)[0] == 'm';
	uint32		link;

	for (uint32 half = graph->identifiers[a].first_label; half != NO_INDEX;)
	{
		GraphLabel *label = &graph->labels[half / 2];

		if (label->end[1 - half % 2] == b)
			return;				/* seen from its other end */
		half = label->next[half % 2];
	}
	(void) graph_new_label(graph, a, b, is_must);
	if (!is_must)
		return;
	/* A must-link is a link, with or without evidence of its own. */
	if (graph_compare_identifiers(graph, a, b) > 0)
	{
		uint32		swap = a;

		a = b;
		b = swap;
	}
	link = load_link(graph, a, b);
	if (link == NO_INDEX)
		link = graph_new_link(graph, a, b);
	graph->links[link].must = graph->links[link].old_must = true;
}

/*
 * The labels of an identifier, and of whatever must-links lead to, since
 * must-linked identifiers count as one value wherever they are.
 */
void
load_labels_of(Graph *graph, uint32 identifier)
{
	const int	directions[] = {SCAN_LABEL_BY_PAIR, SCAN_LABEL_BY_B};
	uint32	   *reached = NULL;
	uint32		count = 0;
	uint32		capacity = 0;

	if (!graph->has_labels || graph->identifiers[identifier].labels_loaded)
		return;
	graph->identifiers[identifier].labels_loaded = true;
	reached = graph_grow(graph->context, reached, count, &capacity, sizeof(uint32));
	reached[count++] = identifier;
	for (uint32 k = 0; k < count; k++)
	{
		int64		id = graph->identifiers[reached[k]].id;

		if (id == 0)
			continue;
		for (int i = 0; i < lengthof(directions); i++)
		{
			StorageScan *scan = graph_scan(graph, directions[i]);

			scan_int64(scan, id);
			while (scan_next(scan))
			{
				CHECK_FOR_INTERRUPTS();
				take_label(graph, scan->slot);
			}
		}
		for (uint32 half = graph->identifiers[reached[k]].first_label; half != NO_INDEX;)
		{
			const GraphLabel *label = &graph->labels[half / 2];
			uint32		other = label->end[1 - half % 2];

			if (label->is_must && !graph->identifiers[other].labels_loaded)
			{
				graph->identifiers[other].labels_loaded = true;
				reached = graph_grow(graph->context, reached, count, &capacity, sizeof(uint32));
				reached[count++] = other;
			}
			half = label->next[half % 2];
		}
	}
	pfree(reached);
}

/* ---------- profiles ---------- */

static void
fill_profile(GraphProfile *profile, TupleTableSlot *slot)
{
	profile->anchor = profile->old_anchor = DatumGetInt64(slot->tts_values[PROFILE_ANCHOR]);
	profile->state = profile->old_state = DatumGetChar(slot->tts_values[PROFILE_STATE]);
	profile->is_loaded = true;
}

void
load_profile_row(Graph *graph, uint32 position)
{
	StorageScan *scan;

	if (graph->profiles[position].is_loaded)
		return;
	scan = graph_scan(graph, SCAN_PROFILE_BY_ID);
	scan_int64(scan, graph->profiles[position].profile_id);
	if (!scan_next(scan))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("profile %lld is missing from the storage", (long long) graph->profiles[position].profile_id),
				 errhint("SELECT * FROM cdp.check_identities() shows what is inconsistent.")));
	fill_profile(&graph->profiles[position], scan->slot);
	scan_end(scan);
}

/* Brings in all identifiers of a profile as one component. */
void
load_profile_members(Graph *graph, uint32 position)
{
	StorageScan *scan;
	uint32	   *members = NULL;
	uint32		count = 0;
	uint32		capacity = 0;
	uint32		component;

	if (graph->profiles[position].component != NO_INDEX)
		return;
	scan = graph_scan(graph, SCAN_IDENTIFIER_BY_PROFILE);
	scan_int64(scan, graph->profiles[position].profile_id);
	while (scan_next(scan))
	{
		uint32		member = take_identifier(graph, scan->slot);

		CHECK_FOR_INTERRUPTS();

		/*
		 * An identifier that came in before its profile was locked may have
		 * moved here meanwhile.
		 */
		if (!graph->identifiers[member].is_touched)
			fill_identifier(graph, member, scan->slot);
		members = graph_grow(graph->context, members, count, &capacity, sizeof(uint32));
		members[count++] = member;
	}
	for (uint32 i = 0; i < count; i++)
		load_labels_of(graph, members[i]);
	component = graph_new_component(graph);
	for (uint32 i = 0; i < count; i++)
		graph_add_member(graph, component, members[i]);
	graph->profiles[position].component = component;
	graph->profiles[position].size = count;
	if (members != NULL)
		pfree(members);
}

/*
 * A profile that is about to be looked at: locked unless nobody else writes,
 * its row and its members loaded.
 */
uint32
load_profile(Graph *graph, int64 profile_id)
{
	uint32		position = graph_find_profile(graph, profile_id, true);

	if (graph->profiles[position].component != NO_INDEX)
		return position;
	if (!graph->exclusive && !graph->profiles[position].is_locked)
		lock_profiles(graph, &profile_id, 1);
	load_profile_row(graph, position);
	load_profile_members(graph, position);
	if (graph->profiles[position].state == PROFILE_QUEUED)
		graph->components[graph->profiles[position].component].replay = true;
	return position;
}

/* The smallest retired profile id with this anchor, or 0. */
int64
load_retired_anchored(Graph *graph, int64 anchor)
{
	StorageScan *scan;
	int64		smallest = 0;

	if (anchor == 0)
		return 0;
	scan = graph_scan(graph, SCAN_PROFILE_RETIRED);
	scan_int64(scan, anchor);
	while (scan_next(scan))
	{
		int64		profile_id = DatumGetInt64(scan->slot->tts_values[PROFILE_ID]);

		if (smallest == 0 || profile_id < smallest)
			smallest = profile_id;
	}
	return smallest;
}

/* Makes every profile with a queued replay part of this operation. */
void
load_queued_profiles(Graph *graph)
{
	StorageScan *scan = graph_scan(graph, SCAN_PROFILE_QUEUED);
	int64	   *queued = NULL;
	uint32		count = 0;
	uint32		capacity = 0;

	scan_all(scan);
	while (scan_next(scan))
	{
		queued = graph_grow(graph->context, queued, count, &capacity, sizeof(int64));
		queued[count++] = DatumGetInt64(scan->slot->tts_values[PROFILE_ID]);
	}
	for (uint32 i = 0; i < count; i++)
	{
		uint32		position = load_profile(graph, queued[i]);
		uint32		component = graph->profiles[position].component;

		load_profile_row(graph, position);

		if (graph->components[component].first_member != NO_INDEX)
			graph_add_replay_seed(graph, graph->components[component].first_member);
	}
}

/* ---------- everything ---------- */

typedef void (*RowCallback) (Graph *graph, TupleTableSlot *slot);

static void
scan_relation(Graph *graph, Relation relation, RowCallback callback)
{
	TableScanDesc scan = table_beginscan(relation, graph->snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	MemoryContext caller = MemoryContextSwitchTo(graph->scratch);
	uint64		rows = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		callback(graph, slot);
		if (++rows % 1024 == 0)
		{
			MemoryContextReset(graph->scratch);
			if (graph_memory(graph) > (Size) maintenance_work_mem * 1024)
				ereport(ERROR,
						(errcode(ERRCODE_OUT_OF_MEMORY),
						 errmsg("the identity graph does not fit into maintenance_work_mem (%d MB)", maintenance_work_mem / 1024),
						 errdetail("Evaluating all of it at once takes about 100 bytes for each identifier, link and record."),
						 errhint("Raise maintenance_work_mem for this session.")));
		}
	}
	MemoryContextSwitchTo(caller);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
}

static void
whole_identifier(Graph *graph, TupleTableSlot *slot)
{
	(void) take_identifier(graph, slot);
}

static void
whole_link(Graph *graph, TupleTableSlot *slot)
{
	(void) take_link(graph, slot);
}

static void
whole_label(Graph *graph, TupleTableSlot *slot)
{
	take_label(graph, slot);
}

static void
whole_profile(Graph *graph, TupleTableSlot *slot)
{
	uint32		position = graph_find_profile(graph, DatumGetInt64(slot->tts_values[PROFILE_ID]), true);

	if (!graph->profiles[position].is_loaded)
		fill_profile(&graph->profiles[position], slot);
}

static void
whole_record(Graph *graph, TupleTableSlot *slot)
{
	(void) take_record(graph, slot);
}

/* All records, for a rebuild. */
void
load_all_records(Graph *graph)
{
	scan_relation(graph, graph->record_relation, whole_record);
}

/* All profile rows. */
void
load_all_profiles(Graph *graph)
{
	scan_relation(graph, graph->profile_relation, whole_profile);
}

/*
 * All identifiers, links and labels, and the components that the stored
 * profiles are.
 */
void
load_whole(Graph *graph)
{
	/* What the last index build counted. */
	graph_expect_stored(graph, graph->identifier_relation->rd_rel->reltuples, graph->link_relation->rd_rel->reltuples);
	scan_relation(graph, graph->identifier_relation, whole_identifier);
	graph->whole = true;
	scan_relation(graph, graph->link_relation, whole_link);
	if (graph->has_labels)
		scan_relation(graph, graph->label_relation, whole_label);
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		GraphIdentifier *identifier = &graph->identifiers[i];
		uint32		profile;

		identifier->labels_loaded = true;
		identifier->links_loaded = true;
		if (identifier->old_profile == 0)
			continue;
		profile = graph_find_profile(graph, identifier->old_profile, true);
		if (graph->profiles[profile].component == NO_INDEX)
			graph->profiles[profile].component = graph_new_component(graph);
		graph_add_member(graph, graph->profiles[profile].component, i);
		graph->profiles[profile].size++;
	}
}
