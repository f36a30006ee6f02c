/*
 * relabel.c
 *		From components to profile ids (design: ids).
 *
 * Old profiles map to the new parts: (1) the home of an old id is the part
 * that holds most of its evidence; (2) a part keeps the smallest id that is at
 * home in it, and the others retire; (3) a part without one takes back the
 * smallest retired id that is anchored in it, else it gets a new id.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_sequence.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"

/* From this many new rows on, their ids are taken as a range. */
#define LARGE_COUNT		1000

/* One identifier of an old profile that a part now holds. */
typedef struct Move
{
	int64		old_profile;
	uint32		part;			/* component */
	uint32		identifier;
} Move;

typedef struct Part
{
	uint32		component;
	uint32		first;			/* strongest identifier */
	uint32		size;
	int64		old_profile;	/* of its members: 0 none, -1 several or a part of one */
	int64		profile_id;		/* the outcome */
	bool		is_changed;
} Part;

/* A share of an old profile. */
typedef struct Share
{
	uint32		part;			/* index of Part */
	int64		incidences;
	int64		identifiers;
	bool		holds_anchor;
} Share;

static int
compare_moves(const void *left, const void *right)
{
	const Move *a = left;
	const Move *b = right;

	if (a->old_profile != b->old_profile)
		return a->old_profile < b->old_profile ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return (a->identifier > b->identifier) - (a->identifier < b->identifier);
}

static void
add_change(Graph *graph, bool is_merge, int64 profile_id, int64 other, int64 identifiers)
{
	GraphChange *change;

	graph->changes = graph_grow(graph->context, graph->changes, graph->change_count,
								&graph->change_capacity, sizeof(GraphChange));
	change = &graph->changes[graph->change_count++];
	change->is_merge = is_merge;
	change->profile_id = profile_id;
	change->other_profile_id = other;
	change->identifiers = identifiers;
	if (is_merge)
		graph->counts.merges++;
	else
		graph->counts.splits++;
}

/*
 * Fetches what the identifiers that come next belong to: the place of the
 * part's number, the part, and its strongest identifier.
 */
static inline void
fetch_parts_ahead(const Graph *graph, const Part *parts, const uint32 *part_of, uint32 i)
{
	uint32		component = graph->identifiers[i + FETCH_AHEAD * 3].component;

	if (component != NO_INDEX)
		prefetch(&part_of[component]);
	component = graph->identifiers[i + FETCH_AHEAD * 2].component;
	if (component != NO_INDEX && part_of[component] != NO_INDEX)
		prefetch(&parts[part_of[component]]);
	component = graph->identifiers[i + FETCH_AHEAD].component;
	if (component != NO_INDEX && part_of[component] != NO_INDEX)
		prefetch(&graph->identifiers[parts[part_of[component]].first]);
}

/*
 * The parts that are there now, and which part every component is (through
 * component positions).
 */
static Part *
collect_parts(Graph *graph, uint32 **part_of, uint32 *part_count)
{
	Part	   *parts;
	uint32		capacity = 0;

	*part_count = 0;
	parts = graph_grow(graph->context, NULL, 0, &capacity, sizeof(Part));
	*part_of = MemoryContextAllocHuge(graph->context, mul_size(sizeof(uint32), graph->component_count + 1));
	for (uint32 i = 0; i < graph->component_count; i++)
		(*part_of)[i] = NO_INDEX;
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];
		Part	   *part;

		if (i + FETCH_AHEAD * 3 < graph->identifier_count)
			fetch_parts_ahead(graph, parts, *part_of, i);
		if (identifier->component == NO_INDEX)
			continue;
		if ((*part_of)[identifier->component] == NO_INDEX)
		{
			parts = graph_grow(graph->context, parts, *part_count, &capacity, sizeof(Part));
			part = &parts[*part_count];
			part->component = identifier->component;
			part->first = i;
			part->old_profile = identifier->old_profile;
			(*part_of)[identifier->component] = (*part_count)++;
		}
		part = &parts[(*part_of)[identifier->component]];
		part->size++;
		if (part->old_profile != identifier->old_profile)
			part->old_profile = -1;
		if (graph_compare_identifiers(graph, i, part->first) < 0)
			part->first = i;
	}
	return parts;
}

