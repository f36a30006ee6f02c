/*
 * profile_hash.c
 *		A 64-bit hash that is the same on every machine and in every release:
 *		XXH64, as its public specification defines it.
 *
 * PostgreSQL's own hash functions may change between major versions, and hashes
 * of record keys are stored.  No server here: see profile_core.h.
 */
#include "profile/profile_core.h"

#include <string.h>

#define PRIME_1		UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2		UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3		UINT64_C(0x165667B19E3779F9)
#define PRIME_4		UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5		UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t
rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

/*
 * read_little_endian reads so many bytes, at most 8, as a number.
 */
static inline uint64_t
read_little_endian(const unsigned char *bytes, unsigned count)
{
	uint64_t	value = 0;

	for (unsigned i = 0; i < count; i++)
		value |= (uint64_t) bytes[i] << (8 * i);
	return value;
}

static inline uint64_t
hash_round(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

static inline uint64_t
merge_lane(uint64_t hash, uint64_t lane)
{
	return (hash ^ hash_round(0, lane)) * PRIME_1 + PRIME_4;
}

/*
 * profile_hash returns the XXH64 of the bytes.
 */
uint64_t
profile_hash(const void *data, size_t length, uint64_t seed)
{
	const unsigned char *next = data;
	size_t		left = length;
	uint64_t	hash;

	if (left >= 32)
	{
		uint64_t	lanes[4] = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1};

		for (; left >= 32; left -= 32)
		{
			for (int i = 0; i < 4; i++, next += 8)
				lanes[i] = hash_round(lanes[i], read_little_endian(next, 8));
		}
		hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
		for (int i = 0; i < 4; i++)
			hash = merge_lane(hash, lanes[i]);
	}
	else
		hash = seed + PRIME_5;
	hash += (uint64_t) length;

	for (; left >= 8; left -= 8, next += 8)
		hash = rotate(hash ^ hash_round(0, read_little_endian(next, 8)), 27) * PRIME_1 + PRIME_4;
	if (left >= 4)
	{
		hash = rotate(hash ^ (read_little_endian(next, 4) * PRIME_1), 23) * PRIME_2 + PRIME_3;
		left -= 4;
		next += 4;
	}
	for (; left > 0; left--, next++)
		hash = rotate(hash ^ (*next * PRIME_5), 11) * PRIME_1;

	hash = (hash ^ (hash >> 33)) * PRIME_2;
	hash = (hash ^ (hash >> 29)) * PRIME_3;
	return hash ^ (hash >> 32);
}
