/*
 * component_graph.c
 *		The graph of cdp.connected_components: which nodes hang together.
 *
 * The edges stream in, and what is kept is the nodes alone: an array of them in
 * the order of their first appearance, each with its parent in a union-find
 * forest, and an open-addressing hash table from node to array index.
 *
 * What costs time is waiting for memory, since an edge touches random places of
 * arrays that are far larger than the caches.  So rows are gathered into batches,
 * and each step of a batch prefetches what the next step will touch.
 *
 * A root is always the member with the smallest index: parent <= index.  With
 * path halving that is as good as linking by random order, and at the end one
 * sequential pass flattens the forest.  The smallest member, which names the
 * component, is found in that pass.
 *
 * The hash is seeded, so that nobody can prepare nodes that collide.
 */
#include "postgres.h"

#include <math.h>
#ifndef WIN32
#include <sys/mman.h>
#endif

#include "catalog/pg_type.h"
#include "cdp.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "identity/component_graph.h"
#include "lib/hyperloglog.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* Rows of a batch: enough to hide latency, and what they touch stays in cache */
#define BATCH_ROWS 128
#define BATCH_NODES (2 * BATCH_ROWS)
#define BATCH_TEXT_BYTES (32 * 1024)

#define INITIAL_NODES 1024
#define MINIMUM_BLOCK_BYTES ((Size) 64 * 1024)
#define MAXIMUM_BLOCK_BYTES ((Size) 64 * 1024 * 1024)

/* Arrays from this size on are put on huge pages */
#define HUGE_PAGE_ARRAY_BYTES ((Size) 8 * 1024 * 1024)
#define SYSTEM_PAGE_BYTES ((Size) 64 * 1024)	/* the largest of any platform */

/* How many nodes ahead the sequential passes prefetch what nodes point to */
#define FAR_AHEAD 36
#define MIDDLE_AHEAD 24
#define NEAR_AHEAD 12

/* Hash slots per node at most: 4 / 3, so the table is at most 75 % full */
#define SLOTS_FOR_NODES(nodes) ((uint64) (nodes) + (uint64) (nodes) / 3 + 1)
#define EMPTY_SLOT PG_UINT32_MAX
/* so that a slot number has 32 bits */
#define MAXIMUM_NODES ((uint64) 3 << 30)

#if defined(__GNUC__) || defined(__clang__)
#define prefetch(address) __builtin_prefetch(address)
#else
#define prefetch(address) ((void) 0)
#endif

/*
 * The functions that see each edge take the node type as a constant and are
 * always inlined, so that each type gets code of its own.
 */

/*
 * A node of the forest: its key (the bigint, the uuid, or a pointer to a text
 * datum in a block) and then its parent, without padding: 4-byte alignment.
 */
#define NODE_BYTES(type) ((type) == NODE_UUID ? 20 : 12)
#define PARENT_OFFSET(type) ((type) == NODE_UUID ? 16 : 8)

/* The tag is the half of the hash that does not say where the slot is */
typedef struct HashSlot
{
	uint32		tag;
	uint32		node;
} HashSlot;

/* The key of a node on its way in */
typedef struct TextKey
{
	const char *data;
	Size		length;
} TextKey;

struct ComponentGraph
{
	NodeType	type;
	Oid			column_types[2];	/* base types of the query's columns */
	uint64		seed;

	char	   *nodes;
	uint64		count;			/* nodes in use */
	uint64		capacity;		/* nodes allocated */
	HashSlot   *slots;
	uint64		slot_count;

	/* for text: where the strings are */
	char	   *block;			/* the rest of the current block */
	Size		block_free;
	Size		text_bytes;		/* bytes of strings */
	Size		block_bytes;	/* bytes of blocks */

	Size		fixed_bytes;
	Size		limit_bytes;	/* maintenance_work_mem */
	bool		full;			/* over the limit: only count the nodes */
	hyperLogLogState missing;	/* the distinct nodes that found no place */
	uint64		missing_times;	/* how often one was met */
	double		missing_text_bytes; /* their strings, each time */

