/*
 * profile_host.c
 *		What the core of cdp.profile needs of the server: memory, JSON,
 *		encodings, errors; and values of the server as values of a profile.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "profile/profile.h"
#include "profile/profile_host.h"

static void *
allocate(ProfileHost *host, size_t size)
{
	return palloc_extended(size, MCXT_ALLOC_HUGE);
}

static void
poll(ProfileHost *host)
{
	CHECK_FOR_INTERRUPTS();
}

/*
 * canonical_json lets jsonb_in read the JSON, and writes what it understood.
 */
static bool
canonical_json(ProfileHost *host, const char *json, size_t length,
			   const char **canonical, size_t *canonical_length)
{
	ProfileServerHost *server_host = (ProfileServerHost *) host;
	struct Node *escontext = server_host->escontext;
	Datum		jsonb;
	ProfileValue value;

	host->status = PROFILE_HOST_FAILED;
	if (!cdp_input_call(jsonb_in, pnstrdup(json, length), escontext, &jsonb))
		return false;
	/* What is wrong from here on is no matter of the input, and raised. */
	host->status = PROFILE_OK;
	server_host->escontext = NULL;
	cdp_profile_pack_jsonb(host, jsonb, &value);
	server_host->escontext = escontext;
	if (value.type != PROFILE_JSONB)
		return profile_fail(host, PROFILE_INVALID_BINARY, "a jsonb is neither an array nor an object", 0);
	*canonical = value.bytes;
	*canonical_length = value.length;
	return true;
}

static size_t
encode_character(ProfileHost *host, uint32_t character, char *output)
{
	unsigned char encoded[MAX_UNICODE_EQUIVALENT_STRING + 1];
	size_t		length;

	if (!cdp_unicode_to_server((pg_wchar) character, encoded))
		return 0;
	length = strlen((char *) encoded);
	memcpy(output, encoded, length);
	return length;
}

/*
 * receive_text takes a text from the encoding of the client, and raises an error
 * for one that is invalid there.
 */
static bool
receive_text(ProfileHost *host, const char *input, size_t length,
			 const char **text, size_t *text_length)
{
	char	   *converted;

	if (length > INT_MAX)
		return profile_fail(host, PROFILE_TOO_LARGE, NULL, 0);
	converted = pg_client_to_server(input, (int) length);
	*text = converted;
	*text_length = converted == input ? length : strlen(converted);
	return true;
}

static size_t
write_double(double number, char *output)
{
	return (size_t) double_to_shortest_decimal_bufn(number, output);
}

static size_t
count_characters(ProfileHost *host, const char *input, size_t length)
{
	return (size_t) pg_mbstrlen_with_len(input, (int) length);
}

/*
 * cdp_profile_host_init prepares a host whose errors are raised.
 */
void
cdp_profile_host_init(ProfileServerHost *host)
{
	*host = (ProfileServerHost){
		.host = {
			.allocate = allocate,
			.poll = poll,
			.canonical_json = canonical_json,
			.encode_character = encode_character,
			.receive_text = receive_text,
			.write_double = write_double,
			.count_characters = count_characters,
		},
	};
}

/*
 * cdp_profile_host_error raises what the core noted, or notes it in the host's
 * escontext.  "input" is the text that was parsed, or NULL.
 */
