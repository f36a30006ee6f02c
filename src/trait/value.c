/*
 * value.c
 *		Values as bytes; see value.h.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "cdp.h"
#include "trait/value.h"

#define SIGN_BIT	(UINT64CONST(1) << 63)

/*
 * cdp_value_type finds the class of a type, and keeps it for the next call of
 * the same function.  A type that has none is an error.
 */
ValueType *
cdp_value_type(FunctionCallInfo fcinfo, Oid type)
{
	ValueType  *found = fcinfo->flinfo->fn_extra;

	if (found != NULL && found->type == type)
		return found;
	if (!OidIsValid(type))
		elog(ERROR, "could not determine the type of a value");
	found = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(ValueType));
	found->type = type;
	found->base = getBaseType(type);
	switch (found->base)
	{
		case BOOLOID:
			found->tag = VALUE_BOOLEAN;
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			found->tag = VALUE_INTEGER;
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			found->tag = VALUE_FLOAT;
			break;
		case NUMERICOID:
			found->tag = VALUE_NUMERIC;
			break;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			found->tag = VALUE_TEXT;
			break;
		case DATEOID:
			found->tag = VALUE_DATE;
			break;
		case TIMESTAMPOID:
			found->tag = VALUE_TIMESTAMP;
			break;
		case TIMESTAMPTZOID:
			found->tag = VALUE_TIMESTAMPTZ;
			break;
		case UUIDOID:
			found->tag = VALUE_UUID;
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("values of type %s are not supported", format_type_be(type)),
					 errhint("Cast the value to text, a number, boolean, date, timestamp or uuid.")));
	}
	fcinfo->flinfo->fn_extra = found;
	return found;
}

static void
put_integer(ValueBytes *bytes, uint64 value)
{
	for (int i = 0; i < 8; i++)
		bytes->room[i] = (char) (value >> (56 - 8 * i));
	bytes->data = bytes->room;
	bytes->length = 8;
}

static uint64
get_integer(const char *data)
{
	uint64		value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | (unsigned char) data[i];
	return value;
}

/*
 * Doubles as integers that sort like them; NaN comes last, and zero has no sign.
 */
