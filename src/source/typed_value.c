/*
 * typed_value.c
 *		Values of JSON brought to the type of a column.
 *
 * What is usual (text, numbers, booleans, jsonb) is converted without any
 * function that could raise an error.  For the rest the type's input function
 * reads the text of the value, in a subtransaction, since PostgreSQL 15 has no
 * other way to survive a value that the type does not take.
 *
 * A number becomes an integer only when it is one: nothing is rounded.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/resowner.h"

#include <math.h>

#include "cdp.h"
#include "source/typed_value.h"

/*
 * The time zone of that name, or an error: one that was there when it was stored
 * may be unknown to the server that reads it now.
 */
pg_tz *
typed_time_zone(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" does not exist", name),
				 errhint("The view pg_timezone_names lists the time zones.")));
	return zone;
}

/*
 * Looks the type up; what is kept lives in context.
 */
void
typed_target_init(TypedTarget *target, Oid type, int32 typmod, MemoryContext context)
{
	Oid			input;

	target->type = type;
	target->typmod = typmod;
	target->base = getBaseType(type);
	getTypeInputInfo(type, &input, &target->input_parameter);
	fmgr_info_cxt(input, &target->input, context);
}

/* A whole number, perhaps with a fraction of zeros; what lies beyond 64 bits is none. */
static bool
parse_integer(const char *text, int64 *result)
{
	bool		negative = *text == '-';
	int64		sum = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (pg_mul_s64_overflow(sum, 10, &sum) || pg_sub_s64_overflow(sum, *text - '0', &sum))
			return false;
	if (*text == '.')
		for (text++; *text == '0'; text++)
			;
	if (*text != '\0' || (!negative && sum == PG_INT64_MIN))
		return false;
	*result = negative ? sum : -sum;
	return true;
}

/* What strtod takes and PostgreSQL would not is left out: hexadecimal, white space, overflow. */
static bool
parse_double(const char *text, double *result)
{
	char	   *end;

	if (*text == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
		return false;
	errno = 0;
	*result = strtod(text, &end);
	return *end == '\0' && end != text && !isinf(*result) && !(errno == ERANGE && *result == 0);
}

static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	}
}

/* Whether an error is the value's fault; cancelling and the like are not. */
static bool
is_about_value(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return true;
		default:
			return sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED || sqlstate == ERRCODE_INVALID_TEXT_REPRESENTATION;
	}
}

/* The input function of the type; dates without a zone are read in the given one. */
static bool
read_text(TypedTarget *target, char *text, pg_tz *time_zone, Datum *result)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	pg_tz	   *session_zone = session_timezone;
	int			session_order = DateOrder;
	volatile bool success = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		session_timezone = time_zone;
		DateOrder = DATEORDER_MDY;
		*result = InputFunctionCall(&target->input, text, target->input_parameter, target->typmod);
		session_timezone = session_zone;
		DateOrder = session_order;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		int			sqlstate = geterrcode();

		session_timezone = session_zone;
		DateOrder = session_order;
		if (!is_about_value(sqlstate))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		success = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return success;
}

static bool
is_date(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID || type == TIMEOID || type == TIMETZOID;
}

/*
 * The value as the type has it; false when it does not fit.  The value is
 * neither a JSON null nor NULL.  Result in the current memory context.
 */
bool
typed_value(TypedTarget *target, const JsonbValue *value, pg_tz *time_zone, Datum *result)
{
	bool		is_scalar = value->type != jbvBinary;
	char	   *text;
	int64		integer;
	double		number;
	bool		boolean;

	if (target->base == JSONBOID && target->type == target->base)
	{
		*result = PointerGetDatum(JsonbValueToJsonb((JsonbValue *) value));
		return true;
	}
	/* Only text and json can hold structure, arrays being what JSON does not say the elements of. */
	if (!is_scalar && target->base != TEXTOID && target->base != JSONOID)
		return false;
	text = scalar_text(value);
	if (target->type == target->base && target->typmod < 0)
	{
		switch (target->base)
		{
			case TEXTOID:
			case VARCHAROID:
				*result = CStringGetTextDatum(text);
				return true;
			case BOOLOID:
				if (value->type == jbvNumeric || !parse_bool(text, &boolean))
					return false;
				*result = BoolGetDatum(boolean);
				return true;
			case INT2OID:
			case INT4OID:
			case INT8OID:
				if (value->type == jbvBool || !parse_integer(text, &integer))
					return false;
				if (target->base == INT2OID && (integer < PG_INT16_MIN || integer > PG_INT16_MAX))
					return false;
				if (target->base == INT4OID && (integer < PG_INT32_MIN || integer > PG_INT32_MAX))
					return false;
				*result = target->base == INT2OID ? Int16GetDatum((int16) integer) : target->base == INT4OID ? Int32GetDatum((int32) integer)
																											 : Int64GetDatum(integer);
				return true;
			case FLOAT8OID:
				if (value->type == jbvBool || !parse_double(text, &number))
					return false;
				*result = Float8GetDatum(number);
				return true;
			case NUMERICOID:
				if (value->type == jbvNumeric)
				{
					*result = NumericGetDatum(value->val.numeric);
					return true;
				}
				break;
			default:
				break;
		}
	}
	/* A number is no date, although some input functions would read 20240101 as one. */
	if (value->type == jbvBool || (value->type == jbvNumeric && is_date(target->base)))
		return false;
	if (target->base == JSONOID && value->type == jbvString)
	{
		StringInfoData quoted;

		initStringInfo(&quoted);
		escape_json(&quoted, text);
		text = quoted.data;
	}
	return read_text(target, text, time_zone, result);
}
