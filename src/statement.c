/*
 * statement.c
 *		Internal SQL statements: their plans, the settings they run with, and
 *		relations that exist for them alone.
 */
#include "postgres.h"

#include "cdp.h"
#include "statement.h"
#include "utils/guc.h"

/*
 * The plan of a statement, prepared on the first call.  The text must name
 * everything with its schema, since it is analysed with the search_path that
 * happens to be in force.  (All but unnest of several arrays: that is syntax, of
 * which the parser itself makes pg_catalog.unnest of each.)  SPI must be
 * connected.
 */
SPIPlanPtr
cdp_statement(SPIPlanPtr *plan, const char *sql, int argument_count, Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(sql, argument_count, types);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		*plan = prepared;
	}
	return *plan;
}

/*
 * SPI_execute_with_args for a statement whose errors are the caller's: they are
 * told without the lines of the extension's own functions that they passed
 * through, which say nothing to who called the one at hand.  Where those of the
 * caller stand above, they are kept, and so is all of it in internal errors.
 */
int
cdp_execute_plainly(const char *sql, int count, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	volatile int result = 0;

	PG_TRY();
	{
		error_context_stack = NULL;
		result = SPI_execute_with_args(sql, count, types, values, nulls, false, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INTERNAL_ERROR)
			error->context = NULL;
		ThrowErrorData(error);
	}
	PG_END_TRY();
	return result;
}

/*
 * A setting until the end of the level that the caller began with
 * NewGUCNestLevel().
 *
 * Errors: no such option, or not such a value of it.
 */
void
cdp_set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Makes rows a relation that statements of SPI can name, like the transition
 * tables of a trigger, till SPI_finish or SPI_unregister_relation.  SPI must be
 * connected; the rows stay the caller's.
 */
void
cdp_register_rows(const char *name, TupleDesc descriptor, Tuplestorestate *rows)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = pstrdup(name);
	relation->md.tupdesc = descriptor;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = (double) tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register relation \"%s\"", name);
}
