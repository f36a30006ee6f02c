/*
 * query.h
 *		Reading the rows of a query that a caller gives as text: one read-only
 *		statement, with the caller's rights and search_path, streamed row by row
 *		to a callback (nothing is materialised) and with a plan that may be
 *		parallel.
 *
 * The order of calls: prepare, look at the descriptor, coerce where needed,
 * perhaps plan, run (once), free.
 */
#ifndef CDP_QUERY_H
#define CDP_QUERY_H

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/nodes.h"

typedef struct CdpQuery CdpQuery;

/*
 * Called once for each row, in a memory context that is reset before the next
 * one.  It may raise errors and may call SPI (the caller of cdp_query_run keeps
 * SPI_connect and SPI_finish outside of the run, or inside of one callback).
 */
typedef void (*CdpRowCallback) (void *argument, TupleTableSlot *slot);

/*
 * Let the planner choose a parallel plan.  While one runs, a callback can read
 * through SPI with read_only = true, and insert into a table through the table
 * access methods when the transaction has its id already, but cannot run
 * commands that write, nor start subtransactions.  Without this flag it can do
 * all of that.
 */
#define CDP_QUERY_PARALLEL	0x01

extern CdpQuery *cdp_query_prepare(const char *query, const char *what);
extern CdpQuery *cdp_query_prepare_parameters(const char *query, const char *what, const Oid *types, int count);
extern void cdp_query_bind(CdpQuery *prepared, const Datum *values);
extern TupleDesc cdp_query_descriptor(CdpQuery *prepared);
extern bool cdp_is_about_text(const ErrorData *error);
extern void cdp_rethrow_of_text(MemoryContext context);
extern char *cdp_query_bare(const char *query);
extern bool cdp_reads_temporary(Node *tree, int *location);
extern void cdp_refuse_temporary(Node *tree, const char *what);
extern void cdp_query_refuse_temporary(const CdpQuery *prepared);
extern bool cdp_query_coerce(CdpQuery *prepared, int attribute_number, Oid type);
extern bool cdp_query_plan_apart(CdpQuery *prepared);
extern uint64 cdp_query_run(CdpQuery *prepared, int flags,
							CdpRowCallback callback, void *argument);
extern double cdp_query_expected_rows(const CdpQuery *prepared);
extern void cdp_query_free(CdpQuery *prepared);

#endif							/* CDP_QUERY_H */
