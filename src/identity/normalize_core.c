/*
 * normalize_core.c
 *		The normalisers exact, lower, digits and uuid, and what all of them
 *		share: reading UTF-8, trimming, writing to a buffer.
 *
 * No server here: see normalize_core.h.
 */
#include "identity/normalize_core.h"

#include <stdlib.h>
#include <string.h>

#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>

/*
 * Non-ASCII text is lower-cased in pieces of about this many bytes, which
 * bounds the memory that libunistring takes.
 */
#define LOWER_PIECE		8192

/*
 * normalize_reserve makes room for so many more bytes in the buffer.
 */
bool
normalize_reserve(NormalizeBuffer *buffer, size_t additional)
{
	if (buffer->capacity - buffer->length >= additional)
		return true;
	return buffer->reserve(buffer, additional) &&
		buffer->capacity - buffer->length >= additional;
}

/*
 * normalize_is_ascii tells whether no byte has its high bit set.  It has no
 * early exit, so that the compiler can vectorise it.
 */
bool
normalize_is_ascii(const char *input, size_t length)
{
	unsigned char bits = 0;

	for (size_t i = 0; i < length; i++)
		bits |= (unsigned char) input[i];
	return (bits & 0x80) == 0;
}

/*
 * normalize_decode reads one character of UTF-8 and returns its length in
 * bytes, or 0 where there is no well-formed character (overlong forms,
 * surrogates and what is above U+10FFFF are not well-formed).
 */
size_t
normalize_decode(const char *input, size_t length, uint32_t *character)
{
	const unsigned char *bytes = (const unsigned char *) input;
	uint32_t	value;

	if (length == 0)
		return 0;
	if (bytes[0] < 0x80)
	{
		*character = bytes[0];
		return 1;
	}
	if (bytes[0] < 0xC2)
		return 0;
	if (length < 2 || (bytes[1] & 0xC0) != 0x80)
		return 0;
	if (bytes[0] < 0xE0)
	{
		*character = ((uint32_t) (bytes[0] & 0x1F) << 6) | (bytes[1] & 0x3F);
		return 2;
	}
	if (length < 3 || (bytes[2] & 0xC0) != 0x80)
		return 0;
	if (bytes[0] < 0xF0)
	{
		value = ((uint32_t) (bytes[0] & 0x0F) << 12) |
			((uint32_t) (bytes[1] & 0x3F) << 6) | (bytes[2] & 0x3F);
		if (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))
			return 0;
		*character = value;
		return 3;
	}
	if (bytes[0] > 0xF4 || length < 4 || (bytes[3] & 0xC0) != 0x80)
		return 0;
	value = ((uint32_t) (bytes[0] & 0x07) << 18) |
		((uint32_t) (bytes[1] & 0x3F) << 12) |
		((uint32_t) (bytes[2] & 0x3F) << 6) | (bytes[3] & 0x3F);
	if (value < 0x10000 || value > 0x10FFFF)
		return 0;
	*character = value;
	return 4;
}

/*
 * normalize_is_utf8 tells whether the whole input is well-formed UTF-8.
 */
bool
normalize_is_utf8(const char *input, size_t length)
{
	uint32_t	character;

	while (length > 0)
	{
		size_t		bytes = normalize_decode(input, length, &character);

		if (bytes == 0)
			return false;
		input += bytes;
		length -= bytes;
	}
	return true;
}

/*
 * normalize_is_white_space tells whether a character has the Unicode property
 * White_Space.
 */
bool
normalize_is_white_space(uint32_t character)
{
	if (character < 0x80)
		return character == ' ' || (character >= '\t' && character <= '\r');
	return character == 0x85 || character == 0xA0 || character == 0x1680 ||
		(character >= 0x2000 && character <= 0x200A) ||
		character == 0x2028 || character == 0x2029 || character == 0x202F ||
		character == 0x205F || character == 0x3000;
}

/*
 * normalize_is_invisible tells whether a character shows nothing and takes no
 * room: soft hyphen, zero-width spaces and joiners, byte order mark, marks and
 * embeddings of the writing direction, invisible operators.  They come along
 * when text is copied from documents and web pages.
 */
bool
normalize_is_invisible(uint32_t character)
{
	return character == 0xAD || character == 0x61C || character == 0x180E ||
		(character >= 0x200B && character <= 0x200F) ||
		(character >= 0x202A && character <= 0x202E) ||
		(character >= 0x2060 && character <= 0x206F) || character == 0xFEFF;
}