void
cdp_profile_host_error(ProfileServerHost *server_host, const char *type_name,
					   const char *input, size_t length)
{
	const ProfileHost *host = &server_host->host;

	switch (host->status)
	{
		case PROFILE_HOST_FAILED:
			break;
		case PROFILE_SYNTAX:
		case PROFILE_OUT_OF_RANGE:
		{
			int			code = host->status == PROFILE_SYNTAX ? ERRCODE_INVALID_TEXT_REPRESENTATION : ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;

			if (input != NULL)
				cdp_errsave(server_host->escontext,
							(errcode(code),
							 host->status == PROFILE_SYNTAX ? errmsg("invalid input syntax for type %s", type_name) : errmsg("value out of range for type %s", type_name),
							 errdetail("At character %d %s.",
									   pg_mbstrlen_with_len(input, (int) Min(host->position, length)) + 1,
									   host->problem)));
			else
				cdp_errsave(server_host->escontext,
							(errcode(code),
							 errmsg("value out of range for type %s", type_name),
							 errdetail("Within it %s.", host->problem)));
			break;
		}
		case PROFILE_INVALID_BINARY:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid binary form of type %s", type_name),
					 errdetail("Within it %s.", host->problem)));
			break;
		case PROFILE_CORRUPT:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("corrupt value of type %s", type_name),
					 errdetail("Of the stored bytes, %s.", host->problem)));
			break;
		case PROFILE_TOO_LARGE:
			cdp_errsave(server_host->escontext,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("value of type %s would pass 1 GB", type_name)));
			break;
		case PROFILE_OK:
		case PROFILE_OUT_OF_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
			break;
	}
}

/*
 * cdp_profile_fail raises what the core noted about a profile.
 */
void
cdp_profile_fail(ProfileServerHost *host)
{
	Assert(host->escontext == NULL);
	cdp_profile_host_error(host, "cdp.profile", NULL, 0);
	pg_unreachable();
}

/*
 * cdp_profile_from_builder packs what is in a builder.
 */
Profile *
cdp_profile_from_builder(ProfileBuilder *builder)
{
	Profile	   *profile;
	size_t		size;

	if (!profile_builder_finish(builder))
		cdp_profile_fail((ProfileServerHost *) builder->host);
	size = profile_builder_size(builder);
	profile = palloc(size + VARHDRSZ);
	SET_VARSIZE(profile, size + VARHDRSZ);
	profile_builder_write(builder, VARDATA(profile));
	return profile;
}

/*
 * cdp_profile_open begins to read a profile.
 */
void
cdp_profile_open(ProfileServerHost *host, ProfileReader *reader, const Profile *profile)
{
	if (!profile_open(&host->host, reader, VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile)))
		cdp_profile_fail(host);
}

/*
 * cdp_profile_buffer_to_text makes a text of what was written.
 */
text *
cdp_profile_buffer_to_text(const ProfileBuffer *buffer)
{
	return cstring_to_text_with_len(buffer->data, (int) buffer->length);
}

/*
 * cdp_profile_pack_numeric makes a value of a numeric; if as_integer, a bigint
 * of one that has no digits after the point and is in its range.
 */
void
cdp_profile_pack_numeric(ProfileHost *host, Datum numeric, bool as_integer, ProfileValue *value)
{
	bytea	   *wire = DatumGetByteaPP(DirectFunctionCall1(numeric_send, numeric));
	unsigned	scale;
	int64		integer;

	if (!profile_pack_wire_decimal(host, VARDATA_ANY(wire), VARSIZE_ANY_EXHDR(wire), value, &scale))
		cdp_profile_fail((ProfileServerHost *) host);
	if (as_integer && scale == 0 && profile_decimal_to_integer(value, &integer))
		cdp_profile_pack_integer(host, PROFILE_BIGINT, integer, value);
}

void
cdp_profile_pack_integer(ProfileHost *host, ProfileType type, int64 number, ProfileValue *value)
{
	char	   *bytes = palloc(8);

	*value = (ProfileValue){type, (uint32_t) profile_pack_integer(number, bytes), bytes};
}

void
cdp_profile_pack_double(ProfileHost *host, double number, ProfileValue *value)
{
	char	   *bytes = palloc(8);

	profile_pack_double(number, bytes);
	*value = (ProfileValue){PROFILE_FLOAT8, 8, bytes};
}

/*
 * cdp_profile_pack_float4 makes a float8 of a float4: the one that has the same
 * shortest decimal, so that 0.1 stays 0.1.
 */
