/*
 * profile_io.c
 *		Input and output of cdp.profile, as text and in binary, and the cast from
 *		jsonb.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "profile/profile.h"
#include "profile/profile_host.h"

PG_FUNCTION_INFO_V1(cdp_profile_in);
PG_FUNCTION_INFO_V1(cdp_profile_out);
PG_FUNCTION_INFO_V1(cdp_profile_recv);
PG_FUNCTION_INFO_V1(cdp_profile_send);
PG_FUNCTION_INFO_V1(cdp_profile_from_jsonb);

/*
 * parse makes a profile of its text form; NULL where a soft error was noted.
 */
static Profile *
parse(const char *input, size_t length, struct Node *escontext)
{
	ProfileServerHost host;
	ProfileBuilder builder;

	cdp_profile_host_init(&host);
	host.escontext = escontext;
	profile_builder_init(&builder, &host.host);
	if (!profile_parse(&builder, input, length))
	{
		cdp_profile_host_error(&host, "cdp.profile", input, length);
		return NULL;
	}
	host.escontext = NULL;
	return cdp_profile_from_builder(&builder);
}

/*
 * cdp.profile_in(cstring) returns cdp.profile
 */
Datum
cdp_profile_in(PG_FUNCTION_ARGS)
{
	char	   *input = PG_GETARG_CSTRING(0);
	Profile	   *profile = parse(input, strlen(input), (struct Node *) fcinfo->context);

	if (profile == NULL)
		PG_RETURN_NULL();
	PG_RETURN_PROFILE(profile);
}

/*
 * cdp.profile_out(cdp.profile) returns cstring
 *
 * The same text for the same profile, whatever the settings of the session.
 */
Datum
cdp_profile_out(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	ProfileServerHost host;
	ProfileBuffer buffer;

	cdp_profile_host_init(&host);
	buffer = (ProfileBuffer){.host = &host.host};
	if (!profile_write(&buffer, VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile)) ||
		!profile_buffer_append(&buffer, "", 1))
		cdp_profile_fail(&host);
	PG_RETURN_CSTRING(buffer.data);
}

/*
 * cdp.profile_recv(internal) returns cdp.profile
 */
Datum
cdp_profile_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	ProfileServerHost host;
	ProfileBuilder builder;

	cdp_profile_host_init(&host);
	profile_builder_init(&builder, &host.host);
	if (!profile_receive(&builder, message->data + message->cursor,
						 (size_t) (message->len - message->cursor)))
		cdp_profile_fail(&host);
	message->cursor = message->len;
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * send_text writes a text in the encoding of the client.
 */
static void
send_text(StringInfo message, const char *string, size_t length)
{
	char	   *converted = pg_server_to_client(string, (int) length);

	if (converted != string)
		length = strlen(converted);
	pq_sendint32(message, (uint32) length);
	pq_sendbytes(message, converted, (int) length);
	if (converted != string)
		pfree(converted);
}

static void
send_value(StringInfo message, const ProfileValue *value)
{
	size_t		size;

	pq_sendbyte(message, (uint8) value->type);
	switch (value->type)
	{
		case PROFILE_NULL:
			pq_sendint32(message, 0);
			break;
		case PROFILE_BOOLEAN:
			pq_sendint32(message, 1);
			pq_sendbyte(message, (uint8) value->bytes[0]);
			break;
		case PROFILE_BIGINT:
		case PROFILE_TIMESTAMPTZ:
			pq_sendint32(message, 8);
			pq_sendint64(message, (uint64) profile_unpack_integer(value));
			break;
		case PROFILE_FLOAT8:
			pq_sendint32(message, 8);
			pq_sendfloat8(message, profile_unpack_double(value));
			break;
		case PROFILE_NUMERIC:
			size = profile_wire_decimal_size(value);
			pq_sendint32(message, (uint32) size);
			enlargeStringInfo(message, (int) size);
			profile_write_wire_decimal(value, message->data + message->len);
			message->len += (int) size;
			break;
		case PROFILE_TEXT:
		case PROFILE_JSONB:
			send_text(message, value->bytes, value->length);
			break;
	}
}

/*
 * cdp.profile_send(cdp.profile) returns bytea
 */
Datum
cdp_profile_send(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	ProfileServerHost host;
	ProfileReader reader;
	ProfileBlock block = {0};
	ProfileCandidate candidate;
	ProfileOrigin origin;
	StringInfoData message;
	uint32		count = 0;

	cdp_profile_host_init(&host);
	cdp_profile_open(&host, &reader, profile);
	pq_begintypsend(&message);
	pq_sendbyte(&message, PROFILE_WIRE_VERSION);
	/* Their number goes here once it is known. */
	pq_sendint32(&message, 0);
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!profile_block(&host.host, &reader, i, &block))
			cdp_profile_fail(&host);
		while (block.has_more)
		{
			if (!profile_next(&host.host, &reader, &block, &candidate) ||
				!profile_origin(&host.host, &reader, candidate.origin, &origin))
				cdp_profile_fail(&host);
			send_text(&message, candidate.trait, candidate.trait_length);
			send_text(&message, origin.source, origin.source_length);
			pq_sendint64(&message, (uint64) origin.record);
			pq_sendint64(&message, (uint64) candidate.observed_at);
			send_value(&message, &candidate.value);
			count++;
		}
	}
	count = pg_hton32(count);
	memcpy(message.data + VARHDRSZ + 1, &count, sizeof(count));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * cdp.profile_from_jsonb(jsonb) returns cdp.profile
 *
 * The cast: the jsonb is read as the text form is.
 */
Datum
cdp_profile_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jsonb = PG_GETARG_JSONB_P(0);
	StringInfoData text;

	initStringInfo(&text);
	JsonbToCString(&text, &jsonb->root, (int) VARSIZE(jsonb));
	PG_RETURN_PROFILE(parse(text.data, (size_t) text.len, NULL));
}
