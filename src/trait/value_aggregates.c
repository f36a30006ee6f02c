/*
 * value_aggregates.c
 *		Aggregates that give one of the values they see: cdp.most_frequent,
 *		cdp.first_value_at and cdp.last_value_at.
 *
 * Where several values have an equal right to be the result, the order of their
 * type decides, that of the bytes for text; so the order of rows never does.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "trait/state.h"
#include "trait/value.h"

PG_FUNCTION_INFO_V1(cdp_most_frequent_transition);
PG_FUNCTION_INFO_V1(cdp_most_frequent_merge);
PG_FUNCTION_INFO_V1(cdp_most_frequent_value);
PG_FUNCTION_INFO_V1(cdp_most_frequent_count);
PG_FUNCTION_INFO_V1(cdp_first_value_at_transition);
PG_FUNCTION_INFO_V1(cdp_last_value_at_transition);
PG_FUNCTION_INFO_V1(cdp_value_at_merge);
PG_FUNCTION_INFO_V1(cdp_value_at_value);
PG_FUNCTION_INFO_V1(cdp_value_at_time);

#define FREQUENCY_STATE	"cdp.most_frequent_state"
#define VALUE_STATE		"cdp.value_at_state"

/* Entries that are looked through before a value becomes a new entry. */
#define PROBES			8
#define FIRST_BYTES		192

/*
 * add_value counts a value, in a state that may move.
 */
static FrequencyState *
add_value(FrequencyState *state, const char *data, Size length, int64 count)
{
	FrequencyEntry *entry;
	Size		size;
	Size		offset = 0;

	if (length > MaxAllocSize / 4)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long to be counted")));
	for (int i = 0; i < PROBES && offset < state->used; i++)
	{
		entry = frequency_entry(state, offset);
		if (entry->length == length && memcmp(entry->bytes, data, length) == 0)
		{
			entry->count = state_add_counts(entry->count, count);
			return state;
		}
		offset += frequency_entry_size(entry->length);
	}

	size = frequency_entry_size(length);
	if (state_used(state) + size > VARSIZE(state))
	{
		cdp_state_compact(state);
		state->header.working = 1;
		/* half of it free after this, so that sorting stays rare */
		if (state_used(state) + size > VARSIZE(state) / 2)
			state = cdp_state_make_room(state, Max(state_used(state) + size, VARSIZE(state) + 1));
	}
	entry = frequency_entry(state, state->used);
	memset(entry, 0, size);
	entry->count = count;
	entry->length = (uint32) length;
	memcpy(entry->bytes, data, length);
	state->used += (uint32) size;
	state->header.working = 1;
	return state;
}

/*
 * cdp.most_frequent_transition(cdp.most_frequent_state, anyelement) returns
 * cdp.most_frequent_state
 *
 * Counts a value.  NULL is left out.  A type without a class (see value.h) is an
 * error.
 */
Datum
cdp_most_frequent_transition(PG_FUNCTION_ARGS)
{
	FrequencyState *state = PG_ARGISNULL(0) ? NULL : (FrequencyState *) PG_GETARG_POINTER(0);
	ValueType  *type;
	ValueBytes	bytes;

	cdp_state_check_aggregate(fcinfo);
	type = cdp_value_type(fcinfo, get_fn_expr_argtype(fcinfo->flinfo, 1));
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
	{
		state = palloc0(FIRST_BYTES);
		SET_VARSIZE(state, FIRST_BYTES);
		state->header.version = STATE_VERSION;
		state->header.kind = STATE_FREQUENCY;
		state->header.working = 1;
		state->tag = (uint8) type->tag;
	}
	cdp_value_encode(type, PG_GETARG_DATUM(1), true, &bytes);
	PG_RETURN_POINTER(add_value(state, bytes.data, bytes.length, 1));
}

static void
different_types(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("states hold values of different types, or of the first and the last time")));
}

/*
 * cdp.most_frequent_merge(cdp.most_frequent_state, cdp.most_frequent_state)
 * returns cdp.most_frequent_state
 *
 * Adds the counts of the second state to the first, in an aggregate.
 */
Datum
cdp_most_frequent_merge(PG_FUNCTION_ARGS)
{
	FrequencyState *state = PG_ARGISNULL(0) ? NULL : (FrequencyState *) PG_GETARG_POINTER(0);
	FrequencyState *other;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	other = cdp_state_finished(PG_GETARG_DATUM(1), STATE_FREQUENCY, FREQUENCY_STATE);
	if (state == NULL)
		PG_RETURN_POINTER(other);
	if (state->tag != other->tag)
		different_types();
	for (Size offset = 0; offset < other->used;)
	{
		const FrequencyEntry *entry = frequency_entry(other, offset);

		state = add_value(state, entry->bytes, entry->length, entry->count);
		offset += frequency_entry_size(entry->length);
	}
	PG_RETURN_POINTER(state);
}

/*
 * most_frequent finds the entry that won, or NULL in a state without values.
 */
static const FrequencyEntry *
most_frequent(const FrequencyState *state)
{
	const FrequencyEntry *best = NULL;

	for (Size offset = 0; offset < state->used;)
	{
		const FrequencyEntry *entry = frequency_entry(state, offset);

		CHECK_FOR_INTERRUPTS();
		if (best == NULL || entry->count > best->count ||
			(entry->count == best->count &&
			 cdp_value_compare((char) state->tag, entry->bytes, entry->length, best->bytes, best->length) < 0))
			best = entry;
		offset += frequency_entry_size(entry->length);
	}
	return best;
}