/*
 * For the moves of split profiles: how many records hold the identifier.
 * Records in memory count as they are now, others as they are stored.  Once for
 * all of them, because it goes through all records in memory.
 */
static void
count_incidences(Graph *graph, const Move *moves, uint32 count, const bool *is_split, int64 *incidences)
{
	struct u64map_hash *positions = u64map_create(graph->context, 64, NULL);

	for (uint32 i = 0; i < count; i++)
	{
		bool		found;

		if (!is_split[i])
			continue;
		CHECK_FOR_INTERRUPTS();
		incidences[i] = graph->derive ? 0 : load_incidences(graph, moves[i].identifier);
		u64map_insert(positions, moves[i].identifier, &found)->position = i;
	}
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (record->is_stored && !graph->derive)
			for (int k = 0; k < record->old_id_count; k++)
			{
				U64Entry   *entry = u64map_lookup(positions, record->old_ids[k]);

				if (entry != NULL)
					incidences[entry->position]--;
			}
		if (!record->is_removed && graph_record_is_kept(record))
			for (int k = 0; k < record->id_count; k++)
			{
				U64Entry   *entry = u64map_lookup(positions, record->ids[k]);

				if (entry != NULL)
					incidences[entry->position]++;
			}
	}
	u64map_destroy(positions);
}

static bool
is_better_home(const Graph *graph, const Part *parts, const Share *a, const Share *b)
{
	if (a->incidences != b->incidences)
		return a->incidences > b->incidences;
	if (a->identifiers != b->identifiers)
		return a->identifiers > b->identifiers;
	if (a->holds_anchor != b->holds_anchor)
		return a->holds_anchor;
	return graph_compare_identifiers(graph, parts[a->part].first, parts[b->part].first) < 0;
}

/* The part that is the home of the old profile of these moves. */
static uint32
find_home(Graph *graph, const Part *parts, const uint32 *part_of, const Move *moves,
		  uint32 count, const int64 *incidences)
{
	const GraphProfile *profile = &graph->profiles[graph_find_profile(graph, moves[0].old_profile, false)];
	Share		best = {.part = NO_INDEX};

	for (uint32 i = 0; i < count;)
	{
		Share		share = {.part = part_of[moves[i].part]};
		uint32		component = moves[i].part;

		for (; i < count && moves[i].part == component; i++)
		{
			share.identifiers++;
			share.incidences += incidences[i];
			if (graph->identifiers[moves[i].identifier].id == profile->anchor)
				share.holds_anchor = true;
		}
		if (best.part == NO_INDEX || is_better_home(graph, parts, &share, &best))
			best = share;
	}
	return best.part;
}

static uint32
take_profile(Graph *graph, int64 profile_id)
{
	uint32		position = graph_find_profile(graph, profile_id, true);

	if (!graph->profiles[position].is_loaded && graph->derive)
	{
		/* A rebuild has read all rows, and makes up for one that somebody deleted. */
		graph->profiles[position].state = PROFILE_LIVE;
		graph->profiles[position].is_loaded = graph->profiles[position].is_changed = true;
	}
	else if (!graph->profiles[position].is_loaded)
	{
		load_profile_row(graph, position);
		/* Its replay would be struck off below without having been done. */
		Assert(graph->profiles[position].state != PROFILE_QUEUED);
	}
	return position;
}

/* The anchor's part, or NO_INDEX when it is not among those at hand. */
static uint32
part_of_anchor(Graph *graph, const uint32 *part_of, int64 anchor)
{
	uint32		identifier = graph_find_by_id(graph, anchor);

	if (identifier == NO_INDEX || graph->identifiers[identifier].component == NO_INDEX)
		return NO_INDEX;
	return part_of[graph->identifiers[identifier].component];
}

