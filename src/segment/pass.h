/*
 * pass.h
 *		One pass: expressions of one owner, evaluated for everybody at once.
 */
#ifndef CDP_SEGMENT_PASS_H
#define CDP_SEGMENT_PASS_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "segment/audience.h"
#include "trait/expression.h"
#include "utils/tuplestore.h"

/* A relation that exists for a few statements alone. */
typedef struct PassRelation
{
	const char *name;
	TupleDesc	descriptor;
	Tuplestorestate *rows;
} PassRelation;

/* A segment of the pass, or a computed trait. */
typedef struct PassExpression
{
	Expression *expression;
	TimestampTz changed_at;		/* of the definition that is evaluated */
	bool		is_new;			/* never evaluated, or its definition changed since */
	bool		is_ok;			/* evaluated as it is defined, and not failed since */
	bool		is_ours;		/* declared by this transaction, and known to nobody else */
	bool		is_valid;		/* still so when the results are written */
	AudienceSet before;			/* members when the pass began */
	AudienceSet members;		/* members by what it read */
	int			value;			/* of a trait: its place among the values, from 0 */
	Oid			type;			/* of a trait: that of its column; invalid: it has none */
} PassExpression;

typedef struct Pass
{
	PassExpression *expressions;
	int			count;
	int			trait_count;
	bool		has_segments;
	bool		has_realtime;
	bool		is_query;		/* of the one expression */

	MemoryContext context;
	bool		is_too_large;	/* for maintenance_work_mem */
	int64	   *retired;		/* ids that still have a row in cdp.profiles, in order */
	int			retired_count;
	int64		people;
	PassRelation values;		/* profile_id, v1, v2, ... of traits */
	PassRelation due;			/* profile_id, due_at */
	bool		has_due;
	PassRelation entered;		/* segment_id, profile_id */
	PassRelation exited;

	/* Results. */
	int64		entered_count;
	int64		exited_count;
	int64		changed_count;	/* people with another value of a trait */
	List	   *again;			/* of int64 *: people left out */
} Pass;

extern void pass_relation_begin(PassRelation *relation, const char *name, TupleDesc descriptor);
extern void pass_relation_put(PassRelation *relation, const Datum *values, const bool *nulls);
extern bool pass_relation_is_empty(const PassRelation *relation);
extern void pass_relation_register(const PassRelation *relation);
extern void pass_relation_end(PassRelation *relation);

extern void pass_write(Pass *pass, Snapshot snapshot);

#endif							/* CDP_SEGMENT_PASS_H */
