/*
 * profile_read.c
 *		Reading profiles: the value of one trait, typed or not, and of all.
 *
 * Every function takes the value that wins: under "last", or under the
 * cdp.survivorship of a further argument.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_get_text);
PG_FUNCTION_INFO_V1(cdp_get_jsonb);
PG_FUNCTION_INFO_V1(cdp_get_boolean);
PG_FUNCTION_INFO_V1(cdp_get_bigint);
PG_FUNCTION_INFO_V1(cdp_get_double);
PG_FUNCTION_INFO_V1(cdp_get_numeric);
PG_FUNCTION_INFO_V1(cdp_get_timestamptz);
PG_FUNCTION_INFO_V1(cdp_profile_winner);
PG_FUNCTION_INFO_V1(cdp_profile_winners);
PG_FUNCTION_INFO_V1(cdp_profile_to_jsonb);

/*
 * cdp_profile_pick finds the value that wins for a trait.  It returns false
 * where the profile has none for it.
 */
bool
cdp_profile_pick(ProfileServerHost *host, Datum profile, const char *trait,
				 size_t length, const Survivorship *survivorship, ProfileValue *value)
{
	ProfileReader reader;
	ProfileBlock block;
	ProfileCandidate winner;
	bool		found;

	cdp_profile_open_at(host, &reader, profile, trait, length);
	if (!profile_find(&host->host, &reader, trait, length, &block, &found))
		cdp_profile_fail(host);
	if (!found)
		return false;
	if (!survivorship_pick(&host->host, &reader, block,
						   survivorship_rule(survivorship, trait, length), &winner, &found))
		cdp_profile_fail(host);
	*value = found ? winner.value : (ProfileValue){PROFILE_NULL, 0, ""};
	return true;
}

/*
 * pick_argument is the same for the arguments profile, trait, and perhaps
 * survivorship of a function.
 */
static bool
pick_argument(FunctionCallInfo fcinfo, ProfileServerHost *host, ProfileValue *value)
{
	text	   *trait = PG_GETARG_TEXT_PP(1);
	const Survivorship *survivorship = PG_NARGS() > 2 ? cdp_survivorship_argument(fcinfo, 2) : &cdp_survivorship_last;

	cdp_profile_host_init(host);
	return cdp_profile_pick(host, PG_GETARG_DATUM(0), VARDATA_ANY(trait),
							VARSIZE_ANY_EXHDR(trait), survivorship, value);
}

/*
 * not_readable raises the error that a value is not of the type that was asked
 * for.
 */
static void
pg_attribute_noreturn()
	not_readable(FunctionCallInfo fcinfo, const ProfileValue *value, const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the value of trait \"%s\" is of type %s and cannot be read as %s",
					text_to_cstring(PG_GETARG_TEXT_PP(1)), profile_type_name(value->type), type),
			 errhint("Use cdp.get_text, or the operator ->.")));
}

static void
pg_attribute_noreturn()
	not_in_range(FunctionCallInfo fcinfo, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the value of trait \"%s\" is not %s",
					text_to_cstring(PG_GETARG_TEXT_PP(1)), what)));
}

/*
 * value_cstring gives the text of a value that is not NULL, terminated.
 */
static char *
value_cstring(ProfileServerHost *host, const ProfileValue *value)
{
	ProfileBuffer buffer = {.host = &host->host};

	if (!profile_write_value_text(&buffer, value) || !profile_buffer_append(&buffer, "", 1))
		cdp_profile_fail(host);
	return buffer.data;
}

/*
 * cdp_profile_value_to_text gives the text of a value that is not NULL.
 */
text *
cdp_profile_value_to_text(ProfileServerHost *host, const ProfileValue *value)
{
	char		room[64];		/* enough for most numbers */
	ProfileBuffer buffer = {.data = room, .capacity = sizeof(room), .host = &host->host};

	if (value->type == PROFILE_TEXT || value->type == PROFILE_JSONB)
		return cstring_to_text_with_len(value->bytes, (int) value->length);
	if (!profile_write_value_text(&buffer, value))
		cdp_profile_fail(host);
	return cdp_profile_buffer_to_text(&buffer);
}