/* Whether the sequence counts one by one, and gives a session no more numbers than that at once. */
static bool
counts_by_one(Oid sequence, uint32 most_cached)
{
	HeapTuple	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	result = form->seqincrement == 1 && form->seqcache <= most_cached;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Ids for so many new rows, as one range where the caller may set the sequence
 * and it is as cdp.setup() made it; whoever is not the only writer, or may not, takes them
 * one by one.  Returns the first one, 0 when there is no range.
 */
static int64
reserve_ids(Graph *graph, Oid sequence, uint32 count)
{
	int64		first;

	if (count < LARGE_COUNT || !graph->exclusive || graph->read_only ||
		pg_class_aclcheck(sequence, GetUserId(), ACL_UPDATE) != ACLCHECK_OK ||
		!counts_by_one(sequence, count))
		return 0;
	first = nextval_internal(sequence, true);
	(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(first + count - 1));
	return first;
}

static void
assign_id(Graph *graph, uint32 identifier)
{
	if (graph->identifiers[identifier].id != 0)
		return;
	graph->identifiers[identifier].id = nextval_internal(graph->relations->identifier_id_sequence, true);
	graph->counts.identifiers_new++;
}

/* All identifiers that have none get one, in the order in which they came. */
static void
assign_ids(Graph *graph)
{
	uint32		wanting = 0;
	int64		next;

	for (uint32 i = 0; i < graph->identifier_count; i++)
		if (graph->identifiers[i].id == 0)
			wanting++;
	next = reserve_ids(graph, graph->relations->identifier_id_sequence, wanting);
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		if (next == 0)
			assign_id(graph, i);
		else if (graph->identifiers[i].id == 0)
		{
			graph->identifiers[i].id = next++;
			graph->counts.identifiers_new++;
		}
	}
}

/*
 * Steps 1 and 2: homes of old ids, and which of them a part keeps.  Returns
 * the home of every profile, by its position.
 */
static uint32 *
keep_ids_at_home(Graph *graph, Part *parts, const uint32 *part_of, const Move *moves, uint32 move_count)
{
	uint32	   *home_of;
	uint32		run;
	bool	   *is_split = MemoryContextAllocHuge(graph->context, move_count + 1);
	int64	   *incidences = MemoryContextAllocHuge(graph->context, mul_size(sizeof(int64), move_count + 1));
	bool		any_split = false;

	/*
	 * Of very many the rows are read as they lie, not one by one.  None that is
	 * read only now has a queued replay: load_profile and load_queued_profiles
	 * have read those, and a rebuild all.
	 */
	if (graph->whole && move_count / 10 > RelationGetNumberOfBlocks(graph->profile_relation))
		load_all_profiles(graph);
	/* All profiles first, because the array moves while it grows. */
	for (uint32 i = 0; i < move_count; i++)
		if (i == 0 || moves[i].old_profile != moves[i - 1].old_profile)
			(void) take_profile(graph, moves[i].old_profile);
	home_of = MemoryContextAllocHuge(graph->context, mul_size(sizeof(uint32), graph->profile_count + 1));

	for (uint32 i = 0; i < move_count; i = run)
	{
		/* Moves are in order of profile and part. */
		for (run = i; run < move_count && moves[run].old_profile == moves[i].old_profile; run++)
			;
		memset(&is_split[i], moves[run - 1].part != moves[i].part, run - i);
		any_split |= is_split[i];
	}
	if (any_split)
		count_incidences(graph, moves, move_count, is_split, incidences);

	for (uint32 i = 0; i < move_count; i = run)
	{
		uint32		profile = graph_find_profile(graph, moves[i].old_profile, false);
		uint32		home = part_of[moves[i].part];

		CHECK_FOR_INTERRUPTS();
		for (run = i; run < move_count && moves[run].old_profile == moves[i].old_profile; run++)
			;
		if (is_split[i])
			home = find_home(graph, parts, part_of, &moves[i], run - i, &incidences[i]);
		home_of[profile] = home;
		if (parts[home].profile_id == 0 || moves[i].old_profile < parts[home].profile_id)
			parts[home].profile_id = moves[i].old_profile;
	}

	for (uint32 i = 0; i < move_count; i++)
	{
		uint32		profile;

		if (i > 0 && moves[i].old_profile == moves[i - 1].old_profile)
			continue;
		profile = graph_find_profile(graph, moves[i].old_profile, false);
		if (parts[home_of[profile]].profile_id == moves[i].old_profile)
			continue;
		if (graph->profiles[profile].anchor == 0)
			graph->profiles[profile].anchor = graph->identifiers[moves[i].identifier].id;
		graph->profiles[profile].state = PROFILE_RETIRED;
		graph->profiles[profile].is_changed = true;
	}
	pfree(is_split);
	pfree(incidences);
	return home_of;
}

