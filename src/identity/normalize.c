/*
 * normalize.c
 *		The normalisers in the server: SQL functions, the interface for the
 *		identity graph, and the way between the server encoding and UTF-8.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "identity/normalize.h"
#include "identity/normalize_internal.h"

PG_FUNCTION_INFO_V1(cdp_normalize_email);
PG_FUNCTION_INFO_V1(cdp_normalize_phone);
PG_FUNCTION_INFO_V1(cdp_normalize_uuid);
PG_FUNCTION_INFO_V1(cdp_normalize_digits);
PG_FUNCTION_INFO_V1(cdp_normalize_lower);
PG_FUNCTION_INFO_V1(cdp_normalize_exact);

/*
 * The rules of a normaliser, as they are stored beside the values it made.
 * Count it up with every change that makes a difference to a stored value.
 */
static const struct
{
	const char *name;
	int			version;
}			normalizers[] =
	{
		[NORMALIZER_EXACT] = {"exact", 1},
		[NORMALIZER_LOWER] = {"lower", 1},
		[NORMALIZER_DIGITS] = {"digits", 1},
		[NORMALIZER_UUID] = {"uuid", 1},
		[NORMALIZER_EMAIL] = {"email", 1},
		[NORMALIZER_PHONE] = {"phone", 1},
};

/*
 * cdp_normalizer_from_name finds a normaliser by its name in SQL, and returns
 * false where there is none.
 */
bool
cdp_normalizer_from_name(const char *name, NormalizerKind *kind)
{
	for (size_t i = 0; i < lengthof(normalizers); i++)
	{
		if (strcmp(name, normalizers[i].name) == 0)
		{
			*kind = (NormalizerKind) i;
			return true;
		}
	}
	return false;
}

/*
 * cdp_normalizer_version returns what is stored as the version of a
 * normaliser, in memory of the caller's context.
 *
 * The one for phones names libphonenumber and its metadata, and so loads it;
 * without that library it names only the rules.
 */
const char *
cdp_normalizer_version(NormalizerKind kind)
{
	if (kind == NORMALIZER_PHONE)
	{
		const char *library = normalize_phone_version();

		if (library != NULL)
			return psprintf("%s %d libphonenumber %s", normalizers[kind].name,
							normalizers[kind].version, library);
	}
	return psprintf("%s %d", normalizers[kind].name, normalizers[kind].version);
}

/*
 * cdp_normalizer_check_region raises an error for a region that the phone
 * normaliser does not know.
 */
void
cdp_normalizer_check_region(const char *region)
{
	normalize_phone_check_region(region);
}

/*
 * reserve_in_string_info makes room in the StringInfo behind a buffer.
 */
static bool
reserve_in_string_info(NormalizeBuffer *buffer, size_t additional)
{
	StringInfo	string = (StringInfo) buffer->owner;

	CHECK_FOR_INTERRUPTS();
	if (additional > MaxAllocSize)
		return false;
	string->len = (int) buffer->length;
	enlargeStringInfo(string, (int) additional);
	buffer->data = string->data;
	buffer->capacity = (size_t) string->maxlen - 1;
	return true;
}

/*
 * convert_text converts between the server encoding and UTF-8, and returns
 * false where some character has no counterpart or there is no conversion.
 */
static bool
convert_text(const char *input, size_t length, int from, int to,
			 char **output, size_t *output_length)
{
	Oid			conversion = FindDefaultConversionProc(from, to);
	size_t		room = length * MAX_CONVERSION_GROWTH + 1;
	char	   *result;
	int			converted;

	if (!OidIsValid(conversion) || room > PG_INT32_MAX)
		return false;
	result = MemoryContextAllocHuge(CurrentMemoryContext, room);
	converted = pg_do_encoding_conversion_buf(conversion, from, to,
											  (unsigned char *) unconstify(char *, input),
											  (int) length,
											  (unsigned char *) result,
											  (int) room, true);
	if (converted != (int) length)
	{
		pfree(result);
		return false;
	}
	*output = result;
	*output_length = strlen(result);
	return true;
}

/*
 * run_normalizer calls the rules of a normaliser.
 */
