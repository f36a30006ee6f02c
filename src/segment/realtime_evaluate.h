/*
 * realtime_evaluate.h
 *		Evaluating expressions for given people: what realtime.c needs.
 */
#ifndef CDP_SEGMENT_REALTIME_EVALUATE_H
#define CDP_SEGMENT_REALTIME_EVALUATE_H

#include "access/genam.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "segment/realtime_cache.h"
#include "utils/array.h"
#include "utils/snapshot.h"

/* Why something changed: cdp_data.segment_change.cause. */
#define CAUSE_EVENT		"event"
#define CAUSE_TRAIT		"trait"
#define CAUSE_IDENTITY	"identity"
#define CAUSE_WINDOW	"window"

/* Look-ups in a table by one index. */
typedef struct Lookup
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	int			key_count;
} Lookup;

/* What is known of a person while evaluating. */
typedef struct Person
{
	int64		profile_id;
	bool		is_retired;
	bool		is_seen;		/* by the statement at hand */
	TimestampTz due_at;			/* DT_NOEND: never */
} Person;

/* A membership that begins or ends. */
typedef struct MemberChange
{
	int32		segment_id;
	int64		profile_id;
	bool		is_entry;
} MemberChange;

typedef struct Evaluation
{
	RealtimeCache *cache;
	const char *cause;
	Person	   *people;			/* by id, each once */
	int			count;
	Snapshot	snapshot;		/* newer than the locks */
	Lookup		members;
	Lookup		rows;
	MemberChange *changes;
	int			change_count;
	int			change_capacity;
	int64		changed;		/* values and memberships */
} Evaluation;

/* What to do besides evaluating. */
#define DERIVE_ROWS		0x01	/* bring the rows of cdp.profiles up to date before */
#define NO_LIMIT		0x02	/* also people with very many events */
#define DUE_EXACT		0x04	/* what comes out is when to look again */

extern void lookup_open(Lookup *lookup, Oid table, Oid index, Snapshot snapshot, int key_count);
extern void lookup_start(Lookup *lookup, Oid equals, Datum first, int64 second);
extern bool lookup_next(Lookup *lookup);
extern bool lookup_id(Lookup *lookup, int64 id);
extern void lookup_close(Lookup *lookup);
extern Datum lookup_value(Lookup *lookup, AttrNumber column);

extern int	evaluate_prefer_indexes(void);
extern ArrayType *evaluate_array(const int64 *ids, int count);
extern int	evaluate_sort(int64 *ids, int count);
extern void evaluate_put_off(const int64 *ids, int count);
extern void evaluate_lock(Evaluation *evaluation, const int64 *ids, int count);
extern void evaluate_locked(Evaluation *evaluation, ExpressionSet *set, int flags, TimestampTz until);
extern int64 evaluate_people(RealtimeCache *cache, ExpressionSet *set, int64 *ids, int count, const char *cause,
							 int flags, TimestampTz until);

#endif							/* CDP_SEGMENT_REALTIME_EVALUATE_H */
