/*
 * state.c
 *		The states of aggregates in the server: text and binary forms, and what
 *		the aggregates share.
 *
 * The text form is \x and the hexadecimal digits of the binary form, which
 * docs/trait.md specifies.  Both have the state in its stored form.
 */
#include "postgres.h"

#include "common/int.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "hex.h"
#include "trait/state.h"
#include "trait/value.h"

/*
 * cdp_state_check_aggregate raises an error outside of an aggregate: inside,
 * a function may change its first argument.
 */
void
cdp_state_check_aggregate(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "transition function called in non-aggregate context");
}

/*
 * cdp_state_get detoasts and checks a state, which may be a working one.
 */
void *
cdp_state_get(Datum value, StateKind kind, const char *type_name)
{
	struct varlena *state = PG_DETOAST_DATUM(value);
	const char *problem = state_check(kind, state, VARSIZE(state), true);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid value of type %s: %s", type_name, problem)));
	return state;
}

/*
 * cdp_state_compact sorts a state in place.
 */
void
cdp_state_compact(void *state)
{
	Size		size = state_scratch(state);
	void	   *scratch = size > 0 ? palloc_extended(size, MCXT_ALLOC_HUGE) : NULL;

	state_compact(state, scratch);
	if (scratch != NULL)
		pfree(scratch);
}

/*
 * cdp_state_finished is cdp_state_get for a state in its stored form: of a working
 * one a copy is made.
 */
void *
cdp_state_finished(Datum value, StateKind kind, const char *type_name)
{
	StateHeader *state = cdp_state_get(value, kind, type_name);
	StateHeader *copy;

	if (!state->working)
		return state;
	copy = palloc(VARSIZE(state));
	memcpy(copy, state, VARSIZE(state));
	cdp_state_compact(copy);
	SET_VARSIZE(copy, state_used(copy));
	return copy;
}

/*
 * cdp_state_make_room returns the state, or a copy of it, with room for at least
 * so many bytes.  The copy is made in the current context, since the executor
 * copies from there what a transition function returns.
 */
void *
cdp_state_make_room(void *state, Size size)
{
	Size		old = VARSIZE(state);
	void	   *copy;

	if (size <= old)
		return state;
	if (size < 2 * old)
		size = Min(2 * old, MaxAllocSize);
	copy = palloc0(size);
	memcpy(copy, state, old);
	SET_VARSIZE(copy, size);
	return copy;
}

/*
 * cdp_state_microseconds is the length of an interval; a day has 24 hours, months
 * are refused since their length varies.
 */
int64
cdp_state_microseconds(const Interval *interval, const char *what)
{
	int64		microseconds;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be in months or years, or infinite", what),
				 errhint("Give it in weeks, days or hours; a day has 24 hours.")));
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &microseconds) ||
		pg_add_s64_overflow(microseconds, interval->time, &microseconds))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("%s is out of range", what)));
	if (microseconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", what)));
	return microseconds;
}

/*
 * cdp_state_finite refuses infinite times.
 */
TimestampTz
cdp_state_finite(TimestampTz time, const char *what)
{
	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s must not be infinite", what),
				 errhint("Leave such rows out with FILTER (WHERE isfinite(...)).")));
	return time;
}

/*
 * check_values checks the values inside a state, which the core has no means for.
 */
static const char *
check_values(const void *state)
{
	const StateHeader *header = state;

	if (header->kind == STATE_VALUE_AT)
	{
		const ValueAtState *value = state;

		return cdp_value_check((char) value->tag, value->bytes, value->length);
	}
	if (header->kind == STATE_FREQUENCY)
	{
		const FrequencyState *frequencies = state;

		for (Size offset = 0; offset < frequencies->used;)
		{
			const FrequencyEntry *entry = frequency_entry(frequencies, offset);
			const char *problem = cdp_value_check((char) frequencies->tag, entry->bytes, entry->length);

			if (problem != NULL)
				return problem;
			offset += frequency_entry_size(entry->length);
		}
	}
	return NULL;
}

