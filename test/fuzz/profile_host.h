/*
 * profile_host.h
 *		What the fuzz targets of cdp.profile share: a host that stands in for the
 *		server, and what must hold of every profile that could be made.
 */
#ifndef CDP_FUZZ_PROFILE_HOST_H
#define CDP_FUZZ_PROFILE_HOST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profile_core.h"
#include "require.h"

/* Memory of a host: each piece has exactly the size asked for. */
typedef struct FuzzPiece
{
	struct FuzzPiece *next;
	char		bytes[];
} FuzzPiece;

typedef struct FuzzHost
{
	ProfileHost host;			/* first, so that the one is the other */
	FuzzPiece  *pieces;
	size_t		allocations;
	size_t		refuse;			/* which allocation fails, from 1; 0: none */
} FuzzHost;

/* Packed bytes, in a piece of memory of exactly their size. */
typedef struct FuzzPacked
{
	char	   *data;
	size_t		size;
} FuzzPacked;

static void *
fuzz_allocate(ProfileHost *host, size_t size)
{
	FuzzHost   *own = (FuzzHost *) host;
	FuzzPiece  *piece;

	if (++own->allocations == own->refuse || size > ((size_t) 1 << 30))
		return NULL;
	piece = malloc(sizeof(FuzzPiece) + size);
	require(piece != NULL, "memory");
	/* whoever counts on zeroes is seen */
	memset(piece->bytes, 0xA5, size);
	piece->next = own->pieces;
	own->pieces = piece;
	return piece->bytes;
}

static void
fuzz_poll(ProfileHost *host)
{
	(void) host;
}

/*
 * fuzz_is_utf8 tells whether bytes are what PostgreSQL takes for UTF-8: well
 * formed, and without zero bytes.
 */
static bool
fuzz_is_utf8(const char *text, size_t length)
{
	const unsigned char *next = (const unsigned char *) text;
	const unsigned char *end = next + length;

	while (next < end)
	{
		unsigned char first = *next;
		size_t		size = first < 0x80 ? 1 : first < 0xE0 ? 2
			: first < 0xF0							  ? 3
													  : 4;

		if (first == 0 || (first >= 0x80 && first < 0xC2) || first > 0xF4 || size > (size_t) (end - next))
			return false;
		for (size_t i = 1; i < size; i++)
		{
			if ((next[i] & 0xC0) != 0x80)
				return false;
		}
		if ((first == 0xE0 && next[1] < 0xA0) || (first == 0xED && next[1] > 0x9F) ||
			(first == 0xF0 && next[1] < 0x90) || (first == 0xF4 && next[1] > 0x8F))
			return false;
		next += size;
	}
	return true;
}

/*
 * fuzz_canonical_json stands in for jsonb: it only drops white space outside of
 * strings, and refuses what is not closed.
 */
static bool
fuzz_canonical_json(ProfileHost *host, const char *json, size_t length,
					const char **canonical, size_t *canonical_length)
{
	char	   *output = fuzz_allocate(host, length + 1);
	size_t		count = 0;
	int			depth = 0;
	bool		in_string = false;

	host->status = PROFILE_HOST_FAILED;
	if (output == NULL || !fuzz_is_utf8(json, length))
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char		c = json[i];

		if (in_string)
		{
			if (c == '\\' && i + 1 < length)
				output[count++] = json[i++];
			else if (c == '"')
				in_string = false;
			c = json[i];
		}
		else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			continue;
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth < 0)
			return false;
		output[count++] = c;
		/* nothing follows the end */
		if (depth == 0 && !in_string && i + 1 < length)
			return false;
	}
	*canonical = output;
	*canonical_length = count;
	/* which has a meaning only where the result is false */
	return depth == 0 && !in_string && count >= 2 &&
		((output[0] == '{' && output[count - 1] == '}') || (output[0] == '[' && output[count - 1] == ']'));
}

