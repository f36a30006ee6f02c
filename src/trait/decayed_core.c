/*
 * decayed_core.c
 *		Sums that decay by half in each half-life, exact in any order.
 *
 * Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: Forward Decay, ICDE 2009):
 * a value counts value * 2^(time / half_life), and what the sum of these is worth
 * at some time is that, divided by 2^(that time / half_life).  The exponents are
 * kept as integers, so nothing overflows, and the sum in bins of integers (see
 * state_core.h), so no order and no division into parts changes a bit of it.
 *
 * Needs no running server.
 */
#include "trait/state_core.h"

#include <float.h>
#include <math.h>
#include <string.h>

__extension__ typedef __int128 int128_bin;
__extension__ typedef unsigned __int128 uint128_bin;

#define BIN_BITS				32
/* exponents of values, and of times in half-lives of a millisecond */
#define MAX_TOP					(INT64_C(1) << 54)

static inline int128_bin
get_bin(const DecayedBin *bin)
{
	return (int128_bin) (((uint128_bin) (uint64_t) bin->high << 64) | bin->low);
}

static inline void
set_bin(DecayedBin *bin, int128_bin value)
{
	bin->low = (uint64_t) (uint128_bin) value;
	bin->high = (int64_t) (uint64_t) ((uint128_bin) value >> 64);
}

static int64_t
floor_divide(int64_t a, int64_t b)
{
	int64_t		quotient = a / b;

	return a % b < 0 ? quotient - 1 : quotient;
}

/*
 * decayed_check checks a state of the server's or from outside.
 */
const char *
decayed_check(const DecayedState *state, size_t size)
{
	int128_bin	limit;

	if (size != sizeof(DecayedState))
		return "its size is wrong";
	if (state->half_life < DECAYED_MIN_HALF_LIFE)
		return "its half-life is too short";
	if (state->at != INT64_MAX && !state_is_time(state->at))
		return "its time is impossible";
	if (state->rows < 0 || state->rows > STATE_MAX_ROWS)
		return "it has an impossible number of rows";
	if (state->rows == 0 ? state->newest != 0 : !state_is_time(state->newest) || state->newest > state->at)
		return "its newest time is impossible";
	if (state->flags > 15 || state->header.working != 0)
		return "it has an unknown option";
	for (int i = 0; i < 7; i++)
		if (state->zero[i] != 0)
			return "it has an unknown option";
	if (state->rows == 0 && state->flags != 0)
		return "it has values without rows";
	if ((state->flags & DECAYED_ANY) == 0 ? state->top != 0
										  : state->top > MAX_TOP || state->top < -MAX_TOP)
		return "its exponent is impossible";
	limit = (state->flags & DECAYED_ANY) == 0 ? 0 : (int128_bin) state->rows << BIN_BITS;
	for (int i = 0; i < DECAYED_BINS; i++)
	{
		int128_bin	bin = get_bin(&state->bins[i]);

		if (bin > limit || bin < -limit)
			return "its sum is impossible";
	}
	return NULL;
}

/*
 * decayed_begin makes the state of no rows.  Where a time "at" is given, rows
 * after it do not count.
 */
void
decayed_begin(DecayedState *state, int64_t half_life, int64_t at)
{
	int32_t		length = state->header.length;

	memset(state, 0, sizeof(*state));
	state->header.length = length;
	state->header.version = STATE_VERSION;
	state->header.kind = STATE_DECAYED;
	state->half_life = half_life;
	state->at = at;
}

/*
 * raise_top makes room for a greater top bin; what falls off at the other end is
 * too small to matter beside it.
 */
static void
raise_top(DecayedState *state, int64_t top)
{
	int64_t		shift;

	if ((state->flags & DECAYED_ANY) == 0)
	{
		state->flags |= DECAYED_ANY;
		state->top = top;
		return;
	}
	if (top <= state->top)
		return;
	shift = top - state->top;
	for (int64_t i = DECAYED_BINS - 1; i >= 0; i--)
	{
		if (i >= shift)
			state->bins[i] = state->bins[i - shift];
		else
			set_bin(&state->bins[i], 0);
	}
	state->top = top;
}

static void
add_to_bin(DecayedState *state, int64_t bin, int128_bin value)
{
	int64_t		place = state->top - bin;

	if (place < DECAYED_BINS)
		set_bin(&state->bins[place], get_bin(&state->bins[place]) + value);
}