static NormalizeStatus
run_normalizer(const Normalizer *normalizer, const char *input, size_t length,
			   NormalizeEncoding encoding, NormalizeBuffer *output)
{
	switch (normalizer->kind)
	{
		case NORMALIZER_EXACT:
			return normalize_exact(input, length, encoding, output);
		case NORMALIZER_LOWER:
			return normalize_lower(input, length, encoding, output);
		case NORMALIZER_DIGITS:
			return normalize_digits(input, length, encoding, output);
		case NORMALIZER_UUID:
			return normalize_uuid(input, length, encoding, output);
		case NORMALIZER_EMAIL:
			return normalize_email(input, length, encoding,
								   normalizer->provider_rules, output);
		case NORMALIZER_PHONE:
			/* libphonenumber is not given what is not UTF-8 */
			if (encoding == NORMALIZE_UTF8 && !normalize_is_utf8(input, length))
				return NORMALIZE_INVALID;
			if (encoding == NORMALIZE_OPAQUE && !normalize_is_ascii(input, length))
				return NORMALIZE_INVALID;
			return normalize_phone(input, length, normalizer->default_region,
								   output);
	}
	elog(ERROR, "unrecognized normalizer: %d", (int) normalizer->kind);
	return NORMALIZE_INVALID;	/* keep compiler quiet */
}

/*
 * cdp_normalize replaces the content of "output" by the normalised value, and
 * returns false, with nothing in it, where the input is no value of that kind.
 *
 * The input is in the server encoding and need not be terminated.  Errors: out
 * of memory; for phones also an unknown region or a missing library.
 *
 * The rules work on UTF-8.  In a database of another encoding, text outside
 * ASCII is converted and the result converted back; where either is not
 * possible, bytes above 127 are opaque (see docs/identity.md).  SQL_ASCII says
 * nothing about its bytes; they are UTF-8 where they look like it.
 */
bool
cdp_normalize(const Normalizer *normalizer, const char *input, size_t length,
			  StringInfo output)
{
	int			server_encoding = GetDatabaseEncoding();
	bool		must_convert;
	char	   *converted = NULL;
	const char *source = input;
	size_t		source_length = length;
	NormalizeEncoding encoding = NORMALIZE_UTF8;
	NormalizeBuffer buffer;
	NormalizeStatus status;

	resetStringInfo(output);
	buffer.data = output->data;
	buffer.length = 0;
	buffer.capacity = (size_t) output->maxlen - 1;
	buffer.reserve = reserve_in_string_info;
	buffer.owner = output;

	must_convert = server_encoding != PG_UTF8 &&
		server_encoding != PG_SQL_ASCII && !normalize_is_ascii(input, length);
	if (must_convert)
	{
		if (convert_text(input, length, server_encoding, PG_UTF8, &converted,
						 &source_length))
			source = converted;
		else
		{
			encoding = NORMALIZE_OPAQUE;
			must_convert = false;
		}
	}

	status = run_normalizer(normalizer, source, source_length, encoding,
							&buffer);

	if (status == NORMALIZE_OK && must_convert &&
		!normalize_is_ascii(buffer.data, buffer.length))
	{
		char	   *back;
		size_t		back_length;

		if (convert_text(buffer.data, buffer.length, PG_UTF8, server_encoding,
						 &back, &back_length))
		{
			/* no longer than the UTF-8, for no server encoding is */
			buffer.length = 0;
			if (!normalize_reserve(&buffer, back_length))
				status = NORMALIZE_OUT_OF_MEMORY;
			else
			{
				memcpy(buffer.data, back, back_length);
				buffer.length = back_length;
			}
			pfree(back);
		}
		else
		{
			buffer.length = 0;
			status = run_normalizer(normalizer, input, length,
									NORMALIZE_OPAQUE, &buffer);
		}
	}
	if (converted != NULL)
		pfree(converted);

	if (status == NORMALIZE_OUT_OF_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while normalizing a value of %zu bytes.",
						   length)));
	output->len = status == NORMALIZE_OK ? (int) buffer.length : 0;
	output->data[output->len] = '\0';
	return status == NORMALIZE_OK;
}

/*
 * normalized_text is the body of the SQL functions for which speed is no
 * concern beyond the ordinary.
 */
static Datum
normalized_text(FunctionCallInfo fcinfo, const Normalizer *normalizer)
{
	text	   *input = PG_GETARG_TEXT_PP(0);
	StringInfoData output;
	text	   *result;

	initStringInfo(&output);
	if (!cdp_normalize(normalizer, VARDATA_ANY(input),
					   VARSIZE_ANY_EXHDR(input), &output))
	{
		pfree(output.data);
		PG_RETURN_NULL();
	}
	result = cstring_to_text_with_len(output.data, output.len);
	pfree(output.data);
	PG_RETURN_TEXT_P(result);
}

