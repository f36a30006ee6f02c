/*
 * expression.h
 *		Expressions over a profile and its events: computed traits and segment
 *		predicates.  What others need of the compiler.
 */
#ifndef CDP_EXPRESSION_H
#define CDP_EXPRESSION_H

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "query.h"
#include "source/owner.h"

/* A row of cdp_data.expression. */
typedef struct Expression
{
	int32		id;				/* 0: not registered */
	char	   *name;
	bool		is_segment;		/* otherwise a computed trait */
	bool		is_query;		/* a segment given by a query */
	bool		is_realtime;
	bool		include_anonymous;
	char	   *definition;		/* expression, predicate or query */
	char	   *type_name;		/* of the value */
	char	   *owner;
	char	   *time_zone;
	char	   *search_path;
	bool		is_own;			/* the caller's own text, which runs with the caller's rights */
} Expression;

/* Of whom a statement tells. */
typedef enum ExpressionShape
{
	EXPRESSION_EVERYBODY,		/* one pass over all events */
	EXPRESSION_GIVEN,			/* people whose ids are $1 bigint[], by index */
	EXPRESSION_MEMBERS			/* everybody for whom the one segment holds; profile_id alone */
} ExpressionShape;

/* The clock is the last parameter, a timestamptz, and later events are hidden. */
#define EXPRESSION_AS_OF	1
/*
 * A last column due_at: a time before which no result of a real-time expression
 * changes by the clock alone; NULL: none ever does.
 */
#define EXPRESSION_DUE		2
/*
 * Made to be run in this transaction and not to be read: clocks are constants,
 * names of events numbers.
 */
#define EXPRESSION_AT_ONCE	4

extern List *expression_load(const int32 *ids, int count);
extern Expression *expression_find(const char *kind, const char *name, bool missing_ok);
extern Expression *expression_of_caller(text *predicate);
extern bool expression_has_settings_of(const Expression *a, const Expression *b);
extern void expression_enter(const Expression *expression, SourceOwner *owner);
extern void expression_run(const Expression *expression, const SourceOwner *owner, CdpQuery *query, int flags,
						   CdpRowCallback callback, void *argument);
extern char *expression_query_statement(const char *query, bool include_anonymous);
extern char *expression_statement(List *expressions, ExpressionShape shape, int flags);
extern char *expression_shared_statement(List *expressions, int flags, int shares);
extern char *expression_cast(const char *sql, TupleDesc given, const Oid *types);
extern bool expression_has_types(TupleDesc given, const Oid *types);

#endif							/* CDP_EXPRESSION_H */
