/*
 * event_aggregates.c
 *		Aggregates over the times of a person's events: cdp.did_sequence,
 *		cdp.sequence_step, cdp.session_count and cdp.decayed_sum.
 *
 * Rows come in any order and the result is the same; see state_core.h for how.
 * A transition function changes its state in place where there is room.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "cdp.h"
#include "trait/state.h"

PG_FUNCTION_INFO_V1(cdp_sequence_options);
PG_FUNCTION_INFO_V1(cdp_did_sequence_transition);
PG_FUNCTION_INFO_V1(cdp_did_sequence_merge);
PG_FUNCTION_INFO_V1(cdp_did_sequence_value);
PG_FUNCTION_INFO_V1(cdp_sequence_step_value);
PG_FUNCTION_INFO_V1(cdp_session_count_transition);
PG_FUNCTION_INFO_V1(cdp_session_count_merge);
PG_FUNCTION_INFO_V1(cdp_session_count_value);
PG_FUNCTION_INFO_V1(cdp_decayed_sum_transition);
PG_FUNCTION_INFO_V1(cdp_decayed_sum_merge);
PG_FUNCTION_INFO_V1(cdp_decayed_sum_value);

#define SEQUENCE_STATE	"cdp.did_sequence_state"
#define SESSION_STATE	"cdp.session_count_state"
#define DECAYED_STATE	"cdp.decayed_sum_state"

/* Room for four events in a new state; it doubles when that is used up. */
#define FIRST_PAIRS		(4 * sizeof(StatePair))

static void
different_options(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("options differ between the rows or states of one aggregate"),
			 errhint("Give each row the same options; use GROUP BY or FILTER where they depend on the row.")));
}

/*
 * cdp.sequence_options(steps text[], within interval DEFAULT NULL,
 *		strictly_later boolean DEFAULT false) returns cdp.did_sequence_options
 *
 * steps: names of events in their order, 1 to 64.  within: the longest time from
 * the first event to the last, NULL for any.  strictly_later: whether events at
 * one time cannot be two steps.
 */
Datum
cdp_sequence_options(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	Datum	   *names;
	bool	   *nulls;
	int			count;
	Size		text_bytes = 0;
	SequenceState *options;
	char	   *at;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("steps and strictly_later must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(0);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	if (count < 1 || count > SEQUENCE_MAX_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sequence has 1 to %d steps, not %d", SEQUENCE_MAX_STEPS, count)));
	for (int i = 0; i < count; i++)
	{
		Size		length;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a step of a sequence must not be null")));
		length = VARSIZE_ANY_EXHDR(DatumGetTextPP(names[i]));
		if (length > PG_UINT16_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the name of a step is longer than %d bytes", PG_UINT16_MAX)));
		text_bytes += sizeof(uint16) + length;
	}
	text_bytes = STATE_ALIGN(text_bytes);

	options = palloc0(offsetof(SequenceState, text) + text_bytes);
	SET_VARSIZE(options, offsetof(SequenceState, text) + text_bytes);
	options->header.version = STATE_VERSION;
	options->header.kind = STATE_SEQUENCE_OPTIONS;
	options->within = PG_ARGISNULL(1) ? PG_INT64_MAX : cdp_state_microseconds(PG_GETARG_INTERVAL_P(1), "within");
	options->steps = (uint32) count;
	options->text_bytes = (uint32) text_bytes;
	options->strict = PG_GETARG_BOOL(2);
	at = options->text;
	for (int i = 0; i < count; i++)
	{
		text	   *name = DatumGetTextPP(names[i]);
		uint16		length = (uint16) VARSIZE_ANY_EXHDR(name);

		memcpy(at, &length, sizeof(length));
		memcpy(at + sizeof(length), VARDATA_ANY(name), length);
		at += sizeof(length) + length;
	}
	PG_RETURN_POINTER(options);
}

/*
 * sequence_room returns the state with room for more events.  They are sorted
 * first, since some may turn out to change nothing.
 */