/*
 * take_in makes a state from its binary form.
 */
static Datum
take_in(const char *bytes, Size length, StateKind kind, const char *type_name)
{
	struct varlena *state = palloc(add_size(length, VARHDRSZ));
	const char *problem;

	SET_VARSIZE(state, length + VARHDRSZ);
	memcpy(VARDATA(state), bytes, length);
	problem = state_check(kind, state, length + VARHDRSZ, false);
	if (problem == NULL)
		problem = check_values(state);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid value of type %s: %s", type_name, problem)));
	return PointerGetDatum(state);
}

static Datum
state_in(FunctionCallInfo fcinfo, StateKind kind, const char *type_name)
{
	StringInfoData bytes;

	if (!cdp_hex_read(PG_GETARG_CSTRING(0), &bytes))
		cdp_ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s", type_name),
					 errdetail("It is written as \\x and pairs of hexadecimal digits.")));
	return take_in(bytes.data, bytes.len, kind, type_name);
}

static Datum
state_out(FunctionCallInfo fcinfo, StateKind kind, const char *type_name)
{
	PG_RETURN_CSTRING(cdp_hex_write((const bytea *) cdp_state_finished(PG_GETARG_DATUM(0), kind, type_name)));
}

static Datum
state_recv(FunctionCallInfo fcinfo, StateKind kind, const char *type_name)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;

	return take_in(pq_getmsgbytes(message, length), (Size) length, kind, type_name);
}

static Datum
state_send(FunctionCallInfo fcinfo, StateKind kind, const char *type_name)
{
	struct varlena *state = cdp_state_finished(PG_GETARG_DATUM(0), kind, type_name);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA(state), (int) (VARSIZE(state) - VARHDRSZ));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * cdp.<type>_in(cstring), _out, _recv(internal), _send: the forms of each type.
 * cdp.<type>_finish(<type>) ends an aggregate that gives its state.
 */
#define STATE_FORMS(name, kind) \
	PG_FUNCTION_INFO_V1(cdp_##name##_in); \
	PG_FUNCTION_INFO_V1(cdp_##name##_out); \
	PG_FUNCTION_INFO_V1(cdp_##name##_recv); \
	PG_FUNCTION_INFO_V1(cdp_##name##_send); \
	Datum cdp_##name##_in(PG_FUNCTION_ARGS) \
	{ \
		return state_in(fcinfo, kind, "cdp." #name); \
	} \
	Datum cdp_##name##_out(PG_FUNCTION_ARGS) \
	{ \
		return state_out(fcinfo, kind, "cdp." #name); \
	} \
	Datum cdp_##name##_recv(PG_FUNCTION_ARGS) \
	{ \
		return state_recv(fcinfo, kind, "cdp." #name); \
	} \
	Datum cdp_##name##_send(PG_FUNCTION_ARGS) \
	{ \
		return state_send(fcinfo, kind, "cdp." #name); \
	}

#define STATE_FINISH(name, kind) \
	PG_FUNCTION_INFO_V1(cdp_##name##_finish); \
	Datum cdp_##name##_finish(PG_FUNCTION_ARGS) \
	{ \
		return PointerGetDatum(cdp_state_finished(PG_GETARG_DATUM(0), kind, "cdp." #name)); \
	}

STATE_FORMS(did_sequence_options, STATE_SEQUENCE_OPTIONS)
STATE_FORMS(did_sequence_state, STATE_SEQUENCE)
STATE_FORMS(session_count_state, STATE_SESSIONS)
STATE_FORMS(most_frequent_state, STATE_FREQUENCY)
STATE_FORMS(value_at_state, STATE_VALUE_AT)
STATE_FORMS(decayed_sum_state, STATE_DECAYED)

STATE_FINISH(did_sequence_state, STATE_SEQUENCE)
STATE_FINISH(session_count_state, STATE_SESSIONS)
STATE_FINISH(most_frequent_state, STATE_FREQUENCY)
