/*
 * profile_text.c
 *		Writing the text form of a profile, which is JSON, and its values.
 *
 * The form is described in docs/profile.md; profile_parse.c reads it.  No server
 * here: see profile_core.h.
 */
#include "profile/profile_core.h"

#include <math.h>
#include <string.h>

static const char *const type_names[PROFILE_TYPES] = {
	[PROFILE_NULL] = "null",
	[PROFILE_BOOLEAN] = "boolean",
	[PROFILE_BIGINT] = "bigint",
	[PROFILE_FLOAT8] = "float8",
	[PROFILE_NUMERIC] = "numeric",
	[PROFILE_TEXT] = "text",
	[PROFILE_TIMESTAMPTZ] = "timestamptz",
	[PROFILE_JSONB] = "jsonb",
};

/*
 * profile_type_name returns the name of a type as the text form has it.
 */
const char *
profile_type_name(ProfileType type)
{
	return type_names[type];
}

/*
 * profile_buffer_append writes bytes at the end.
 */
bool
profile_buffer_append(ProfileBuffer *buffer, const void *data, size_t length)
{
	if (length > buffer->capacity - buffer->length)
	{
		size_t		room = buffer->capacity * 2;
		char	   *larger;

		if (length > PROFILE_MAX_SIZE - buffer->length)
			return profile_fail(buffer->host, PROFILE_TOO_LARGE, NULL, 0);
		if (room < 256)
			room = 256;
		if (room < buffer->length + length)
			room = buffer->length + length;
		if (room > PROFILE_MAX_SIZE)
			room = PROFILE_MAX_SIZE;
		larger = buffer->host->allocate(buffer->host, room);
		if (larger == NULL)
			return profile_fail(buffer->host, PROFILE_OUT_OF_MEMORY, NULL, 0);
		if (buffer->length > 0)
			memcpy(larger, buffer->data, buffer->length);
		buffer->data = larger;
		buffer->capacity = room;
	}
	if (length > 0)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	return true;
}

static bool
append_text(ProfileBuffer *buffer, const char *text)
{
	return profile_buffer_append(buffer, text, strlen(text));
}

/*
 * profile_write_string writes a JSON string.  Bytes above 127 stay as they are.
 */
bool
profile_write_string(ProfileBuffer *buffer, const char *text, size_t length)
{
	static const char hex[] = "0123456789abcdef";
	size_t		start = 0;

	if (!profile_buffer_append(buffer, "\"", 1))
		return false;
	for (size_t i = 0; i < length; i++)
	{
		unsigned char byte = (unsigned char) text[i];
		char		escape[6] = {'\\', 0, '0', '0', 0, 0};
		size_t		escape_length = 2;

		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		switch (byte)
		{
			case '\b':
				escape[1] = 'b';
				break;
			case '\f':
				escape[1] = 'f';
				break;
			case '\n':
				escape[1] = 'n';
				break;
			case '\r':
				escape[1] = 'r';
				break;
			case '\t':
				escape[1] = 't';
				break;
			case '"':
			case '\\':
				escape[1] = (char) byte;
				break;
			default:
				escape[1] = 'u';
				escape[4] = hex[byte >> 4];
				escape[5] = hex[byte & 0xF];
				escape_length = 6;
		}
		if (!profile_buffer_append(buffer, text + start, i - start) ||
			!profile_buffer_append(buffer, escape, escape_length))
			return false;
		start = i + 1;
	}
	return profile_buffer_append(buffer, text + start, length - start) &&
		profile_buffer_append(buffer, "\"", 1);
}

static bool
write_double(ProfileBuffer *buffer, const ProfileValue *value)
{
	double		number = profile_unpack_double(value);
	char		text[PROFILE_DOUBLE_LENGTH];

	if (isnan(number))
		return append_text(buffer, "NaN");
	if (isinf(number))
		return append_text(buffer, number > 0 ? "Infinity" : "-Infinity");
	return profile_buffer_append(buffer, text, buffer->host->write_double(number, text));
}

/*
 * profile_write_value_text writes a value as "->>" gives it; nothing for NULL.
 */