/*
 * decayed_add adds a row; its time must be a finite one, not after "at".
 */
void
decayed_add(DecayedState *state, double value, int64_t time)
{
	int64_t		halves;
	int64_t		rest;
	int			exponent;
	int			more;
	double		fraction;
	int64_t		mantissa;
	int64_t		lowest;
	int64_t		bin;
	int64_t		top;
	uint128_bin digits;
	int			sign = value < 0 ? -1 : 1;

	if (state->rows == 0 || time > state->newest)
		state->newest = time;
	state->rows++;
	if (isnan(value))
		state->flags |= DECAYED_NAN;
	else if (isinf(value))
		state->flags |= value > 0 ? DECAYED_PLUS : DECAYED_MINUS;
	if (value == 0 || isnan(value) || isinf(value))
		return;

	halves = floor_divide(time, state->half_life);
	rest = time - halves * state->half_life;
	fraction = frexp(fabs(value), &exponent);
	fraction = frexp(fraction * exp2((double) rest / (double) state->half_life), &more);
	mantissa = (int64_t) ldexp(fraction, DBL_MANT_DIG);

	/* the value is mantissa * 2^lowest, and lies in up to three bins */
	lowest = halves + exponent + more - DBL_MANT_DIG;
	bin = floor_divide(lowest, BIN_BITS);
	digits = (uint128_bin) (uint64_t) mantissa << (lowest - bin * BIN_BITS);
	top = bin;
	for (uint128_bin above = digits >> BIN_BITS; above != 0; above >>= BIN_BITS)
		top++;
	raise_top(state, top);
	for (; digits != 0; digits >>= BIN_BITS, bin++)
		add_to_bin(state, bin, sign * (int128_bin) (digits & UINT32_MAX));
}

/*
 * decayed_merge adds another state, and returns false where the two have another
 * half-life or time, or more rows than can be counted.
 */
bool
decayed_merge(DecayedState *state, const DecayedState *other)
{
	if (state->half_life != other->half_life || state->at != other->at ||
		state->rows > STATE_MAX_ROWS - other->rows)
		return false;
	if (other->rows == 0)
		return true;
	if (state->rows == 0 || other->newest > state->newest)
		state->newest = other->newest;
	state->rows += other->rows;
	if ((other->flags & DECAYED_ANY) != 0)
	{
		raise_top(state, other->top);
		for (int i = 0; i < DECAYED_BINS; i++)
			add_to_bin(state, other->top - i, get_bin(&other->bins[i]));
	}
	state->flags |= other->flags;
	return true;
}

/*
 * decayed_value is what the sum is worth at a time; it may be infinite where the
 * values are, or where it exceeds a double.
 */
double
decayed_value(const DecayedState *state, int64_t at)
{
	int128_bin	bins[DECAYED_BINS];
	bool		negative = false;
	int64_t		halves = floor_divide(at, state->half_life);
	int64_t		rest = at - halves * state->half_life;
	double		sum = 0;

	if ((state->flags & DECAYED_NAN) != 0 ||
		(state->flags & (DECAYED_PLUS | DECAYED_MINUS)) == (DECAYED_PLUS | DECAYED_MINUS))
		return NAN;
	if ((state->flags & DECAYED_PLUS) != 0)
		return INFINITY;
	if ((state->flags & DECAYED_MINUS) != 0)
		return -INFINITY;

	/* digits of one sign, each of its bin's bits; the top one takes the rest */
	for (int i = 0; i < DECAYED_BINS; i++)
		bins[i] = get_bin(&state->bins[i]);
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = DECAYED_BINS - 1; i > 0; i--)
		{
			int128_bin	digit = bins[i] & UINT32_MAX;

			bins[i - 1] += (bins[i] - digit) / ((int128_bin) 1 << BIN_BITS);
			bins[i] = digit;
		}
		if (bins[0] >= 0)
			break;
		negative = true;
		for (int i = 0; i < DECAYED_BINS; i++)
			bins[i] = -bins[i];
	}
	for (int i = DECAYED_BINS - 1; i >= 0; i--)
	{
		int64_t		exponent = BIN_BITS * (state->top - i) - halves;

		if (exponent > 20000)
			exponent = 20000;
		if (exponent > -20000 && bins[i] != 0)
			sum += ldexp((double) bins[i] * exp2(-(double) rest / (double) state->half_life), (int) exponent);
	}
	return negative ? -sum : sum;
}
