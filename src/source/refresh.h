/*
 * refresh.h
 *		The transactions of a refresh, of which each step has its own.
 */
#ifndef CDP_SOURCE_REFRESH_H
#define CDP_SOURCE_REFRESH_H

#include "fmgr.h"

extern void refresh_begin_step(bool may_commit);
extern void refresh_end_step(bool may_commit);
extern void refresh_raise_failures(int64 refresh_id, bool may_commit);
extern Datum refresh_names(FunctionCallInfo fcinfo);

#endif							/* CDP_SOURCE_REFRESH_H */
