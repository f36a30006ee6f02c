/*
 * expression_as_of.h
 *		Reading people as they were at an earlier time.
 */
#ifndef CDP_EXPRESSION_AS_OF_H
#define CDP_EXPRESSION_AS_OF_H

#include "nodes/primnodes.h"
#include "trait/expression.h"

extern char *expression_profile_as_of(List *columns, const char *clock, const char *person);
extern char *expression_was_seen(const char *person, const char *clock);
extern void expression_refuse_query(const Expression *expression);
extern void expression_refuse_leakage(Node *tree, const Expression *expression);

/* expression_statement.c */
extern char *expression_training_statement(List *expressions, struct Query *population);

#endif							/* CDP_EXPRESSION_AS_OF_H */
