/*
 * evidence.c
 *		From changes of records to changes of links (design: evidence, heads,
 *		shared identifiers, hubs).
 *
 * A record's head is its strongest unblocked identifier.  An identifier is
 * shared when the distinct heads of strictly stronger namespaces in its
 * records exceed the max_links of its namespace.  Heads depend on nothing but
 * the record and what is blocked, so sharing never feeds back into itself:
 * heads are counted first, then who is shared, then the hubs and their links.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"

/* Whether a link joins its ends, constraints permitting. */
bool
graph_link_active(const Graph *graph, const GraphLink *link)
{
	return graph->identifiers[link->end[0]].state == IDENTIFIER_USABLE &&
		graph->identifiers[link->end[1]].state == IDENTIFIER_USABLE &&
		(link->records > 0 || link->must);
}

/* Fetches the ends of the changed links that come next. */
void
graph_fetch_changed(const Graph *graph, uint32 i)
{
	const GraphLink *link;

	if (i + FETCH_AHEAD * 2 >= graph->changed_link_count)
		return;
	prefetch(&graph->links[graph->changed_links[i + FETCH_AHEAD * 2]]);
	link = &graph->links[graph->changed_links[i + FETCH_AHEAD]];
	prefetch(&graph->identifiers[link->end[0]]);
	prefetch(&graph->identifiers[link->end[1]]);
}

/* Whether a link joined its ends before the operation. */
bool
graph_link_was_active(const Graph *graph, const GraphLink *link)
{
	return graph->identifiers[link->end[0]].old_state == IDENTIFIER_USABLE &&
		graph->identifiers[link->end[1]].old_state == IDENTIFIER_USABLE &&
		(link->old_records > 0 || link->old_must);
}

static bool
contains(const uint32 *ids, int count, uint32 identifier)
{
	for (int i = 0; i < count; i++)
		if (ids[i] == identifier)
			return true;
	return false;
}

/* The strongest unblocked identifier, or NO_INDEX; ids are in order of strength. */
static uint32
head_of(const Graph *graph, const uint32 *ids, int count, bool old)
{
	for (int i = 0; i < count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[ids[i]];

		if ((old ? identifier->old_state : identifier->state) != IDENTIFIER_BLOCKED)
			return ids[i];
	}
	return NO_INDEX;
}

/*
 * The strongest usable identifier; where there is none the head, so that the
 * record can be found through it, and where even that is missing the first.
 */
static uint32
hub_of(const Graph *graph, const GraphRecord *record)
{
	uint32		head;

	for (int i = 0; i < record->id_count; i++)
		if (graph->identifiers[record->ids[i]].state == IDENTIFIER_USABLE)
			return record->ids[i];
	head = head_of(graph, record->ids, record->id_count, false);
	return head == NO_INDEX ? record->ids[0] : head;
}

static GraphLink *
take_link(Graph *graph, uint32 a, uint32 b)
{
	uint32		position = load_link(graph, a, b);

	if (position == NO_INDEX)
		position = graph_new_link(graph, a, b);
	graph_link_changed(graph, position);
	return &graph->links[position];
}

static void
count_head(Graph *graph, uint32 head, uint32 identifier, int difference)
{
	GraphLink  *link = take_link(graph, head, identifier);

	link->head_records += difference;
	if (link->head_records < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored links do not agree with the records"),
				 errhint("SELECT cdp.rebuild_identities() derives them again.")));
	if (difference > 0 && link->head_records == 1)
		graph->identifiers[identifier].heads_gained = true;
	if (difference < 0 && link->head_records == 0)
		graph->identifiers[identifier].heads_lost = true;
}

/* Whether the stored version of the record is in the links' counts. */
static inline bool
was_counted(const Graph *graph, const GraphRecord *record)
{
	return record->is_stored && !graph->derive;
}

static void
update_heads(Graph *graph, GraphRecord *record)
{
	uint32		old_head = was_counted(graph, record) ? head_of(graph, record->old_ids, record->old_id_count, true) : NO_INDEX;
	uint32		head = record->is_removed ? NO_INDEX : head_of(graph, record->ids, record->id_count, false);

	if (old_head != NO_INDEX)
		for (int i = 0; i < record->old_id_count; i++)
			if (record->old_ids[i] != old_head &&
				!(head == old_head && contains(record->ids, record->id_count, record->old_ids[i])))
				count_head(graph, old_head, record->old_ids[i], -1);
	if (head != NO_INDEX)
		for (int i = 0; i < record->id_count; i++)
			if (record->ids[i] != head &&
				!(head == old_head && contains(record->old_ids, record->old_id_count, record->ids[i])))
				count_head(graph, head, record->ids[i], 1);
}

