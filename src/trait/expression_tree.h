/*
 * expression_tree.h
 *		Inside the compiler of expressions: the analysed form, and the steps
 *		from it to a statement.
 *
 * The analysed form is PostgreSQL's own expression tree, as it stands in the
 * inner of two queries: columns of "event" are of its own level (and stand in
 * aggregates only), those of "profile" and "segment" of the level above.
 */
#ifndef CDP_EXPRESSION_TREE_H
#define CDP_EXPRESSION_TREE_H

#include "nodes/parsenodes.h"
#include "trait/expression.h"

/* Relations of the analysed form, by level and number. */
#define EVENT_LEVEL		0
#define EVENT_RELATION	1
#define OUTER_LEVEL		1
#define PROFILE_RELATION 1
#define SEGMENT_RELATION 2

/* What several expressions that are compiled together share. */
typedef struct Compilation
{
	Oid			events;			/* views */
	Oid			profiles;
	SourceOwner owner;			/* whose rights are in force */
	List	   *path;			/* of Expression: what is being put in the place of a reference */
	List	   *stored_segments;	/* of char: columns of "segment", read as they are stored */
} Compilation;

/* What an expression reads: two lists of char of the same length. */
typedef struct ExpressionFacts
{
	List	   *kinds;
	List	   *names;
} ExpressionFacts;

/* One time at which a comparison with the clock changes its outcome. */
typedef enum WindowKind
{
	WINDOW_CLOSES,				/* when the clock passes "at" plus "width" */
	WINDOW_MIDNIGHT,			/* with the day */
	WINDOW_ANY					/* at no time that could be told */
} WindowKind;

typedef struct Window
{
	WindowKind	kind;
	Node	   *at;				/* timestamptz, of the analysed form */
	Interval   *width;
	bool		is_inner;		/* in an aggregate, evaluated for each event */
	List	   *filter;			/* of the aggregate, without what reads the clock */
} Window;

/* expression.c */
extern void compilation_begin(Compilation *compilation, const Expression *expression);
extern void compilation_end(Compilation *compilation);
extern Node *expression_analyse(Compilation *compilation, const Expression *expression, ExpressionFacts *facts);
extern Node *expression_condition(Compilation *compilation, const Expression *expression);
extern void expression_fact(ExpressionFacts *facts, const char *kind, const char *name);

/* expression_facts.c */
extern void expression_collect_facts(const Compilation *compilation, Node *tree, ExpressionFacts *facts);
extern Node *expression_single(const char *sql);

/* expression_statement.c */
extern void expression_check_aggregates(const Compilation *compilation, Node *tree, bool is_realtime);

/* Where the result of an aggregate is found once counts are packed. */
typedef struct PackedPlace
{
	int			aggregate;		/* number of the aggregate, from 1 */
	int			element;		/* of its result, from 1; 0: the result itself */
} PackedPlace;

/* expression_pack.c */
extern Node *pack_constants(Node *node, void *at_once);
extern List *pack_names(List *aggregates, AttrNumber event_name, AttrNumber number, List **names);
extern Node *packed_number(List *names, AttrNumber event_name);
extern List *pack_counts(List *aggregates, AttrNumber event_name, PackedPlace **places);
extern Node *packed_result(List *aggregates, PackedPlace place, int relation, int first);

/* expression_clock.c */
extern Node *clock_replace(Node *tree, Node *clock);
extern List *clock_windows(Node *tree);
extern Node *clock_due(List *windows, Node *clock, const char *time_zone);

#endif							/* CDP_EXPRESSION_TREE_H */