	int			batch_count;	/* nodes, two for each row */
	union
	{
		int64		bigint[BATCH_NODES];
		pg_uuid_t	uuid[BATCH_NODES];
		TextKey		text[BATCH_NODES];
	}			batch_keys;
	uint64		batch_hashes[BATCH_NODES];
	uint32		batch_nodes[BATCH_NODES];	/* first their slots */
	Size		batch_text_used;
	char	   *batch_text;

	MemoryContext context;
};

/* ------------------------------------------------------------------------
 * Nodes and hashing
 * ------------------------------------------------------------------------ */

static pg_attribute_always_inline char *
node_at(const ComponentGraph *graph, uint64 index, const NodeType type)
{
	return graph->nodes + index * NODE_BYTES(type);
}

static pg_attribute_always_inline uint32 *
parent_of(const ComponentGraph *graph, uint64 index, const NodeType type)
{
	return (uint32 *) (node_at(graph, index, type) + PARENT_OFFSET(type));
}

static pg_attribute_always_inline int64
bigint_at(const ComponentGraph *graph, uint64 index)
{
	int64		key;

	memcpy(&key, node_at(graph, index, NODE_BIGINT), sizeof(key));
	return key;
}

static pg_attribute_always_inline struct varlena *
text_at(const ComponentGraph *graph, uint64 index)
{
	struct varlena *key;

	memcpy(&key, node_at(graph, index, NODE_TEXT), sizeof(key));
	return key;
}

/* The finaliser of MurmurHash3: a bijection, every bit depends on every bit */
static pg_attribute_always_inline uint64
mix_bits(uint64 value)
{
	value ^= value >> 33;
	value *= UINT64CONST(0xff51afd7ed558ccd);
	value ^= value >> 33;
	value *= UINT64CONST(0xc4ceb9fe1a85ec53);
	value ^= value >> 33;
	return value;
}

static pg_attribute_always_inline uint64
hash_bigint(const ComponentGraph *graph, int64 key)
{
	return mix_bits((uint64) key ^ graph->seed);
}

static pg_attribute_always_inline uint64
hash_uuid(const ComponentGraph *graph, const void *key)
{
	uint64		halves[2];

	memcpy(halves, key, sizeof(halves));
	return mix_bits(mix_bits(halves[0] ^ graph->seed) + halves[1]);
}

static pg_attribute_always_inline uint64
hash_text(const ComponentGraph *graph, const char *data, Size length)
{
	return hash_bytes_extended((const unsigned char *) data, (int) length,
							   graph->seed);
}