static uint64
float_to_bits(double value)
{
	uint64		bits;

	if (isnan(value))
		value = get_float8_nan();
	else if (value == 0)
		value = 0;
	memcpy(&bits, &value, sizeof(bits));
	if (isnan(value))
		bits &= ~SIGN_BIT;
	return (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
}

static double
bits_to_float(uint64 bits)
{
	double		value;

	bits = (bits & SIGN_BIT) != 0 ? bits & ~SIGN_BIT : ~bits;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * cdp_value_encode gives the bytes of a value, which may be part of it.  With
 * "trim" equal numbers of type numeric have the same bytes, without it they keep
 * the zeros at their end.
 */
void
cdp_value_encode(const ValueType *type, Datum value, bool trim, ValueBytes *bytes)
{
	switch (type->tag)
	{
		case VALUE_BOOLEAN:
			bytes->room[0] = DatumGetBool(value);
			bytes->data = bytes->room;
			bytes->length = 1;
			break;

		case VALUE_INTEGER:
			put_integer(bytes, (uint64) (type->base == INT2OID ? DatumGetInt16(value) : type->base == INT4OID ? DatumGetInt32(value)
																											  : DatumGetInt64(value)) ^
							SIGN_BIT);
			break;

		case VALUE_FLOAT:
			put_integer(bytes, float_to_bits(type->base == FLOAT4OID ? (double) DatumGetFloat4(value) : DatumGetFloat8(value)));
			break;

		case VALUE_NUMERIC:
		{
			bytea	   *sent;

			if (trim)
				value = DirectFunctionCall1(numeric_trim_scale, value);
			sent = DatumGetByteaPP(DirectFunctionCall1(numeric_send, value));
			bytes->data = VARDATA_ANY(sent);
			bytes->length = VARSIZE_ANY_EXHDR(sent);
			break;
		}

		case VALUE_TEXT:
		{
			text	   *string = DatumGetTextPP(value);

			bytes->data = VARDATA_ANY(string);
			bytes->length = VARSIZE_ANY_EXHDR(string);
			if (type->base == BPCHAROID)
				while (bytes->length > 0 && bytes->data[bytes->length - 1] == ' ')
					bytes->length--;
			break;
		}

		case VALUE_DATE:
			put_integer(bytes, (uint64) (int64) DatumGetDateADT(value) ^ SIGN_BIT);
			break;

		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			put_integer(bytes, (uint64) DatumGetTimestamp(value) ^ SIGN_BIT);
			break;

		case VALUE_UUID:
			bytes->data = (const char *) DatumGetUUIDP(value)->data;
			bytes->length = UUID_LEN;
			break;
	}
}

static Datum
receive_numeric(const char *data, Size length)
{
	StringInfoData message;
	Datum		result;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, data, (int) length);
	result = DirectFunctionCall3(numeric_recv, PointerGetDatum(&message),
								 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	if (message.cursor != message.len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("a number in a state is invalid")));
	pfree(message.data);
	return result;
}

/*
 * cdp_value_check returns what is wrong with bytes from outside, or NULL.  What is
 * no numeric, or no text in the database's encoding, is an error of the server's.
 */
const char *
cdp_value_check(char tag, const char *data, Size length)
{
	int64		integer = 0;

	if (tag != VALUE_NUMERIC && tag != VALUE_TEXT &&
		length != (tag == VALUE_BOOLEAN ? 1 : tag == VALUE_UUID ? 16
																: 8))
		return "a value has the wrong length";
	if (length == 8)
		integer = (int64) (get_integer(data) ^ SIGN_BIT);
	switch ((ValueTag) tag)
	{
		case VALUE_BOOLEAN:
			return data[0] == 0 || data[0] == 1 ? NULL : "a value is no boolean";
		case VALUE_FLOAT:
			return float_to_bits(bits_to_float(get_integer(data))) == get_integer(data) ? NULL
																						: "a value is not in canonical form";
		case VALUE_NUMERIC:
			receive_numeric(data, length);
			return NULL;
		case VALUE_TEXT:
			pg_verifymbstr(data, (int) length, false);
			return NULL;
		case VALUE_DATE:
			return integer == (int64) DATEVAL_NOBEGIN || integer == (int64) DATEVAL_NOEND ||
					(integer >= DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE &&
					 integer < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE)
				? NULL
				: "a value is no date";
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			return TIMESTAMP_NOT_FINITE(integer) || IS_VALID_TIMESTAMP(integer) ? NULL : "a value is no time";
		case VALUE_INTEGER:
		case VALUE_UUID:
			return NULL;
	}
	return "its values are of an unknown type";
}

static const char *
tag_name(char tag)
{
	switch ((ValueTag) tag)
	{
		case VALUE_BOOLEAN:
			return "boolean";
		case VALUE_INTEGER:
			return "bigint";
		case VALUE_FLOAT:
			return "double precision";
		case VALUE_NUMERIC:
			return "numeric";
		case VALUE_TEXT:
			return "text";
		case VALUE_DATE:
			return "date";
		case VALUE_TIMESTAMP:
			return "timestamp";
		case VALUE_TIMESTAMPTZ:
			return "timestamptz";
		case VALUE_UUID:
			return "uuid";
	}
	return "an unknown type";
}

/*
 * cdp_value_decode makes a value of the type from bytes, which are checked.
 *
 * It is an error where the state holds values of another class, or one that the
 * type has no room for.
 */
Datum
cdp_value_decode(FunctionCallInfo fcinfo, const ValueType *type, char tag, const char *data, Size length)
{
	const char *problem;
	int64		integer = 0;
	double		number;
	Datum		result = (Datum) 0;

	if (tag != (char) type->tag)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("state holds values of type %s, not %s", tag_name(tag), format_type_be(type->type)),
				 errhint("Ask for the type that the values had, as with NULL::%s.", tag_name(tag))));
	problem = cdp_value_check(tag, data, length);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid state of an aggregate: %s", problem)));
	if (length == 8)
		integer = (int64) (get_integer(data) ^ SIGN_BIT);

	switch (type->tag)
	{
		case VALUE_BOOLEAN:
			result = BoolGetDatum(data[0] != 0);
			break;

		case VALUE_INTEGER:
			if (type->base == INT8OID)
				result = Int64GetDatum(integer);
			else if (type->base == INT4OID && integer >= PG_INT32_MIN && integer <= PG_INT32_MAX)
				result = Int32GetDatum((int32) integer);
			else if (type->base == INT2OID && integer >= PG_INT16_MIN && integer <= PG_INT16_MAX)
				result = Int16GetDatum((int16) integer);
			else
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("value %lld is out of range for type %s", (long long) integer, format_type_be(type->type)),
						 errhint("Ask for NULL::bigint.")));
			break;

		case VALUE_FLOAT:
			number = bits_to_float(get_integer(data));
			if (type->base == FLOAT4OID)
				result = DirectFunctionCall1(dtof, Float8GetDatum(number));
			else
				result = Float8GetDatum(number);
			break;

		case VALUE_NUMERIC:
			result = receive_numeric(data, length);
			break;

		case VALUE_TEXT:
			result = PointerGetDatum(cstring_to_text_with_len(data, (int) length));
			break;

		case VALUE_DATE:
			result = DateADTGetDatum((DateADT) integer);
			break;

		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			result = TimestampGetDatum(integer);
			break;

		case VALUE_UUID:
		{
			pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

			memcpy(uuid->data, data, UUID_LEN);
			result = UUIDPGetDatum(uuid);
			break;
		}
	}
	if (type->type != type->base)
		domain_check(result, false, type->type, NULL, NULL);
	return result;
}

/*
 * cdp_value_compare orders values of one class as their type does, text by its
 * bytes.  Equal numbers with another number of digits differ.
 */
int
cdp_value_compare(char tag, const char *a, Size a_length, const char *b, Size b_length)
{
	int			order = 0;

	if (tag == VALUE_NUMERIC)
	{
		Datum		left = receive_numeric(a, a_length);
		Datum		right = receive_numeric(b, b_length);

		order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, left, right));
		pfree(DatumGetPointer(left));
		pfree(DatumGetPointer(right));
	}
	if (order == 0)
		order = memcmp(a, b, Min(a_length, b_length));
	if (order == 0 && a_length != b_length)
		order = a_length < b_length ? -1 : 1;
	return order;
}
