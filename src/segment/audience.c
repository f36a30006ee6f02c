/*
 * audience.c
 *		The type cdp.audience: its text and binary forms, operators and
 *		functions.  What is done with the bytes is in the core
 *		(audience_core.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "segment/audience.h"

PG_FUNCTION_INFO_V1(cdp_audience_in);
PG_FUNCTION_INFO_V1(cdp_audience_out);
PG_FUNCTION_INFO_V1(cdp_audience_recv);
PG_FUNCTION_INFO_V1(cdp_audience_send);
PG_FUNCTION_INFO_V1(cdp_audience);
PG_FUNCTION_INFO_V1(cdp_member_array);
PG_FUNCTION_INFO_V1(cdp_members);
PG_FUNCTION_INFO_V1(cdp_cardinality);
PG_FUNCTION_INFO_V1(cdp_audience_and);
PG_FUNCTION_INFO_V1(cdp_audience_or);
PG_FUNCTION_INFO_V1(cdp_audience_minus);
PG_FUNCTION_INFO_V1(cdp_audience_xor);
PG_FUNCTION_INFO_V1(cdp_audience_contains);
PG_FUNCTION_INFO_V1(cdp_audience_contained);
PG_FUNCTION_INFO_V1(cdp_audience_has);
PG_FUNCTION_INFO_V1(cdp_audience_is_member);
PG_FUNCTION_INFO_V1(cdp_audience_overlaps);
PG_FUNCTION_INFO_V1(cdp_audience_eq);
PG_FUNCTION_INFO_V1(cdp_audience_ne);
PG_FUNCTION_INFO_V1(cdp_audience_lt);
PG_FUNCTION_INFO_V1(cdp_audience_le);
PG_FUNCTION_INFO_V1(cdp_audience_gt);
PG_FUNCTION_INFO_V1(cdp_audience_ge);
PG_FUNCTION_INFO_V1(cdp_audience_cmp);
PG_FUNCTION_INFO_V1(cdp_audience_hash);
PG_FUNCTION_INFO_V1(cdp_audience_hash_extended);

static bool
reserve_in_context(AudienceBuffer *buffer, size_t additional)
{
	size_t		needed = add_size(buffer->length, additional);
	size_t		capacity = buffer->capacity < 64 ? 64 : buffer->capacity;

	CHECK_FOR_INTERRUPTS();
	if (needed <= buffer->capacity)
		return true;
	if (needed > MaxAllocSize)
		return false;
	while (capacity < needed)
		capacity *= 2;
	if (capacity > MaxAllocSize)
		capacity = MaxAllocSize;
	if (buffer->data == NULL)
	{
		MemoryContext context = buffer->owner != NULL ? (MemoryContext) buffer->owner : CurrentMemoryContext;

		buffer->data = MemoryContextAlloc(context, capacity);
	}
	else
		buffer->data = repalloc(buffer->data, capacity);
	buffer->capacity = capacity;
	return true;
}

static void
release_in_context(AudienceBuffer *buffer)
{
	pfree(buffer->data);
}

static void
poll_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

const AudienceHost cdp_audience_host = {
	reserve_in_context,
	release_in_context,
	poll_interrupts};

/*
 * cdp_audience_error raises the error for a status of the core.
 */
void
cdp_audience_error(AudienceStatus status, const char *problem)
{
	if (status == AUDIENCE_INVALID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid audience: %s", problem != NULL ? problem : "unknown")));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("audience is too large or there is no memory for it"),
			 errdetail("An audience takes at most %zu bytes.", (size_t) MaxAllocSize),
			 errhint("Divide it, for example by ranges of ids.")));
}

/*
 * cdp_audience_id checks that a number can be in an audience.
 */
uint64
cdp_audience_id(int64 id)
{
	if (id < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("id %lld cannot be in an audience", (long long) id),
				 errhint("Ids in an audience are not negative.")));
	return (uint64) id;
}

/*
 * cdp_audience_begin and cdp_audience_datum enclose the writing of a value.
 */
static void
cdp_audience_begin(AudienceBuffer *buffer)
{
	static const char header[VARHDRSZ] = {0};

	audience_buffer_begin(buffer, &cdp_audience_host, NULL);
	cdp_audience_check(audience_append(buffer, header, VARHDRSZ), NULL);
}

static Datum
cdp_audience_datum(AudienceBuffer *buffer)
{
	SET_VARSIZE(buffer->data, buffer->length);
	return PointerGetDatum(buffer->data);
}

#define GET_AUDIENCE(n) \
	cdp_audience_bytes(PG_GETARG_VARLENA_PP(n))

