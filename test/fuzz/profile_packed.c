/*
 * profile_packed.c
 *		Fuzz target for reading cdp.profile from disk: any bytes as packed ones.
 *
 * Whatever the bytes are, no way of reading them may read past them.  Bytes that
 * pass the check must be those that the writer makes.
 */
#include "profile_host.h"

/*
 * merge takes the bytes into a builder, alone and with others, as || does.
 */
static void
merge(FuzzHost *own, const void *data, size_t size)
{
	ProfileBuilder builder;
	FuzzPacked	packed;
	ProfileBuffer text = {NULL, 0, 0, &own->host};

	profile_builder_init(&builder, &own->host);
	if (!profile_builder_add_packed(&builder, data, size))
		fuzz_failed(own);
	else if (!profile_builder_add_packed(&builder, data, size))
		fuzz_failed(own);
	else if (fuzz_pack(own, &builder, &packed))
		fuzz_read(own, packed.data, packed.size);
	if (!profile_write(&text, data, size))
		fuzz_failed(own);
}

/*
 * all_texts tells whether names and texts are well-formed, which the check
 * leaves to the reader of the binary form.
 */
static bool
all_texts(FuzzHost *own, const void *data, size_t size)
{
	ProfileReader reader;
	ProfileBlock block = {0};
	ProfileCandidate candidate;
	ProfileOrigin origin;
	const char *canonical;
	size_t		length;

	require(profile_open(&own->host, &reader, data, size), "what was checked can be opened");
	for (uint32_t i = 0; i < reader.origin_count; i++)
	{
		require(profile_origin(&own->host, &reader, i, &origin), "what was checked has origins");
		if (!fuzz_is_utf8(origin.source, origin.source_length))
			return false;
	}
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		require(profile_block(&own->host, &reader, i, &block), "what was checked has blocks");
		if (!fuzz_is_utf8(block.trait, block.trait_length))
			return false;
		while (block.has_more)
		{
			require(profile_next(&own->host, &reader, &block, &candidate), "what was checked has candidates");
			if (candidate.value.type == PROFILE_TEXT && !fuzz_is_utf8(candidate.value.bytes, candidate.value.length))
				return false;
			if (candidate.value.type == PROFILE_JSONB &&
				!(fuzz_canonical_json(&own->host, candidate.value.bytes, candidate.value.length, &canonical, &length) &&
				  length == candidate.value.length))
				return false;
		}
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *input = fuzz_copy(data, size);
	FuzzHost	own;
	FuzzPacked	packed = {input, size};

	fuzz_host_init(&own);
	if (profile_check(&own.host, input, size))
	{
		if (all_texts(&own, input, size))
			fuzz_check_profile(&own, &packed, true);
	}
	else
		fuzz_failed(&own);
	fuzz_read(&own, input, size);
	merge(&own, input, size);
	fuzz_host_free(&own);
	free(input);
	return 0;
}
