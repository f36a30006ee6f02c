/*
 * normalize.h
 *		Normalisers: from the many spellings of an identifier to the one that
 *		is stored and compared.
 *
 * This is the interface for the other C files of the server module.  The rules
 * themselves are in normalize_core.h, which needs no running server.
 */
#ifndef CDP_IDENTITY_NORMALIZE_H
#define CDP_IDENTITY_NORMALIZE_H

#include "lib/stringinfo.h"
#include "utils/palloc.h"

typedef enum NormalizerKind
{
	NORMALIZER_EXACT,
	NORMALIZER_LOWER,
	NORMALIZER_DIGITS,
	NORMALIZER_UUID,
	NORMALIZER_EMAIL,
	NORMALIZER_PHONE
} NormalizerKind;

typedef struct Normalizer
{
	NormalizerKind kind;
	bool		provider_rules; /* NORMALIZER_EMAIL only */
	char		default_region[8];	/* NORMALIZER_PHONE only; empty: numbers must
									 * be international */
} Normalizer;

struct NormalizeCache;

extern bool cdp_normalizer_from_name(const char *name, NormalizerKind *kind);
extern const char *cdp_normalizer_version(NormalizerKind kind);
extern void cdp_normalizer_check_region(const char *region);

extern bool cdp_normalize(const Normalizer *normalizer, const char *input,
						  size_t length, StringInfo output);

extern struct NormalizeCache *cdp_normalize_cache_create(MemoryContext context,
														 size_t max_bytes);
extern bool cdp_normalize_cached(struct NormalizeCache *cache,
								 const Normalizer *normalizer,
								 const char *input, size_t length,
								 StringInfo output);

#endif							/* CDP_IDENTITY_NORMALIZE_H */
