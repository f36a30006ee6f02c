/*
 * cdp.c
 *		The module itself: magic block, initialisation, version, and functions
 *		that several capabilities need.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "cdp.h"
#include "segment/realtime.h"
#include "segment/worker.h"

#if PG_VERSION_NUM >= 180000
PG_MODULE_MAGIC_EXT(.name = "cdp", .version = CDP_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PG_FUNCTION_INFO_V1(cdp_version);

extern PGDLLEXPORT void _PG_init(void);

/* Called when the library is loaded. */
void
_PG_init(void)
{
	realtime_init();
	worker_init();
}

/*
 * cdp.version() returns text
 *
 * The version of the loaded library, which differs from the version of the
 * extension's SQL objects between a package upgrade and ALTER EXTENSION UPDATE.
 */
Datum
cdp_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(CDP_VERSION));
}

/* The memory context of the aggregate that calls; an error when none does. */
MemoryContext
cdp_aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

/* The name of a type, with its schema unless it is PostgreSQL's own. */
const char *
cdp_type_name(Oid type)
{
	const char *name = format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);

	return strncmp(name, "pg_catalog.", 11) == 0 ? name + 11 : name;
}

/* The current role as a literal that the parameter role of cdp.grant_access takes. */
const char *
cdp_quoted_caller(void)
{
	return quote_literal_cstr(quote_identifier(GetUserNameFromId(GetUserId(), false)));
}

/* For qsort and bsearch. */
int
cdp_compare_int64(const void *left, const void *right)
{
	int64		a = *(const int64 *) left;
	int64		b = *(const int64 *) right;

	return (a > b) - (a < b);
}
