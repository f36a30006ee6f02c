/*
 * partition.c
 *		From changes of links to components, the people to be.
 *
 * The partition is defined by applying all active links in canonical order and
 * refusing each union that would break a constraint.  Constraints are
 * hereditary (a part of a valid set is valid), so a refused link stays refused
 * while its ends' components only grow, and the result of a change can be had
 * from the components that it touches:
 *
 * - A new link between two components whose union is valid merges them.
 * - Every other change marks the components of its ends for replay.  A replay
 *   takes all marked components and the ring of those that refused links join
 *   to them, and applies the links inside from scratch.  A ring component that
 *   comes out otherwise is marked too, and the replay repeated with its ring.
 *   Components outside have no changed link, and none joins them to a marked
 *   one, so that their links come to the same decisions as before.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/tables.h"

/* ---------- canonical order ---------- */

typedef struct SortableLink
{
	uint64		rank;			/* priorities of the stronger and the weaker end; 0 for must-links */
	int64		time;
	uint32		link;
} SortableLink;

/* The order of links with the same rank and time. */
static int
compare_ends(const SortableLink *a, const SortableLink *b, const Graph *graph)
{
	const GraphLink *x = &graph->links[a->link];
	const GraphLink *y = &graph->links[b->link];
	int			order;

	if (a->rank == 0)
	{
		/* Must-links have no time; they stand in order of strength. */
		order = graph_compare_identifiers(graph, x->end[0], y->end[0]);
		return order != 0 ? order : graph_compare_identifiers(graph, x->end[1], y->end[1]);
	}
	order = graph_compare_by_name(graph, x->end[0], y->end[0]);
	return order != 0 ? order : graph_compare_by_name(graph, x->end[1], y->end[1]);
}

static inline int
compare_links(const SortableLink *a, const SortableLink *b, const Graph *graph)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->link == b->link ? 0 : compare_ends(a, b, graph);
}

#define ST_SORT			sort_in_order
#define ST_ELEMENT_TYPE SortableLink
#define ST_COMPARE_ARG_TYPE const Graph
#define ST_COMPARE(a, b, graph) compare_links(a, b, graph)
#define ST_SCOPE		static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Smaller comes first: the oldest link, or the newest under drop_older. */
static int64
link_time(const Graph *graph, TimestampTz first_seen, TimestampTz last_seen)
{
	return graph->settings->drop_older ? -last_seen : first_seen;
}

static SortableLink
sortable(const Graph *graph, uint32 position)
{
	const GraphLink *link = &graph->links[position];
	const GraphNamespace *namespaces = graph->settings->namespaces;
	SortableLink result = {.rank = 0, .time = 0, .link = position};

	if (!link->must)
	{
		/* Priorities begin at 1. */
		result.rank = (uint64) namespaces[graph->identifiers[link->end[0]].namespace_index].priority << 32 |
			(uint32) namespaces[graph->identifiers[link->end[1]].namespace_index].priority;
		result.time = link_time(graph, link->first_seen, link->last_seen);
	}
	return result;
}

static void
sort_links(Graph *graph, SortableLink *links, uint32 count)
{
	if (count > 1)
		sort_in_order(links, count, graph);
}

/* ---------- constraints ---------- */

/* The representative of all identifiers that must-links join. */
static uint32
must_class(const Graph *graph, uint32 identifier)
{
	uint32	   *parent = graph->must_class;

	if (parent == NULL || identifier >= graph->must_class_count)
		return identifier;
	/* Halves the path, so that a long chain of must-links is walked once. */
	while (parent[identifier] != identifier)
		identifier = parent[identifier] = parent[parent[identifier]];
	return identifier;
}

/* More special members than this, and a component keeps its limited values. */
#define FEW_SPECIAL		64

/* The limited values of one large component, for as long as classes stay what they are. */
struct KeptValues
{
	uint64	   *values;
	uint32		count;
	uint32		capacity;
};

static int
compare_uint64(const void *left, const void *right)
{
	uint64		a = *(const uint64 *) left;
	uint64		b = *(const uint64 *) right;

	return (a > b) - (a < b);
}