static pg_attribute_always_inline uint64
hash_of_node(const ComponentGraph *graph, uint64 index, const NodeType type)
{
	if (type == NODE_BIGINT)
		return hash_bigint(graph, bigint_at(graph, index));
	else if (type == NODE_UUID)
		return hash_uuid(graph, node_at(graph, index, type));
	else
	{
		struct varlena *key = text_at(graph, index);

		return hash_text(graph, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	}
}

static pg_attribute_always_inline uint64
home_slot(const ComponentGraph *graph, uint64 hash)
{
	return ((hash >> 32) * graph->slot_count) >> 32;
}

static pg_attribute_always_inline uint64
next_slot(const ComponentGraph *graph, uint64 slot)
{
	return ++slot == graph->slot_count ? 0 : slot;
}

/* Is this the node of the batch's key? */
static pg_attribute_always_inline bool
node_is_key(const ComponentGraph *graph, uint64 index, int key, const NodeType type)
{
	if (type == NODE_BIGINT)
		return bigint_at(graph, index) == graph->batch_keys.bigint[key];
	else if (type == NODE_UUID)
		return memcmp(node_at(graph, index, type),
					  &graph->batch_keys.uuid[key], UUID_LEN) == 0;
	else
	{
		struct varlena *node = text_at(graph, index);

		return VARSIZE_ANY_EXHDR(node) == graph->batch_keys.text[key].length &&
			memcmp(VARDATA_ANY(node), graph->batch_keys.text[key].data,
				   graph->batch_keys.text[key].length) == 0;
	}
}

/* Is node a smaller than node b?  Text is compared as bytes. */
static pg_attribute_always_inline bool
node_is_less(const ComponentGraph *graph, uint64 a, uint64 b, const NodeType type)
{
	if (type == NODE_BIGINT)
		return bigint_at(graph, a) < bigint_at(graph, b);
	else if (type == NODE_UUID)
		return memcmp(node_at(graph, a, type), node_at(graph, b, type),
					  UUID_LEN) < 0;
	else
	{
		struct varlena *text_a = text_at(graph, a);
		struct varlena *text_b = text_at(graph, b);
		Size		length_a = VARSIZE_ANY_EXHDR(text_a);
		Size		length_b = VARSIZE_ANY_EXHDR(text_b);
		int			order = memcmp(VARDATA_ANY(text_a), VARDATA_ANY(text_b),
						   Min(length_a, length_b));

		return order < 0 || (order == 0 && length_a < length_b);
	}
}

/* ------------------------------------------------------------------------
 * Memory
 * ------------------------------------------------------------------------ */

/*
 * Where the system leaves the choice to the program (Linux does, by default),
 * have a large array on huge pages: half of the time goes into address
 * translation otherwise.
 */
static void
prefer_huge_pages(void *array, Size bytes)
{
#ifdef MADV_HUGEPAGE
	if (bytes >= HUGE_PAGE_ARRAY_BYTES)
	{
		char	   *start = (char *) TYPEALIGN(SYSTEM_PAGE_BYTES, array);
		char	   *end = (char *) TYPEALIGN_DOWN(SYSTEM_PAGE_BYTES,
											(char *) array + bytes);

		/* only advice: an error changes nothing */
		(void) madvise(start, end - start, MADV_HUGEPAGE);
	}
#endif
}

/* Bytes of nodes and slots; what strings take comes on top */
static double
bytes_for_nodes(const ComponentGraph *graph, double nodes)
{
	return nodes * NODE_BYTES(graph->type) +
		(nodes * 4.0 / 3.0 + 1) * sizeof(HashSlot);
}

/* Put all nodes into an empty table */
static pg_attribute_always_inline void
fill_slots(ComponentGraph *graph, const NodeType type)
{
	uint64		hashes[BATCH_NODES];

	for (uint64 start = 0; start < graph->count; start += BATCH_NODES)
	{
		int			batch = (int) Min(BATCH_NODES, graph->count - start);

		CHECK_FOR_INTERRUPTS();

		for (int i = 0; i < batch; i++)
		{
			hashes[i] = hash_of_node(graph, start + i, type);
			prefetch(&graph->slots[home_slot(graph, hashes[i])]);
		}
		for (int i = 0; i < batch; i++)
		{
			uint64		slot = home_slot(graph, hashes[i]);

			while (graph->slots[slot].node != EMPTY_SLOT)
				slot = next_slot(graph, slot);
			graph->slots[slot].tag = (uint32) hashes[i];
			graph->slots[slot].node = (uint32) (start + i);
		}
	}
}

/*
 * Make room for some more nodes: twice as many as before, less where
 * maintenance_work_mem asks for it, but false when that would be hardly more
 * than before.  (The first reservation is small and always granted.)  The hash table is built anew after the old one is gone, and a
 * large array grows in place, so that there are never two copies.
 */
static bool
reserve_nodes(ComponentGraph *graph, uint64 more)
{
	uint64		wanted = graph->count + more;
	uint64		capacity = Max(graph->capacity * 2, INITIAL_NODES);
	Size		bytes;

	if (wanted <= graph->capacity)
		return true;
	if (graph->capacity > 0)
	{
		/* the strings of more nodes are taken to be as long as those so far */
		double		bytes_per_node = bytes_for_nodes(graph, graph->capacity) / graph->capacity;
		double		text_per_node = (double) graph->text_bytes / graph->count;
		double		allowed = ((double) graph->limit_bytes - graph->fixed_bytes -
						  graph->block_bytes + graph->text_bytes) /
			(bytes_per_node + text_per_node);

		wanted = Max(wanted, graph->capacity + graph->capacity / 32);
		capacity = Max(capacity, wanted);
		capacity = Min(capacity, MAXIMUM_NODES);
		if (capacity > allowed)
			capacity = allowed < 0 ? 0 : (uint64) allowed;
		if (capacity < wanted)
			return false;
	}

	bytes = mul_size(NODE_BYTES(graph->type), capacity);
	if (graph->nodes == NULL)
		graph->nodes = MemoryContextAllocHuge(graph->context, bytes);
	else
		graph->nodes = repalloc_huge(graph->nodes, bytes);
	prefer_huge_pages(graph->nodes, bytes);
	graph->capacity = capacity;

	if (graph->slots != NULL)
		pfree(graph->slots);
	graph->slots = NULL;
	graph->slot_count = SLOTS_FOR_NODES(capacity);
	bytes = mul_size(sizeof(HashSlot), graph->slot_count);
	graph->slots = MemoryContextAllocHuge(graph->context, bytes);
	prefer_huge_pages(graph->slots, bytes);
	memset(graph->slots, 0xff, bytes);

	switch (graph->type)
	{
		case NODE_BIGINT:
			fill_slots(graph, NODE_BIGINT);
			break;
		case NODE_UUID:
			fill_slots(graph, NODE_UUID);
			break;
		case NODE_TEXT:
			fill_slots(graph, NODE_TEXT);
			break;
	}
	return true;
}

/*
 * Keep a string, as a datum that a tuple can be formed of: with a one-byte header
 * where it is short, otherwise with an aligned four-byte one.  NULL if
 * maintenance_work_mem does not allow it.
 */
static struct varlena *
store_text(ComponentGraph *graph, const char *data, Size length)
{
	bool		is_short = length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX;
	Size		header = is_short ? VARHDRSZ_SHORT : VARHDRSZ;
	Size		needed = header + length + (is_short ? 0 : ALIGNOF_INT - 1);
	char	   *place = graph->block;
	struct varlena *result;

	if (needed > graph->block_free)
	{
		double		used = graph->fixed_bytes + graph->block_bytes +
			bytes_for_nodes(graph, graph->capacity);
		double		left = (double) graph->limit_bytes - used;
		Size		size = graph->block_bytes / 8;
		bool		own_block;

		/* what would waste much of a block gets one of its own */
		size = Max(size, MINIMUM_BLOCK_BYTES);
		size = Min(size, MAXIMUM_BLOCK_BYTES);
		own_block = needed > size / 8;

		if (own_block)
			size = needed;
		else if (size > left)
			size = Max((Size) Max(left, 0), needed);
		if (size > left)
			return NULL;

		place = MemoryContextAllocHuge(graph->context, size);
		prefer_huge_pages(place, size);
		graph->block_bytes += size;
		if (own_block)
			needed = 0;			/* nothing is taken from the current block */
		else
		{
			graph->block = place;
			graph->block_free = size;
		}
	}

	if (is_short)
	{
		result = (struct varlena *) place;
		SET_VARSIZE_SHORT(result, header + length);
	}
	else
	{
		result = (struct varlena *) INTALIGN(place);
		SET_VARSIZE(result, header + length);
	}
	memcpy(VARDATA_ANY(result), data, length);

	graph->block += needed;
	graph->block_free -= needed;
	graph->text_bytes += header + length;
	return result;
}

/* ------------------------------------------------------------------------
 * Edges
 * ------------------------------------------------------------------------ */

/*
 * The root of a node's tree.  Path halving: each node on the way is linked to its
 * grandparent.
 */
static pg_attribute_always_inline uint32
find_root(const ComponentGraph *graph, uint32 node, const NodeType type)
{
	uint32	   *parent = parent_of(graph, node, type);

	while (*parent != node)
	{
		uint32		grandparent = *parent_of(graph, *parent, type);

		if (grandparent == *parent)
			return grandparent;
		*parent = grandparent;
		node = grandparent;
		parent = parent_of(graph, node, type);
	}
	return node;
}

/*
 * The index of the batch's key, EMPTY_SLOT if it is not there and there is no
 * place for it.  slot: where to start looking.
 */
static pg_attribute_always_inline uint32
find_or_add_node(ComponentGraph *graph, int key, uint64 slot, const NodeType type)
{
	uint64		hash = graph->batch_hashes[key];
	uint64		node;

	for (; graph->slots[slot].node != EMPTY_SLOT; slot = next_slot(graph, slot))
	{
		if (graph->slots[slot].tag == (uint32) hash &&
			node_is_key(graph, graph->slots[slot].node, key, type))
			return graph->slots[slot].node;
	}

	if (graph->full)
		return EMPTY_SLOT;

	node = graph->count;
	if (type == NODE_BIGINT)
		memcpy(node_at(graph, node, type), &graph->batch_keys.bigint[key],
			   sizeof(int64));
	else if (type == NODE_UUID)
		memcpy(node_at(graph, node, type), &graph->batch_keys.uuid[key],
			   UUID_LEN);
	else
	{
		struct varlena *text = store_text(graph,
										  graph->batch_keys.text[key].data,
										  graph->batch_keys.text[key].length);

		if (text == NULL)
		{
			graph->full = true;
			return EMPTY_SLOT;
		}
		memcpy(node_at(graph, node, type), &text, sizeof(text));
	}
	*parent_of(graph, node, type) = (uint32) node;
	graph->count++;
	graph->slots[slot].tag = (uint32) hash;
	graph->slots[slot].node = (uint32) node;
	return (uint32) node;
}

/*
 * Work off the gathered rows.
 */
static pg_attribute_always_inline void
process_batch(ComponentGraph *graph, const NodeType type)
{
	int			count = graph->batch_count;
	uint32	   *nodes = graph->batch_nodes;

	if (count == 0)
		return;
	graph->batch_count = 0;
	graph->batch_text_used = 0;

	CHECK_FOR_INTERRUPTS();

	if (!graph->full && !reserve_nodes(graph, count))
		graph->full = true;
	if (graph->slots == NULL)
		elog(ERROR, "graph without a hash table");

	/*
	 * The slots have been prefetched; fetch the nodes that they lead to.  The
	 * first slot with the right tag is the right one nearly always; a free one
	 * may have been filled by another node of the batch when its turn comes.
	 */
	for (int i = 0; i < count; i++)
	{
		uint64		hash = graph->batch_hashes[i];
		uint64		slot = home_slot(graph, hash);

		while (graph->slots[slot].node != EMPTY_SLOT &&
			   graph->slots[slot].tag != (uint32) hash)
			slot = next_slot(graph, slot);
		nodes[i] = (uint32) slot;
		if (graph->slots[slot].node != EMPTY_SLOT)
			prefetch(node_at(graph, graph->slots[slot].node, type));
	}

	if (type == NODE_TEXT)
	{
		for (int i = 0; i < count; i++)
		{
			if (graph->slots[nodes[i]].node != EMPTY_SLOT)
				prefetch(text_at(graph, graph->slots[nodes[i]].node));
		}
	}

	for (int i = 0; i < count; i++)
	{
		nodes[i] = find_or_add_node(graph, i, nodes[i], type);
		if (unlikely(nodes[i] == EMPTY_SLOT))
		{
			addHyperLogLog(&graph->missing, (uint32) (graph->batch_hashes[i] >> 32));
			graph->missing_times++;
			if (type == NODE_TEXT)
				graph->missing_text_bytes += graph->batch_keys.text[i].length + VARHDRSZ;
		}
	}

	if (unlikely(graph->full))
		return;

	/* most roots are one or two steps away; fetch them */
	for (int i = 0; i < count; i++)
	{
		nodes[i] = *parent_of(graph, nodes[i], type);
		prefetch(node_at(graph, nodes[i], type));
	}

	for (int i = 0; i < count; i += 2)
	{
		uint32		a = nodes[i];
		uint32		b = nodes[i + 1];

		if (a == b)
			continue;
		a = find_root(graph, a, type);
		b = find_root(graph, b, type);
		if (a < b)
			*parent_of(graph, b, type) = a;
		else
			*parent_of(graph, a, type) = b;
	}
}

/*
 * Take in one row.  A NULL end stands for no edge, and the other end is a node
 * all the same: as an edge to itself.
 */
static pg_attribute_always_inline void
receive_row(ComponentGraph *graph, TupleTableSlot *slot, const NodeType type)
{
	int			ends[2] = {0, 1};

	slot_getsomeattrs(slot, 2);
	if (unlikely(slot->tts_isnull[0] || slot->tts_isnull[1]))
	{
		if (slot->tts_isnull[0] && slot->tts_isnull[1])
			return;
		ends[0] = ends[1] = slot->tts_isnull[0] ? 1 : 0;
	}

	if (type == NODE_BIGINT)
	{
		for (int i = 0; i < 2; i++)
		{
			Datum		value = slot->tts_values[ends[i]];
			Oid			column_type = graph->column_types[ends[i]];
			int			key = graph->batch_count + i;

			/* smaller integers are taken as they are, without a cast for each */
			if (likely(column_type == INT8OID))
				graph->batch_keys.bigint[key] = DatumGetInt64(value);
			else if (column_type == INT4OID)
				graph->batch_keys.bigint[key] = DatumGetInt32(value);
			else
				graph->batch_keys.bigint[key] = DatumGetInt16(value);
			graph->batch_hashes[key] =
				hash_bigint(graph, graph->batch_keys.bigint[key]);
		}
	}
	else if (type == NODE_UUID)
	{
		for (int i = 0; i < 2; i++)
		{
			int			key = graph->batch_count + i;

			graph->batch_keys.uuid[key] = *DatumGetUUIDP(slot->tts_values[ends[i]]);
			graph->batch_hashes[key] =
				hash_uuid(graph, &graph->batch_keys.uuid[key]);
		}
	}
	else
	{
		struct varlena *texts[2];
		Size		bytes = 0;
		bool		copy = true;

		for (int i = 0; i < 2; i++)
		{
			texts[i] = PG_DETOAST_DATUM_PACKED(slot->tts_values[ends[i]]);
			bytes += VARSIZE_ANY_EXHDR(texts[i]);
		}

		/*
		 * The values go away with the row, so they are copied; a row that is
		 * too long for that becomes a batch of its own.
		 */
		if (bytes > BATCH_TEXT_BYTES - graph->batch_text_used)
		{
			process_batch(graph, type);
			copy = (bytes <= BATCH_TEXT_BYTES);
		}

		for (int i = 0; i < 2; i++)
		{
			int			key = graph->batch_count + i;
			TextKey	   *text = &graph->batch_keys.text[key];

			text->data = VARDATA_ANY(texts[i]);
			text->length = VARSIZE_ANY_EXHDR(texts[i]);
			if (copy)
			{
				char	   *place = graph->batch_text + graph->batch_text_used;

				memcpy(place, text->data, text->length);
				text->data = place;
				graph->batch_text_used += text->length;
			}
			graph->batch_hashes[key] = hash_text(graph, text->data, text->length);
		}

		if (!copy)
		{
			graph->batch_count += 2;
			process_batch(graph, type);
			return;
		}
	}

	if (graph->slots != NULL)
	{
		prefetch(&graph->slots[home_slot(graph, graph->batch_hashes[graph->batch_count])]);
		prefetch(&graph->slots[home_slot(graph, graph->batch_hashes[graph->batch_count + 1])]);
	}

	graph->batch_count += 2;
	if (graph->batch_count == BATCH_NODES)
		process_batch(graph, type);
}

static void
receive_bigint_row(void *argument, TupleTableSlot *slot)
{
	receive_row((ComponentGraph *) argument, slot, NODE_BIGINT);
}

static void
receive_uuid_row(void *argument, TupleTableSlot *slot)
{
	receive_row((ComponentGraph *) argument, slot, NODE_UUID);
}

static void
receive_text_row(void *argument, TupleTableSlot *slot)
{
	receive_row((ComponentGraph *) argument, slot, NODE_TEXT);
}

/* ------------------------------------------------------------------------
 * Results
 * ------------------------------------------------------------------------ */

static pg_attribute_always_inline Datum
datum_at(const ComponentGraph *graph, uint64 index, const NodeType type)
{
	if (type == NODE_BIGINT)
		return Int64GetDatum(bigint_at(graph, index));
	else if (type == NODE_UUID)
		return UUIDPGetDatum((pg_uuid_t *) node_at(graph, index, type));
	else
		return PointerGetDatum(text_at(graph, index));
}

/*
 * Link each node to its root, find the smallest member of each tree, and put all
 * (node, smallest member) into the tuplestore.
 */
static pg_attribute_always_inline void
write_components(ComponentGraph *graph, Tuplestorestate *store,
				 TupleDesc descriptor, const NodeType type)
{
	/* the hash table is not needed any more, and is large enough */
	uint32	   *smallest = (uint32 *) graph->slots;

	for (uint64 node = 0; node < graph->count; node++)
	{
		uint32	   *parent = parent_of(graph, node, type);
		uint32		root;

		if (node % 1024 == 0)
			CHECK_FOR_INTERRUPTS();

		if (node + FAR_AHEAD < graph->count)
		{
			uint32		far = *parent_of(graph, node + FAR_AHEAD, type);
			uint32		middle = *parent_of(graph, node + MIDDLE_AHEAD, type);
			uint32		near = *parent_of(graph, node + NEAR_AHEAD, type);

			prefetch(node_at(graph, far, type));
			prefetch(&smallest[far]);
			if (middle < node)
				prefetch(node_at(graph, smallest[middle], type));
			if (type == NODE_TEXT && near < node)
				prefetch(text_at(graph, smallest[near]));
		}

		/* a parent has a smaller index, so it is linked to its root already */
		root = *parent_of(graph, *parent, type);
		*parent = root;
		smallest[node] = (uint32) node;
		if (node_is_less(graph, node, smallest[root], type))
			smallest[root] = (uint32) node;
	}

	for (uint64 node = 0; node < graph->count; node++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (node % 1024 == 0)
			CHECK_FOR_INTERRUPTS();

		if (node + FAR_AHEAD < graph->count)
		{
			prefetch(&smallest[*parent_of(graph, node + FAR_AHEAD, type)]);
			prefetch(node_at(graph, smallest[*parent_of(graph, node + MIDDLE_AHEAD, type)], type));
			if (type == NODE_TEXT)
				prefetch(text_at(graph, smallest[*parent_of(graph, node + NEAR_AHEAD, type)]));
		}

		values[0] = datum_at(graph, node, type);
		values[1] = datum_at(graph, smallest[*parent_of(graph, node, type)], type);
		tuplestore_putvalues(store, descriptor, values, nulls);
	}
}

/*
 * The nodes did not fit.  The rest of the query has been read to count them, so
 * that the hint can say how much memory would do.
 */
static void
report_memory_limit(const ComponentGraph *graph)
{
	double		missing = estimateHyperLogLog((hyperLogLogState *) &graph->missing);
	double		nodes = graph->count + missing;
	double		text_bytes = graph->text_bytes;
	double		bytes;

	if (nodes > MAXIMUM_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("graph has too many nodes"),
				 errdetail("The query yields about %.0f distinct nodes, and " UINT64_FORMAT " are possible.",
						   nodes, MAXIMUM_NODES)));

	if (graph->missing_times > 0)
		text_bytes += graph->missing_text_bytes / graph->missing_times * missing;

	/* the estimate, the last step of growing and unused ends of blocks add some */
	bytes = bytes_for_nodes(graph, nodes) * 1.08 + text_bytes * 1.15 +
		graph->fixed_bytes;

	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("graph does not fit into maintenance_work_mem"),
			 errdetail("The query yields about %.0f distinct nodes.", nodes),
			 errhint("Set maintenance_work_mem to at least '%.0fMB'.",
					 ceil(bytes / (1024.0 * 1024.0)))));
}

