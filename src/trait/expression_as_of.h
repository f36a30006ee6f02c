/*
 * expression_as_of.h
 *		Reading people as they were at an earlier time.
 */
#ifndef CDP_EXPRESSION_AS_OF_H
#define CDP_EXPRESSION_AS_OF_H

#include "nodes/pg_list.h"

extern char *expression_profile_as_of(List *columns, const char *clock, const char *person);
extern void expression_refuse_leakage(Node *expression);

#endif							/* CDP_EXPRESSION_AS_OF_H */
