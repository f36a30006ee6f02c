/*
 * statement.h
 *		Internal SQL statements: their plans, the settings they run with, and
 *		relations that exist for them alone.
 */
#ifndef CDP_STATEMENT_H
#define CDP_STATEMENT_H

#include "executor/spi.h"
#include "utils/tuplestore.h"

extern SPIPlanPtr cdp_statement(SPIPlanPtr *plan, const char *sql, int argument_count, Oid *types);
extern int	cdp_execute_plainly(const char *sql, int count, Oid *types, Datum *values, const char *nulls);
extern void cdp_set_option(const char *name, const char *value);
extern void cdp_register_rows(const char *name, TupleDesc descriptor, Tuplestorestate *rows);

#endif							/* CDP_STATEMENT_H */
