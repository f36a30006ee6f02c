/*
 * statement.h
 *		Internal SQL statements, prepared once in a session and kept.
 */
#ifndef CDP_STATEMENT_H
#define CDP_STATEMENT_H

#include "executor/spi.h"

extern SPIPlanPtr cdp_statement(SPIPlanPtr *plan, const char *sql, int argument_count, Oid *types);

#endif							/* CDP_STATEMENT_H */