/* Step 3: parts that nothing is at home in. */
static void
give_ids(Graph *graph, Part *parts, const uint32 *part_of, uint32 part_count)
{
	uint32	   *wanting;
	uint32		count = 0;
	uint32		retired_count = 0;
	int64	   *retired_here;
	bool		has_retired;
	int64		next;

	wanting = MemoryContextAllocHuge(graph->context, mul_size(sizeof(uint32), part_count + 1));
	for (uint32 i = 0; i < part_count; i++)
		if (parts[i].profile_id == 0)
			wanting[count++] = i;
	/* Ids that retired just now count as well. */
	retired_here = MemoryContextAllocHuge(graph->context, mul_size(sizeof(int64), part_count + 1));
	memset(retired_here, 0, sizeof(int64) * part_count);
	for (uint32 i = 0; i < graph->profile_count; i++)
	{
		const GraphProfile *profile = &graph->profiles[i];
		uint32		part;

		if (profile->state != PROFILE_RETIRED || profile->old_state == PROFILE_RETIRED)
			continue;
		retired_count++;
		part = part_of_anchor(graph, part_of, profile->anchor);
		if (part != NO_INDEX && (retired_here[part] == 0 || profile->profile_id < retired_here[part]))
			retired_here[part] = profile->profile_id;
	}

	/*
	 * Retired ids are rare.  Asked now, under the locks, since others may have
	 * retired some while this operation waited.
	 */
	has_retired = count > 0 && scan_has_rows(graph_scan(graph, SCAN_PROFILE_RETIRED));
	/* Where some may be taken back it is not known how many are new. */
	next = has_retired || retired_count > 0 ? 0 : reserve_ids(graph, graph->relations->profile_id_sequence, count);
	if (next != 0)
		graph_expect_profiles(graph, count);
	for (uint32 i = 0; i < count; i++)
	{
		Part	   *part = &parts[wanting[i]];
		int64		profile_id = retired_here[wanting[i]];
		uint32		position;

		CHECK_FOR_INTERRUPTS();
		if (has_retired)
			for (uint32 member = graph->components[part->component].first_member; member != NO_INDEX;
				 member = graph->identifiers[member].next_member)
			{
				int64		retired = load_retired_anchored(graph, graph->identifiers[member].id);

				if (retired != 0 && (profile_id == 0 || retired < profile_id))
					profile_id = retired;
			}
		if (profile_id != 0)
		{
			position = take_profile(graph, profile_id);
			graph->profiles[position].state = PROFILE_LIVE;
		}
		else
		{
			assign_id(graph, part->first);
			/* A check needs an id that differs from all others, and may not take one. */
			if (graph->read_only)
				profile_id = -1 - (int64) i;
			else
				profile_id = next != 0 ? next++ : nextval_internal(graph->relations->profile_id_sequence, true);
			position = graph_find_profile(graph, profile_id, true);
			graph->profiles[position].anchor = graph->identifiers[part->first].id;
			graph->profiles[position].state = PROFILE_LIVE;
			graph->profiles[position].is_loaded = true;
			graph->counts.profiles_new++;
		}
		graph->profiles[position].is_changed = true;
		part->profile_id = profile_id;
	}
	pfree(wanting);
	pfree(retired_here);
}

/*
 * An id that lives in a part without its anchor takes that part's first
 * identifier; in a rebuild, all of them are looked at.
 */
static void
mend_anchors(Graph *graph, const Part *parts, const uint32 *part_of, uint32 part_count)
{
	for (uint32 i = 0; i < part_count; i++)
	{
		uint32		position;
		GraphProfile *profile;

		if (!parts[i].is_changed && !graph->derive)
			continue;
		position = take_profile(graph, parts[i].profile_id);
		profile = &graph->profiles[position];
		if ((profile->old_state == '\0' && profile->anchor != 0) || part_of_anchor(graph, part_of, profile->anchor) == i)
			continue;
		assign_id(graph, parts[i].first);
		profile->anchor = graph->identifiers[parts[i].first].id;
		profile->is_changed = true;
	}
}