static SequenceState *
sequence_room(SequenceState *state, uint32 more)
{
	Size		needed = state_used(state) + mul_size(more, sizeof(StatePair));

	if (needed <= VARSIZE(state))
		return state;
	sequence_compact(state);
	needed = state_used(state) + mul_size(more, sizeof(StatePair));
	if (needed > VARSIZE(state) / 4 * 3)
		state = cdp_state_make_room(state, Max(needed, VARSIZE(state) + 1));
	return state;
}

/*
 * cdp.did_sequence_transition(cdp.did_sequence_state, event_name text,
 *		occurred_at timestamptz, cdp.did_sequence_options) returns cdp.did_sequence_state
 *
 * Takes in an event.  A row without a name or time is left out; options that are
 * NULL or differ from those of the row before, and an infinite time, are errors.
 */
Datum
cdp_did_sequence_transition(PG_FUNCTION_ARGS)
{
	SequenceState *state = PG_ARGISNULL(0) ? NULL : (SequenceState *) PG_GETARG_POINTER(0);
	SequenceState *options;
	text	   *name;
	int			step;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("options of a sequence must not be null"),
				 errhint("Use cdp.sequence_options(ARRAY['first step', 'second step']).")));
	options = (SequenceState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(3));
	if (state == NULL)
	{
		Size		size;

		options = cdp_state_get(PG_GETARG_DATUM(3), STATE_SEQUENCE_OPTIONS, "cdp.did_sequence_options");
		size = sequence_events_offset(options);
		state = palloc0(size + FIRST_PAIRS);
		memcpy(state, options, size);
		SET_VARSIZE(state, size + FIRST_PAIRS);
		state->header.kind = STATE_SEQUENCE;
		state->header.working = 1;
	}
	else if (VARSIZE(options) != sequence_events_offset(state) || !sequence_same_options(state, options))
		different_options();
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);

	name = PG_GETARG_TEXT_PP(1);
	step = sequence_step_of(state, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (step >= 0)
	{
		TimestampTz time = cdp_state_finite(PG_GETARG_TIMESTAMPTZ(2), "occurred_at");

		state = sequence_room(state, 1);
		sequence_events(state)[state->count++] = (StatePair){time, step};
		state->header.working = 1;
	}
	PG_RETURN_POINTER(state);
}

/*
 * cdp.did_sequence_merge(cdp.did_sequence_state, cdp.did_sequence_state) returns
 * cdp.did_sequence_state
 *
 * Adds the events of the second state to the first, in an aggregate.
 */
Datum
cdp_did_sequence_merge(PG_FUNCTION_ARGS)
{
	SequenceState *state = PG_ARGISNULL(0) ? NULL : (SequenceState *) PG_GETARG_POINTER(0);
	SequenceState *other;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	other = cdp_state_finished(PG_GETARG_DATUM(1), STATE_SEQUENCE, SEQUENCE_STATE);
	if (state == NULL)
		PG_RETURN_POINTER(other);
	if (!sequence_same_options(state, other))
		different_options();
	if (other->count > 0)
	{
		state = sequence_room(state, other->count);
		memcpy(sequence_events(state) + state->count, sequence_events(other), other->count * sizeof(StatePair));
		state->count += other->count;
		state->header.working = 1;
	}
	PG_RETURN_POINTER(state);
}

static int
furthest_step(FunctionCallInfo fcinfo, SequenceState **state)
{
	if (PG_ARGISNULL(0))
		return 0;
	*state = cdp_state_finished(PG_GETARG_DATUM(0), STATE_SEQUENCE, SEQUENCE_STATE);
	return sequence_furthest(*state);
}

/*
 * cdp.did_sequence_value(cdp.did_sequence_state) returns boolean
 *
 * Whether all steps were gone through.  False for NULL, that is without rows.
 */
Datum
cdp_did_sequence_value(PG_FUNCTION_ARGS)
{
	SequenceState *state = NULL;
	int			steps = furthest_step(fcinfo, &state);

	PG_RETURN_BOOL(state != NULL && steps == (int) state->steps);
}