static void
update_hub(Graph *graph, GraphRecord *record)
{
	uint32		old_hub = was_counted(graph, record) ? record->old_hub : NO_INDEX;
	uint32		hub;

	if (!record->is_removed)
		record->hub = hub_of(graph, record);
	hub = record->is_removed ? NO_INDEX : record->hub;

	if (old_hub != NO_INDEX)
		for (int i = 0; i < record->old_id_count; i++)
		{
			uint32		identifier = record->old_ids[i];
			GraphLink  *link;

			if (identifier == old_hub)
				continue;
			if (hub == old_hub && contains(record->ids, record->id_count, identifier))
			{
				/* The pair stays: its first time only falls, its last only rises. */
				if (record->first_seen == record->old_first_seen &&
					record->observed_at == record->old_observed_at)
					continue;
				link = take_link(graph, hub, identifier);
				link->first_seen = Min(link->first_seen, record->first_seen);
				link->last_seen = Max(link->last_seen, record->observed_at);
				continue;
			}
			link = take_link(graph, old_hub, identifier);
			link->records--;
			if (link->records < 0)
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("the stored links do not agree with the records"),
						 errhint("SELECT cdp.rebuild_identities() derives them again.")));
			if (record->old_first_seen <= link->first_seen || record->old_observed_at >= link->last_seen)
				link->times_unknown = true;
		}
	if (hub != NO_INDEX)
		for (int i = 0; i < record->id_count; i++)
		{
			uint32		identifier = record->ids[i];
			GraphLink  *link;

			if (identifier == hub ||
				(hub == old_hub && contains(record->old_ids, record->old_id_count, identifier)))
				continue;
			link = take_link(graph, hub, identifier);
			link->records++;
			link->first_seen = Min(link->first_seen, record->first_seen);
			link->last_seen = Max(link->last_seen, record->observed_at);
		}
}

/* Fetches the first link of the identifiers that come next, where its heads begin, and that one's end. */
static inline void
fetch_first_links(const Graph *graph, uint32 i)
{
	uint32		half = graph->identifiers[i + FETCH_AHEAD * 2].first_link;

	if (half != NO_INDEX)
		prefetch(&graph->links[half / 2]);
	half = graph->identifiers[i + FETCH_AHEAD].first_link;
	if (half != NO_INDEX)
		prefetch(&graph->identifiers[graph->links[half / 2].end[0]]);
}

/*
 * Who is shared, as far as the changed heads can have changed it.
 */
static void
update_shared(Graph *graph)
{
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		GraphIdentifier *identifier = &graph->identifiers[i];
		int			max_links = graph->settings->namespaces[identifier->namespace_index].max_links;
		bool		was_blocked = identifier->old_state == IDENTIFIER_BLOCKED;
		bool		is_shared;

		CHECK_FOR_INTERRUPTS();
		if (i + FETCH_AHEAD * 2 < graph->identifier_count)
			fetch_first_links(graph, i);
		if (identifier->state == IDENTIFIER_BLOCKED)
			continue;
		if (!graph->derive && !(was_blocked && identifier->state == IDENTIFIER_USABLE))
		{
			/* More heads never end sharing, fewer never begin it. */
			if (identifier->state == IDENTIFIER_SHARED ? !identifier->heads_lost : !identifier->heads_gained)
				continue;
		}
		is_shared = max_links > 0 && load_head_count(graph, i, max_links) > max_links;
		/* The array may have moved. */
		graph->identifiers[i].state = is_shared ? IDENTIFIER_SHARED : IDENTIFIER_USABLE;
	}
}

