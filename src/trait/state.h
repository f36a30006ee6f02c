/*
 * state.h
 *		The states of aggregates in the server: the way in and out, room.
 */
#ifndef CDP_TRAIT_STATE_H
#define CDP_TRAIT_STATE_H

#include "fmgr.h"
#include "utils/timestamp.h"

#include "trait/state_core.h"

extern void *cdp_state_get(Datum value, StateKind kind, const char *type_name);
extern void *cdp_state_finished(Datum value, StateKind kind, const char *type_name);
extern void *cdp_state_make_room(void *state, Size size);
extern void cdp_state_compact(void *state);
extern void cdp_state_check_aggregate(FunctionCallInfo fcinfo);
extern int64 cdp_state_microseconds(const Interval *interval, const char *what);
extern TimestampTz cdp_state_finite(TimestampTz time, const char *what);

#endif							/* CDP_TRAIT_STATE_H */
