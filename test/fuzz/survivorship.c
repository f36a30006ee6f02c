/*
 * survivorship.c
 *		Fuzz target for reading cdp.survivorship from disk: any bytes as its packed
 *		form.
 *
 * What is read must be what the writer writes.
 */
#include "profile_host.h"

#include "profile/survivorship_core.h"

static size_t
run(const char *input, size_t size, size_t refuse)
{
	FuzzHost	own;
	Survivorship survivorship = {0};
	ProfileBuffer buffer = {NULL, 0, 0, &own.host};
	size_t		allocations;

	fuzz_host_init(&own);
	own.refuse = refuse;
	if (!survivorship_read(&own.host, input, size, &survivorship))
		fuzz_failed(&own);
	else if (survivorship_write(&buffer, &survivorship))
	{
		require(buffer.length == size && memcmp(buffer.data, input, size) == 0, "what was read is what is written");
		for (uint32_t i = 0; i < survivorship.trait_count; i++)
			require(survivorship_rule(&survivorship, survivorship.traits[i].text, survivorship.traits[i].length) ==
						&survivorship.rules[i],
					"the rule of a trait is found");
		require(survivorship_rule(&survivorship, "\377\377\377\377", 4) != NULL, "every trait has a rule");
	}
	else
		require(refuse != 0, "what was read can be written");
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