/* Marks the identifiers of the records from this one on and locks their profiles. */
static void
touch_records(Graph *graph, uint32 from)
{
	for (uint32 i = from; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];

		if (i + FETCH_AHEAD * 2 < graph->record_count)
		{
			prefetch(record[FETCH_AHEAD * 2].ids);
			for (int k = 0; k < record[FETCH_AHEAD].id_count; k++)
				prefetch(&graph->identifiers[record[FETCH_AHEAD].ids[k]]);
		}
		if (record->is_incoming && !record->is_changed)
			continue;
		for (int k = 0; k < record->id_count; k++)
			graph->identifiers[record->ids[k]].is_touched = true;
		for (int k = 0; k < record->old_id_count; k++)
			graph->identifiers[record->old_ids[k]].is_touched = true;
	}
	lock_touched(graph);
	if (graph->exclusive)
		return;

	/*
	 * The caller's record was read before its identifiers were locked.  Its
	 * content is protected by the lock on its key, but its hub may have moved
	 * when somebody made an identifier shared.
	 */
	for (uint32 i = from; i < graph->record_count; i++)
		if (graph->records[i].is_incoming && graph->records[i].is_stored)
			(void) load_record(graph, i);
}

/*
 * Brings in the records of the identifiers that became usable or ceased to be
 * so, since their hubs may be others now, and marks their links as changed.
 * Called twice, because blocked ones flip before the heads are counted and
 * shared ones after.
 */
static void
follow_flips(Graph *graph, bool of_blocked)
{
	uint32		count = graph->identifier_count;
	uint32		first_record = graph->record_count;

	for (uint32 i = 0; i < count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];
		uint32	   *hubs;
		uint32		hub_count;
		bool		flips_block;

		if (identifier->old_state == '\0' || identifier->old_state == identifier->state)
			continue;
		flips_block = (identifier->old_state == IDENTIFIER_BLOCKED) != (identifier->state == IDENTIFIER_BLOCKED);
		if (flips_block != of_blocked)
			continue;
		load_labels_of(graph, i);
		load_links_of(graph, i);
		for (uint32 half = graph->identifiers[i].first_link; half != NO_INDEX;)
		{
			graph_link_changed(graph, half / 2);
			half = graph->links[half / 2].next[half % 2];
		}
		if (graph->derive)
			continue;			/* all records are in memory */
		load_hubs_of(graph, i, &hubs, &hub_count);
		for (uint32 k = 0; k < hub_count; k++)
			load_records_of_hub(graph, hubs[k], i);
		pfree(hubs);
	}
	touch_records(graph, first_record);
}

/*
 * Fetches in three steps what the records that come next will touch: their
 * identifiers, the place of the pairs in the look-up table, and the links.  Of
 * a record that says anything new, that is where its strongest identifier is
 * usable, which it nearly always is.
 */
static inline void
fetch_ahead(const Graph *graph, uint32 i)
{
	const GraphRecord *record;

	if (i + FETCH_AHEAD * 4 < graph->record_count)
		prefetch(graph->records[i + FETCH_AHEAD * 4].ids);
	if (i + FETCH_AHEAD * 3 >= graph->record_count)
		return;
	record = &graph->records[i + FETCH_AHEAD * 3];
	for (int k = 0; k < record->id_count; k++)
		prefetch(&graph->identifiers[record->ids[k]]);
	record = &graph->records[i + FETCH_AHEAD * 2];
	for (int k = 1; k < record->id_count; k++)
		graph_prefetch_pair(graph, record->ids[0], record->ids[k]);
}

/* The same for links that are there. */
static inline void
fetch_links_ahead(Graph *graph, uint32 i)
{
	const GraphRecord *record;

	if (i + FETCH_AHEAD >= graph->record_count)
		return;
	record = &graph->records[i + FETCH_AHEAD];
	for (int k = 1; k < record->id_count; k++)
	{
		uint32		link = graph_find_pair(graph, record->ids[0], record->ids[k]);

		if (link != NO_INDEX)
			prefetch(&graph->links[link]);
	}
}

/*
 * Brings the links in memory to what the records in memory say now.
 */
void
evidence_update(Graph *graph)
{
	uint32		counted;

	touch_records(graph, 0);
	follow_flips(graph, true);
	counted = graph->record_count;
	for (uint32 i = 0; i < counted; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_ahead(graph, i);
		fetch_links_ahead(graph, i);
		update_heads(graph, &graph->records[i]);
	}
	update_shared(graph);
	/* The records that come in here change their hubs, not their heads. */
	follow_flips(graph, false);
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_ahead(graph, i);
		fetch_links_ahead(graph, i);
		update_hub(graph, &graph->records[i]);
	}
	load_link_times(graph);
	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		GraphLink  *link = &graph->links[graph->changed_links[i]];

		graph_fetch_changed(graph, i);
		if (!graph_link_active(graph, link))
			link->state = LINK_UNUSABLE;
	}
}