/*
 * normalize_trim moves both ends of the input past white space and, on
 * request, past invisible characters.
 */
void
normalize_trim(const char **input, size_t *length, NormalizeEncoding encoding,
			   bool invisible)
{
	const char *start = *input;
	const char *end = start + *length;
	uint32_t	character = 0;

	while (start < end)
	{
		size_t		bytes = 1;

		if ((unsigned char) *start < 0x80)
			character = (unsigned char) *start;
		else if (encoding != NORMALIZE_UTF8 ||
				 (bytes = normalize_decode(start, (size_t) (end - start),
										   &character)) == 0)
			break;
		if (!normalize_is_white_space(character) &&
			!(invisible && normalize_is_invisible(character)))
			break;
		start += bytes;
	}

	while (end > start)
	{
		const char *last = end - 1;

		if ((unsigned char) *last < 0x80)
			character = (unsigned char) *last;
		else if (encoding != NORMALIZE_UTF8)
			break;
		else
		{
			/* step back to the first byte of the last character */
			while (last > start && end - last < 4 &&
				   ((unsigned char) *last & 0xC0) == 0x80)
				last--;
			if (normalize_decode(last, (size_t) (end - last), &character) !=
				(size_t) (end - last))
				break;
		}
		if (!normalize_is_white_space(character) &&
			!(invisible && normalize_is_invisible(character)))
			break;
		end = last;
	}

	*input = start;
	*length = (size_t) (end - start);
}

/*
 * normalize_exact trims white space and changes nothing else.
 */
NormalizeStatus
normalize_exact(const char *input, size_t length, NormalizeEncoding encoding,
				NormalizeBuffer *output)
{
	normalize_trim(&input, &length, encoding, false);
	if (length == 0)
		return NORMALIZE_INVALID;
	if (!normalize_reserve(output, length))
		return NORMALIZE_OUT_OF_MEMORY;
	memcpy(output->data + output->length, input, length);
	output->length += length;
	return NORMALIZE_OK;
}

/*
 * lower_piece_length says how many bytes from the start of the input can be
 * lower-cased without looking at the rest.
 *
 * A piece ends before an ASCII space or control character: nothing composes
 * with those or, for the final sigma, looks past them.  Text without any of
 * them stays in one piece.
 */
static size_t
lower_piece_length(const char *input, size_t length)
{
	for (size_t i = LOWER_PIECE; i < length; i++)
		if ((unsigned char) input[i] <= ' ')
			return i;
	return length;
}

/*
 * normalize_lower trims white space and invisible characters, lower-cases by
 * Unicode's rules for no language in particular, and composes (NFC).
 */
NormalizeStatus
normalize_lower(const char *input, size_t length, NormalizeEncoding encoding,
				NormalizeBuffer *output)
{
	size_t		start = output->length;

	normalize_trim(&input, &length, encoding, true);
	if (length == 0)
		return NORMALIZE_INVALID;

	if (normalize_is_ascii(input, length) ||
		encoding != NORMALIZE_UTF8 || !normalize_is_utf8(input, length))
	{
		char	   *target;

		if (!normalize_reserve(output, length))
			return NORMALIZE_OUT_OF_MEMORY;
		target = output->data + output->length;
		for (size_t i = 0; i < length; i++)
			target[i] = normalize_ascii_lower(input[i]);
		output->length += length;
		return NORMALIZE_OK;
	}

	while (length > 0)
	{
		size_t		piece = lower_piece_length(input, length);
		uint8_t		room[1024];
		size_t		result_length = sizeof(room);
		uint8_t	   *result;

		/*
		 * Room first: nothing of libunistring's may be held when reserving.
		 * One character can become three, of which each needs at most four
		 * bytes; nearly always the text keeps its length.
		 */
		if (!normalize_reserve(output, piece + sizeof(room)))
		{
			output->length = start;
			return NORMALIZE_OUT_OF_MEMORY;
		}
		result = u8_tolower((const uint8_t *) input, piece, NULL, UNINORM_NFC,
							room, &result_length);
		if (result == NULL)
		{
			output->length = start;
			return NORMALIZE_OUT_OF_MEMORY;
		}
		if (result_length > output->capacity - output->length)
		{
			/* the rare text that grows much: make room, and once more */
			if (result != room)
				free(result);
			if (!normalize_reserve(output, result_length))
			{
				output->length = start;
				return NORMALIZE_OUT_OF_MEMORY;
			}
			continue;
		}
		memcpy(output->data + output->length, result, result_length);
		output->length += result_length;
		if (result != room)
			free(result);
		input += piece;
		length -= piece;
	}
	return NORMALIZE_OK;
}

