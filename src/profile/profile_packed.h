/*
 * profile_packed.h
 *		The bytes of the packed form: what its reader and its writer share.
 *
 * The form is specified in docs/profile.md.  No server here: see profile_core.h.
 */
#ifndef CDP_PROFILE_PACKED_H
#define CDP_PROFILE_PACKED_H

#include "profile/profile_core.h"

#include <string.h>

/* Version and width, then three counts. */
#define PACKED_FIXED_SIZE		2
#define PACKED_COUNTS			3

/* Of an origin, besides the index of its source: the record and the newest time. */
#define PACKED_ORIGIN_SIZE		16

/* Traits of a leaf. */
#define PACKED_LEAF				16

/*
 * A name that follows another one in its leaf leaves out what both begin with,
 * if that is at least so long.  Its first byte has both lengths; of each, the
 * greatest number says that the rest follows.
 */
#define PACKED_LEAST_SHARED		3
#define PACKED_SHARED_SHIFT		4
#define PACKED_SUFFIX_MASK		0x0F
#define PACKED_LONG_NAME		15

/* The first byte of a candidate. */
#define PACKED_TYPE_MASK		0x07
#define PACKED_OLDER_FLAG		0x08	/* older than its origin's newest: by how much follows */
#define PACKED_LENGTH_SHIFT		4
#define PACKED_SAME				14	/* the value of the candidate before it */
#define PACKED_LONG				15	/* length - 14 follows */

/* The number after it: the origin, and whether another candidate follows. */
#define PACKED_MORE_FLAG		1
#define PACKED_ORIGIN_SHIFT		1

#define PACKED_VARINT_SIZE		10	/* longest, for 64 bits */

static inline uint32_t
packed_read_width(const unsigned char *bytes, unsigned width)
{
	if (width == 1)
		return bytes[0];
	if (width == 2)
		return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8;
	return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 |
		(uint32_t) bytes[2] << 16 | (uint32_t) bytes[3] << 24;
}

static inline unsigned char *
packed_write_width(unsigned char *output, uint32_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		*output++ = (unsigned char) (value >> (8 * i));
	return output;
}

static inline uint64_t
packed_read_64(const unsigned char *bytes)
{
	/* spelled out, so that compilers see that it is one load */
	return (uint64_t) bytes[0] | (uint64_t) bytes[1] << 8 |
		(uint64_t) bytes[2] << 16 | (uint64_t) bytes[3] << 24 |
		(uint64_t) bytes[4] << 32 | (uint64_t) bytes[5] << 40 |
		(uint64_t) bytes[6] << 48 | (uint64_t) bytes[7] << 56;
}

static inline unsigned char *
packed_write_64(unsigned char *output, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		output[i] = (unsigned char) (value >> (8 * i));
	return output + 8;
}

/*
 * packed_read_varint reads seven bits a byte, the lowest first, and returns
 * where it ends; NULL where it is cut off, too long, or longer than need be.
 */
static inline const unsigned char *
packed_read_varint(const unsigned char *bytes, const unsigned char *end, uint64_t *value)
{
	uint64_t	result;
	unsigned	shift;

	if (bytes < end && *bytes < 0x80)
	{
		*value = *bytes;
		return bytes + 1;
	}
	result = 0;
	for (shift = 0; bytes < end && shift < 64; shift += 7)
	{
		unsigned char byte = *bytes++;

		if (shift == 63 && byte > 1)
			return NULL;
		result |= (uint64_t) (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*value = result;
			return byte == 0 && shift > 0 ? NULL : bytes;
		}
	}
	return NULL;
}

static inline unsigned
packed_varint_size(uint64_t value)
{
	unsigned	size = 1;

	while (value >= 0x80)
	{
		value >>= 7;
		size++;
	}
	return size;
}

static inline unsigned char *
packed_write_varint(unsigned char *output, uint64_t value)
{
	while (value >= 0x80)
	{
		*output++ = (unsigned char) (value | 0x80);
		value >>= 7;
	}
	*output++ = (unsigned char) value;
	return output;
}

/*
 * packed_common returns how many bytes two names begin with in common.
 */
static inline uint32_t
packed_common(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
	uint32_t	shorter = a_length < b_length ? a_length : b_length;
	uint32_t	common = 0;

	while (common < shorter && a[common] == b[common])
		common++;
	return common;
}

/*
 * packed_prefix gives the first eight bytes of a name as a number that compares
 * like them.
 */
static inline uint64_t
packed_prefix(const char *name, size_t length)
{
	const unsigned char *bytes = (const unsigned char *) name;
	uint64_t	prefix = 0;

	if (length >= 8)
		return (uint64_t) bytes[0] << 56 | (uint64_t) bytes[1] << 48 |
			(uint64_t) bytes[2] << 40 | (uint64_t) bytes[3] << 32 |
			(uint64_t) bytes[4] << 24 | (uint64_t) bytes[5] << 16 |
			(uint64_t) bytes[6] << 8 | (uint64_t) bytes[7];
	for (size_t i = 0; i < length; i++)
		prefix = prefix << 8 | bytes[i];
	return length == 0 ? 0 : prefix << (8 * (8 - length));
}

#endif							/* CDP_PROFILE_PACKED_H */
