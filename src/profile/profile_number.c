/*
 * profile_number.c
 *		Canonical bytes of integers, floating-point numbers and decimals, their
 *		texts, and the order of values.
 *
 * One number of a type has one form: no second zero or NaN, no trailing zeros.
 * The forms are specified in docs/profile.md.  No server here: see
 * profile_core.h.
 */
#include "profile/profile_packed.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The first byte of a packed decimal, in their order. */
#define DECIMAL_MINUS_INFINITY	0
#define DECIMAL_NEGATIVE		1
#define DECIMAL_ZERO			2
#define DECIMAL_POSITIVE		3
#define DECIMAL_INFINITY		4
#define DECIMAL_NAN				5

/* Of a finite one: that byte, and a weight of two. */
#define DECIMAL_HEADER			3
#define DECIMAL_BASE			10000
#define DECIMAL_BASE_DIGITS		4

/* What PostgreSQL's numeric can hold. */
#define DECIMAL_MAX_WEIGHT		32767
#define DECIMAL_MAX_SCALE		16383

/* Signs in PostgreSQL's binary form of numeric. */
#define WIRE_POSITIVE			0x0000
#define WIRE_NEGATIVE			0x4000
#define WIRE_NAN				0xC000
#define WIRE_INFINITY			0xD000
#define WIRE_MINUS_INFINITY		0xF000
#define WIRE_HEADER				8

/*
 * profile_pack_integer writes the fewest bytes of two's complement, the lowest
 * first, that keep the sign (none for 0), and returns their number, at most 8.
 */
size_t
profile_pack_integer(int64_t number, char *output)
{
	uint64_t	bits = (uint64_t) number;
	size_t		length = 0;

	if (number == 0)
		return 0;
	for (;;)
	{
		output[length++] = (char) (bits & 0xFF);
		number = number < 0 ? -1 - ((-1 - number) >> 8) : number >> 8;
		if ((number == 0 && !(bits & 0x80)) || (number == -1 && (bits & 0x80)))
			return length;
		bits = (uint64_t) number;
	}
}

/*
 * profile_unpack_integer reads a bigint or a time.
 */
int64_t
profile_unpack_integer(const ProfileValue *value)
{
	const unsigned char *bytes = (const unsigned char *) value->bytes;
	uint64_t	bits = 0;

	if (value->length > 0 && bytes[value->length - 1] >= 0x80)
		bits = UINT64_MAX;
	for (uint32_t i = value->length; i > 0; i--)
		bits = bits << 8 | bytes[i - 1];
	return (int64_t) bits;
}

/*
 * profile_pack_double writes eight bytes, the lowest first.
 */
void
profile_pack_double(double number, char *output)
{
	uint64_t	bits;

	if (isnan(number))
		bits = UINT64_C(0x7FF8000000000000);
	else
	{
		if (number == 0)
			number = 0;
		memcpy(&bits, &number, sizeof(bits));
	}
	packed_write_64((unsigned char *) output, bits);
}

