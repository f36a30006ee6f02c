/*
 * statement.c
 *		Internal SQL statements, prepared once in a session and kept.
 */
#include "postgres.h"

#include "cdp.h"
#include "statement.h"

/*
 * The plan of a statement, prepared on the first call.  The text must name
 * everything with its schema, since it is analysed with the search_path that
 * happens to be in force.  SPI must be connected.
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
