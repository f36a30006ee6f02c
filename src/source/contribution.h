/*
 * contribution.h
 *		What one record says about the traits of its person, in real time.
 */
#ifndef CDP_SOURCE_CONTRIBUTION_H
#define CDP_SOURCE_CONTRIBUTION_H

#include "identity/identify.h"

extern void contribution_check(Jsonb *traits);
extern int64 *contribution_store(const SingleRecord *record, Jsonb *traits, int *count);
extern void contribution_join(const int64 *moved, int count);

#endif							/* CDP_SOURCE_CONTRIBUTION_H */