static size_t
fuzz_encode_character(ProfileHost *host, uint32_t character, char *output)
{
	(void) host;
	require(character > 127 && character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF),
			"only characters are encoded");
	if (character < 0x800)
	{
		output[0] = (char) (0xC0 | character >> 6);
		output[1] = (char) (0x80 | (character & 0x3F));
		return 2;
	}
	if (character < 0x10000)
	{
		output[0] = (char) (0xE0 | character >> 12);
		output[1] = (char) (0x80 | (character >> 6 & 0x3F));
		output[2] = (char) (0x80 | (character & 0x3F));
		return 3;
	}
	output[0] = (char) (0xF0 | character >> 18);
	output[1] = (char) (0x80 | (character >> 12 & 0x3F));
	output[2] = (char) (0x80 | (character >> 6 & 0x3F));
	output[3] = (char) (0x80 | (character & 0x3F));
	return 4;
}

static bool
fuzz_receive_text(ProfileHost *host, const char *input, size_t length,
				  const char **text, size_t *text_length)
{
	host->status = PROFILE_HOST_FAILED;
	*text = input;
	*text_length = length;
	return fuzz_is_utf8(input, length);
}

static size_t
fuzz_write_double(double number, char *output)
{
	char		text[64];
	int			length = 0;

	for (int precision = 1; precision <= 17; precision++)
	{
		length = snprintf(text, sizeof(text), "%.*g", precision, number);
		if (strtod(text, NULL) == number)
			break;
	}
	require(length > 0 && length <= PROFILE_DOUBLE_LENGTH, "room for a double");
	memcpy(output, text, (size_t) length);
	return (size_t) length;
}

static inline void
fuzz_host_init(FuzzHost *own)
{
	memset(own, 0, sizeof(*own));
	own->host.allocate = fuzz_allocate;
	own->host.poll = fuzz_poll;
	own->host.canonical_json = fuzz_canonical_json;
	own->host.encode_character = fuzz_encode_character;
	own->host.receive_text = fuzz_receive_text;
	own->host.write_double = fuzz_write_double;
}

static inline void
fuzz_host_free(FuzzHost *own)
{
	while (own->pieces != NULL)
	{
		FuzzPiece  *next = own->pieces->next;

		free(own->pieces);
		own->pieces = next;
	}
}

/*
 * fuzz_failed: whoever returns false says why.
 */
static inline void
fuzz_failed(const FuzzHost *own)
{
	require(own->host.status != PROFILE_OK, "a failure has a status");
	require(own->host.status == PROFILE_OUT_OF_MEMORY || own->host.status == PROFILE_HOST_FAILED ||
				own->host.status == PROFILE_TOO_LARGE || own->host.problem != NULL,
			"a failure has words");
}

/*
 * fuzz_pack writes what a builder holds; false if it cannot.
 */
static inline bool
fuzz_pack(FuzzHost *own, ProfileBuilder *builder, FuzzPacked *packed)
{
	if (!profile_builder_finish(builder))
	{
		fuzz_failed(own);
		return false;
	}
	packed->size = profile_builder_size(builder);
	packed->data = fuzz_allocate(&own->host, packed->size);
	if (packed->data == NULL)
		return false;
	profile_builder_write(builder, packed->data);
	return true;
}

/*
 * fuzz_read goes through packed bytes, well-formed or not, by every way of
 * reading them.  It returns whether all of them succeeded.
 */
