/*
 * profile_build.c
 *		Making profiles of a record: cdp.profile_build from jsonb,
 *		cdp.profile_of from columns of any types; and cdp.record_hash.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "profile/profile.h"
#include "profile/profile_host.h"

PG_FUNCTION_INFO_V1(cdp_profile_build);
PG_FUNCTION_INFO_V1(cdp_profile_of);
PG_FUNCTION_INFO_V1(cdp_record_hash);

/* How an SQL type becomes a value of a profile. */
typedef enum Conversion
{
	CONVERT_BOOLEAN,
	CONVERT_INT2,
	CONVERT_INT4,
	CONVERT_INT8,
	CONVERT_FLOAT4,
	CONVERT_FLOAT8,
	CONVERT_NUMERIC,
	CONVERT_TEXT,
	CONVERT_BPCHAR,				/* to text without the padding */
	CONVERT_LITERAL,			/* of no type: text */
	CONVERT_TIMESTAMPTZ,
	CONVERT_JSONB,
	CONVERT_DATE,				/* to ISO 8601 text, whatever DateStyle is */
	CONVERT_OUTPUT,				/* to text by the type's output function */
	CONVERT_TO_JSONB			/* by to_jsonb() */
} Conversion;

typedef struct Converter
{
	Conversion	conversion;
	Oid			base;			/* the type, that of its domain */
	FmgrInfo	function;		/* of CONVERT_OUTPUT and CONVERT_TO_JSONB */
} Converter;

/* What cdp.profile_of keeps between calls. */
typedef struct OfState
{
	int			count;			/* of converters: arguments after the third */
	Converter	converters[FLEXIBLE_ARRAY_MEMBER];
} OfState;

/*
 * choose_converter decides how values of an SQL type are taken.
 */
static void
choose_converter(Converter *converter, Oid type, Oid base, MemoryContext context)
{
	Oid			function;
	bool		is_varlena;

	converter->base = base;
	switch (base)
	{
		case BOOLOID:
			converter->conversion = CONVERT_BOOLEAN;
			return;
		case INT2OID:
			converter->conversion = CONVERT_INT2;
			return;
		case INT4OID:
			converter->conversion = CONVERT_INT4;
			return;
		case INT8OID:
			converter->conversion = CONVERT_INT8;
			return;
		case FLOAT4OID:
			converter->conversion = CONVERT_FLOAT4;
			return;
		case FLOAT8OID:
			converter->conversion = CONVERT_FLOAT8;
			return;
		case NUMERICOID:
			converter->conversion = CONVERT_NUMERIC;
			return;
		case TEXTOID:
		case VARCHAROID:
			converter->conversion = CONVERT_TEXT;
			return;
		case BPCHAROID:
			converter->conversion = CONVERT_BPCHAR;
			return;
		case UNKNOWNOID:
			converter->conversion = CONVERT_LITERAL;
			return;
		case TIMESTAMPTZOID:
			converter->conversion = CONVERT_TIMESTAMPTZ;
			return;
		case JSONBOID:
			converter->conversion = CONVERT_JSONB;
			return;
		case DATEOID:
		case TIMESTAMPOID:
			converter->conversion = CONVERT_DATE;
			return;
		case JSONOID:
		case RECORDOID:
		case RECORDARRAYOID:
			converter->conversion = CONVERT_TO_JSONB;
			break;
		default:
			converter->conversion =
				OidIsValid(get_element_type(base)) || get_typtype(base) == TYPTYPE_COMPOSITE ? CONVERT_TO_JSONB : CONVERT_OUTPUT;
	}
	if (converter->conversion == CONVERT_OUTPUT)
	{
		getTypeOutputInfo(base, &function, &is_varlena);
		fmgr_info_cxt(function, &converter->function, context);
	}
	else
	{
		/* to_jsonb(anyelement) asks its expression for the type */
		MemoryContext old = MemoryContextSwitchTo(context);
		Node	   *argument = (Node *) makeNullConst(type, -1, InvalidOid);

		fmgr_info_cxt(F_TO_JSONB, &converter->function, context);
		fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
												 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
						   &converter->function);
		MemoryContextSwitchTo(old);
	}
}

/*
 * convert makes a value of a datum.  It refers to the datum where it can.
 */
