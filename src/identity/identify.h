/*
 * identify.h
 *		Taking in one record in real time, for cdp.identify and cdp.track.
 */
#ifndef CDP_IDENTITY_IDENTIFY_H
#define CDP_IDENTITY_IDENTIFY_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

typedef struct SingleRecord
{
	Jsonb	   *identifiers;
	const char *source;
	const char *key;
	size_t		key_length;
	TimestampTz observed_at;	/* when has_time */
	bool		has_time;
	TimestampTz arrival;		/* otherwise, for a new record; 0: now */
	bool		is_event;		/* with one identifier, it leaves no row of its own */
	bool		take_lock;		/* nobody else writes this key meanwhile, even if nothing is new */

	/*
	 * Called when the key is locked, before anything is written.  True: what is
	 * stored elsewhere under this key is newer, and nothing is to be done.
	 */
	bool		(*is_outdated) (struct SingleRecord *record);
	void	   *argument;

	/* Result: */
	bool		is_rejected;	/* noted in cdp.rejected_records; nothing below is set */
	bool		is_current;		/* false: a newer version is stored */
	bool		is_locked;		/* the key was locked */
	TimestampTz resolved_at;	/* the time that this version has */
	int64		hub;			/* identifier */
	int64		profile_id;
} SingleRecord;

extern void identify_record(SingleRecord *record);
extern void identify_not_null(FunctionCallInfo fcinfo, int argument, const char *name, const char *function);

#endif							/* CDP_IDENTITY_IDENTIFY_H */
