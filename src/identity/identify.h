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
	bool		is_news;		/* the record is new or changed */
	int64		hub;			/* identifier */
	int64		profile_id;
	int64	   *moved;			/* profiles that are not who they were: merges, splits, new identifiers */
	int			moved_count;
} SingleRecord;

/*
 * Who wants to know of changes of people, and whom the graph does not know (the
 * real-time evaluation of segments).  Lists may name a profile twice, and
 * profiles that are retired now.
 */
typedef struct IdentityWatcher
{
	/* Before a real-time call writes: the locks of tables come first. */
	void		(*begin) (void);

	/*
	 * After a real-time call: those who are not who they were, and those of whom
	 * a record says something else.  The rows of "derived" in cdp.profiles are
	 * up to date already.
	 */
	void		(*changed) (const int64 *moved, int moved_count, const int64 *told, int told_count,
					const int64 *derived, int derived_count);
	/* After any other call that moved identifiers. */
	void		(*moved) (const int64 *moved, int moved_count);
} IdentityWatcher;

extern const IdentityWatcher *identity_watcher;

extern void identify_record(SingleRecord *record);
extern void identify_not_null(FunctionCallInfo fcinfo, int argument, const char *name, const char *function);

#endif							/* CDP_IDENTITY_IDENTIFY_H */