static void
convert(ProfileHost *host, Converter *converter, Datum datum, ProfileValue *value)
{
	char		buffer[MAXDATELEN + 1];
	text	   *string;
	char	   *output;

	switch (converter->conversion)
	{
		case CONVERT_BOOLEAN:
			*value = (ProfileValue){PROFILE_BOOLEAN, 1, DatumGetBool(datum) ? "\001" : "\000"};
			break;
		case CONVERT_INT2:
			cdp_profile_pack_integer(host, PROFILE_BIGINT, DatumGetInt16(datum), value);
			break;
		case CONVERT_INT4:
			cdp_profile_pack_integer(host, PROFILE_BIGINT, DatumGetInt32(datum), value);
			break;
		case CONVERT_INT8:
			cdp_profile_pack_integer(host, PROFILE_BIGINT, DatumGetInt64(datum), value);
			break;
		case CONVERT_FLOAT4:
			cdp_profile_pack_float4(host, DatumGetFloat4(datum), value);
			break;
		case CONVERT_FLOAT8:
			cdp_profile_pack_double(host, DatumGetFloat8(datum), value);
			break;
		case CONVERT_NUMERIC:
			cdp_profile_pack_numeric(host, datum, false, value);
			break;
		case CONVERT_TEXT:
			string = DatumGetTextPP(datum);
			cdp_profile_pack_text(host, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string), value);
			break;
		case CONVERT_BPCHAR:
			string = DatumGetBpCharPP(datum);
			cdp_profile_pack_text(host, VARDATA_ANY(string),
								  (size_t) bpchartruelen(VARDATA_ANY(string), (int) VARSIZE_ANY_EXHDR(string)),
								  value);
			break;
		case CONVERT_LITERAL:
			output = DatumGetCString(datum);
			cdp_profile_pack_text(host, output, strlen(output), value);
			break;
		case CONVERT_TIMESTAMPTZ:
			cdp_profile_pack_integer(host, PROFILE_TIMESTAMPTZ, DatumGetTimestampTz(datum), value);
			break;
		case CONVERT_JSONB:
			cdp_profile_pack_jsonb(host, datum, value);
			break;
		case CONVERT_DATE:
			output = pstrdup(JsonEncodeDateTime(buffer, datum, converter->base, NULL));
			cdp_profile_pack_text(host, output, strlen(output), value);
			break;
		case CONVERT_OUTPUT:
			output = OutputFunctionCall(&converter->function, datum);
			cdp_profile_pack_text(host, output, strlen(output), value);
			break;
		case CONVERT_TO_JSONB:
			cdp_profile_pack_jsonb(host, FunctionCall1(&converter->function, datum), value);
			break;
	}
}

/*
 * record_origin takes the source, the time and the record of a call, of which
 * none may be NULL.
 */
static void
record_origin(FunctionCallInfo fcinfo, ProfileBuilder *builder, int record_argument,
			  uint32_t *origin, int64 *observed_at)
{
	text	   *source;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(record_argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "source" : PG_ARGISNULL(1) ? "observed_at"
																	 : "record"),
				 PG_ARGISNULL(1) && !PG_ARGISNULL(0) ? errhint("A value without a time is given as observed at '-infinity'.") : 0));
	source = PG_GETARG_TEXT_PP(0);
	*observed_at = PG_GETARG_TIMESTAMPTZ(1);
	if (!profile_builder_origin(builder, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source),
								PG_GETARG_INT64(record_argument), origin))
		cdp_profile_fail((ProfileServerHost *) builder->host);
}

/*
 * cdp.profile_build(source text, observed_at timestamptz, traits jsonb, record bigint)
 * returns cdp.profile
 *
 * What a record says: one candidate for each key of an object.  NULL for
 * traits that are NULL; an error for any other argument that is.
 */
