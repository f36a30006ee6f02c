/*
 * realtime.h
 *		Computed traits and membership of given people, in the transaction that
 *		changed what they depend on.
 */
#ifndef CDP_SEGMENT_REALTIME_H
#define CDP_SEGMENT_REALTIME_H

#include "datatype/timestamp.h"

/* An event that was stored, or replaced, by a call of its own. */
typedef struct RealtimeEvent
{
	int64		hub;			/* identifier that it hangs on */
	const char *name;
	int64		old_hub;		/* of the version before; 0: none */
	const char *old_name;		/* NULL: none */
	const int64 *moved;			/* profiles that are not who they were */
	int			moved_count;
} RealtimeEvent;

extern void realtime_require_writer(Oid relation);
extern void realtime_init(void);
extern void realtime_event(const RealtimeEvent *event);
extern void realtime_collect(const int64 *moved, int count);
extern int	realtime_expire(int batch, TimestampTz until);

#endif							/* CDP_SEGMENT_REALTIME_H */