void
cdp_profile_pack_float4(ProfileHost *host, float4 number, ProfileValue *value)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	if (isnan(number) || isinf(number))
		cdp_profile_pack_double(host, number, value);
	else
	{
		float_to_shortest_decimal_buf(number, text);
		cdp_profile_pack_double(host, strtod(text, NULL), value);
	}
}

void
cdp_profile_pack_text(ProfileHost *host, const char *string, size_t length, ProfileValue *value)
{
	if (length > PROFILE_MAX_SIZE)
	{
		host->status = PROFILE_TOO_LARGE;
		cdp_profile_fail((ProfileServerHost *) host);
	}
	*value = (ProfileValue){PROFILE_TEXT, (uint32_t) length, string};
}

static void
append(ProfileBuffer *buffer, const char *string, size_t length)
{
	if (!profile_buffer_append(buffer, string, length))
		cdp_profile_fail((ProfileServerHost *) buffer->host);
}

/*
 * write_jsonb_scalar writes a scalar inside an array or object.
 */
static void
write_jsonb_scalar(ProfileBuffer *buffer, const JsonbValue *scalar)
{
	ProfileValue value;

	cdp_profile_pack_scalar(buffer->host, scalar, &value);
	if (!profile_write_value_json(buffer, &value))
		cdp_profile_fail((ProfileServerHost *) buffer->host);
}

/*
 * write_jsonb writes an array or object as jsonb is written, but each number in
 * its canonical scale.
 */