/*
 * cdp.most_frequent_value(cdp.most_frequent_state, anyelement) returns anyelement
 *
 * The most frequent value, the smallest one of several; NULL without values.  The
 * second argument gives the type, its value is not looked at.
 */
Datum
cdp_most_frequent_value(PG_FUNCTION_ARGS)
{
	FrequencyState *state;
	const FrequencyEntry *entry;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = cdp_state_finished(PG_GETARG_DATUM(0), STATE_FREQUENCY, FREQUENCY_STATE);
	entry = most_frequent(state);
	if (entry == NULL)
		PG_RETURN_NULL();
	return cdp_value_decode(fcinfo, cdp_value_type(fcinfo, get_fn_expr_rettype(fcinfo->flinfo)),
							(char) state->tag, entry->bytes, entry->length);
}

/*
 * cdp.most_frequent_count(cdp.most_frequent_state) returns bigint
 *
 * How often the most frequent value came; 0 for NULL.
 */
Datum
cdp_most_frequent_count(PG_FUNCTION_ARGS)
{
	const FrequencyEntry *entry = NULL;

	if (!PG_ARGISNULL(0))
		entry = most_frequent(cdp_state_finished(PG_GETARG_DATUM(0), STATE_FREQUENCY, FREQUENCY_STATE));
	PG_RETURN_INT64(entry == NULL ? 0 : entry->count);
}

/*
 * take_value puts a value into the state where it is earlier (or later) than the
 * one there.  The state may move, and may not exist yet.
 */
static ValueAtState *
take_value(ValueAtState *state, bool last, TimestampTz time, char tag, const char *data, Size length)
{
	Size		size = add_size(offsetof(ValueAtState, bytes), length);

	if (state != NULL)
	{
		int			order = time < state->time ? -1 : time > state->time;

		if (order == 0)
			order = cdp_value_compare(tag, data, length, state->bytes, state->length);
		if (last ? order <= 0 : order >= 0)
			return state;
	}
	if (state == NULL || VARSIZE(state) != size)
	{
		state = palloc0(size);
		SET_VARSIZE(state, size);
		state->header.version = STATE_VERSION;
		state->header.kind = STATE_VALUE_AT;
		state->tag = (uint8) tag;
		state->last = last;
		state->length = (uint32) length;
	}
	state->time = time;
	memcpy(state->bytes, data, length);
	return state;
}

static Datum
value_at_transition(FunctionCallInfo fcinfo, bool last)
{
	ValueAtState *state = PG_ARGISNULL(0) ? NULL : (ValueAtState *) PG_GETARG_POINTER(0);
	ValueType  *type;
	ValueBytes	bytes;

	cdp_state_check_aggregate(fcinfo);
	type = cdp_value_type(fcinfo, get_fn_expr_argtype(fcinfo->flinfo, 1));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state != NULL &&
		(last ? PG_GETARG_TIMESTAMPTZ(2) < state->time : PG_GETARG_TIMESTAMPTZ(2) > state->time))
		PG_RETURN_POINTER(state);
	cdp_value_encode(type, PG_GETARG_DATUM(1), false, &bytes);
	PG_RETURN_POINTER(take_value(state, last, PG_GETARG_TIMESTAMPTZ(2), (char) type->tag, bytes.data, bytes.length));
}

/*
 * cdp.first_value_at_transition, last_value_at_transition (cdp.value_at_state,
 *		value anyelement, occurred_at timestamptz) returns cdp.value_at_state
 *
 * Takes in a value.  A row without a value or a time is left out; infinite times
 * are the first and the last ones.  A type without a class (see value.h) is an
 * error.
 */
Datum
cdp_first_value_at_transition(PG_FUNCTION_ARGS)
{
	return value_at_transition(fcinfo, false);
}

Datum
cdp_last_value_at_transition(PG_FUNCTION_ARGS)
{
	return value_at_transition(fcinfo, true);
}

/*
 * cdp.value_at_merge(cdp.value_at_state, cdp.value_at_state) returns
 * cdp.value_at_state
 *
 * The earlier (or later) of two states, in an aggregate.
 */
Datum
cdp_value_at_merge(PG_FUNCTION_ARGS)
{
	ValueAtState *state = PG_ARGISNULL(0) ? NULL : (ValueAtState *) PG_GETARG_POINTER(0);
	ValueAtState *other;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	other = cdp_state_get(PG_GETARG_DATUM(1), STATE_VALUE_AT, VALUE_STATE);
	if (state == NULL)
		PG_RETURN_POINTER(other);
	if (state->tag != other->tag || state->last != other->last)
		different_types();
	PG_RETURN_POINTER(take_value(state, other->last, other->time, (char) other->tag, other->bytes, other->length));
}

/*
 * cdp.value_at_value(cdp.value_at_state, anyelement) returns anyelement
 *
 * The value; NULL for NULL.  The second argument gives the type, its value is not
 * looked at.
 */
Datum
cdp_value_at_value(PG_FUNCTION_ARGS)
{
	ValueAtState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = cdp_state_get(PG_GETARG_DATUM(0), STATE_VALUE_AT, VALUE_STATE);
	return cdp_value_decode(fcinfo, cdp_value_type(fcinfo, get_fn_expr_rettype(fcinfo->flinfo)),
							(char) state->tag, state->bytes, state->length);
}

/*
 * cdp.value_at_time(cdp.value_at_state) returns timestamptz
 *
 * The time that belongs to the value.
 */
Datum
cdp_value_at_time(PG_FUNCTION_ARGS)
{
	ValueAtState *state = cdp_state_get(PG_GETARG_DATUM(0), STATE_VALUE_AT, VALUE_STATE);

	PG_RETURN_TIMESTAMPTZ(state->time);
}
