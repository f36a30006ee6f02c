/*
 * compat.h
 *		The one place that knows how PostgreSQL 15 to 18 differ.
 */
#ifndef CDP_COMPAT_H
#define CDP_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "cdp needs PostgreSQL 15 or later"
#endif

/*
 * The library is compiled with hidden visibility.  Before PostgreSQL 16
 * PGDLLEXPORT expands to nothing on ELF platforms, so SQL-callable functions
 * are exported here.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

/*
 * Run a plan to its end, once.  PostgreSQL 18 dropped ExecutorRun's execute_once.
 */
#if PG_VERSION_NUM >= 180000
#define cdp_executor_run(description, direction, count) \
	ExecutorRun((description), (direction), (count))
#else
#define cdp_executor_run(description, direction, count) \
	ExecutorRun((description), (direction), (count), true)
#endif

#endif							/* CDP_COMPAT_H */
