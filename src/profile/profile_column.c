/*
 * profile_column.c
 *		The value of a trait for a column of a type: what does not fit is NULL,
 *		so that one odd value does not keep everybody's profiles from being
 *		derived.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_trait_value);

static inline bool
is_number(const ProfileValue *value)
{
	return value->type == PROFILE_BIGINT || value->type == PROFILE_FLOAT8 ||
		value->type == PROFILE_NUMERIC;
}

static bool
to_bigint(ProfileServerHost *host, const ProfileValue *value, int64_t *number)
{
	ProfileValue decimal = *value;

	if (value->type == PROFILE_BIGINT)
	{
		*number = profile_unpack_integer(value);
		return true;
	}
	if (value->type == PROFILE_FLOAT8)
		cdp_profile_pack_numeric(&host->host, cdp_profile_value_to_numeric(&host->host, value), false, &decimal);
	return profile_decimal_to_integer(&decimal, number);
}

static bool
to_double(ProfileServerHost *host, const ProfileValue *value, double *number)
{
	ProfileBuffer buffer = {.host = &host->host};

	if (value->type == PROFILE_BIGINT)
		*number = (double) profile_unpack_integer(value);
	else if (value->type == PROFILE_FLOAT8)
		*number = profile_unpack_double(value);
	else
	{
		if (!profile_write_value_text(&buffer, value) || !profile_buffer_append(&buffer, "", 1))
			cdp_profile_fail(host);
		return profile_parse_double(buffer.data, buffer.length - 1, number);
	}
	return true;
}

/*
 * cdp.trait_value(profile, trait text, cdp.survivorship, type anyelement)
 *		returns anyelement
 *
 * The value that wins for a trait (survivorship NULL: the newest one), as the
 * type of the last argument, whose value does not matter: boolean, bigint,
 * double precision, numeric, text, timestamptz or jsonb.  NULL where there is
 * no value, or none that fits the type: numbers fit each other's types where
 * nothing is lost but digits of a double, ISO 8601 texts with a zone fit
 * timestamptz, and everything fits text and jsonb.  NULL profile: NULL.
 */
Datum
cdp_trait_value(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_rettype(fcinfo->flinfo);
	text	   *trait;
	ProfileServerHost host;
	ProfileValue value;
	int64_t		number;
	double		real;
	const char *problem;
	Datum		json;
	JsonbValue	scalar;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	trait = PG_GETARG_TEXT_PP(1);
	cdp_profile_host_init(&host);
	if (!cdp_profile_pick(&host, PG_GETARG_DATUM(0), VARDATA_ANY(trait), VARSIZE_ANY_EXHDR(trait),
						  PG_ARGISNULL(2) ? &cdp_survivorship_last : cdp_survivorship_argument(fcinfo, 2), &value) ||
		value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	switch (type)
	{
		case BOOLOID:
			if (value.type == PROFILE_BOOLEAN)
				PG_RETURN_BOOL(value.bytes[0] != 0);
			break;
		case INT8OID:
			if (is_number(&value) && to_bigint(&host, &value, &number))
				PG_RETURN_INT64(number);
			break;
		case FLOAT8OID:
			if (is_number(&value) && to_double(&host, &value, &real))
				PG_RETURN_FLOAT8(real);
			break;
		case NUMERICOID:
			if (is_number(&value))
				PG_RETURN_DATUM(cdp_profile_value_to_numeric(&host.host, &value));
			break;
		case TEXTOID:
			PG_RETURN_TEXT_P(cdp_profile_value_to_text(&host, &value));
		case TIMESTAMPTZOID:
			if (value.type == PROFILE_TIMESTAMPTZ)
				PG_RETURN_TIMESTAMPTZ(profile_unpack_integer(&value));
			if (value.type == PROFILE_TEXT && profile_parse_time(value.bytes, value.length, &number, &problem))
				PG_RETURN_TIMESTAMPTZ(number);
			break;
		case JSONBOID:
			json = cdp_profile_value_to_jsonb(&host.host, &value);
			/* The null of JSON says no more than NULL. */
			if (JsonbExtractScalar(&DatumGetJsonbP(json)->root, &scalar) && scalar.type == jbvNull)
				break;
			PG_RETURN_DATUM(json);
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a trait cannot be read as type %s", format_type_be(type)),
					 errhint("The types are boolean, bigint, double precision, numeric, text, timestamptz and jsonb.")));
	}
	PG_RETURN_NULL();
}