bool
profile_write_value_text(ProfileBuffer *buffer, const ProfileValue *value)
{
	char		text[PROFILE_TIME_LENGTH];

	switch (value->type)
	{
		case PROFILE_NULL:
			return true;
		case PROFILE_BOOLEAN:
			return append_text(buffer, value->bytes[0] ? "true" : "false");
		case PROFILE_BIGINT:
			return profile_buffer_append(buffer, text,
										 profile_write_integer(profile_unpack_integer(value), text));
		case PROFILE_FLOAT8:
			return write_double(buffer, value);
		case PROFILE_NUMERIC:
			return profile_write_decimal(buffer, value);
		case PROFILE_TIMESTAMPTZ:
			return profile_buffer_append(buffer, text,
										 profile_write_time(profile_unpack_integer(value), text));
		case PROFILE_TEXT:
		case PROFILE_JSONB:
			return profile_buffer_append(buffer, value->bytes, value->length);
	}
	return true;
}

/*
 * is_finite tells whether a number can be written as a number of JSON.
 */
static bool
is_finite(const ProfileValue *value)
{
	if (value->type == PROFILE_FLOAT8)
		return isfinite(profile_unpack_double(value));
	if (value->type == PROFILE_NUMERIC)
		return profile_is_finite_decimal(value);
	return true;
}

/*
 * profile_write_value_json writes a value as JSON: what is neither a number
 * that JSON knows, nor true, false, null, an array or an object, as a string.
 */
bool
profile_write_value_json(ProfileBuffer *buffer, const ProfileValue *value)
{
	if (value->type == PROFILE_NULL)
		return append_text(buffer, "null");
	if (value->type == PROFILE_TEXT)
		return profile_write_string(buffer, value->bytes, value->length);
	if (value->type == PROFILE_TIMESTAMPTZ || !is_finite(value))
		return profile_buffer_append(buffer, "\"", 1) &&
			profile_write_value_text(buffer, value) &&
			profile_buffer_append(buffer, "\"", 1);
	return profile_write_value_text(buffer, value);
}

/*
 * implies_type tells whether the JSON of a value is read as its type.
 */
static bool
implies_type(const ProfileValue *value)
{
	int64_t		integer;

	switch (value->type)
	{
		case PROFILE_FLOAT8:
		case PROFILE_TIMESTAMPTZ:
			return false;
		case PROFILE_NUMERIC:
			/* an integer would be read as a bigint, if it is in its range */
			return is_finite(value) && !profile_decimal_to_integer(value, &integer);
		default:
			return true;
	}
}

static bool
write_candidate(ProfileBuffer *buffer, const ProfileReader *reader,
				const ProfileCandidate *candidate)
{
	ProfileOrigin origin;
	char		text[PROFILE_TIME_LENGTH];

	if (!profile_origin(buffer->host, reader, candidate->origin, &origin) ||
		!append_text(buffer, "{\"value\": ") ||
		!profile_write_value_json(buffer, &candidate->value))
		return false;
	if (!implies_type(&candidate->value) &&
		(!append_text(buffer, ", \"type\": \"") ||
		 !append_text(buffer, profile_type_name(candidate->value.type)) ||
		 !append_text(buffer, "\"")))
		return false;
	if (origin.source_length > 0 &&
		(!append_text(buffer, ", \"source\": ") ||
		 !profile_write_string(buffer, origin.source, origin.source_length)))
		return false;
	if (origin.record != 0 &&
		(!append_text(buffer, ", \"record\": ") ||
		 !profile_buffer_append(buffer, text, profile_write_integer(origin.record, text))))
		return false;
	if (candidate->observed_at != PROFILE_TIME_MINUS_INFINITY &&
		(!append_text(buffer, ", \"observed_at\": \"") ||
		 !profile_buffer_append(buffer, text, profile_write_time(candidate->observed_at, text)) ||
		 !append_text(buffer, "\"")))
		return false;
	return append_text(buffer, "}");
}

/*
 * profile_write writes the text form of packed bytes.
 */
bool
profile_write(ProfileBuffer *buffer, const void *data, size_t size)
{
	ProfileHost *host = buffer->host;
	ProfileReader reader;
	ProfileBlock block = {0};
	ProfileCandidate candidate;

	if (!profile_open(host, &reader, data, size) || !append_text(buffer, "{"))
		return false;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		bool		is_first = true;

		if (i % 256 == 255)
			host->poll(host);
		if (!profile_block(host, &reader, i, &block) ||
			(i > 0 && !append_text(buffer, ", ")) ||
			!profile_write_string(buffer, block.trait, block.trait_length) ||
			!append_text(buffer, ": ["))
			return false;
		for (; block.has_more; is_first = false)
		{
			if (!profile_next(host, &reader, &block, &candidate) ||
				(!is_first && !append_text(buffer, ", ")) ||
				!write_candidate(buffer, &reader, &candidate))
				return false;
		}
		if (!append_text(buffer, "]"))
			return false;
	}
	return append_text(buffer, "}");
}