double
profile_unpack_double(const ProfileValue *value)
{
	uint64_t	bits = packed_read_64((const unsigned char *) value->bytes);
	double		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

/* A decimal while it is made or read. */
typedef struct Decimal
{
	int			kind;
	int			weight;			/* of the first digit, a power of DECIMAL_BASE */
	uint32_t	count;
	const unsigned char *digits;	/* two bytes each, the lower first */
} Decimal;

static Decimal
read_decimal(const ProfileValue *value)
{
	const unsigned char *bytes = (const unsigned char *) value->bytes;
	Decimal		decimal = {.kind = bytes[0]};

	if (decimal.kind == DECIMAL_NEGATIVE || decimal.kind == DECIMAL_POSITIVE)
	{
		decimal.weight = (int16_t) (bytes[1] | bytes[2] << 8);
		decimal.count = (value->length - DECIMAL_HEADER) / 2;
		decimal.digits = bytes + DECIMAL_HEADER;
	}
	return decimal;
}

static inline unsigned
decimal_digit(const Decimal *decimal, uint32_t index)
{
	return (unsigned) decimal->digits[2 * index] | (unsigned) decimal->digits[2 * index + 1] << 8;
}

/*
 * decimal_scale returns how many digits stand after the point.
 */
static int
decimal_scale(const Decimal *decimal)
{
	int			scale = ((int) decimal->count - 1 - decimal->weight) * DECIMAL_BASE_DIGITS;
	unsigned	last;

	if (decimal->count == 0 || scale <= 0)
		return 0;
	for (last = decimal_digit(decimal, decimal->count - 1); last % 10 == 0; last /= 10)
		scale--;
	return scale;
}

/*
 * profile_check_decimal tells whether bytes are a canonical decimal that numeric
 * can hold.
 */
bool
profile_check_decimal(const ProfileValue *value)
{
	Decimal		decimal;

	if (value->length == 0 || (unsigned char) value->bytes[0] > DECIMAL_NAN)
		return false;
	decimal.kind = (unsigned char) value->bytes[0];
	if (decimal.kind != DECIMAL_NEGATIVE && decimal.kind != DECIMAL_POSITIVE)
		return value->length == 1;
	if (value->length < DECIMAL_HEADER + 2 || (value->length - DECIMAL_HEADER) % 2 != 0)
		return false;
	decimal = read_decimal(value);
	if (decimal.count > DECIMAL_MAX_WEIGHT + 1 + DECIMAL_MAX_SCALE / DECIMAL_BASE_DIGITS + 1 ||
		decimal_digit(&decimal, 0) == 0 || decimal_digit(&decimal, decimal.count - 1) == 0)
		return false;
	for (uint32_t i = 0; i < decimal.count; i++)
	{
		if (decimal_digit(&decimal, i) >= DECIMAL_BASE)
			return false;
	}
	return decimal_scale(&decimal) <= DECIMAL_MAX_SCALE;
}

/*
 * profile_is_finite_decimal tells whether a decimal is neither NaN nor infinite.
 */
bool
profile_is_finite_decimal(const ProfileValue *value)
{
	return value->bytes[0] >= DECIMAL_NEGATIVE && value->bytes[0] <= DECIMAL_POSITIVE;
}

/*
 * store_decimal makes a packed decimal of base digits, in memory of the host.
 * "bytes" has room for the header before the digits, which it takes over.
 */
static bool
store_decimal(ProfileHost *host, unsigned char *bytes, bool is_negative, int64_t weight,
			  uint32_t count, ProfileValue *value)
{
	unsigned char *digits = bytes + DECIMAL_HEADER;
	Decimal		decimal;

	while (count > 0 && digits[2 * count - 2] == 0 && digits[2 * count - 1] == 0)
		count--;
	while (count > 0 && digits[0] == 0 && digits[1] == 0)
	{
		digits += 2;
		weight--;
		count--;
	}
	value->type = PROFILE_NUMERIC;
	if (count == 0)
	{
		bytes[0] = DECIMAL_ZERO;
		value->bytes = (char *) bytes;
		value->length = 1;
		return true;
	}
	bytes = digits - DECIMAL_HEADER;
	if (weight > DECIMAL_MAX_WEIGHT || weight < INT16_MIN)
		return profile_fail(host, PROFILE_OUT_OF_RANGE, "a number is too large or too small for numeric", 0);
	bytes[0] = is_negative ? DECIMAL_NEGATIVE : DECIMAL_POSITIVE;
	bytes[1] = (unsigned char) ((uint64_t) weight & 0xFF);
	bytes[2] = (unsigned char) (((uint64_t) weight >> 8) & 0xFF);
	value->bytes = (char *) bytes;
	value->length = DECIMAL_HEADER + 2 * count;
	decimal = read_decimal(value);
	if (decimal_scale(&decimal) > DECIMAL_MAX_SCALE)
		return profile_fail(host, PROFILE_OUT_OF_RANGE, "a number has too many digits after the point for numeric", 0);
	return true;
}

static bool
same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

/*
 * profile_pack_decimal reads the text of a number, as JSON writes it, or NaN,
 * Infinity, -Infinity.  is_integer tells whether it is written without a digit
 * after the point, once its exponent is applied.
 */
bool
profile_pack_decimal(ProfileHost *host, const char *text, size_t length, ProfileValue *value,
					 bool *is_integer)
{
	const char *next = text;
	const char *end = text + length;
	const char *digits;
	bool		is_negative = false;
	int64_t		integer_digits = 0;
	int64_t		fraction_digits = 0;
	int64_t		exponent = 0;
	int64_t		weight;
	int64_t		offset;
	size_t		room;
	uint32_t	count;
	unsigned char *bytes;

	*is_integer = false;
	if (same_word(text, length, "NaN") || same_word(text, length, "Infinity") ||
		same_word(text, length, "-Infinity"))
	{
		bytes = host->allocate(host, 1);
		if (bytes == NULL)
			return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
		bytes[0] = text[0] == 'N' ? DECIMAL_NAN : text[0] == 'I' ? DECIMAL_INFINITY
																 : DECIMAL_MINUS_INFINITY;
		*value = (ProfileValue){PROFILE_NUMERIC, 1, (char *) bytes};
		return true;
	}
	if (next < end && *next == '-')
	{
		is_negative = true;
		next++;
	}
	digits = next;
	for (; next < end && *next >= '0' && *next <= '9'; next++)
		integer_digits++;
	if (integer_digits == 0 || (integer_digits > 1 && *digits == '0'))
		return profile_fail(host, PROFILE_SYNTAX, "a number is malformed", 0);
	if (next < end && *next == '.')
	{
		for (next++; next < end && *next >= '0' && *next <= '9'; next++)
			fraction_digits++;
		if (fraction_digits == 0)
			return profile_fail(host, PROFILE_SYNTAX, "a number is malformed", 0);
	}
	if (next < end && (*next == 'e' || *next == 'E'))
	{
		bool		is_minus;
		const char *exponent_digits;

		next++;
		is_minus = next < end && *next == '-';
		if (next < end && (*next == '-' || *next == '+'))
			next++;
		exponent_digits = next;
		for (; next < end && *next >= '0' && *next <= '9'; next++)
		{
			if (exponent < INT32_MAX)
				exponent = exponent * 10 + (*next - '0');
		}
		if (next == exponent_digits)
			return profile_fail(host, PROFILE_SYNTAX, "a number is malformed", 0);
		if (is_minus)
			exponent = -exponent;
	}
	if (next != end)
		return profile_fail(host, PROFILE_SYNTAX, "a number is malformed", 0);
	*is_integer = fraction_digits <= exponent;

	/* Leading zeros, so that the exponent can be judged: 0.000…1 has many. */
	{
		const char *zero = digits;

		while (integer_digits + fraction_digits > 0 && (*zero == '0' || *zero == '.'))
		{
			if (*zero == '0')
			{
				if (integer_digits > 0)
					integer_digits--;
				else
				{
					/* 0.05e3 is 0.5e2 */
					fraction_digits--;
					exponent--;
				}
			}
			zero++;
		}
		digits = zero;
	}
	if (integer_digits + fraction_digits == 0)
	{
		bytes = host->allocate(host, 1);
		if (bytes == NULL)
			return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
		bytes[0] = DECIMAL_ZERO;
		*value = (ProfileValue){PROFILE_NUMERIC, 1, (char *) bytes};
		return true;
	}

	/* The number is 0.d1d2… times ten to this power. */
	exponent += integer_digits;
	if (exponent > (DECIMAL_MAX_WEIGHT + 1) * DECIMAL_BASE_DIGITS || exponent < -DECIMAL_MAX_SCALE)
		return profile_fail(host, PROFILE_OUT_OF_RANGE, "a number is too large or too small for numeric", 0);
	/* Of base digits, the first has this weight, and begins with so many zeros. */
	weight = exponent > 0 ? (exponent - 1) / DECIMAL_BASE_DIGITS : -((-exponent) / DECIMAL_BASE_DIGITS) - 1;
	offset = (weight + 1) * DECIMAL_BASE_DIGITS - exponent;
	room = (size_t) (offset + integer_digits + fraction_digits + DECIMAL_BASE_DIGITS - 1) /
		DECIMAL_BASE_DIGITS;
	bytes = host->allocate(host, DECIMAL_HEADER + 2 * room);
	if (bytes == NULL)
		return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
	count = 0;
	{
		unsigned	digit = 0;
		int			filled = (int) offset;
		int64_t		left = integer_digits + fraction_digits;

		for (next = digits; left > 0; next++)
		{
			if (*next == '.')
				continue;
			digit = digit * 10 + (unsigned) (*next - '0');
			left--;
			filled++;
			if (left == 0)
			{
				for (; filled < DECIMAL_BASE_DIGITS; filled++)
					digit *= 10;
			}
			if (filled == DECIMAL_BASE_DIGITS)
			{
				bytes[DECIMAL_HEADER + 2 * count] = (unsigned char) (digit & 0xFF);
				bytes[DECIMAL_HEADER + 2 * count + 1] = (unsigned char) (digit >> 8);
				count++;
				filled = 0;
				digit = 0;
			}
		}
	}
	return store_decimal(host, bytes, is_negative, weight, count, value);
}

static unsigned
read_wire_16(const unsigned char *bytes)
{
	return (unsigned) bytes[0] << 8 | bytes[1];
}

/*
 * profile_pack_wire_decimal reads the binary form of PostgreSQL's numeric;
 * "scale" is the one it was displayed with.
 */
bool
profile_pack_wire_decimal(ProfileHost *host, const void *data, size_t size, ProfileValue *value,
						  unsigned *scale)
{
	const unsigned char *input = data;
	unsigned char *bytes;
	unsigned	count;
	int			weight;
	unsigned	sign;

	if (size < WIRE_HEADER)
		return profile_fail(host, PROFILE_INVALID_BINARY, "a numeric is cut off", 0);
	count = read_wire_16(input);
	weight = (int16_t) read_wire_16(input + 2);
	sign = read_wire_16(input + 4);
	*scale = read_wire_16(input + 6);
	if (size != WIRE_HEADER + 2 * (size_t) count || *scale > DECIMAL_MAX_SCALE)
		return profile_fail(host, PROFILE_INVALID_BINARY, "a numeric is malformed", 0);
	bytes = host->allocate(host, DECIMAL_HEADER + 2 * (size_t) count);
	if (bytes == NULL)
		return profile_fail(host, PROFILE_OUT_OF_MEMORY, NULL, 0);
	if (sign == WIRE_NAN || sign == WIRE_INFINITY || sign == WIRE_MINUS_INFINITY)
	{
		bytes[0] = sign == WIRE_NAN ? DECIMAL_NAN : sign == WIRE_INFINITY ? DECIMAL_INFINITY
																		  : DECIMAL_MINUS_INFINITY;
		*value = (ProfileValue){PROFILE_NUMERIC, 1, (char *) bytes};
		return true;
	}
	if (sign != WIRE_POSITIVE && sign != WIRE_NEGATIVE)
		return profile_fail(host, PROFILE_INVALID_BINARY, "a numeric is malformed", 0);
	for (unsigned i = 0; i < count; i++)
	{
		if (read_wire_16(input + WIRE_HEADER + 2 * i) >= DECIMAL_BASE)
			return profile_fail(host, PROFILE_INVALID_BINARY, "a numeric is malformed", 0);
		bytes[DECIMAL_HEADER + 2 * i] = input[WIRE_HEADER + 2 * i + 1];
		bytes[DECIMAL_HEADER + 2 * i + 1] = input[WIRE_HEADER + 2 * i];
	}
	return store_decimal(host, bytes, sign == WIRE_NEGATIVE, weight, count, value);
}

/*
 * profile_decimal_to_integer gives a decimal as a bigint, and returns false
 * where it is not an integer or out of range.
 */
bool
profile_decimal_to_integer(const ProfileValue *value, int64_t *number)
{
	Decimal		decimal = read_decimal(value);
	uint64_t	magnitude = 0;

	if (decimal.kind == DECIMAL_ZERO)
	{
		*number = 0;
		return true;
	}
	if ((decimal.kind != DECIMAL_POSITIVE && decimal.kind != DECIMAL_NEGATIVE) ||
		decimal.weight < 0 || decimal.weight > 4 || decimal.count > (uint32_t) decimal.weight + 1)
		return false;
	for (int i = 0; i <= decimal.weight; i++)
	{
		unsigned	digit = (uint32_t) i < decimal.count ? decimal_digit(&decimal, (uint32_t) i) : 0;

		if (__builtin_mul_overflow(magnitude, (uint64_t) DECIMAL_BASE, &magnitude) ||
			__builtin_add_overflow(magnitude, (uint64_t) digit, &magnitude))
			return false;
	}
	if (magnitude > (uint64_t) INT64_MAX + (decimal.kind == DECIMAL_NEGATIVE))
		return false;
	*number = (int64_t) (decimal.kind == DECIMAL_NEGATIVE ? 0 - magnitude : magnitude);
	return true;
}

/*
 * profile_wire_decimal_size returns how many bytes profile_write_wire_decimal
 * writes.
 */
size_t
profile_wire_decimal_size(const ProfileValue *value)
{
	return WIRE_HEADER + 2 * (size_t) read_decimal(value).count;
}

static unsigned char *
write_wire_16(unsigned char *output, unsigned number)
{
	*output++ = (unsigned char) (number >> 8);
	*output++ = (unsigned char) number;
	return output;
}

/*
 * profile_write_wire_decimal writes the binary form of PostgreSQL's numeric.
 */
void
profile_write_wire_decimal(const ProfileValue *value, void *output)
{
	static const uint16_t signs[] = {
		[DECIMAL_MINUS_INFINITY] = WIRE_MINUS_INFINITY,
		[DECIMAL_NEGATIVE] = WIRE_NEGATIVE,
		[DECIMAL_ZERO] = WIRE_POSITIVE,
		[DECIMAL_POSITIVE] = WIRE_POSITIVE,
		[DECIMAL_INFINITY] = WIRE_INFINITY,
		[DECIMAL_NAN] = WIRE_NAN,
	};
	Decimal		decimal = read_decimal(value);
	unsigned char *next = output;

	next = write_wire_16(next, decimal.count);
	next = write_wire_16(next, (unsigned) decimal.weight & 0xFFFF);
	next = write_wire_16(next, signs[decimal.kind]);
	next = write_wire_16(next, (unsigned) decimal_scale(&decimal));
	for (uint32_t i = 0; i < decimal.count; i++)
		next = write_wire_16(next, decimal_digit(&decimal, i));
}

/*
 * profile_write_decimal writes a decimal without an exponent, as numeric is
 * written.
 */
bool
profile_write_decimal(ProfileBuffer *buffer, const ProfileValue *value)
{
	Decimal		decimal = read_decimal(value);
	int			scale = decimal_scale(&decimal);
	int			last = -((scale + DECIMAL_BASE_DIGITS - 1) / DECIMAL_BASE_DIGITS);

	switch (decimal.kind)
	{
		case DECIMAL_NAN:
			return profile_buffer_append(buffer, "NaN", 3);
		case DECIMAL_INFINITY:
			return profile_buffer_append(buffer, "Infinity", 8);
		case DECIMAL_MINUS_INFINITY:
			return profile_buffer_append(buffer, "-Infinity", 9);
		case DECIMAL_ZERO:
			return profile_buffer_append(buffer, "0", 1);
		default:
			break;
	}
	if (decimal.kind == DECIMAL_NEGATIVE && !profile_buffer_append(buffer, "-", 1))
		return false;
	if (decimal.weight < 0 && !profile_buffer_append(buffer, "0", 1))
		return false;
	for (int power = decimal.weight < 0 ? -1 : decimal.weight; power >= last; power--)
	{
		int			index = decimal.weight - power;
		unsigned	digit = index >= 0 && (uint32_t) index < decimal.count ? decimal_digit(&decimal, (uint32_t) index) : 0;
		char		text[DECIMAL_BASE_DIGITS];
		int			first = 0;
		int			after = DECIMAL_BASE_DIGITS;

		for (int i = DECIMAL_BASE_DIGITS - 1; i >= 0; i--, digit /= 10)
			text[i] = (char) ('0' + digit % 10);
		if (power == decimal.weight && power >= 0)
		{
			while (first < DECIMAL_BASE_DIGITS - 1 && text[first] == '0')
				first++;
		}
		if (power == -1 && !profile_buffer_append(buffer, ".", 1))
			return false;
		if (power < 0 && scale + DECIMAL_BASE_DIGITS * (power + 1) < DECIMAL_BASE_DIGITS)
			after = scale + DECIMAL_BASE_DIGITS * (power + 1);
		if (!profile_buffer_append(buffer, text + first, (size_t) (after - first)))
			return false;
	}
	return true;
}

/*
 * profile_compare_decimals orders them by number; NaN is the greatest.
 */
int
profile_compare_decimals(const ProfileValue *a, const ProfileValue *b)
{
	Decimal		left = read_decimal(a);
	Decimal		right = read_decimal(b);
	int			sign = left.kind == DECIMAL_NEGATIVE ? -1 : 1;

	if (left.kind != right.kind)
		return left.kind < right.kind ? -1 : 1;
	if (left.weight != right.weight)
		return left.weight < right.weight ? -sign : sign;
	for (uint32_t i = 0; i < left.count && i < right.count; i++)
	{
		unsigned	left_digit = decimal_digit(&left, i);
		unsigned	right_digit = decimal_digit(&right, i);

		if (left_digit != right_digit)
			return left_digit < right_digit ? -sign : sign;
	}
	if (left.count != right.count)
		return left.count < right.count ? -sign : sign;
	return 0;
}

/*
 * profile_compare_values orders values: by the rank of their types, and within
 * a type numbers and times by size (NaN last), false before true, texts and
 * JSON by bytes.
 */
int
profile_compare_values(const ProfileValue *a, const ProfileValue *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch (a->type)
	{
		case PROFILE_BIGINT:
		case PROFILE_TIMESTAMPTZ:
		{
			int64_t		left = profile_unpack_integer(a);
			int64_t		right = profile_unpack_integer(b);

			return left < right ? -1 : left > right;
		}
		case PROFILE_FLOAT8:
		{
			double		left = profile_unpack_double(a);
			double		right = profile_unpack_double(b);

			if (isnan(left) || isnan(right))
				return isnan(left) - isnan(right);
			return left < right ? -1 : left > right;
		}
		case PROFILE_NUMERIC:
			return profile_compare_decimals(a, b);
		default:
			return profile_compare_names(a->bytes, a->length, b->bytes, b->length);
	}
}

/*
 * profile_parse_double reads the text of a number, as JSON writes it, or NaN,
 * Infinity, -Infinity; false where it is none, or out of range.
 */
bool
profile_parse_double(const char *text, size_t length, double *number)
{
	char		few[64];
	char	   *copy = few;
	char	   *end;
	bool		result;

	if (same_word(text, length, "NaN"))
		*number = NAN;
	else if (same_word(text, length, "Infinity"))
		*number = INFINITY;
	else if (same_word(text, length, "-Infinity"))
		*number = -INFINITY;
	else
	{
		if (length == 0 || (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
			return false;
		for (size_t i = 0; i < length; i++)
		{
			if (strchr("0123456789+-.eE", text[i]) == NULL || text[i] == '\0')
				return false;
		}
		if (length >= sizeof(few))
		{
			copy = malloc(length + 1);
			if (copy == NULL)
				return false;
		}
		memcpy(copy, text, length);
		copy[length] = '\0';
		errno = 0;
		*number = strtod(copy, &end);
		result = end == copy + length &&
			!(errno == ERANGE && (*number == 0 || isinf(*number)));
		if (copy != few)
			free(copy);
		return result;
	}
	return true;
}

/*
 * profile_write_integer writes at most PROFILE_INTEGER_LENGTH characters and
 * returns how many.
 */
size_t
profile_write_integer(int64_t number, char *output)
{
	uint64_t	magnitude = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;
	char		digits[PROFILE_INTEGER_LENGTH];
	size_t		count = 0;
	size_t		length = 0;

	do
	{
		digits[count++] = (char) ('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude > 0);
	if (number < 0)
		output[length++] = '-';
	while (count > 0)
		output[length++] = digits[--count];
	return length;
}
