/*
 * profile_wire.c
 *		Reading the binary form of a profile for clients, as COPY BINARY and
 *		drivers send it.
 *
 * A list of candidates in any order, with numbers in network order and values in
 * the binary forms of PostgreSQL's types; docs/profile.md specifies it.  What
 * writes it needs the server and is in profile_io.c.  No server here: see
 * profile_core.h.
 */
#include "profile/profile_core.h"

#include <string.h>

/* Fewest bytes of a candidate: two lengths, record, time, type, a length. */
#define WIRE_CANDIDATE_SIZE		(4 + 4 + 8 + 8 + 1 + 4)

typedef struct WireReader
{
	ProfileHost *host;
	const unsigned char *next;
	const unsigned char *end;
} WireReader;

static bool
invalid(WireReader *reader, const char *problem)
{
	return profile_fail(reader->host, PROFILE_INVALID_BINARY, problem, 0);
}

static bool
read_integer(WireReader *reader, int bytes, uint64_t *number)
{
	if (reader->end - reader->next < bytes)
		return invalid(reader, "it is cut off");
	*number = 0;
	for (; bytes > 0; bytes--)
		*number = *number << 8 | *reader->next++;
	return true;
}

/*
 * read_bytes reads a length and so many bytes, which stay where they are.
 */
static bool
read_bytes(WireReader *reader, const char **bytes, size_t *length)
{
	uint64_t	number = 0;

	if (!read_integer(reader, 4, &number))
		return false;
	if (number > (uint64_t) (reader->end - reader->next))
		return invalid(reader, "it is cut off");
	*bytes = (const char *) reader->next;
	*length = (size_t) number;
	reader->next += number;
	return true;
}

static bool
read_text(WireReader *reader, const char **text, size_t *length)
{
	const char *bytes = NULL;
	size_t		byte_length = 0;

	return read_bytes(reader, &bytes, &byte_length) &&
		reader->host->receive_text(reader->host, bytes, byte_length, text, length);
}

static bool
is_time(int64_t time)
{
	return (time >= PROFILE_TIME_FIRST && time < PROFILE_TIME_END) ||
		time == PROFILE_TIME_INFINITY || time == PROFILE_TIME_MINUS_INFINITY;
}

/*
 * make_value makes the canonical bytes of a value of what came for it.
 */
static bool
make_value(WireReader *reader, ProfileType type, const char *bytes, size_t length,
		   ProfileValue *value)
{
	ProfileHost *host = reader->host;
	WireReader	inside = {host, (const unsigned char *) bytes, (const unsigned char *) bytes + length};
	uint64_t	number = 0;
	double		real;
	char	   *packed;
	unsigned	scale;
	const char *text;
	size_t		text_length;

	*value = (ProfileValue){type, 0, ""};
	switch (type)
	{
		case PROFILE_NULL:
			return length == 0 || invalid(reader, "a NULL has bytes");
		case PROFILE_BOOLEAN:
			if (length != 1 || (bytes[0] != 0 && bytes[0] != 1))
				return invalid(reader, "a boolean is malformed");
			value->bytes = bytes;
			value->length = 1;
			return true;
		case PROFILE_BIGINT:
		case PROFILE_FLOAT8:
		case PROFILE_TIMESTAMPTZ:
			if (length != 8 || !read_integer(&inside, 8, &number))
				return invalid(reader, "a number or time has not eight bytes");
			packed = host->allocate(host, 8);
			if (packed == NULL)
				return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
			value->bytes = packed;
			value->length = 8;
			if (type == PROFILE_FLOAT8)
			{
				memcpy(&real, &number, sizeof(real));
				profile_pack_double(real, packed);
				return true;
			}
			if (type == PROFILE_TIMESTAMPTZ && !is_time((int64_t) number))
				return profile_fail(host, PROFILE_OUT_OF_RANGE, "a time is out of range", 0);
			value->length = (uint32_t) profile_pack_integer((int64_t) number, packed);
			return true;
		case PROFILE_NUMERIC:
			return profile_pack_wire_decimal(host, bytes, length, value, &scale);
		case PROFILE_TEXT:
		case PROFILE_JSONB:
			if (!host->receive_text(host, bytes, length, &text, &text_length))
				return false;
			if (type == PROFILE_JSONB)
			{
				if (!host->canonical_json(host, text, text_length, &text, &text_length))
					return false;
				if (text_length < 2 || (text[0] != '{' && text[0] != '['))
					return invalid(reader, "a jsonb is neither an array nor an object");
			}
			if (text_length > PROFILE_MAX_SIZE)
				return profile_fail(host, PROFILE_TOO_LARGE, NULL, 0);
			value->bytes = text;
			value->length = (uint32_t) text_length;
			return true;
	}
	return invalid(reader, "a type is unknown");
}

/*
 * profile_receive adds what the binary form says to a builder.  The input must
 * stay as long as the builder is used.
 */
bool
profile_receive(ProfileBuilder *builder, const void *input, size_t length)
{
	WireReader	reader = {builder->host, input, (const unsigned char *) input + length};
	uint64_t	number = 0;
	uint64_t	count = 0;

	if (!read_integer(&reader, 1, &number))
		return false;
	if (number != PROFILE_WIRE_VERSION)
		return invalid(&reader, "its version is unknown");
	if (!read_integer(&reader, 4, &count))
		return false;
	if (count > (uint64_t) (reader.end - reader.next) / WIRE_CANDIDATE_SIZE)
		return invalid(&reader, "it counts more candidates than it has bytes for");
	if (!profile_builder_reserve(builder, (size_t) count))
		return false;
	for (uint64_t i = 0; i < count; i++)
	{
		const char *trait = NULL;
		const char *source = NULL;
		const char *bytes = NULL;
		size_t		trait_length = 0;
		size_t		source_length = 0;
		size_t		byte_length = 0;
		uint64_t	record = 0;
		uint64_t	observed_at = 0;
		ProfileValue value;
		uint32_t	origin;

		if (i % 1024 == 1023)
			builder->host->poll(builder->host);
		if (!read_text(&reader, &trait, &trait_length) ||
			!read_text(&reader, &source, &source_length) ||
			!read_integer(&reader, 8, &record) ||
			!read_integer(&reader, 8, &observed_at) ||
			!read_integer(&reader, 1, &number) ||
			!read_bytes(&reader, &bytes, &byte_length))
			return false;
		if (number >= PROFILE_TYPES)
			return invalid(&reader, "a type is unknown");
		if (!is_time((int64_t) observed_at))
			return profile_fail(builder->host, PROFILE_OUT_OF_RANGE, "a time is out of range", 0);
		if (!make_value(&reader, (ProfileType) number, bytes, byte_length, &value) ||
			!profile_builder_origin(builder, source, source_length, (int64_t) record, &origin) ||
			!profile_builder_add(builder, trait, trait_length, origin, (int64_t) observed_at, &value))
			return false;
	}
	if (reader.next != reader.end)
		return invalid(&reader, "something follows its last candidate");
	return true;
}
