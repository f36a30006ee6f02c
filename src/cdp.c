/*
 * cdp.c
 *		The module itself: magic block, initialisation and version.
 */
#include "postgres.h"

#include "cdp.h"
#include "segment/realtime.h"
#include "segment/worker.h"
#include "utils/builtins.h"

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
