/*
 * cdp.h
 *		What every C file of the extension shares: the checked allocation wrapper,
 *		the version, which the Makefile hands over from cdp.control, and functions
 *		that several capabilities need.
 *
 * As in PostgreSQL, headers do not include postgres.h; the .c files do, first.
 */
#ifndef CDP_H
#define CDP_H

#include "fmgr.h"
#include "storage/shmem.h"		/* mul_size, add_size */

#include "compat.h"

#ifndef CDP_VERSION
#error "CDP_VERSION is set by the Makefile from cdp.control"
#endif

/*
 * Allocations whose size depends on input go through these: the product is
 * checked for overflow, and the allocator checks it against its limit.
 */
#define cdp_palloc_array(type, count) \
	((type *) palloc(mul_size(sizeof(type), (count))))
#define cdp_palloc0_array(type, count) \
	((type *) palloc0(mul_size(sizeof(type), (count))))

extern MemoryContext cdp_aggregate_context(FunctionCallInfo fcinfo);
extern const char *cdp_type_name(Oid type);
extern const char *cdp_quoted_caller(void);
extern int	cdp_compare_int64(const void *left, const void *right);

#endif							/* CDP_H */
