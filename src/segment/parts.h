/*
 * parts.h
 *		The parts of a predicate, as pieces of the text that the user wrote.
 */
#ifndef CDP_SEGMENT_PARTS_H
#define CDP_SEGMENT_PARTS_H

#include "nodes/pg_list.h"

typedef enum PartKind
{
	PART_AND,
	PART_OR,
	PART_NOT,
	PART_CONDITION				/* all that is none of these */
} PartKind;

/* What a condition reads: each has a value of its own. */
typedef enum InputKind
{
	INPUT_PROFILE,				/* a column of cdp.profiles */
	INPUT_SEGMENT,
	INPUT_AGGREGATE
} InputKind;

typedef struct PartInput
{
	InputKind	kind;
	char	   *name;			/* of the column or segment; of an aggregate, its text */
	char	   *text;			/* an expression that gives the value */
} PartInput;

typedef struct PredicatePart
{
	PartKind	kind;
	char	   *text;			/* on one line, without comments and outer parentheses */
	List	   *children;		/* of PredicatePart */
	List	   *inputs;			/* of PartInput, without duplicates; of conditions only */
} PredicatePart;

extern PredicatePart *predicate_parts(const char *text);
extern List *expression_inputs(const char *text);
extern char *expression_text(const char *text);

#endif							/* CDP_SEGMENT_PARTS_H */