/* The position of the first value that is not smaller. */
static uint32
first_not_below(const uint64 *values, uint32 count, uint64 wanted)
{
	uint32		low = 0;
	uint32		high = count;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (values[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32
sort_distinct(uint64 *values, uint32 count)
{
	uint32		distinct = 0;

	if (count > 1)
		qsort(values, count, sizeof(uint64), compare_uint64);
	for (uint32 i = 0; i < count; i++)
		if (distinct == 0 || values[i] != values[distinct - 1])
			values[distinct++] = values[i];
	return distinct;
}

/* Forgets what large components hold: when classes are built anew, and with them components. */
static void
forget_kept_values(Graph *graph)
{
	if (graph->kept_of == NULL)
		return;
	for (uint32 i = 0; i < graph->kept_count; i++)
	{
		pfree(graph->kept[i].values);
		memset(&graph->kept[i], 0, sizeof(struct KeptValues));
	}
	graph->kept_count = 0;
	u64map_destroy(graph->kept_of);
	graph->kept_of = NULL;
}

static void
build_must_classes(Graph *graph)
{
	bool		any = false;

	for (uint32 i = 0; i < graph->label_count && !any; i++)
		any = graph->labels[i].is_must;
	if (graph->must_class != NULL)
	{
		pfree(graph->must_class);
		graph->must_class = NULL;
	}
	forget_kept_values(graph);
	if (!any)
		return;
	graph->must_class = MemoryContextAllocHuge(graph->context, mul_size(sizeof(uint32), graph->identifier_count));
	graph->must_class_count = graph->identifier_count;
	for (uint32 i = 0; i < graph->identifier_count; i++)
		graph->must_class[i] = i;
	for (uint32 i = 0; i < graph->label_count; i++)
	{
		const GraphLabel *label = &graph->labels[i];
		uint32		a;
		uint32		b;

		/* A must-link on a shared or blocked identifier rests. */
		if (!label->is_must ||
			graph->identifiers[label->end[0]].state != IDENTIFIER_USABLE ||
			graph->identifiers[label->end[1]].state != IDENTIFIER_USABLE)
			continue;
		a = must_class(graph, label->end[0]);
		b = must_class(graph, label->end[1]);
		graph->must_class[Max(a, b)] = Min(a, b);
	}
}

static struct KeptValues *
find_kept_values(const Graph *graph, uint32 component)
{
	U64Entry   *entry = graph->kept_of == NULL ? NULL : u64map_lookup(graph->kept_of, component);

	return entry == NULL ? NULL : &graph->kept[entry->position];
}

/* What one special member is for max_per_profile: namespace and class; false where nothing limits it. */
static inline bool
limited_value(const Graph *graph, uint32 identifier, uint64 *value)
{
	int			ns = graph->identifiers[identifier].namespace_index;

	if (graph->settings->namespaces[ns].max_per_profile == 0)
		return false;
	*value = ((uint64) ns << 32) | must_class(graph, identifier);
	return true;
}

static struct KeptValues *
keep_values(Graph *graph, uint32 component)
{
	struct KeptValues *kept;
	uint64		value;
	bool		found;

	if (graph->kept_of == NULL)
		graph->kept_of = u64map_create(graph->context, 64, NULL);
	u64map_insert(graph->kept_of, component, &found)->position = graph->kept_count;
	graph->kept = graph_grow(graph->context, graph->kept, graph->kept_count, &graph->kept_capacity, sizeof(struct KeptValues));
	kept = &graph->kept[graph->kept_count++];
	kept->values = graph_grow(graph->context, NULL, 0, &kept->capacity, sizeof(uint64));
	for (uint32 i = graph->components[component].first_special; i != NO_INDEX; i = graph->identifiers[i].next_special)
		if (limited_value(graph, i, &value))
		{
			kept->values = graph_grow(graph->context, kept->values, kept->count, &kept->capacity, sizeof(uint64));
			kept->values[kept->count++] = value;
		}
	kept->count = sort_distinct(kept->values, kept->count);
	return kept;
}

/*
 * The different values of a component that max_per_profile counts, in ascending
 * order: in the buffer, which has room for FEW_SPECIAL, or those that it keeps.
 */
static const uint64 *
limited_values(Graph *graph, uint32 component, uint64 *buffer, uint32 *count)
{
	struct KeptValues *kept = find_kept_values(graph, component);
	uint32		walked = 0;

	*count = 0;
	for (uint32 i = graph->components[component].first_special; i != NO_INDEX && kept == NULL; i = graph->identifiers[i].next_special)
		if (walked++ == FEW_SPECIAL)
			kept = keep_values(graph, component);
		else if (limited_value(graph, i, &buffer[*count]))
			(*count)++;
	if (kept != NULL)
	{
		*count = kept->count;
		return kept->values;
	}
	*count = sort_distinct(buffer, *count);
	return buffer;
}

/* Adds to the kept values of a component, if it has any, those of one that merges into it. */
static void
merge_kept_values(Graph *graph, uint32 into, uint32 from)
{
	uint64		buffer[FEW_SPECIAL];
	const uint64 *added;
	uint32		added_count;
	struct KeptValues *kept;

	if (find_kept_values(graph, into) == NULL)
		return;
	added = limited_values(graph, from, buffer, &added_count);
	/* The array may have moved. */
	kept = find_kept_values(graph, into);
	for (uint32 i = 0; i < added_count; i++)
	{
		uint32		place = first_not_below(kept->values, kept->count, added[i]);

		if (place < kept->count && kept->values[place] == added[i])
			continue;
		kept->values = graph_grow(graph->context, kept->values, kept->count, &kept->capacity, sizeof(uint64));
		memmove(&kept->values[place + 1], &kept->values[place], sizeof(uint64) * (kept->count - place));
		kept->values[place] = added[i];
		kept->count++;
	}
}

/*
 * Whether two valid components may become one.  Looks at the members of the smaller one only,
 * so that a large one may grow member by member.
 */
static bool
union_is_valid(Graph *graph, uint32 left, uint32 right)
{
	uint32		larger = graph->components[left].size >= graph->components[right].size ? left : right;
	uint32		smaller = larger == left ? right : left;
	uint64		buffers[2][FEW_SPECIAL];
	const uint64 *held;
	const uint64 *added;
	uint32		held_count;
	uint32		added_count;

	if ((uint64) graph->components[left].size + graph->components[right].size > (uint64) graph->settings->max_profile_size)
		return false;
	/* Either other constraint needs a constrained member on both sides. */
	if (graph->components[left].first_special == NO_INDEX || graph->components[right].first_special == NO_INDEX)
		return true;

	for (uint32 i = graph->components[smaller].first_special; i != NO_INDEX; i = graph->identifiers[i].next_special)
		for (uint32 half = graph->identifiers[i].first_label; half != NO_INDEX;)
		{
			const GraphLabel *label = &graph->labels[half / 2];

			if (!label->is_must && graph->identifiers[label->end[1 - half % 2]].component == larger)
				return false;
			half = label->next[half % 2];
		}

	added = limited_values(graph, smaller, buffers[0], &added_count);
	held = limited_values(graph, larger, buffers[1], &held_count);
	for (uint32 i = 0; i < added_count;)
	{
		uint64		ns = added[i] >> 32;
		uint32		first = first_not_below(held, held_count, ns << 32);
		uint32		distinct = first_not_below(held, held_count, (ns + 1) << 32) - first;

		for (; i < added_count && added[i] >> 32 == ns; i++)
		{
			uint32		place = first_not_below(held, held_count, added[i]);

			if (place == held_count || held[place] != added[i])
				distinct++;
		}
		if (distinct > (uint32) graph->settings->namespaces[ns].max_per_profile)
			return false;
	}
	return true;
}

/* Leaves a component without members; they are in others by now. */
static void
empty_component(GraphComponent *component)
{
	component->first_member = component->last_member = NO_INDEX;
	component->first_special = component->last_special = NO_INDEX;
	component->size = 0;
}

/* Moves the members of the smaller component into the larger one. */
static void
merge_components(Graph *graph, uint32 left, uint32 right)
{
	uint32		into = graph->components[left].size >= graph->components[right].size ? left : right;
	uint32		from = into == left ? right : left;
	GraphComponent *larger = &graph->components[into];
	GraphComponent *smaller = &graph->components[from];

	merge_kept_values(graph, into, from);
	for (uint32 i = smaller->first_member; i != NO_INDEX; i = graph->identifiers[i].next_member)
		graph->identifiers[i].component = into;
	graph->identifiers[larger->last_member].next_member = smaller->first_member;
	larger->last_member = smaller->last_member;
	larger->size += smaller->size;
	if (smaller->first_special != NO_INDEX)
	{
		if (larger->first_special == NO_INDEX)
			larger->first_special = smaller->first_special;
		else
			graph->identifiers[larger->last_special].next_special = smaller->first_special;
		larger->last_special = smaller->last_special;
	}
	empty_component(smaller);
}

/* ---------- replay ---------- */

typedef struct Region
{
	uint32	   *nodes;
	uint32		count;
	uint32		capacity;
	uint32	   *components;		/* as they were before the replay */
	uint32		component_count;
	uint32		component_capacity;
} Region;

/* Takes all members of a component into the region. */
static void
take_component(Graph *graph, Region *region, uint32 component)
{
	GraphComponent *taken = &graph->components[component];

	if (taken->in_region)
		return;
	taken->in_region = true;
	region->components = graph_grow(graph->context, region->components, region->component_count,
									&region->component_capacity, sizeof(uint32));
	region->components[region->component_count++] = component;
	for (uint32 i = taken->first_member; i != NO_INDEX; i = graph->identifiers[i].next_member)
	{
		graph->identifiers[i].before = component;
		graph->identifiers[i].in_region = true;
		region->nodes = graph_grow(graph->context, region->nodes, region->count,
								   &region->capacity, sizeof(uint32));
		region->nodes[region->count++] = i;
	}
}

/*
 * Takes in what refused links join to the members of marked components.
 * Returns false when the region grows larger than a real-time call may replay.
 */
static bool
take_ring(Graph *graph, Region *region)
{
	for (uint32 k = 0; k < region->count; k++)
	{
		uint32		node = region->nodes[k];

		CHECK_FOR_INTERRUPTS();
		if (graph->is_realtime && region->count > (uint32) graph->settings->max_replay)
			return false;
		/* Links inside the ring take part as well. */
		load_links_of(graph, node);
		if (!graph->components[graph->identifiers[node].before].replay)
			continue;
		for (uint32 half = graph->identifiers[node].first_link; half != NO_INDEX;)
		{
			uint32		other = graph->links[half / 2].end[1 - half % 2];

			if (!graph->identifiers[other].in_region && graph_link_active(graph, &graph->links[half / 2]))
			{
				load_component_of(graph, other);
				take_component(graph, region, graph->identifiers[other].component);
			}
			/* Loading may have moved the array. */
			half = graph->links[half / 2].next[half % 2];
		}
	}
	return true;
}

/* Fetches what the union over the links that come next will touch. */
static inline void
fetch_ends_ahead(const Graph *graph, const SortableLink *links, uint32 i, uint32 count)
{
	const GraphLink *link;

	if (i + FETCH_AHEAD * 3 >= count)
		return;
	prefetch(&graph->links[links[i + FETCH_AHEAD * 3].link]);
	link = &graph->links[links[i + FETCH_AHEAD * 2].link];
	prefetch(&graph->identifiers[link->end[0]]);
	prefetch(&graph->identifiers[link->end[1]]);
	link = &graph->links[links[i + FETCH_AHEAD].link];
	prefetch(&graph->components[graph->identifiers[link->end[0]].component]);
	prefetch(&graph->components[graph->identifiers[link->end[1]].component]);
}

/* Applies all active links inside the given identifiers, from scratch. */
static void
apply_links(Graph *graph, const uint32 *nodes, uint32 count)
{
	bool		everything = count == graph->identifier_count;
	SortableLink *links;
	uint32		link_count = 0;
	uint32		capacity = 0;

	for (uint32 i = 0; i < count; i++)
		graph_add_member(graph, graph_new_component(graph), nodes[i]);

	links = graph_grow(graph->context, NULL, 0, &capacity, sizeof(SortableLink));
	/* Where all identifiers take part, the links are read as they lie. */
	for (uint32 i = 0; everything && i < graph->link_count; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i + FETCH_AHEAD < graph->link_count)
		{
			prefetch(&graph->identifiers[graph->links[i + FETCH_AHEAD].end[0]]);
			prefetch(&graph->identifiers[graph->links[i + FETCH_AHEAD].end[1]]);
		}
		if (graph_link_active(graph, &graph->links[i]))
		{
			links = graph_grow(graph->context, links, link_count, &capacity, sizeof(SortableLink));
			links[link_count++] = sortable(graph, i);
		}
	}
	for (uint32 i = 0; !everything && i < count; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint32 half = graph->identifiers[nodes[i]].first_link; half != NO_INDEX;)
		{
			const GraphLink *link = &graph->links[half / 2];

			if (half % 2 == 0 && graph->identifiers[link->end[1]].in_region && graph_link_active(graph, link))
			{
				links = graph_grow(graph->context, links, link_count, &capacity, sizeof(SortableLink));
				links[link_count++] = sortable(graph, half / 2);
			}
			half = link->next[half % 2];
		}
	}
	CHECK_FOR_INTERRUPTS();
	sort_links(graph, links, link_count);
	for (uint32 i = 0; i < link_count; i++)
	{
		const GraphLink *link = &graph->links[links[i].link];
		uint32		left = graph->identifiers[link->end[0]].component;
		uint32		right = graph->identifiers[link->end[1]].component;

		fetch_ends_ahead(graph, links, i, link_count);
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (left != right && union_is_valid(graph, left, right))
			merge_components(graph, left, right);
	}
	pfree(links);
}

/* Marks the components of the ring that did not come out as they went in. */
static void
mark_changed_ring(Graph *graph, const Region *region, bool *any)
{
	uint32		component_count = graph->component_count;
	uint32	   *seen;

	/*
	 * For each component before: the one its first member is in now.  A second
	 * answer, or another size, says that it changed.
	 */
	seen = MemoryContextAllocHuge(graph->context, mul_size(sizeof(uint32), component_count));
	for (uint32 i = 0; i < region->component_count; i++)
		seen[region->components[i]] = NO_INDEX;
	*any = false;
	for (uint32 i = 0; i < region->count; i++)
	{
		const GraphIdentifier *node = &graph->identifiers[region->nodes[i]];
		GraphComponent *before = &graph->components[node->before];

		if (before->replay)
			continue;
		if (seen[node->before] == NO_INDEX)
			seen[node->before] = node->component;
		if (seen[node->before] != node->component ||
			graph->components[node->component].size != before->size)
		{
			before->replay = true;
			*any = true;
		}
	}
	pfree(seen);
}

/*
 * The region is too large for now: all stays as it was, what an earlier round
 * of the replay did included, and the marked components are noted as unsettled.
 */
static void
queue_region(Graph *graph, const Region *region)
{
	for (uint32 i = 0; i < region->component_count; i++)
	{
		GraphComponent *component = &graph->components[region->components[i]];

		empty_component(component);
		component->in_region = false;
		component->is_unsettled = component->replay;
	}
	for (uint32 i = 0; i < region->count; i++)
	{
		GraphIdentifier *node = &graph->identifiers[region->nodes[i]];

		node->in_region = false;
		graph_add_member(graph, node->before, region->nodes[i]);
	}
}

/*
 * Evaluates the marked components and whatever that changes.
 */
static void
replay(Graph *graph)
{
	Region		region = {0};
	bool		again;

	for (uint32 i = 0; i < graph->component_count; i++)
		if (graph->components[i].replay && graph->components[i].size > 0)
			take_component(graph, &region, i);
	if (region.count == 0)
		return;
	do
	{
		if (!take_ring(graph, &region))
		{
			queue_region(graph, &region);
			graph->is_queued = true;
			return;
		}
		build_must_classes(graph);
		apply_links(graph, region.nodes, region.count);
		mark_changed_ring(graph, &region, &again);
	} while (again);

	for (uint32 i = 0; i < region.count; i++)
		graph->identifiers[region.nodes[i]].in_region = false;
	/* The components from before have no members any more. */
	for (uint32 i = 0; i < region.component_count; i++)
	{
		GraphComponent *component = &graph->components[region.components[i]];

		empty_component(component);
		component->replay = false;
	}
	for (uint32 i = 0; i < region.count; i++)
		for (uint32 half = graph->identifiers[region.nodes[i]].first_link; half != NO_INDEX;)
		{
			if (half % 2 == 0 && graph_link_active(graph, &graph->links[half / 2]))
				graph_link_changed(graph, half / 2);
			half = graph->links[half / 2].next[half % 2];
		}
	pfree(region.nodes);
	pfree(region.components);
}

/* ---------- the steps ---------- */

static void
mark_for_replay(Graph *graph, uint32 identifier)
{
	graph->components[graph->identifiers[identifier].component].replay = true;
}

/* Whether a link's place in the canonical order moved: -1 earlier, 1 later. */
static int
moved(const Graph *graph, const GraphLink *link)
{
	int64		before = link_time(graph, link->old_first_seen, link->old_last_seen);
	int64		after = link_time(graph, link->first_seen, link->last_seen);

	if (link->must)
		return 0;
	return (after > before) - (after < before);
}

/*
 * Sorts the changed links into those that are new and those that need a
 * replay, as they compare with the components from before.
 */
static SortableLink *
classify_changes(Graph *graph, uint32 *added_count)
{
	SortableLink *added;
	uint32		capacity = 0;

	*added_count = 0;
	added = graph_grow(graph->context, NULL, 0, &capacity, sizeof(SortableLink));
	/* Loading components does not add to the changed links. */
	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		uint32		position = graph->changed_links[i];
		uint32		a = graph->links[position].end[0];
		uint32		b = graph->links[position].end[1];
		bool		was = graph_link_was_active(graph, &graph->links[position]);
		bool		is = graph_link_active(graph, &graph->links[position]);
		const GraphLink *link;
		bool		joined;

		CHECK_FOR_INTERRUPTS();
		if (!was && !is)
			continue;
		load_component_of(graph, a);
		load_component_of(graph, b);
		link = &graph->links[position];
		joined = graph->identifiers[a].component == graph->identifiers[b].component;

		if ((was && link->old_must) != (is && link->must))
		{
			mark_for_replay(graph, a);
			mark_for_replay(graph, b);
		}
		else if (was && !is)
		{
			if (joined)
				mark_for_replay(graph, a);
		}
		else if (was && is)
		{
			if (joined ? moved(graph, link) > 0 : moved(graph, link) < 0)
			{
				mark_for_replay(graph, a);
				mark_for_replay(graph, b);
			}
		}
		else
		{
			added = graph_grow(graph->context, added, *added_count, &capacity, sizeof(SortableLink));
			added[(*added_count)++] = sortable(graph, position);
		}
	}
	return added;
}