/* How many bytes of a text messages quote, without cutting a character. */
static int
shown_length(const char *text)
{
	return pg_mbcliplen(text, (int) strlen(text), 100);
}

/*
 * cdp.audience_in(cstring) returns cdp.audience
 *
 * Reads {1,2,5-9}: ids from 0 to 9223372036854775807 and ranges of them, in any
 * order, repeated or not.  Anything else is an error.
 */
Datum
cdp_audience_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	const char *problem = NULL;
	AudienceBuffer buffer;
	AudienceStatus status;

	cdp_audience_begin(&buffer);
	status = audience_parse(text, strlen(text), &buffer, &problem);
	if (status == AUDIENCE_INVALID)
		cdp_ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type cdp.audience: \"%.*s\"", shown_length(text), text),
					 errdetail("%s", problem)));
	if (status == AUDIENCE_OUT_OF_RANGE)
		cdp_ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("id is out of range for type cdp.audience: \"%.*s\"", shown_length(text), text),
					 errdetail("Ids are from 0 to 9223372036854775807.")));
	cdp_audience_check(status, problem);
	return cdp_audience_datum(&buffer);
}

/*
 * cdp.audience_out(cdp.audience) returns cstring
 */
Datum
cdp_audience_out(PG_FUNCTION_ARGS)
{
	AudienceBuffer buffer;
	const char *problem = NULL;

	audience_buffer_begin(&buffer, &cdp_audience_host, NULL);
	cdp_audience_check(audience_print(GET_AUDIENCE(0), &buffer, &problem), problem);
	cdp_audience_check(audience_append(&buffer, "", 1), NULL);
	PG_RETURN_CSTRING((char *) buffer.data);
}

/*
 * cdp.audience_recv(internal) returns cdp.audience
 *
 * Takes what audience_send gives, and any other bytes that the format in
 * docs/segment.md allows; a bitmap without runs, say.
 */
Datum
cdp_audience_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, length);
	const char *problem = NULL;
	AudienceBuffer buffer;
	AudienceStatus status;

	cdp_audience_begin(&buffer);
	status = audience_canonical((AudienceBytes){(const uint8_t *) bytes, (size_t) length}, &buffer, &problem);
	if (status == AUDIENCE_INVALID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid audience: %s", problem)));
	cdp_audience_check(status, problem);
	return cdp_audience_datum(&buffer);
}

/*
 * cdp.audience_send(cdp.audience) returns bytea
 */
Datum
cdp_audience_send(PG_FUNCTION_ARGS)
{
	AudienceBytes audience = GET_AUDIENCE(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, (const char *) audience.data, (int) audience.length);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * cdp.audience(bigint[]) returns cdp.audience
 *
 * The ids of an array of any shape, in any order.  NULL elements count for
 * nothing, a negative one is an error.
 */
Datum
cdp_audience(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			count;
	Datum	   *values;
	bool	   *nulls;
	AudienceSet set;
	AudienceBuffer buffer;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &count);
	audience_set_begin(&set, &cdp_audience_host, NULL);
	for (int i = 0; i < count; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			cdp_audience_check(audience_set_add(&set, cdp_audience_id(DatumGetInt64(values[i]))), NULL);
	}
	cdp_audience_check(audience_set_finish(&set), NULL);
	cdp_audience_begin(&buffer);
	cdp_audience_check(audience_append(&buffer, set.bytes.data, set.bytes.length), NULL);
	return cdp_audience_datum(&buffer);
}

/*
 * cdp.member_array(cdp.audience) returns bigint[]
 *
 * The ids in increasing order, as an array; an error where they are more than an
 * array can hold.
 */
