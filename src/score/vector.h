/*
 * vector.h
 *		Loops that the compiler makes vector instructions of: how they are marked,
 *		and exponential and logarithm without branches for them.
 *
 * A function marked VECTOR_CLONES is compiled for wider vectors too, and the loader
 * chooses.  Correct to a few units in the last place, and the same on all processors: AVX2
 * without fused operations computes the very numbers that plain code does.
 */
#ifndef CDP_SCORE_VECTOR_H
#define CDP_SCORE_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define VECTOR_CLONES	__attribute__((target_clones("avx2", "default")))
#else
#define VECTOR_CLONES
#endif

#define VECTOR_LN2_HIGH	0x1.62e42fefa3800p-1	/* with zeros at the end, so that multiples are exact */
#define VECTOR_LN2_LOW	0x1.ef35793c76730p-45
#define VECTOR_ROUND	0x1.8p52	/* adding it leaves the nearest integer in the low bits */

static inline uint64_t
vector_bits(double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double
vector_from_bits(uint64_t bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * exp(x) for x <= 0; below -708 that of -708.
 */
static inline double
vector_exp(double x)
{
	double		limited = x < -708 ? -708 : x;
	double		rounded = limited * 0x1.71547652b82fep0 + VECTOR_ROUND;
	double		k = rounded - VECTOR_ROUND;
	double		t = (limited - k * VECTOR_LN2_HIGH) - k * VECTOR_LN2_LOW;
	double		p = 1.0 / 6227020800.0;

	/* Taylor's series: |t| is at most 0.35 */
	p = p * t + 1.0 / 479001600.0;
	p = p * t + 1.0 / 39916800.0;
	p = p * t + 1.0 / 3628800.0;
	p = p * t + 1.0 / 362880.0;
	p = p * t + 1.0 / 40320.0;
	p = p * t + 1.0 / 5040.0;
	p = p * t + 1.0 / 720.0;
	p = p * t + 1.0 / 120.0;
	p = p * t + 1.0 / 24.0;
	p = p * t + 1.0 / 6.0;
	p = p * t + 0.5;
	p = p * t * t + t;
	/* the integer goes to the exponent */
	return vector_from_bits(vector_bits(1 + p) + (vector_bits(rounded) << 52));
}

/*
 * ln(x) for normal x > 0.
 */
static inline double
vector_log(double x)
{
	/* x = z * 2^k, z between the square roots of 1/2 and 2 */
	uint64_t	half_root = UINT64_C(0x3fe6a09e667f3bcd);
	uint64_t	bits = vector_bits(x);
	uint64_t	biased = (bits + ((UINT64_C(1023) << 52) - half_root)) >> 52;
	double		k = vector_from_bits(biased | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023);
	double		z = vector_from_bits(bits - ((biased - 1023) << 52));
	double		f = z - 1;
	double		s = f / (2 + f);
	double		q = s * s;
	double		p = 1.0 / 21;

	p = p * q + 1.0 / 19;
	p = p * q + 1.0 / 17;
	p = p * q + 1.0 / 15;
	p = p * q + 1.0 / 13;
	p = p * q + 1.0 / 11;
	p = p * q + 1.0 / 9;
	p = p * q + 1.0 / 7;
	p = p * q + 1.0 / 5;
	p = p * q + 1.0 / 3;
	return k * VECTOR_LN2_HIGH + (k * VECTOR_LN2_LOW + (2 * s + 2 * s * q * p));
}

#endif							/* CDP_SCORE_VECTOR_H */
