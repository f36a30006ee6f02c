/*
 * sorted_index.h
 *		Bringing an index up to date with the rows that a table has got, from
 *		their keys in order: anew where the table was empty, key by key otherwise.
 */
#ifndef CDP_IDENTITY_SORTED_INDEX_H
#define CDP_IDENTITY_SORTED_INDEX_H

#include "storage/itemptr.h"
#include "utils/relcache.h"

typedef struct SortedIndex SortedIndex;

extern SortedIndex *sorted_index_begin(Relation heap, Oid index, const char *leading, uint64 rows);
extern void sorted_index_add(SortedIndex *sorted, const char *key, uint32 length);
extern void sorted_index_place(SortedIndex *sorted, const ItemPointerData *place);
extern bool sorted_index_build(SortedIndex *sorted);
extern void sorted_index_free(SortedIndex *sorted);

#endif							/* CDP_IDENTITY_SORTED_INDEX_H */
