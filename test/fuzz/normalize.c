/*
 * normalize.c
 *		Fuzz target for the normalisers that need no server.
 *
 * Every input goes through every normaliser, once as it is and once as opaque
 * bytes, and what must hold for any input is checked.  With libFuzzer:
 * test/fuzz/fuzz normalize.  Without: test/fuzz/run replays the corpus.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/normalize_core.h"
#include "require.h"

typedef NormalizeStatus (*Rules) (const char *input, size_t length,
								 NormalizeEncoding encoding,
								 NormalizeBuffer *output);

/*
 * Room is made to the byte, so that the sanitizer sees what is written past
 * what was asked for.
 */
static bool
reserve(NormalizeBuffer *buffer, size_t additional)
{
	size_t		capacity = buffer->length + additional;
	char	   *data = malloc(capacity > 0 ? capacity : 1);

	if (data == NULL)
		abort();
	if (buffer->length > 0)
		memcpy(data, buffer->data, buffer->length);
	free(buffer->data);
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

static NormalizeStatus
email(const char *input, size_t length, NormalizeEncoding encoding,
	  NormalizeBuffer *output)
{
	return normalize_email(input, length, encoding, false, output);
}

static NormalizeStatus
email_by_provider(const char *input, size_t length, NormalizeEncoding encoding,
				  NormalizeBuffer *output)
{
	return normalize_email(input, length, encoding, true, output);
}

/*
 * check_email: within the limits, one "@" outside quotes, ASCII behind it.
 */
static void
check_email(const char *address, size_t length)
{
	const char *at = NULL;

	require(length <= NORMALIZE_EMAIL_LENGTH, "email within 254 bytes");
	for (size_t i = 0; i < length; i++)
		if (address[i] == '@')
			at = address + i;
	require(at != NULL && at > address && at - address <= 64,
			"local part of 1 to 64 bytes");
	require(normalize_is_ascii(at, length - (size_t) (at - address)),
			"domain in ASCII");
	for (const char *c = at; c < address + length; c++)
		require(*c > ' ' && *c != 0x7F && !(*c >= 'A' && *c <= 'Z'),
				"domain in lower case");
	if (address[0] != '"')
		require(memchr(address, '@', (size_t) (at - address)) == NULL,
				"one @ without quotes");
}

/*
 * check_rules runs one normaliser and checks what holds for all: a refusal
 * leaves the buffer alone, a result normalises to itself, well-formed UTF-8
 * stays so, and the result is appended.
 */
static void
check_rules(Rules rules, const char *name, const char *input, size_t length,
			NormalizeEncoding encoding)
{
	NormalizeBuffer once = {NULL, 0, 0, reserve, NULL};
	NormalizeBuffer twice = {NULL, 0, 0, reserve, NULL};
	NormalizeStatus status;

	require(reserve(&twice, 1), "memory");
	twice.data[0] = '#';
	twice.length = 1;

	status = rules(input, length, encoding, &once);
	require(status != NORMALIZE_OUT_OF_MEMORY, "memory");
	if (status == NORMALIZE_INVALID)
		require(once.length == 0, name);
	else
	{
		require(once.length > 0, name);
		status = rules(once.data, once.length, encoding, &twice);
		require(status == NORMALIZE_OK && twice.data[0] == '#' &&
					twice.length == once.length + 1 &&
					memcmp(twice.data + 1, once.data, once.length) == 0,
				name);
		if (encoding == NORMALIZE_UTF8 && normalize_is_utf8(input, length))
			require(normalize_is_utf8(once.data, once.length), name);
		if (rules == email || rules == email_by_provider)
			check_email(once.data, once.length);
		else if (rules == normalize_uuid)
			require(once.length == NORMALIZE_UUID_LENGTH, name);
		else if (rules == normalize_digits)
			for (size_t i = 0; i < once.length; i++)
				require(once.data[i] >= '0' && once.data[i] <= '9', name);
	}
	free(once.data);
	free(twice.data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct
	{
		Rules		rules;
		const char *name;
	}			targets[] =
		{
			{normalize_exact, "exact"},
			{normalize_lower, "lower"},
			{normalize_digits, "digits"},
			{normalize_uuid, "uuid"},
			{email, "email"},
			{email_by_provider, "email by provider"},
		};
	char	   *input = malloc(size > 0 ? size : 1);

	/* a copy of exactly this size, so that reading past it is seen */
	if (input == NULL)
		abort();
	if (size > 0)
		memcpy(input, data, size);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
	{
		check_rules(targets[i].rules, targets[i].name, input, size,
					NORMALIZE_UTF8);
		check_rules(targets[i].rules, targets[i].name, input, size,
					NORMALIZE_OPAQUE);
	}
	free(input);
	return 0;
}
