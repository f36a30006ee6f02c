/*
 * gbt_module.cc
 *		The magic block of the module cdp_gbt, by which the server knows that it
 *		fits to it.
 */
extern "C"
{
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

#if PG_VERSION_NUM >= 180000
	PG_MODULE_MAGIC_EXT(.name = "cdp_gbt", .version = CDP_VERSION);
#else
	PG_MODULE_MAGIC;
#endif
}