/* ------------------------------------------------------------------------
 * Interface
 * ------------------------------------------------------------------------ */

/*
 * An empty graph, in the current memory context.
 *
 * type: of the nodes.
 * column_types: base types of the two columns of the rows to come: that of the
 * nodes, or for bigint also a smaller integer.
 *
 * Everything that depends on the number of nodes stays within
 * maintenance_work_mem.
 */
ComponentGraph *
component_graph_create(NodeType type, const Oid column_types[2])
{
	ComponentGraph *graph = palloc0(sizeof(ComponentGraph));

	graph->type = type;
	graph->column_types[0] = column_types[0];
	graph->column_types[1] = column_types[1];
	graph->context = CurrentMemoryContext;
	graph->seed = pg_prng_uint64(&pg_global_prng_state);
	graph->limit_bytes = mul_size(maintenance_work_mem, 1024);
	graph->fixed_bytes = sizeof(ComponentGraph);
	if (type == NODE_TEXT)
	{
		graph->batch_text = palloc(BATCH_TEXT_BYTES);
		graph->fixed_bytes += BATCH_TEXT_BYTES;
	}
	initHyperLogLog(&graph->missing, 14);
	graph->fixed_bytes += graph->missing.arrSize;

	return graph;
}

/*
 * What takes in a row for graphs of a type; its argument is the graph.
 */