Datum
cdp_member_array(PG_FUNCTION_ARGS)
{
	AudienceBytes audience = GET_AUDIENCE(0);
	const char *problem = NULL;
	AudienceReader reader;
	AudienceContainer container;
	AudienceRun *runs;
	AudienceStatus status;
	ArrayType  *array;
	uint64_t	count;
	uint64_t	done = 0;
	int64	   *ids;
	Size		size;

	cdp_audience_check(audience_cardinality(audience, &count, &problem), problem);
	if (count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
	if (count > (MaxAllocSize - ARR_OVERHEAD_NONULLS(1)) / sizeof(int64))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("audience has too many members for an array"),
				 errhint("Use cdp.members(), which gives them as rows.")));
	size = ARR_OVERHEAD_NONULLS(1) + (Size) count * sizeof(int64);
	array = palloc(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = INT8OID;
	ARR_DIMS(array)
	[0] = (int) count;
	ARR_LBOUND(array)
	[0] = 1;
	ids = (int64 *) ARR_DATA_PTR(array);

	runs = cdp_palloc_array(AudienceRun, AUDIENCE_MAX_RUNS);
	status = audience_read(&reader, audience.data, audience.length, true, true);
	while (status == AUDIENCE_OK)
	{
		uint32_t	run_count;

		CHECK_FOR_INTERRUPTS();
		status = audience_next(&reader, &container);
		if (status != AUDIENCE_OK)
			break;
		/* the sum of these was the size of the array */
		if (container.cardinality > count - done)
			cdp_audience_error(AUDIENCE_INVALID, "its number of ids is wrong");
		run_count = audience_runs(&container, runs);
		for (uint32_t i = 0; i < run_count; i++)
			for (uint32_t number = runs[i].first; number <= runs[i].last; number++)
				ids[done++] = (int64) (container.key << 16 | number);
	}
	if (status != AUDIENCE_END)
		cdp_audience_error(status, reader.problem);
	PG_RETURN_ARRAYTYPE_P(array);
}

/*
 * Where cdp.members() is.
 */
typedef struct MembersState
{
	AudienceReader reader;
	AudienceContainer container;
	uint32		run;
	uint32		run_count;
	uint32		number;			/* the next one of the run */
	AudienceRun runs[AUDIENCE_MAX_RUNS];
} MembersState;

/*
 * cdp.members(cdp.audience) returns setof bigint
 *
 * The ids, in increasing order.
 */
Datum
cdp_members(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	MembersState *state;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext outer;
		AudienceBytes audience;

		call = SRF_FIRSTCALL_INIT();
		outer = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		state = palloc0(sizeof(MembersState));
		audience = cdp_audience_bytes(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)));
		if (audience_read(&state->reader, audience.data, audience.length, true, true) != AUDIENCE_OK)
			cdp_audience_error(AUDIENCE_INVALID, state->reader.problem);
		call->user_fctx = state;
		MemoryContextSwitchTo(outer);
	}

	call = SRF_PERCALL_SETUP();
	state = call->user_fctx;
	while (state->run == state->run_count)
	{
		AudienceStatus status;

		CHECK_FOR_INTERRUPTS();
		status = audience_next(&state->reader, &state->container);
		if (status == AUDIENCE_END)
			SRF_RETURN_DONE(call);
		cdp_audience_check(status, state->reader.problem);
		state->run_count = audience_runs(&state->container, state->runs);
		state->run = 0;
		state->number = state->runs[0].first;
	}
	{
		int64		id = (int64) (state->container.key << 16 | state->number);

		if (state->number < state->runs[state->run].last)
			state->number++;
		else if (++state->run < state->run_count)
			state->number = state->runs[state->run].first;
		SRF_RETURN_NEXT(call, Int64GetDatum(id));
	}
}

/* Fetched of a value that is stored out of line, before more is. */
#define FIRST_SLICE		1024

/*
 * cdp.cardinality(cdp.audience) returns bigint: the number of ids.
 *
 * Of a value that is stored out of line it fetches the header only, if that is
 * enough.
 */
Datum
cdp_cardinality(PG_FUNCTION_ARGS)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(PG_GETARG_DATUM(0));
	const char *problem = NULL;
	uint64_t	count;

	if (VARATT_IS_EXTERNAL_ONDISK(value))
	{
		size_t		needed = FIRST_SLICE;
		size_t		fetched = 0;
		AudienceStatus status = AUDIENCE_END;

		/* in two steps at most; a value that is cut off ends them, too */
		while (status == AUDIENCE_END && needed > fetched && needed <= MaxAllocSize)
		{
			struct varlena *slice = PG_DETOAST_DATUM_SLICE(PointerGetDatum(value), 0, (int32) needed);

			fetched = needed;
			status = audience_count_by_prefix((const uint8_t *) VARDATA_ANY(slice), VARSIZE_ANY_EXHDR(slice), &count, &needed);
			pfree(slice);
		}
		if (status == AUDIENCE_OK)
			PG_RETURN_INT64((int64) count);
	}
	cdp_audience_check(audience_cardinality(GET_AUDIENCE(0), &count, &problem), problem);
	PG_RETURN_INT64((int64) count);
}

static Datum
combine(AudienceOperation operation, FunctionCallInfo fcinfo)
{
	const char *problem = NULL;
	AudienceBuffer buffer;

	cdp_audience_begin(&buffer);
	cdp_audience_check(audience_combine(operation, GET_AUDIENCE(0), GET_AUDIENCE(1), &buffer, &problem), problem);
	return cdp_audience_datum(&buffer);
}

