/*
 * bulk.h
 *		Inserting a large part of a table at once.
 */
#ifndef CDP_IDENTITY_BULK_H
#define CDP_IDENTITY_BULK_H

#include "utils/relcache.h"

typedef struct BulkInsert BulkInsert;

extern BulkInsert *bulk_begin(Relation relation);
extern MemoryContext bulk_context(BulkInsert *bulk);
extern void bulk_row(BulkInsert *bulk, const Datum *values, const bool *nulls, Size size);
extern void bulk_sort_keys(BulkInsert *bulk, Oid index, const char *leading, uint64 rows);
extern void bulk_key(BulkInsert *bulk, const char *key, uint32 length);
extern void bulk_end(BulkInsert *bulk);

#endif							/* CDP_IDENTITY_BULK_H */