/*
 * cdp.get_text(profile, trait text [, cdp.survivorship]) returns text
 *
 * And the operator ->>.  The winner as text; NULL where there is none or it is
 * NULL.
 */
Datum
cdp_get_text(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cdp_profile_value_to_text(&host, &value));
}

/*
 * cdp.get_jsonb(profile, trait text [, cdp.survivorship]) returns jsonb
 *
 * And the operator ->.  The winner as jsonb; NULL where there is none, and the
 * null of JSON where it is NULL.
 */
Datum
cdp_get_jsonb(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;

	if (!pick_argument(fcinfo, &host, &value))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(cdp_profile_value_to_jsonb(&host.host, &value));
}

/*
 * cdp.profile_winner(profile, trait text, cdp.survivorship) returns jsonb
 *
 * As cdp.get_jsonb.
 */
Datum
cdp_profile_winner(PG_FUNCTION_ARGS)
{
	return cdp_get_jsonb(fcinfo);
}

/*
 * cdp.get_boolean(profile, trait text [, cdp.survivorship]) returns boolean
 *
 * A text is read as by a cast.
 */
Datum
cdp_get_boolean(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	if (value.type == PROFILE_BOOLEAN)
		PG_RETURN_BOOL(value.bytes[0] != 0);
	if (value.type != PROFILE_TEXT)
		not_readable(fcinfo, &value, "boolean");
	PG_RETURN_DATUM(DirectFunctionCall1(boolin, CStringGetDatum(value_cstring(&host, &value))));
}

/*
 * cdp.get_bigint(profile, trait text [, cdp.survivorship]) returns bigint
 *
 * A number must be an integer; a text is read as by a cast.
 */
Datum
cdp_get_bigint(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;
	ProfileValue decimal;
	int64		number;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	switch (value.type)
	{
		case PROFILE_BIGINT:
			PG_RETURN_INT64(profile_unpack_integer(&value));
		case PROFILE_FLOAT8:
			cdp_profile_pack_numeric(&host.host, cdp_profile_value_to_numeric(&host.host, &value),
									 false, &decimal);
			value = decimal;
			/* FALLTHROUGH */
		case PROFILE_NUMERIC:
			if (!profile_decimal_to_integer(&value, &number))
				not_in_range(fcinfo, "an integer in the range of bigint");
			PG_RETURN_INT64(number);
		case PROFILE_TEXT:
			PG_RETURN_DATUM(DirectFunctionCall1(int8in, CStringGetDatum(value_cstring(&host, &value))));
		default:
			not_readable(fcinfo, &value, "bigint");
	}
}

/*
 * cdp.get_double(profile, trait text [, cdp.survivorship]) returns double precision
 *
 * A number becomes the nearest one; a text is read as by a cast.
 */
Datum
cdp_get_double(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;
	char	   *string;
	double		number;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	switch (value.type)
	{
		case PROFILE_BIGINT:
			PG_RETURN_FLOAT8((double) profile_unpack_integer(&value));
		case PROFILE_FLOAT8:
			PG_RETURN_FLOAT8(profile_unpack_double(&value));
		case PROFILE_NUMERIC:
			string = value_cstring(&host, &value);
			if (!profile_parse_double(string, strlen(string), &number))
				not_in_range(fcinfo, "in the range of double precision");
			PG_RETURN_FLOAT8(number);
		case PROFILE_TEXT:
			PG_RETURN_DATUM(DirectFunctionCall1(float8in, CStringGetDatum(value_cstring(&host, &value))));
		default:
			not_readable(fcinfo, &value, "double precision");
	}
}

/*
 * cdp.get_numeric(profile, trait text [, cdp.survivorship]) returns numeric
 *
 * A float8 becomes its shortest decimal; a text is read as by a cast.
 */
