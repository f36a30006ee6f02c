/*
 * normalize_cache.c
 *		A cache of normalised values by raw value, for normalisers that are
 *		slower than a look-up.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "identity/normalize.h"

/*
 * One result.  The raw value follows the struct, and then, for a valid one,
 * the normalised value.
 */
typedef struct CacheEntry
{
	Normalizer	normalizer;
	bool		valid;
	size_t		raw_length;
	size_t		normalized_length;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} CacheEntry;

/* Raw values longer than this are rare and not worth their room. */
#define MAXIMUM_CACHED_LENGTH 256

typedef struct CacheKey
{
	const Normalizer *normalizer;
	const char *raw;
	size_t		raw_length;
} CacheKey;

typedef struct CacheSlot
{
	CacheKey	key;
	CacheEntry *entry;
	uint32		hash;
	char		status;
} CacheSlot;

static uint32 cache_key_hash(CacheKey key);
static bool cache_key_equal(CacheKey a, CacheKey b);

#define SH_PREFIX cache_table
#define SH_ELEMENT_TYPE CacheSlot
#define SH_KEY_TYPE CacheKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) cache_key_hash(key)
#define SH_EQUAL(table, a, b) cache_key_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, slot) (slot)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct NormalizeCache
{
	MemoryContext context;		/* of the table and the entries */
	cache_table_hash *table;
	size_t		max_bytes;
	size_t		entry_bytes;
} NormalizeCache;

#define INITIAL_SLOTS 256

static uint32
cache_key_hash(CacheKey key)
{
	uint32		hash = hash_bytes((const unsigned char *) key.raw,
							 (int) key.raw_length);

	return hash_combine(hash, (uint32) key.normalizer->kind);
}

static bool
cache_key_equal(CacheKey a, CacheKey b)
{
	return a.raw_length == b.raw_length &&
		a.normalizer->kind == b.normalizer->kind &&
		a.normalizer->provider_rules == b.normalizer->provider_rules &&
		strcmp(a.normalizer->default_region, b.normalizer->default_region) == 0 &&
		memcmp(a.raw, b.raw, a.raw_length) == 0;
}

/*
 * cache_forget empties the cache.
 */
static void
cache_forget(NormalizeCache *cache)
{
	MemoryContextReset(cache->context);
	cache->table = cache_table_create(cache->context, INITIAL_SLOTS, NULL);
	cache->entry_bytes = 0;
}

/*
 * cdp_normalize_cache_create makes a cache, which lives as long as the memory
 * context and takes about max_bytes at most: when full, it forgets everything
 * and starts again.  One cache may serve any number of normalisers.
 */
struct NormalizeCache *
cdp_normalize_cache_create(MemoryContext context, size_t max_bytes)
{
	NormalizeCache *cache = MemoryContextAlloc(context,
											   sizeof(NormalizeCache));

	cache->context = AllocSetContextCreate(context, "normalize cache",
										   ALLOCSET_DEFAULT_SIZES);
	cache->max_bytes = max_bytes;
	cache_forget(cache);
	return cache;
}

/*
 * cache_bytes returns what the cache takes, if its table had to grow now.
 */
static size_t
cache_bytes(const NormalizeCache *cache)
{
	return cache->entry_bytes +
		2 * (size_t) cache->table->size * sizeof(CacheSlot);
}

/*
 * same_number_spelling drops the separators of an international number, which
 * mean nothing to libphonenumber, so that its spellings share a result.
 * Returns the length of what is left, or 0 when the text is anything else.
 */
static size_t
same_number_spelling(const char *input, size_t length, char *spelling)
{
	size_t		used = 1;

	if (length < 2 || input[0] != '+')
		return 0;
	spelling[0] = '+';
	for (size_t i = 1; i < length; i++)
	{
		if (input[i] >= '0' && input[i] <= '9')
			spelling[used++] = input[i];
		else if (strchr(" -.()", input[i]) == NULL || input[i] == '\0')
			return 0;
	}
	return used;
}

/*
 * cdp_normalize_cached does what cdp_normalize does, remembering the results
 * of normalisers that are slow.  The others are called each time, for that
 * takes less than a look-up.  Errors: as for cdp_normalize.
 */
bool
cdp_normalize_cached(struct NormalizeCache *cache,
					 const Normalizer *normalizer, const char *input,
					 size_t length, StringInfo output)
{
	CacheKey	key = {normalizer, input, length};
	char		spelling[MAXIMUM_CACHED_LENGTH];
	size_t		spelling_length;
	CacheSlot  *slot;
	CacheEntry *entry;
	bool		valid;
	bool		found;
	size_t		entry_size;

	if (normalizer->kind != NORMALIZER_PHONE || length > MAXIMUM_CACHED_LENGTH)
		return cdp_normalize(normalizer, input, length, output);

	spelling_length = same_number_spelling(input, length, spelling);
	if (spelling_length > 0)
	{
		key.raw = input = spelling;
		key.raw_length = length = spelling_length;
	}
	slot = cache_table_lookup(cache->table, key);
	if (slot != NULL)
	{
		resetStringInfo(output);
		if (slot->entry->valid)
			appendBinaryStringInfo(output, slot->entry->data + length,
								   (int) slot->entry->normalized_length);
		return slot->entry->valid;
	}

	valid = cdp_normalize(normalizer, input, length, output);

	entry_size = offsetof(CacheEntry, data) + length + (size_t) output->len;
	if (cache_bytes(cache) + entry_size > cache->max_bytes)
		cache_forget(cache);
	entry = MemoryContextAlloc(cache->context, entry_size);
	cache->entry_bytes += GetMemoryChunkSpace(entry);
	entry->normalizer = *normalizer;
	entry->valid = valid;
	entry->raw_length = length;
	entry->normalized_length = (size_t) output->len;
	memcpy(entry->data, input, length);
	memcpy(entry->data + length, output->data, (size_t) output->len);

	key.normalizer = &entry->normalizer;
	key.raw = entry->data;
	slot = cache_table_insert(cache->table, key, &found);
	Assert(!found);
	slot->entry = entry;
	return valid;
}
