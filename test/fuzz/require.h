/*
 * require.h
 *		What fuzz targets share: rules that must hold, and memory.
 */
#ifndef CDP_FUZZ_REQUIRE_H
#define CDP_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run, naming the rule that is broken. */
static inline void
require(bool condition, const char *rule)
{
	if (!condition)
	{
		fprintf(stderr, "broken: %s\n", rule);
		abort();
	}
}

/* Zeroes, of just this size, so that the sanitizer sees what is read or written past it. */
static inline void *
room(size_t size)
{
	void	   *memory = calloc(size > 0 ? size : 1, 1);

	if (memory == NULL)
		abort();
	return memory;
}

#endif							/* CDP_FUZZ_REQUIRE_H */
