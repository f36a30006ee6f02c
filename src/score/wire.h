/*
 * wire.h
 *		Reading the binary forms of states and models in C that needs no running
 *		server: integers and floats in network byte order.
 */
#ifndef CDP_SCORE_WIRE_H
#define CDP_SCORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is left to read; "failed" once it was too short, and then all reads are 0. */
typedef struct WireReader
{
	const uint8_t *bytes;
	size_t		left;
	bool		failed;
} WireReader;

static inline const uint8_t *
wire_bytes(WireReader *reader, size_t count)
{
	const uint8_t *bytes = reader->bytes;

	if (reader->failed || reader->left < count)
	{
		reader->failed = true;
		return NULL;
	}
	reader->bytes += count;
	reader->left -= count;
	return bytes;
}

static inline uint64_t
wire_integer(WireReader *reader, int size)
{
	const uint8_t *bytes = wire_bytes(reader, size);
	uint64_t	value = 0;

	for (int i = 0; bytes != NULL && i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static inline double
wire_double(WireReader *reader)
{
	uint64_t	bits = wire_integer(reader, 8);
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Was everything read, and nothing more? */
static inline bool
wire_done(const WireReader *reader)
{
	return !reader->failed && reader->left == 0;
}

#endif							/* CDP_SCORE_WIRE_H */
