/*
 * realtime_cache.h
 *		The expressions that are evaluated for given people, as a session knows
 *		them: what each of them reads, and statements that are planned once.
 */
#ifndef CDP_SEGMENT_REALTIME_CACHE_H
#define CDP_SEGMENT_REALTIME_CACHE_H

#include "executor/spi.h"
#include "trait/expression.h"
#include "utils/hsearch.h"

/* Two namespaces may share a bit, which makes for an evaluation too many. */
#define NAMESPACE_BIT(namespace_id)	(UINT64CONST(1) << ((namespace_id) % 64))

typedef struct LiveExpression
{
	Expression *definition;
	int			group;			/* same owner and settings: evaluated by one statement */
	int			level;			/* after those whose stored values it reads */
	AttrNumber	column;			/* of cdp_data.profile_row that holds a computed trait; 0: none */
	bool		is_failed;		/* left alone until a refresh */
	bool		reads_person;	/* anything that records say, or identifiers */
	bool		reads_counts;	/* what each event moves: first_seen, last_seen, event_count */
	uint64		namespaces;		/* whose columns it reads, which may go with the newest event; see NAMESPACE_BIT */
	bool		has_window;		/* compares with the clock */
} LiveExpression;

/* Expressions of one group, level and timing: one statement. */
typedef struct SetPart
{
	int			first;			/* position in the set's expressions */
	int			count;
	bool		is_due;			/* the statement has the column due_at */
	SPIPlanPtr	plan;			/* NULL: not prepared yet, or invalid */
	SPIPlanPtr	store;			/* writes the computed traits of a person; NULL: none, or not yet */
} SetPart;

typedef struct ExpressionSet
{
	int			count;
	LiveExpression **expressions;	/* in the order of parts */
	int			part_count;
	SetPart	   *parts;
	bool		reads_counts;	/* some of them do */
} ExpressionSet;

/* Which expressions of those that are evaluated in real time. */
typedef enum RealtimeScope
{
	SCOPE_ALL,
	SCOPE_PERSON,				/* that read what records say of a person */
	SCOPE_WINDOW,				/* whose result changes by the clock alone */
	SCOPE_COUNT
} RealtimeScope;

typedef struct RealtimeCache
{
	MemoryContext context;
	int			user_count;		/* calls under way */
	bool		has_realtime;
	uint64		namespaces;		/* of all expressions in real time */
	int64		max_events;		/* option realtime_max_events */
	int			count;
	LiveExpression *expressions;	/* sorted by id */
	ExpressionSet *scopes[SCOPE_COUNT]; /* made when first asked for */
	ExpressionSet *any_event;	/* concerned by events of names that nobody mentions */
	HTAB	   *by_event;		/* concerned by events of a name */
	HTAB	   *sets;			/* by ids */
	Oid			member;
	Oid			member_key;
	Oid			due_key;
	Oid			due;
	Oid			profile;
	Oid			profile_key;
	Oid			row;
	Oid			row_key;
} RealtimeCache;

extern RealtimeCache *realtime_cache(void);
extern void realtime_cache_hold(RealtimeCache *cache);
extern void realtime_cache_release(RealtimeCache *cache);
extern ExpressionSet *realtime_set(RealtimeCache *cache, LiveExpression **expressions, int count);
extern ExpressionSet *realtime_set_of_scope(RealtimeCache *cache, RealtimeScope scope);
extern ExpressionSet *realtime_set_of_event(RealtimeCache *cache, const char *name, const char *other_name, bool with_identifiers);
extern LiveExpression *realtime_find(RealtimeCache *cache, int32 id);

#endif							/* CDP_SEGMENT_REALTIME_CACHE_H */
