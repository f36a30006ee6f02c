/*
 * normalize_core.h
 *		The rules of the normalisers, in C that needs no running server.
 *
 * These files include nothing of PostgreSQL, so that a fuzzer can drive them
 * (test/fuzz).  Input is a counted string, never assumed to be terminated or
 * to be well-formed.  The rules are written for users in docs/identity.md.
 */
#ifndef CDP_IDENTITY_NORMALIZE_CORE_H
#define CDP_IDENTITY_NORMALIZE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest result of normalize_email() (RFC 5321, 4.5.3.1) and _uuid(). */
#define NORMALIZE_EMAIL_LENGTH	254
#define NORMALIZE_UUID_LENGTH	36

typedef enum NormalizeStatus
{
	NORMALIZE_OK,
	NORMALIZE_INVALID,			/* not a value of this kind */
	NORMALIZE_OUT_OF_MEMORY
} NormalizeStatus;

/*
 * How bytes above 127 are read.  As UTF-8 (what is not well-formed UTF-8 is
 * then read as opaque), or as opaque: parts of characters that have no known
 * meaning and are kept as they are.
 */
typedef enum NormalizeEncoding
{
	NORMALIZE_UTF8,
	NORMALIZE_OPAQUE
} NormalizeEncoding;

/*
 * Where a result is written.  "reserve" makes room for at least the given
 * number of bytes after the current length, and returns false when there is
 * no memory.  It may also leave by longjmp: the core holds nothing that would
 * leak while it calls it, and calls it at least once for every few kilobytes
 * of work, so that it is a place to look for interrupts.
 */
typedef struct NormalizeBuffer
{
	char	   *data;
	size_t		length;
	size_t		capacity;
	bool		(*reserve) (struct NormalizeBuffer *buffer, size_t additional);
	void	   *owner;			/* for the use of "reserve" */
} NormalizeBuffer;

/*
 * Each appends the normalised value to the buffer and returns NORMALIZE_OK, or
 * returns something else with the length of the buffer unchanged.
 */
extern NormalizeStatus normalize_exact(const char *input, size_t length,
									   NormalizeEncoding encoding,
									   NormalizeBuffer *output);
extern NormalizeStatus normalize_lower(const char *input, size_t length,
									   NormalizeEncoding encoding,
									   NormalizeBuffer *output);
extern NormalizeStatus normalize_digits(const char *input, size_t length,
										NormalizeEncoding encoding,
										NormalizeBuffer *output);
extern NormalizeStatus normalize_uuid(const char *input, size_t length,
									  NormalizeEncoding encoding,
									  NormalizeBuffer *output);
extern NormalizeStatus normalize_email(const char *input, size_t length,
									   NormalizeEncoding encoding,
									   bool provider_rules,
									   NormalizeBuffer *output);

/* Shared by the files of the core. */
extern bool normalize_reserve(NormalizeBuffer *buffer, size_t additional);
extern bool normalize_is_ascii(const char *input, size_t length);
extern bool normalize_is_utf8(const char *input, size_t length);
extern size_t normalize_decode(const char *input, size_t length,
							   uint32_t *character);
extern bool normalize_is_white_space(uint32_t character);
extern bool normalize_is_invisible(uint32_t character);
extern void normalize_trim(const char **input, size_t *length,
						   NormalizeEncoding encoding, bool invisible);

/*
 * normalize_ascii_lower lower-cases A to Z and leaves every other byte alone,
 * whatever the locale.
 */
static inline char
normalize_ascii_lower(char byte)
{
	return (byte >= 'A' && byte <= 'Z') ? (char) (byte + ('a' - 'A')) : byte;
}

#endif							/* CDP_IDENTITY_NORMALIZE_CORE_H */