/*
 * cdp.sequence_step_value(cdp.did_sequence_state) returns integer
 *
 * How many of the steps were gone through.  0 for NULL.
 */
Datum
cdp_sequence_step_value(PG_FUNCTION_ARGS)
{
	SequenceState *state = NULL;

	PG_RETURN_INT32(furthest_step(fcinfo, &state));
}

static SessionState *
session_room(SessionState *state, uint32 more)
{
	Size		needed = state_used(state) + mul_size(more, sizeof(StatePair));

	if (needed <= VARSIZE(state))
		return state;
	session_compact(state);
	needed = state_used(state) + mul_size(more, sizeof(StatePair));
	if (needed > VARSIZE(state) / 4 * 3)
		state = cdp_state_make_room(state, Max(needed, VARSIZE(state) + 1));
	return state;
}

/*
 * add_session adds a session to a state, which may move.
 */
static SessionState *
add_session(SessionState *state, int64 first, int64 last)
{
	bool		has_room = state_used(state) + sizeof(StatePair) <= VARSIZE(state);

	state->header.working = 1;
	if (session_add_in_order(state, first, last, has_room))
		return state;
	state = session_room(state, 1);
	state->sessions[state->count++] = (StatePair){first, last};
	return state;
}

/*
 * cdp.session_count_transition(cdp.session_count_state, occurred_at timestamptz,
 *		gap interval) returns cdp.session_count_state
 *
 * Takes in an event.  A row without a time is left out; a gap that is NULL or
 * differs from that of the row before, and an infinite time, are errors.
 */
Datum
cdp_session_count_transition(PG_FUNCTION_ARGS)
{
	SessionState *state = PG_ARGISNULL(0) ? NULL : (SessionState *) PG_GETARG_POINTER(0);
	int64		gap;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("gap must not be null"),
				 errhint("30 minutes are usual: interval '30 minutes'.")));
	gap = cdp_state_microseconds(PG_GETARG_INTERVAL_P(2), "gap");
	if (state == NULL)
	{
		Size		size = offsetof(SessionState, sessions) + FIRST_PAIRS;

		state = palloc0(size);
		SET_VARSIZE(state, size);
		state->header.version = STATE_VERSION;
		state->header.kind = STATE_SESSIONS;
		state->header.working = 1;
		state->gap = gap;
	}
	else if (state->gap != gap)
		different_options();
	if (!PG_ARGISNULL(1))
	{
		TimestampTz time = cdp_state_finite(PG_GETARG_TIMESTAMPTZ(1), "occurred_at");

		state = add_session(state, time, time);
	}
	PG_RETURN_POINTER(state);
}

/*
 * cdp.session_count_merge(cdp.session_count_state, cdp.session_count_state)
 * returns cdp.session_count_state
 *
 * Joins the sessions of the second state with those of the first, in an
 * aggregate.
 */
Datum
cdp_session_count_merge(PG_FUNCTION_ARGS)
{
	SessionState *state = PG_ARGISNULL(0) ? NULL : (SessionState *) PG_GETARG_POINTER(0);
	SessionState *other;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	other = cdp_state_finished(PG_GETARG_DATUM(1), STATE_SESSIONS, SESSION_STATE);
	if (state == NULL)
		PG_RETURN_POINTER(other);
	if (state->gap != other->gap)
		different_options();
	state = session_room(state, other->count);
	for (uint32 i = 0; i < other->count; i++)
		state = add_session(state, other->sessions[i].time, other->sessions[i].other);
	PG_RETURN_POINTER(state);
}

/*
 * cdp.session_count_value(cdp.session_count_state) returns bigint
 *
 * The number of sessions.  0 for NULL, that is without rows.
 */
Datum
cdp_session_count_value(PG_FUNCTION_ARGS)
{
	SessionState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_INT64(0);
	state = cdp_state_finished(PG_GETARG_DATUM(0), STATE_SESSIONS, SESSION_STATE);
	PG_RETURN_INT64(state->count);
}

