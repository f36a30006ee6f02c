/*
 * profile_packed.c
 *		Fuzz target for reading cdp.profile from disk: any bytes as packed ones.
 *
 * Whatever the bytes are, no way of reading them may read past them.  Bytes that
 * pass the check must be those that the writer makes, and one trait must be found
 * in parts of them as in the whole.
 */
#include "profile_host.h"

#include "profile/survivorship_core.h"

/*
 * read_part looks a trait up in the front of the bytes and its leaf, which is
 * how a trait of a large stored value is read (profile_fetch.c).  It returns
 * whether that went well, and the first candidate, if there is one.
 */
static bool
read_part(FuzzHost *own, const char *data, size_t size, const char *trait, size_t length,
		  bool *found, ProfileCandidate *candidate)
{
	ProfileHost *host = &own->host;
	ProfileReader reader;
	ProfileBlock block;
	size_t		needed = 8;
	size_t		available;
	uint32_t	leaf;
	size_t		start;
	size_t		end;
	char	   *front;

	*found = false;
	do
	{
		available = needed < size ? needed : size;
		front = fuzz_allocate(host, available);
		if (available > 0)
			memcpy(front, data, available);
		if (!profile_front(host, front, available, size, &needed))
		{
			fuzz_failed(own);
			return false;
		}
	} while (needed > available);
	if (!profile_open(host, &reader, front, size) ||
		!profile_find_leaf(host, &reader, trait, length, &leaf, &start, &end, found))
	{
		fuzz_failed(own);
		return false;
	}
	if (!*found)
		return true;
	require(start < end && end <= size, "a leaf is within the bytes");
	if (end > available)
	{
		char	   *parts = fuzz_allocate(host, end);

		memcpy(parts, front, available);
		memcpy(parts + start, data + start, end - start);
		reader.data = (const unsigned char *) parts;
	}
	if (!profile_find(host, &reader, trait, length, &block, found))
	{
		fuzz_failed(own);
		return false;
	}
	return !*found || profile_next(host, &reader, &block, candidate);
}

/*
 * choose lets each policy choose among the candidates of a trait.
 */
static void
choose(FuzzHost *own, const ProfileReader *reader, const ProfileBlock *block, bool is_sound)
{
	static SurvivorshipName sources[] = {{"shop", 4}, {"", 0}, {"crm", 3}};

	for (int policy = 0; policy < SURVIVORSHIP_POLICIES; policy++)
	{
		for (int ignore_empty = 0; ignore_empty < 2; ignore_empty++)
		{
			SurvivorshipRule rule = {
				.policy = (SurvivorshipPolicy) policy,
				.ignore_empty = ignore_empty != 0,
				.source_count = policy == SURVIVORSHIP_PRIORITY ? 3 : 0,
				.sources = sources,
			};
			ProfileCandidate winner;
			SurvivorshipEntry *entries;
			uint32_t	count;
			bool		found = false;
			bool		picked = survivorship_pick(&own->host, reader, *block, &rule, &winner, &found);
			bool		ranked = survivorship_rank(&own->host, reader, *block, &rule, &entries, &count);

			require(!is_sound || (picked && ranked), "every policy chooses");
			if (!picked || !ranked)
				continue;
			require(count > 0 && found == !entries[0].is_ignored, "there is a winner, or all are ignored");
			if (found && is_sound)
				require(winner.origin == entries[0].candidate.origin, "the winner is the first of the ranking");
			for (uint32_t i = 1; i < count; i++)
				survivorship_reason(&own->host, &rule, &entries[0], &entries[i]);
		}
	}
}

/*
 * read_traits reads every trait in parts, and chooses its winner.
 */
static void
read_traits(FuzzHost *own, const char *data, size_t size, bool is_sound)
{
	ProfileReader reader;
	ProfileBlock block = {0};
	ProfileCandidate candidate;
	ProfileCandidate first;
	bool		found;

	if (!read_part(own, data, size, "email", 5, &found, &candidate))
		require(!is_sound, "what was checked can be read in parts");
	if (!profile_open(&own->host, &reader, data, size))
		return;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		ProfileBlock start;

		if (!profile_block(&own->host, &reader, i, &block))
			return;
		/* a large profile has enough traits for a part of them */
		if (i >= 16 && i % 256 != 0)
			continue;
		start = block;
		choose(own, &reader, &block, is_sound);
		if (!read_part(own, data, size, block.trait, block.trait_length, &found, &candidate))
			require(!is_sound, "what was checked can be read in parts");
		else if (is_sound)
		{
			require(profile_next(&own->host, &reader, &start, &first), "what was checked has candidates");
			require(found && candidate.origin == first.origin && candidate.observed_at == first.observed_at &&
						profile_compare_values(&candidate.value, &first.value) == 0,
					"a trait is the same in parts as in the whole");
		}
	}
}

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
	bool		is_sound;

	fuzz_host_init(&own);
	is_sound = profile_check(&own.host, input, size);
	if (is_sound)
	{
		if (all_texts(&own, input, size))
			fuzz_check_profile(&own, &packed, true);
	}
	else
		fuzz_failed(&own);
	fuzz_read(&own, input, size);
	read_traits(&own, input, size, is_sound);
	merge(&own, input, size);
	fuzz_host_free(&own);
	free(input);
	return 0;
}