static void
add_links(Graph *graph, SortableLink *added, uint32 count)
{
	sort_links(graph, added, count);
	for (uint32 i = 0; i < count; i++)
	{
		const GraphLink *link = &graph->links[added[i].link];
		uint32		left = graph->identifiers[link->end[0]].component;
		uint32		right = graph->identifiers[link->end[1]].component;

		fetch_ends_ahead(graph, added, i, count);
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (left == right)
			continue;
		if (!graph->components[left].replay && !graph->components[right].replay &&
			union_is_valid(graph, left, right))
			merge_components(graph, left, right);
		else
		{
			graph->components[left].replay = true;
			graph->components[right].replay = true;
		}
	}
}

/*
 * Brings the components to what the links say now, and the states of links to
 * what the components say.
 */
void
partition_update(Graph *graph)
{
	bool		from_scratch = graph->derive;

	if (graph->whole && !from_scratch)
	{
		/* Nothing stored: all links at once, in order, is all there is to do. */
		from_scratch = true;
		for (uint32 i = 0; i < graph->identifier_count && from_scratch; i++)
			from_scratch = graph->identifiers[i].old_profile == 0;
	}
	if (from_scratch)
	{
		uint32	   *nodes = MemoryContextAllocHuge(graph->context,
											   mul_size(sizeof(uint32), graph->identifier_count + 1));

		for (uint32 i = 0; i < graph->identifier_count; i++)
		{
			nodes[i] = i;
			graph->identifiers[i].in_region = true;
		}
		graph->component_count = 0;
		build_must_classes(graph);
		apply_links(graph, nodes, graph->identifier_count);
		pfree(nodes);
	}
	else
	{
		SortableLink *added;
		uint32		added_count;

		for (uint32 i = 0; i < graph->identifier_count; i++)
			if (graph->identifiers[i].old_profile == 0 && graph->identifiers[i].component == NO_INDEX)
				load_component_of(graph, i);
		for (uint32 i = 0; i < graph->replay_seed_count; i++)
		{
			load_component_of(graph, graph->replay_seeds[i]);
			mark_for_replay(graph, graph->replay_seeds[i]);
		}
		added = classify_changes(graph, &added_count);
		build_must_classes(graph);
		add_links(graph, added, added_count);
		pfree(added);
		replay(graph);
	}

	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		GraphLink  *link = &graph->links[graph->changed_links[i]];

		graph_fetch_changed(graph, i);
		if (!graph_link_active(graph, link))
			continue;
		link->state = graph->identifiers[link->end[0]].component == graph->identifiers[link->end[1]].component ? LINK_JOINED : LINK_REFUSED;
		if (link->state == LINK_REFUSED && link->old_state != LINK_REFUSED && link->records > 0)
			graph->counts.refusals++;
	}
}