CdpRowCallback
component_graph_receiver(NodeType type)
{
	switch (type)
	{
		case NODE_BIGINT:
			return receive_bigint_row;
		case NODE_UUID:
			return receive_uuid_row;
		case NODE_TEXT:
			return receive_text_row;
	}
	pg_unreachable();
}

/*
 * After the last row: put all (node, smallest node of its component) into a
 * tuplestore.  The graph cannot be used any more.
 *
 * Errors: the graph did not fit into maintenance_work_mem
 * (configuration_limit_exceeded) or has more nodes than possible
 * (program_limit_exceeded).
 */
void
component_graph_write(ComponentGraph *graph, Tuplestorestate *store,
					  TupleDesc descriptor)
{
	switch (graph->type)
	{
		case NODE_BIGINT:
			process_batch(graph, NODE_BIGINT);
			break;
		case NODE_UUID:
			process_batch(graph, NODE_UUID);
			break;
		case NODE_TEXT:
			process_batch(graph, NODE_TEXT);
			break;
	}

	if (graph->full)
		report_memory_limit(graph);

	switch (graph->type)
	{
		case NODE_BIGINT:
			write_components(graph, store, descriptor, NODE_BIGINT);
			break;
		case NODE_UUID:
			write_components(graph, store, descriptor, NODE_UUID);
			break;
		case NODE_TEXT:
			write_components(graph, store, descriptor, NODE_TEXT);
			break;
	}
}
