/*
 * profile_text.c
 *		Fuzz target for the text form of cdp.profile.
 *
 * Every input is read as a profile, once with enough memory and once with an
 * allocation that fails.  What is read must survive being packed, merged,
 * written and read again.
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
	if (!profile_parse(&builder, input, size))
	{
		fuzz_failed(&own);
		require(own.host.position <= size, "the problem is in the input");
	}
	else if (fuzz_pack(&own, &builder, &packed))
		fuzz_check_profile(&own, &packed, fuzz_is_utf8(input, size));
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