static void
write_jsonb(ProfileBuffer *buffer, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	scalar;
	bool		is_first = true;

	while ((token = JsonbIteratorNext(&iterator, &scalar, false)) != WJB_DONE)
	{
		bool		begins = token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT;

		if (!is_first && (begins || token == WJB_KEY || token == WJB_ELEM))
			append(buffer, ", ", 2);
		is_first = false;
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				append(buffer, "[", 1);
				is_first = true;
				break;
			case WJB_BEGIN_OBJECT:
				append(buffer, "{", 1);
				is_first = true;
				break;
			case WJB_END_ARRAY:
				append(buffer, "]", 1);
				break;
			case WJB_END_OBJECT:
				append(buffer, "}", 1);
				break;
			case WJB_KEY:
				write_jsonb_scalar(buffer, &scalar);
				append(buffer, ": ", 2);
				/* a container that is its value follows without a comma */
				is_first = true;
				break;
			case WJB_ELEM:
			case WJB_VALUE:
				write_jsonb_scalar(buffer, &scalar);
				break;
			default:
				elog(ERROR, "unexpected token of jsonb");
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * cdp_profile_pack_scalar makes a value of what an iterator over jsonb gives,
 * containers included.
 */
void
cdp_profile_pack_scalar(ProfileHost *host, const JsonbValue *scalar, ProfileValue *value)
{
	ProfileBuffer buffer = {.host = host};

	switch (scalar->type)
	{
		case jbvNull:
			*value = (ProfileValue){PROFILE_NULL, 0, ""};
			break;
		case jbvBool:
			*value = (ProfileValue){PROFILE_BOOLEAN, 1, scalar->val.boolean ? "\001" : "\000"};
			break;
		case jbvNumeric:
			cdp_profile_pack_numeric(host, NumericGetDatum(scalar->val.numeric), true, value);
			break;
		case jbvString:
			cdp_profile_pack_text(host, scalar->val.string.val, (size_t) scalar->val.string.len, value);
			break;
		case jbvBinary:
			write_jsonb(&buffer, scalar->val.binary.data);
			*value = (ProfileValue){PROFILE_JSONB, (uint32_t) buffer.length, buffer.data};
			break;
		default:
			elog(ERROR, "unexpected kind of jsonb");
	}
}

/*
 * cdp_profile_pack_jsonb makes a value of a jsonb: of a scalar, a value of the
 * type that it has in SQL.
 */
void
cdp_profile_pack_jsonb(ProfileHost *host, Datum datum, ProfileValue *value)
{
	Jsonb	   *jsonb = DatumGetJsonbP(datum);
	JsonbValue	scalar;

	if (!JsonbExtractScalar(&jsonb->root, &scalar))
	{
		scalar.type = jbvBinary;
		scalar.val.binary.data = &jsonb->root;
		scalar.val.binary.len = (int) (VARSIZE(jsonb) - VARHDRSZ);
	}
	cdp_profile_pack_scalar(host, &scalar, value);
}

/*
 * cdp_profile_value_to_numeric gives a number of any type as numeric; of a
 * float8, its shortest decimal.
 */
Datum
cdp_profile_value_to_numeric(ProfileHost *host, const ProfileValue *value)
{
	StringInfoData wire;
	size_t		size;
	char		text[PROFILE_DOUBLE_LENGTH + 1];
	double		number;

	if (value->type == PROFILE_BIGINT)
		return NumericGetDatum(int64_to_numeric(profile_unpack_integer(value)));
	if (value->type == PROFILE_FLOAT8)
	{
		number = profile_unpack_double(value);
		if (isnan(number) || isinf(number))
			return DirectFunctionCall1(float8_numeric, Float8GetDatum(number));
		text[write_double(number, text)] = '\0';
		return DirectFunctionCall3(numeric_in, CStringGetDatum(text),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	}
	Assert(value->type == PROFILE_NUMERIC);
	size = profile_wire_decimal_size(value);
	wire.data = palloc(size + 1);
	wire.len = (int) size;
	wire.maxlen = (int) size + 1;
	wire.cursor = 0;
	profile_write_wire_decimal(value, wire.data);
	return DirectFunctionCall3(numeric_recv, PointerGetDatum(&wire),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/*
 * cdp_profile_value_to_jsonb_value makes a scalar of jsonb of a value that is
 * not an array or object.
 */
void
cdp_profile_value_to_jsonb_value(ProfileHost *host, const ProfileValue *value, JsonbValue *scalar)
{
	ProfileBuffer buffer = {.host = host};
	double		number;

	switch (value->type)
	{
		case PROFILE_NULL:
			scalar->type = jbvNull;
			return;
		case PROFILE_BOOLEAN:
			scalar->type = jbvBool;
			scalar->val.boolean = value->bytes[0] != 0;
			return;
		case PROFILE_FLOAT8:
			number = profile_unpack_double(value);
			if (isnan(number) || isinf(number))
				break;
			scalar->type = jbvNumeric;
			scalar->val.numeric = DatumGetNumeric(cdp_profile_value_to_numeric(host, value));
			return;
		case PROFILE_NUMERIC:
			if (!profile_is_finite_decimal(value))
				break;
			scalar->type = jbvNumeric;
			scalar->val.numeric = DatumGetNumeric(cdp_profile_value_to_numeric(host, value));
			return;
		case PROFILE_BIGINT:
			scalar->type = jbvNumeric;
			scalar->val.numeric = DatumGetNumeric(cdp_profile_value_to_numeric(host, value));
			return;
		case PROFILE_TEXT:
			scalar->type = jbvString;
			scalar->val.string.val = unconstify(char *, value->bytes);
			scalar->val.string.len = (int) value->length;
			return;
		default:
			break;
	}
	if (!profile_write_value_text(&buffer, value))
		cdp_profile_fail((ProfileServerHost *) host);
	scalar->type = jbvString;
	scalar->val.string.val = buffer.data;
	scalar->val.string.len = (int) buffer.length;
}

/*
 * cdp_profile_value_to_jsonb gives a value as jsonb, NULL as JSON's null.
 */
Datum
cdp_profile_value_to_jsonb(ProfileHost *host, const ProfileValue *value)
{
	JsonbValue	scalar;

	if (value->type == PROFILE_JSONB)
		return DirectFunctionCall1(jsonb_in,
								   CStringGetDatum(pnstrdup(value->bytes, value->length)));
	cdp_profile_value_to_jsonb_value(host, value, &scalar);
	return JsonbPGetDatum(JsonbValueToJsonb(&scalar));
}