Datum
cdp_get_numeric(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	switch (value.type)
	{
		case PROFILE_BIGINT:
		case PROFILE_FLOAT8:
		case PROFILE_NUMERIC:
			PG_RETURN_DATUM(cdp_profile_value_to_numeric(&host.host, &value));
		case PROFILE_TEXT:
			PG_RETURN_DATUM(DirectFunctionCall3(numeric_in,
												CStringGetDatum(value_cstring(&host, &value)),
												ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		default:
			not_readable(fcinfo, &value, "numeric");
	}
}

/*
 * cdp.get_timestamptz(profile, trait text [, cdp.survivorship]) returns timestamptz
 *
 * A text must be an ISO 8601 time with a time zone, so that the answer does not
 * depend on settings.
 */
Datum
cdp_get_timestamptz(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileValue value;
	int64		time;
	const char *problem;

	if (!pick_argument(fcinfo, &host, &value) || value.type == PROFILE_NULL)
		PG_RETURN_NULL();
	if (value.type == PROFILE_TIMESTAMPTZ)
		PG_RETURN_TIMESTAMPTZ(profile_unpack_integer(&value));
	if (value.type != PROFILE_TEXT)
		not_readable(fcinfo, &value, "timestamptz");
	if (!profile_parse_time(value.bytes, value.length, &time, &problem))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				 errmsg("the value of trait \"%s\" cannot be read as timestamptz",
						text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errdetail("As text, %s.", problem)));
	PG_RETURN_TIMESTAMPTZ(time);
}

/*
 * cdp_profile_winners makes an object of the winners of all traits.
 */
static Jsonb *
cdp_profile_winners_jsonb(ProfileServerHost *host, const Profile *profile,
						  const Survivorship *survivorship)
{
	ProfileReader reader;
	ProfileBlock block = {0};
	JsonbParseState *state = NULL;
	JsonbValue *result;

	cdp_profile_open(host, &reader, profile);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		ProfileCandidate winner;
		bool		found;
		JsonbValue	item;

		if (!profile_block(&host->host, &reader, i, &block) ||
			!survivorship_pick(&host->host, &reader, block,
							   survivorship_rule(survivorship, block.trait, block.trait_length),
							   &winner, &found))
			cdp_profile_fail(host);
		item.type = jbvString;
		item.val.string.val = unconstify(char *, block.trait);
		item.val.string.len = (int) block.trait_length;
		pushJsonbValue(&state, WJB_KEY, &item);
		if (!found)
			item.type = jbvNull;
		else if (winner.value.type == PROFILE_JSONB)
		{
			Jsonb	   *jsonb = DatumGetJsonbP(cdp_profile_value_to_jsonb(&host->host, &winner.value));

			item.type = jbvBinary;
			item.val.binary.data = &jsonb->root;
			item.val.binary.len = (int) (VARSIZE(jsonb) - VARHDRSZ);
		}
		else
			cdp_profile_value_to_jsonb_value(&host->host, &winner.value, &item);
		pushJsonbValue(&state, WJB_VALUE, &item);
	}
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(result);
}

/*
 * cdp.profile_to_jsonb(profile) returns jsonb
 *
 * The cast: an object with the winner of each trait.
 */
Datum
cdp_profile_to_jsonb(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;

	cdp_profile_host_init(&host);
	PG_RETURN_JSONB_P(cdp_profile_winners_jsonb(&host, PG_GETARG_PROFILE(0),
												&cdp_survivorship_last));
}

/*
 * cdp.profile_winners(profile, cdp.survivorship) returns jsonb
 */
Datum
cdp_profile_winners(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;

	cdp_profile_host_init(&host);
	PG_RETURN_JSONB_P(cdp_profile_winners_jsonb(&host, PG_GETARG_PROFILE(0),
												cdp_survivorship_argument(fcinfo, 1)));
}
