/*
 * contribution.h
 *		What one record says about the traits of its person, in real time.
 */
#ifndef CDP_SOURCE_CONTRIBUTION_H
#define CDP_SOURCE_CONTRIBUTION_H

#include "identity/identify.h"

extern void contribution_check(Jsonb *traits);
extern void contribution_store(const SingleRecord *record, Jsonb *traits);

#endif							/* CDP_SOURCE_CONTRIBUTION_H */
