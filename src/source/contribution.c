/*
 * contribution.c
 *		What one record says about the traits of its person, in real time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "source/contribution.h"
#include "statement.h"

/* Before anything is written. */
void
contribution_check(Jsonb *traits)
{
	if (!JB_ROOT_IS_OBJECT(traits))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("traits must be a JSON object"),
				 errhint("Name each value: '{\"country\": \"FR\", \"plan\": \"gold\"}'.")));
}

/*
 * Puts the traits in the place of what the record said before, and brings the
 * row of its person up to date.
 */
void
contribution_store(const SingleRecord *record, Jsonb *traits)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, JSONBOID};
	Datum		arguments[] = {CStringGetTextDatum(record->source), CStringGetTextDatum(record->key),
							   TimestampTzGetDatum(record->resolved_at), Int64GetDatum(record->hub), JsonbPGetDatum(traits)};

	SPI_connect();
	cdp_statement(&plan, "SELECT cdp.store_contribution($1, $2, $3, $4, $5)", 5, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not store the traits of a record");
	SPI_finish();
}