/*
 * For a rebuild, which believes the evidence only: states of profiles that do not
 * agree with their members, because rows were changed by hand.
 */
static void
mend_states(Graph *graph)
{
	for (uint32 i = 0; i < graph->profile_count; i++)
	{
		GraphProfile *profile = &graph->profiles[i];

		if (!profile->is_loaded || (profile->size == 0) == (profile->state == PROFILE_RETIRED))
			continue;
		profile->state = profile->size == 0 ? PROFILE_RETIRED : PROFILE_LIVE;
		profile->is_changed = true;
	}
}

/*
 * Gives every component its profile id, and notes what changed.
 */
void
relabel_profiles(Graph *graph)
{
	uint32	   *part_of;
	uint32		part_count;
	Part	   *parts = collect_parts(graph, &part_of, &part_count);
	Move	   *moves;
	uint32	   *home_of;
	uint32		move_count = 0;
	uint32		capacity = 0;

	assign_ids(graph);
	if (graph->derive)
		mend_states(graph);

	/*
	 * A part that is exactly one old profile stays as it is.  Of an old profile
	 * all members are in memory when one of them is, so the sizes tell.
	 */
	for (uint32 i = 0; i < part_count; i++)
	{
		Part	   *part = &parts[i];

		if (part->old_profile > 0 &&
			graph->profiles[graph_find_profile(graph, part->old_profile, false)].size == part->size)
			part->profile_id = part->old_profile;
		else
			part->is_changed = true;
	}

	moves = graph_grow(graph->context, NULL, 0, &capacity, sizeof(Move));
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];

		if (identifier->component == NO_INDEX || identifier->old_profile == 0 ||
			!parts[part_of[identifier->component]].is_changed)
			continue;
		moves = graph_grow(graph->context, moves, move_count, &capacity, sizeof(Move));
		moves[move_count].old_profile = identifier->old_profile;
		moves[move_count].part = identifier->component;
		moves[move_count++].identifier = i;
	}
	qsort(moves, move_count, sizeof(Move), compare_moves);
	home_of = keep_ids_at_home(graph, parts, part_of, moves, move_count);
	give_ids(graph, parts, part_of, part_count);
	mend_anchors(graph, parts, part_of, part_count);

	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		GraphIdentifier *identifier = &graph->identifiers[i];

		identifier->new_profile = identifier->component == NO_INDEX ? identifier->old_profile : parts[part_of[identifier->component]].profile_id;
	}

	/* What left an old id: with its home it merged into another one, else it split off. */
	for (uint32 i = 0, run; i < move_count; i = run)
	{
		uint32		part = part_of[moves[i].part];
		uint32		profile = graph_find_profile(graph, moves[i].old_profile, false);

		for (run = i; run < move_count && moves[run].old_profile == moves[i].old_profile &&
			 moves[run].part == moves[i].part;
			 run++)
			;
		if (parts[part].profile_id == moves[i].old_profile)
			continue;
		if (home_of[profile] == part)
			add_change(graph, true, parts[part].profile_id, moves[i].old_profile, run - i);
		else
			add_change(graph, false, moves[i].old_profile, parts[part].profile_id, run - i);
	}

	/* Work that was left is noted on the profiles, and struck off when it is done. */
	for (uint32 i = 0; i < part_count && graph->is_queued; i++)
		if (graph->components[parts[i].component].is_unsettled)
		{
			uint32		position = take_profile(graph, parts[i].profile_id);

			graph->profiles[position].state = PROFILE_QUEUED;
			if (graph->profiles[position].old_state != PROFILE_QUEUED)
				graph->profiles[position].is_changed = true;
		}
	/* Queued ones in memory are those that load_profile and load_queued_profiles had evaluated; see keep_ids_at_home. */
	for (uint32 i = 0; i < graph->profile_count && !graph->is_queued; i++)
		if (graph->profiles[i].state == PROFILE_QUEUED)
		{
			graph->profiles[i].state = PROFILE_LIVE;
			graph->profiles[i].is_changed = true;
		}
	pfree(home_of);
	pfree(moves);
	pfree(parts);
	pfree(part_of);
}