/*
 * cdp.audience_and, _or, _minus, _xor (cdp.audience, cdp.audience) returns
 * cdp.audience: the operators &, |, -, #.
 */
Datum
cdp_audience_and(PG_FUNCTION_ARGS)
{
	return combine(AUDIENCE_AND, fcinfo);
}

Datum
cdp_audience_or(PG_FUNCTION_ARGS)
{
	return combine(AUDIENCE_OR, fcinfo);
}

Datum
cdp_audience_minus(PG_FUNCTION_ARGS)
{
	return combine(AUDIENCE_MINUS, fcinfo);
}

Datum
cdp_audience_xor(PG_FUNCTION_ARGS)
{
	return combine(AUDIENCE_XOR, fcinfo);
}

static bool
is_subset(AudienceBytes left, AudienceBytes right)
{
	const char *problem = NULL;
	bool		result;

	cdp_audience_check(audience_is_subset(left, right, &cdp_audience_host, &result, &problem), problem);
	return result;
}

/*
 * cdp.audience_contains, _contained (cdp.audience, cdp.audience) returns boolean:
 * the operators @> and <@.
 */
Datum
cdp_audience_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_subset(GET_AUDIENCE(1), GET_AUDIENCE(0)));
}

Datum
cdp_audience_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_subset(GET_AUDIENCE(0), GET_AUDIENCE(1)));
}

static bool
has_member(AudienceBytes audience, int64 id)
{
	const char *problem = NULL;
	bool		result;

	/* a negative id is in no audience; to ask for it is no error */
	if (id < 0)
		return false;
	cdp_audience_check(audience_contains(audience, (uint64) id, &result, &problem), problem);
	return result;
}

/*
 * cdp.audience_has(cdp.audience, bigint), cdp.audience_is_member(bigint,
 * cdp.audience) returns boolean: the operators @> and <@ with one id.
 */
Datum
cdp_audience_has(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_member(GET_AUDIENCE(0), PG_GETARG_INT64(1)));
}

Datum
cdp_audience_is_member(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(has_member(GET_AUDIENCE(1), PG_GETARG_INT64(0)));
}

/*
 * cdp.audience_overlaps(cdp.audience, cdp.audience) returns boolean: the operator
 * &&, whether the two have an id in common.
 */
Datum
cdp_audience_overlaps(PG_FUNCTION_ARGS)
{
	const char *problem = NULL;
	bool		result;

	cdp_audience_check(audience_overlaps(GET_AUDIENCE(0), GET_AUDIENCE(1), &cdp_audience_host, &result, &problem),
					   problem);
	PG_RETURN_BOOL(result);
}

/*
 * The bytes are in canonical form, so equal sets have equal bytes.  The order is
 * that of the bytes, which serves sorting and indexes and has no other meaning.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	struct varlena *values[] = {PG_GETARG_VARLENA_PP(0), PG_GETARG_VARLENA_PP(1)};
	AudienceBytes left = cdp_audience_bytes(values[0]);
	AudienceBytes right = cdp_audience_bytes(values[1]);
	int			order = memcmp(left.data, right.data, Min(left.length, right.length));

	if (order == 0)
		order = left.length < right.length ? -1 : left.length > right.length;
	/* a sort or the building of an index compares many before its memory is reset */
	PG_FREE_IF_COPY(values[0], 0);
	PG_FREE_IF_COPY(values[1], 1);
	return order < 0 ? -1 : order > 0;
}

/*
 * cdp.audience_eq, _ne, _lt, _le, _gt, _ge (cdp.audience, cdp.audience) returns
 * boolean, cdp.audience_cmp (the same) returns integer.
 */
Datum
cdp_audience_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
cdp_audience_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
cdp_audience_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
cdp_audience_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
cdp_audience_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
cdp_audience_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
cdp_audience_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/*
 * cdp.audience_hash(cdp.audience) returns integer,
 * cdp.audience_hash_extended(cdp.audience, bigint) returns bigint
 */
Datum
cdp_audience_hash(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	AudienceBytes audience = cdp_audience_bytes(value);
	uint32		hash = hash_bytes(audience.data, (int) audience.length);

	PG_FREE_IF_COPY(value, 0);
	return UInt32GetDatum(hash);
}

Datum
cdp_audience_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	AudienceBytes audience = cdp_audience_bytes(value);
	uint64		hash = hash_bytes_extended(audience.data, (int) audience.length, (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(value, 0);
	return UInt64GetDatum(hash);
}