/*
 * cdp.decayed_sum_transition(cdp.decayed_sum_state, value double precision,
 *		occurred_at timestamptz, half_life interval [, at timestamptz]) returns
 *		cdp.decayed_sum_state
 *
 * Takes in a value.  A row without a value or time is left out, and so is one
 * after "at".  A half-life or "at" that is NULL or differs from that of the row
 * before, an infinite time, and a half-life below a millisecond are errors.
 */
Datum
cdp_decayed_sum_transition(PG_FUNCTION_ARGS)
{
	DecayedState *state = PG_ARGISNULL(0) ? NULL : (DecayedState *) PG_GETARG_POINTER(0);
	int64		half_life;
	int64		at = PG_INT64_MAX;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("half_life must not be null")));
	half_life = cdp_state_microseconds(PG_GETARG_INTERVAL_P(3), "half_life");
	if (half_life < DECAYED_MIN_HALF_LIFE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("half_life must be at least a millisecond")));
	if (PG_NARGS() > 4)
	{
		if (PG_ARGISNULL(4))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the time of a decayed sum must not be null")));
		at = cdp_state_finite(PG_GETARG_TIMESTAMPTZ(4), "the time of a decayed sum");
	}
	if (state == NULL)
	{
		state = palloc0(sizeof(DecayedState));
		SET_VARSIZE(state, sizeof(DecayedState));
		decayed_begin(state, half_life, at);
	}
	else if (state->half_life != half_life || state->at != at)
		different_options();
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
	{
		TimestampTz time = cdp_state_finite(PG_GETARG_TIMESTAMPTZ(2), "occurred_at");

		if (time <= at)
			decayed_add(state, PG_GETARG_FLOAT8(1), time);
	}
	PG_RETURN_POINTER(state);
}

/*
 * cdp.decayed_sum_merge(cdp.decayed_sum_state, cdp.decayed_sum_state) returns
 * cdp.decayed_sum_state
 *
 * Adds the second state to the first, in an aggregate.
 */
Datum
cdp_decayed_sum_merge(PG_FUNCTION_ARGS)
{
	DecayedState *state = PG_ARGISNULL(0) ? NULL : (DecayedState *) PG_GETARG_POINTER(0);
	DecayedState *other;

	cdp_state_check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	other = cdp_state_get(PG_GETARG_DATUM(1), STATE_DECAYED, DECAYED_STATE);
	if (state == NULL)
		PG_RETURN_POINTER(other);
	if (!decayed_merge(state, other))
		different_options();
	PG_RETURN_POINTER(state);
}

/*
 * cdp.decayed_sum_value(cdp.decayed_sum_state [, at timestamptz]) returns double
 * precision
 *
 * What the sum is worth at a time: the one given, else that of the aggregate, else
 * that of the newest row.  A time before the newest row is an error, since what
 * came after it cannot be told apart.  NULL for NULL and without rows.
 */
Datum
cdp_decayed_sum_value(PG_FUNCTION_ARGS)
{
	DecayedState *state;
	int64		at;
	double		result;

	if (PG_ARGISNULL(0) || (PG_NARGS() > 1 && PG_ARGISNULL(1)))
		PG_RETURN_NULL();
	state = cdp_state_get(PG_GETARG_DATUM(0), STATE_DECAYED, DECAYED_STATE);
	if (state->rows == 0)
		PG_RETURN_NULL();
	if (PG_NARGS() > 1)
		at = cdp_state_finite(PG_GETARG_TIMESTAMPTZ(1), "the time of a decayed sum");
	else
		at = state->at != PG_INT64_MAX ? state->at : state->newest;
	if (at < state->newest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a decayed sum cannot be had for a time before its newest row"),
				 errhint("Leave later rows out with FILTER, or give the time to the aggregate.")));
	result = decayed_value(state, at);
	if (isinf(result) && (state->flags & (DECAYED_PLUS | DECAYED_MINUS)) == 0)
		float_overflow_error();
	PG_RETURN_FLOAT8(result);
}