Datum
cdp_profile_build(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileBuilder builder;
	uint32_t	origin;
	int64		observed_at;
	Jsonb	   *traits;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	scalar;
	char	   *trait = NULL;
	size_t		trait_length = 0;

	cdp_profile_host_init(&host);
	profile_builder_init(&builder, &host.host);
	record_origin(fcinfo, &builder, 3, &origin, &observed_at);
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	traits = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_OBJECT(traits))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("traits must be a JSON object"),
				 errhint("Use for example jsonb_build_object('country', 'US').")));
	if (!profile_builder_reserve(&builder, JB_ROOT_COUNT(traits)))
		cdp_profile_fail(&host);

	iterator = JsonbIteratorInit(&traits->root);
	while ((token = JsonbIteratorNext(&iterator, &scalar, true)) != WJB_DONE)
	{
		ProfileValue value;

		if (token == WJB_KEY)
		{
			trait = scalar.val.string.val;
			trait_length = (size_t) scalar.val.string.len;
		}
		else if (token == WJB_VALUE)
		{
			cdp_profile_pack_scalar(&host.host, &scalar, &value);
			if (!profile_builder_add(&builder, trait, trait_length, origin, observed_at, &value))
				cdp_profile_fail(&host);
		}
	}
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * of_state gives what cdp.profile_of knows of its arguments, of which there are
 * so many after the third.
 */
static OfState *
of_state(FunctionCallInfo fcinfo, int count, const Oid *types)
{
	OfState	   *state = (OfState *) fcinfo->flinfo->fn_extra;

	/* Their types do not change between calls, but an array's length does. */
	if (state != NULL && state->count >= count)
		return state;
	state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
								   add_size(offsetof(OfState, converters),
											mul_size(sizeof(Converter), count)));
	for (int i = 0; i < count; i++)
	{
		Oid			type = types != NULL ? types[i] : get_fn_expr_argtype(fcinfo->flinfo, i + 3);
		Oid			base;

		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("could not determine the type of argument %d", i + 4)));
		base = getBaseType(type);
		if (i % 2 == 0 && base != TEXTOID && base != VARCHAROID && base != NAMEOID && base != UNKNOWNOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the name of a trait is of type %s and not of type text",
							format_type_be(type)),
					 errhint("Names and values alternate, beginning with a name.")));
		choose_converter(&state->converters[i], type, base, fcinfo->flinfo->fn_mcxt);
	}
	state->count = count;
	fcinfo->flinfo->fn_extra = state;
	return state;
}

/*
 * cdp.profile_of(source text, observed_at timestamptz, record bigint, VARIADIC "any")
 * returns cdp.profile
 *
 * What a record says: names of traits and their values, alternating.  A value
 * may be NULL, all else may not.
 */
Datum
cdp_profile_of(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileBuilder builder;
	uint32_t	origin;
	int64		observed_at;
	OfState	   *state;
	bool		is_array = get_fn_expr_variadic(fcinfo->flinfo);
	Datum	   *values = NULL;
	bool	   *nulls = NULL;
	Oid		   *types = NULL;
	int			count = PG_NARGS() - 3;

	cdp_profile_host_init(&host);
	profile_builder_init(&builder, &host.host);
	record_origin(fcinfo, &builder, 2, &origin, &observed_at);
	if (is_array)
	{
		count = extract_variadic_args(fcinfo, 3, false, &values, &types, &nulls);
		if (count < 0)
			PG_RETURN_NULL();
	}
	if (count % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the last trait has no value"),
				 errhint("Names and values alternate, beginning with a name.")));
	state = of_state(fcinfo, count, types);
	if (!profile_builder_reserve(&builder, (size_t) count / 2))
		cdp_profile_fail(&host);
	for (int i = 0; i < count; i += 2)
	{
		ProfileValue name;
		ProfileValue value = {PROFILE_NULL, 0, ""};

		if (is_array ? nulls[i] : PG_ARGISNULL(i + 3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the name of a trait must not be null")));
		convert(&host.host, &state->converters[i],
				is_array ? values[i] : PG_GETARG_DATUM(i + 3), &name);
		if (!(is_array ? nulls[i + 1] : PG_ARGISNULL(i + 4)))
			convert(&host.host, &state->converters[i + 1],
					is_array ? values[i + 1] : PG_GETARG_DATUM(i + 4), &value);
		if (!profile_builder_add(&builder, name.bytes, name.length, origin, observed_at, &value))
			cdp_profile_fail(&host);
	}
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * cdp.record_hash(record_key text) returns bigint
 *
 * XXH64 of the key in UTF-8, which is the same in every database and release.
 */
Datum
cdp_record_hash(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);
	int			length = (int) VARSIZE_ANY_EXHDR(key);
	char	   *utf8 = pg_server_to_any(VARDATA_ANY(key), length, PG_UTF8);

	if (utf8 != VARDATA_ANY(key))
		length = (int) strlen(utf8);
	PG_RETURN_INT64((int64) profile_hash(utf8, (size_t) length, 0));
}