/* For a buffer that has all the room there can be need of */
static bool
no_more_room(NormalizeBuffer *buffer, size_t additional)
{
	return false;
}

/*
 * normalized_short_text is the same for the normalisers of which the result
 * has a bounded length, without the detour over a StringInfo: for addresses
 * this is twice as fast.
 *
 * ASCII means the same in every encoding; what would have to be converted
 * takes the detour.
 */
static Datum
normalized_short_text(FunctionCallInfo fcinfo, const Normalizer *normalizer)
{
	text	   *input = PG_GETARG_TEXT_PP(0);
	const char *data = VARDATA_ANY(input);
	size_t		length = VARSIZE_ANY_EXHDR(input);
	int			encoding = GetDatabaseEncoding();
	char		room[Max(NORMALIZE_EMAIL_LENGTH, NORMALIZE_UUID_LENGTH)];
	NormalizeBuffer buffer = {room, 0, sizeof(room), no_more_room, NULL};

	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII &&
		!normalize_is_ascii(data, length))
		return normalized_text(fcinfo, normalizer);

	switch (run_normalizer(normalizer, data, length, NORMALIZE_UTF8, &buffer))
	{
		case NORMALIZE_OK:
			PG_RETURN_TEXT_P(cstring_to_text_with_len(room,
													  (int) buffer.length));
		case NORMALIZE_INVALID:
			break;
		case NORMALIZE_OUT_OF_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
	}
	PG_RETURN_NULL();
}

/*
 * cdp.normalize_email(text) returns text
 * cdp.normalize_email(text, provider_rules boolean) returns text
 *
 * The normalised address, NULL for NULL and for what is not an address.
 */
Datum
cdp_normalize_email(PG_FUNCTION_ARGS)
{
	Normalizer	normalizer = {.kind = NORMALIZER_EMAIL};

	normalizer.provider_rules = PG_NARGS() > 1 && PG_GETARG_BOOL(1);
	return normalized_short_text(fcinfo, &normalizer);
}

/*
 * cdp.normalize_phone(text, default_region text) returns text
 *
 * The number in E.164 form, NULL for NULL and for what is not a valid number.
 * Errors: unknown region; module cdp_phone or libphonenumber missing.
 */
Datum
cdp_normalize_phone(PG_FUNCTION_ARGS)
{
	text	   *region = PG_GETARG_TEXT_PP(1);
	size_t		region_length = VARSIZE_ANY_EXHDR(region);
	Normalizer	normalizer = {.kind = NORMALIZER_PHONE};

	/* no region has a name that long, so this raises the error */
	if (region_length >= sizeof(normalizer.default_region))
		normalize_phone_check_region(text_to_cstring(region));
	else
		memcpy(normalizer.default_region, VARDATA_ANY(region), region_length);
	return normalized_text(fcinfo, &normalizer);
}

/*
 * cdp.normalize_uuid(text) returns text
 *
 * The UUID in its canonical spelling, NULL for NULL and for what is not one.
 */
Datum
cdp_normalize_uuid(PG_FUNCTION_ARGS)
{
	Normalizer	normalizer = {.kind = NORMALIZER_UUID};

	return normalized_short_text(fcinfo, &normalizer);
}

/*
 * cdp.normalize_digits(text) returns text
 *
 * The decimal digits, NULL for NULL and where there are none.
 */
Datum
cdp_normalize_digits(PG_FUNCTION_ARGS)
{
	Normalizer	normalizer = {.kind = NORMALIZER_DIGITS};

	return normalized_text(fcinfo, &normalizer);
}

/*
 * cdp.normalize_lower(text) returns text
 *
 * Trimmed, in lower case and composed; NULL for NULL and where nothing is
 * left.
 */
Datum
cdp_normalize_lower(PG_FUNCTION_ARGS)
{
	Normalizer	normalizer = {.kind = NORMALIZER_LOWER};

	return normalized_text(fcinfo, &normalizer);
}

/*
 * cdp.normalize_exact(text) returns text
 *
 * Trimmed; NULL for NULL and where nothing is left.
 */
Datum
cdp_normalize_exact(PG_FUNCTION_ARGS)
{
	Normalizer	normalizer = {.kind = NORMALIZER_EXACT};

	return normalized_text(fcinfo, &normalizer);
}