static inline bool
fuzz_read(FuzzHost *own, const void *data, size_t size)
{
	ProfileHost *host = &own->host;
	ProfileReader reader;
	ProfileBlock block = {0};
	ProfileBlock other = {0};
	ProfileCandidate candidate;
	ProfileOrigin origin;
	bool		found;
	bool		good = true;
	unsigned long sum = 0;

	if (!profile_open(host, &reader, data, size))
	{
		fuzz_failed(own);
		return false;
	}
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		if (!profile_block(host, &reader, i, &block))
		{
			/* names follow from those before them */
			fuzz_failed(own);
			good = false;
			break;
		}
		if (!profile_find(host, &reader, block.trait, block.trait_length, &other, &found))
			good = false;
		else if (found)
			require(other.next <= other.end, "a block that is found has bounds");
		while (block.has_more)
		{
			ProfileBuffer text = {NULL, 0, 0, host};

			if (!profile_next(host, &reader, &block, &candidate))
			{
				fuzz_failed(own);
				good = false;
				break;
			}
			if (profile_origin(host, &reader, candidate.origin, &origin))
			{
				for (uint32_t j = 0; j < origin.source_length; j++)
					sum += (unsigned char) origin.source[j];
			}
			else
				good = false;
			for (uint32_t j = 0; j < candidate.value.length; j++)
				sum += (unsigned char) candidate.value.bytes[j];
			if (!profile_write_value_text(&text, &candidate.value) ||
				!profile_write_value_json(&text, &candidate.value))
				good = false;
			require(profile_compare_values(&candidate.value, &candidate.value) == 0, "a value is equal to itself");
		}
	}
	for (uint32_t i = 0; i < reader.origin_count; i++)
	{
		if (!profile_origin(host, &reader, i, &origin))
			good = false;
	}
	if (profile_find(host, &reader, "email", 5, &other, &found) && found)
		require(other.next <= other.end && other.has_more, "a trait that is found has candidates");
	profile_find(host, &reader, "", 0, &other, &found);
	/* the sum is of no interest, but must not be optimised away */
	return good && sum != (unsigned long) -1;
}

/*
 * fuzz_check_profile checks what holds for every profile: it passes its own
 * check, merging it with itself or with nothing gives the same bytes, and so
 * does its text form.  is_text tells whether its texts are well-formed.
 */
static inline void
fuzz_check_profile(FuzzHost *own, const FuzzPacked *packed, bool is_text)
{
	ProfileHost *host = &own->host;
	ProfileBuilder builder;
	FuzzPacked	again;
	ProfileBuffer text = {NULL, 0, 0, host};

	if (own->refuse != 0)
		return;
	require(profile_check(host, packed->data, packed->size), "a profile passes the check");
	require(fuzz_read(own, packed->data, packed->size), "a profile can be read");

	profile_builder_init(&builder, host);
	require(profile_builder_add_packed(&builder, packed->data, packed->size), "a profile can be merged");
	require(fuzz_pack(own, &builder, &again), "a copy can be packed");
	require(again.size == packed->size && memcmp(again.data, packed->data, again.size) == 0, "a copy has the same bytes");

	profile_builder_init(&builder, host);
	require(profile_builder_add_packed(&builder, packed->data, packed->size) &&
				profile_builder_add_packed(&builder, again.data, again.size),
			"a profile can be merged with itself");
	require(fuzz_pack(own, &builder, &again), "a merge with itself can be packed");
	require(again.size == packed->size && memcmp(again.data, packed->data, again.size) == 0, "idempotent");

	require(profile_write(&text, packed->data, packed->size), "a profile has a text form");
	if (is_text)
	{
		char	   *copy = fuzz_allocate(host, text.length);

		memcpy(copy, text.data, text.length);
		profile_builder_init(&builder, host);
		require(profile_parse(&builder, copy, text.length), "the text form is read");
		require(fuzz_pack(own, &builder, &again), "what was read can be packed");
		require(again.size == packed->size && memcmp(again.data, packed->data, again.size) == 0, "the text form gives the same bytes");
	}
}

/*
 * fuzz_copy makes a copy of exactly this size, so that reading past it is seen.
 */
static inline char *
fuzz_copy(const void *data, size_t size)
{
	char	   *copy = malloc(size > 0 ? size : 1);

	require(copy != NULL, "memory");
	copy[0] = 0;
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

#endif							/* CDP_FUZZ_PROFILE_HOST_H */
