/*
 * tables.h
 *		The look-up tables of the working set, instances of PostgreSQL's
 *		simplehash.
 */
#ifndef CDP_IDENTITY_TABLES_H
#define CDP_IDENTITY_TABLES_H

#include "common/hashfn.h"

/*
 * With a large graph nearly every step from an index to an array waits for
 * memory; passes over many rows ask some rows ahead.
 */
#define prefetch(address)	__builtin_prefetch(address)
#define FETCH_AHEAD			8

/* An array position that stands for the key found there. */
typedef struct PositionEntry
{
	uint32		position;
	uint32		hash;
	char		status;
} PositionEntry;

/* From a 64-bit key to an array position. */
typedef struct U64Entry
{
	uint64		key;
	uint32		position;
	char		status;
} U64Entry;

/* The finalizer of MurmurHash3: pairs of nearby positions must not collide. */
static inline uint32
hash_u64(uint64 key)
{
	key ^= key >> 33;
	key *= UINT64CONST(0xff51afd7ed558ccd);
	key ^= key >> 33;
	key *= UINT64CONST(0xc4ceb9fe1a85ec53);
	key ^= key >> 33;
	return (uint32) key;
}

#define SH_PREFIX			u64map
#define SH_ELEMENT_TYPE		U64Entry
#define SH_KEY_TYPE			uint64
#define SH_KEY				key
#define SH_HASH_KEY(tb, key) hash_u64(key)
#define SH_EQUAL(tb, a, b)	((a) == (b))
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Begins to fetch what a look-up of the key will read. */
static inline void
u64map_prefetch(const struct u64map_hash *map, uint64 key)
{
	prefetch(&map->data[hash_u64(key) & map->sizemask]);
}

extern void *graph_grow(MemoryContext context, void *array, uint32 count,
						uint32 *capacity, Size size);

#endif							/* CDP_IDENTITY_TABLES_H */