/*
 * normalize_digits keeps the decimal digits, those of every script written as
 * ASCII ones, and drops all else.
 */
NormalizeStatus
normalize_digits(const char *input, size_t length, NormalizeEncoding encoding,
				 NormalizeBuffer *output)
{
	char	   *target;
	size_t		count = 0;

	if (length == 0)
		return NORMALIZE_INVALID;
	/* a digit takes at least one byte */
	if (!normalize_reserve(output, length))
		return NORMALIZE_OUT_OF_MEMORY;
	target = output->data + output->length;

	for (size_t i = 0; i < length;)
	{
		unsigned char byte = (unsigned char) input[i];
		size_t		bytes = 1;

		if (byte >= '0' && byte <= '9')
			target[count++] = (char) byte;
		else if (byte >= 0x80 && encoding == NORMALIZE_UTF8)
		{
			uint32_t	character;

			bytes = normalize_decode(input + i, length - i, &character);
			if (bytes == 0)
				bytes = 1;
			else
			{
				int			digit = uc_decimal_value(character);

				if (digit >= 0)
					target[count++] = (char) ('0' + digit);
			}
		}
		i += bytes;
	}
	if (count == 0)
		return NORMALIZE_INVALID;
	output->length += count;
	return NORMALIZE_OK;
}

/* The lower-case form of each hexadecimal digit, 0 for other bytes */
/* clang-format off */
static const char hexadecimal_digit[256] = {
	['0'] = '0',['1'] = '1',['2'] = '2',['3'] = '3',['4'] = '4',
	['5'] = '5',['6'] = '6',['7'] = '7',['8'] = '8',['9'] = '9',
	['a'] = 'a',['b'] = 'b',['c'] = 'c',['d'] = 'd',['e'] = 'e',['f'] = 'f',
	['A'] = 'a',['B'] = 'b',['C'] = 'c',['D'] = 'd',['E'] = 'e',['F'] = 'f',
};
/* clang-format on */

/*
 * normalize_uuid takes a UUID in any usual spelling: upper or lower case, with
 * or without hyphens (a hyphen may follow any group of four digits, as in
 * PostgreSQL's type uuid), in braces or parentheses, with "urn:uuid:" or
 * "uuid:" before it.
 */
NormalizeStatus
normalize_uuid(const char *input, size_t length, NormalizeEncoding encoding,
			   NormalizeBuffer *output)
{
	static const char prefix[] = "urn:uuid:";
	char	   *target;
	size_t		digits = 0;
	size_t		written = 0;

	normalize_trim(&input, &length, encoding, true);

	/* "urn:uuid:", and "uuid:" which is its end */
	for (size_t skip = 0; skip <= 4; skip += 4)
	{
		size_t		prefix_length = sizeof(prefix) - 1 - skip;
		size_t		i = 0;

		if (length <= prefix_length)
			continue;
		while (i < prefix_length &&
			   normalize_ascii_lower(input[i]) == prefix[skip + i])
			i++;
		if (i == prefix_length)
		{
			input += i;
			length -= i;
			break;
		}
	}
	if (length >= 2)
	{
		char		first = input[0];
		char		last = input[length - 1];

		if ((first == '{' && last == '}') || (first == '(' && last == ')'))
		{
			input++;
			length -= 2;
		}
	}

	/* 32 digits and at most one hyphen between groups of four */
	if (length < 32 || length > 32 + 7)
		return NORMALIZE_INVALID;
	if (!normalize_reserve(output, NORMALIZE_UUID_LENGTH))
		return NORMALIZE_OUT_OF_MEMORY;
	target = output->data + output->length;

	for (size_t i = 0; i < length; i++)
	{
		char		digit = hexadecimal_digit[(unsigned char) input[i]];

		if (digit != 0)
		{
			if (digits == 32)
				return NORMALIZE_INVALID;
			if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
				target[written++] = '-';
			target[written++] = digit;
			digits++;
		}
		else if (input[i] != '-' || digits == 0 || digits == 32 ||
				 digits % 4 != 0 || input[i - 1] == '-')
			return NORMALIZE_INVALID;
	}
	if (digits != 32)
		return NORMALIZE_INVALID;
	output->length += written;
	return NORMALIZE_OK;
}
