/*
 * profile_wire.c
 *		Fuzz target for the binary form of cdp.profile, which COPY BINARY and
 *		drivers send.
 *
 * Every input is received, once with enough memory and once with an allocation
 * that fails.  What is received must be as good as what is made in any other way.
 */
#include "profile_host.h"

static size_t
run(const char *input, size_t size, size_t refuse)
{
	FuzzHost	own;
	ProfileBuilder builder;
	FuzzPacked	packed;
	size_t		allocations;

	fuzz_host_init(&own);
	own.refuse = refuse;
	profile_builder_init(&builder, &own.host);
	if (!profile_receive(&builder, input, size))
		fuzz_failed(&own);
	else if (fuzz_pack(&own, &builder, &packed))
		fuzz_check_profile(&own, &packed, true);
	allocations = own.allocations;
	fuzz_host_free(&own);
	return allocations;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *input = fuzz_copy(data, size);
	size_t		allocations = run(input, size, 0);

	if (allocations > 0)
		run(input, size, 1 + (size * 31 + (size > 0 ? data[size / 2] : 0)) % allocations);
	free(input);
	return 0;
}
