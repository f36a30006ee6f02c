-- Aggregates over a person's events, on any table. All is written in C (src/trait)
-- and described in docs/trait.md.
--
-- The state of each is a type of its own: <aggregate>_state_agg gives it, to be
-- stored, <aggregate>_merge_agg puts stored states together, <aggregate>_value reads
-- the result off.

CREATE TYPE cdp.did_sequence_options;

CREATE FUNCTION cdp.did_sequence_options_in(cstring) RETURNS cdp.did_sequence_options
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_options_in';
CREATE FUNCTION cdp.did_sequence_options_out(cdp.did_sequence_options) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_options_out';
CREATE FUNCTION cdp.did_sequence_options_recv(internal) RETURNS cdp.did_sequence_options
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_options_recv';
CREATE FUNCTION cdp.did_sequence_options_send(cdp.did_sequence_options) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_options_send';

CREATE TYPE cdp.did_sequence_options (
	INPUT = cdp.did_sequence_options_in,
	OUTPUT = cdp.did_sequence_options_out,
	RECEIVE = cdp.did_sequence_options_recv,
	SEND = cdp.did_sequence_options_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.did_sequence_options IS 'the steps of a sequence of events, made by cdp.sequence_options()';
COMMENT ON FUNCTION cdp.did_sequence_options_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.did_sequence_options_out(cdp.did_sequence_options) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.did_sequence_options_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.did_sequence_options_send(cdp.did_sequence_options) IS 'the binary form, which docs/trait.md specifies';

CREATE TYPE cdp.did_sequence_state;

CREATE FUNCTION cdp.did_sequence_state_in(cstring) RETURNS cdp.did_sequence_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_state_in';
CREATE FUNCTION cdp.did_sequence_state_out(cdp.did_sequence_state) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_state_out';
CREATE FUNCTION cdp.did_sequence_state_recv(internal) RETURNS cdp.did_sequence_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_state_recv';
CREATE FUNCTION cdp.did_sequence_state_send(cdp.did_sequence_state) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_state_send';

CREATE TYPE cdp.did_sequence_state (
	INPUT = cdp.did_sequence_state_in,
	OUTPUT = cdp.did_sequence_state_out,
	RECEIVE = cdp.did_sequence_state_recv,
	SEND = cdp.did_sequence_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.did_sequence_state IS 'events that are steps of a sequence, the state of cdp.did_sequence';
COMMENT ON FUNCTION cdp.did_sequence_state_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.did_sequence_state_out(cdp.did_sequence_state) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.did_sequence_state_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.did_sequence_state_send(cdp.did_sequence_state) IS 'the binary form, which docs/trait.md specifies';

CREATE FUNCTION cdp.sequence_options(steps text[], within interval DEFAULT NULL, strictly_later boolean DEFAULT false)
	RETURNS cdp.did_sequence_options
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_sequence_options';
COMMENT ON FUNCTION cdp.sequence_options(text[], interval, boolean) IS
	'names of events in their order, the longest time from the first to the last, and whether each must be later than the one before';

CREATE FUNCTION cdp.did_sequence_transition(cdp.did_sequence_state, text, timestamptz, cdp.did_sequence_options) RETURNS cdp.did_sequence_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_transition';
COMMENT ON FUNCTION cdp.did_sequence_transition(cdp.did_sequence_state, text, timestamptz, cdp.did_sequence_options) IS 'takes in an event in cdp.did_sequence';

CREATE FUNCTION cdp.did_sequence_merge(cdp.did_sequence_state, cdp.did_sequence_state) RETURNS cdp.did_sequence_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_merge';
COMMENT ON FUNCTION cdp.did_sequence_merge(cdp.did_sequence_state, cdp.did_sequence_state) IS 'merges states of cdp.did_sequence';

CREATE FUNCTION cdp.did_sequence_state_finish(cdp.did_sequence_state) RETURNS cdp.did_sequence_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_state_finish';
COMMENT ON FUNCTION cdp.did_sequence_state_finish(cdp.did_sequence_state) IS 'ends cdp.did_sequence_state_agg';

CREATE FUNCTION cdp.did_sequence_value(state cdp.did_sequence_state) RETURNS boolean
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_did_sequence_value';
COMMENT ON FUNCTION cdp.did_sequence_value(cdp.did_sequence_state) IS 'whether all steps were gone through; false for NULL';

CREATE FUNCTION cdp.sequence_step_value(state cdp.did_sequence_state) RETURNS integer
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_sequence_step_value';
COMMENT ON FUNCTION cdp.sequence_step_value(cdp.did_sequence_state) IS 'how many of the steps were gone through; 0 for NULL';

CREATE AGGREGATE cdp.did_sequence(text, timestamptz, cdp.did_sequence_options) (
	SFUNC = cdp.did_sequence_transition,
	STYPE = cdp.did_sequence_state,
	COMBINEFUNC = cdp.did_sequence_merge,
	FINALFUNC = cdp.did_sequence_value,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.did_sequence(text, timestamptz, cdp.did_sequence_options) IS
	'whether events with these names came in this order: event_name, occurred_at, options';

CREATE AGGREGATE cdp.sequence_step(text, timestamptz, cdp.did_sequence_options) (
	SFUNC = cdp.did_sequence_transition,
	STYPE = cdp.did_sequence_state,
	COMBINEFUNC = cdp.did_sequence_merge,
	FINALFUNC = cdp.sequence_step_value,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.sequence_step(text, timestamptz, cdp.did_sequence_options) IS
	'how many steps of a sequence were gone through: event_name, occurred_at, options';

CREATE AGGREGATE cdp.did_sequence_state_agg(text, timestamptz, cdp.did_sequence_options) (
	SFUNC = cdp.did_sequence_transition,
	STYPE = cdp.did_sequence_state,
	COMBINEFUNC = cdp.did_sequence_merge,
	FINALFUNC = cdp.did_sequence_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.did_sequence_state_agg(text, timestamptz, cdp.did_sequence_options) IS
	'the state of cdp.did_sequence, to be stored';

CREATE AGGREGATE cdp.did_sequence_merge_agg(cdp.did_sequence_state) (
	SFUNC = cdp.did_sequence_merge,
	STYPE = cdp.did_sequence_state,
	COMBINEFUNC = cdp.did_sequence_merge,
	FINALFUNC = cdp.did_sequence_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.did_sequence_merge_agg(cdp.did_sequence_state) IS
	'stored states of cdp.did_sequence as one';

CREATE TYPE cdp.session_count_state;

CREATE FUNCTION cdp.session_count_state_in(cstring) RETURNS cdp.session_count_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_state_in';
CREATE FUNCTION cdp.session_count_state_out(cdp.session_count_state) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_state_out';
CREATE FUNCTION cdp.session_count_state_recv(internal) RETURNS cdp.session_count_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_state_recv';
CREATE FUNCTION cdp.session_count_state_send(cdp.session_count_state) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_state_send';

CREATE TYPE cdp.session_count_state (
	INPUT = cdp.session_count_state_in,
	OUTPUT = cdp.session_count_state_out,
	RECEIVE = cdp.session_count_state_recv,
	SEND = cdp.session_count_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.session_count_state IS 'sessions with their beginning and end, the state of cdp.session_count';
COMMENT ON FUNCTION cdp.session_count_state_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.session_count_state_out(cdp.session_count_state) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.session_count_state_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.session_count_state_send(cdp.session_count_state) IS 'the binary form, which docs/trait.md specifies';

CREATE FUNCTION cdp.session_count_transition(cdp.session_count_state, timestamptz, interval) RETURNS cdp.session_count_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_transition';
COMMENT ON FUNCTION cdp.session_count_transition(cdp.session_count_state, timestamptz, interval) IS 'takes in an event in cdp.session_count';

CREATE FUNCTION cdp.session_count_merge(cdp.session_count_state, cdp.session_count_state) RETURNS cdp.session_count_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_merge';
COMMENT ON FUNCTION cdp.session_count_merge(cdp.session_count_state, cdp.session_count_state) IS 'merges states of cdp.session_count';

CREATE FUNCTION cdp.session_count_state_finish(cdp.session_count_state) RETURNS cdp.session_count_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_state_finish';
COMMENT ON FUNCTION cdp.session_count_state_finish(cdp.session_count_state) IS 'ends cdp.session_count_state_agg';

CREATE FUNCTION cdp.session_count_value(state cdp.session_count_state) RETURNS bigint
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_session_count_value';
COMMENT ON FUNCTION cdp.session_count_value(cdp.session_count_state) IS 'number of sessions; 0 for NULL';

CREATE AGGREGATE cdp.session_count(timestamptz, interval) (
	SFUNC = cdp.session_count_transition,
	STYPE = cdp.session_count_state,
	COMBINEFUNC = cdp.session_count_merge,
	FINALFUNC = cdp.session_count_value,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.session_count(timestamptz, interval) IS
	'number of sessions, between which nothing happens for longer than the gap: occurred_at, gap';

CREATE AGGREGATE cdp.session_count_state_agg(timestamptz, interval) (
	SFUNC = cdp.session_count_transition,
	STYPE = cdp.session_count_state,
	COMBINEFUNC = cdp.session_count_merge,
	FINALFUNC = cdp.session_count_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.session_count_state_agg(timestamptz, interval) IS
	'the state of cdp.session_count, to be stored';

CREATE AGGREGATE cdp.session_count_merge_agg(cdp.session_count_state) (
	SFUNC = cdp.session_count_merge,
	STYPE = cdp.session_count_state,
	COMBINEFUNC = cdp.session_count_merge,
	FINALFUNC = cdp.session_count_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.session_count_merge_agg(cdp.session_count_state) IS
	'stored states of cdp.session_count as one';

CREATE TYPE cdp.decayed_sum_state;

CREATE FUNCTION cdp.decayed_sum_state_in(cstring) RETURNS cdp.decayed_sum_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_state_in';
CREATE FUNCTION cdp.decayed_sum_state_out(cdp.decayed_sum_state) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_state_out';
CREATE FUNCTION cdp.decayed_sum_state_recv(internal) RETURNS cdp.decayed_sum_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_state_recv';
CREATE FUNCTION cdp.decayed_sum_state_send(cdp.decayed_sum_state) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_state_send';

CREATE TYPE cdp.decayed_sum_state (
	INPUT = cdp.decayed_sum_state_in,
	OUTPUT = cdp.decayed_sum_state_out,
	RECEIVE = cdp.decayed_sum_state_recv,
	SEND = cdp.decayed_sum_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.decayed_sum_state IS 'a sum that decays by half in each half-life, the state of cdp.decayed_sum';
COMMENT ON FUNCTION cdp.decayed_sum_state_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.decayed_sum_state_out(cdp.decayed_sum_state) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.decayed_sum_state_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.decayed_sum_state_send(cdp.decayed_sum_state) IS 'the binary form, which docs/trait.md specifies';

CREATE FUNCTION cdp.decayed_sum_transition(cdp.decayed_sum_state, double precision, timestamptz, interval) RETURNS cdp.decayed_sum_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_transition';
COMMENT ON FUNCTION cdp.decayed_sum_transition(cdp.decayed_sum_state, double precision, timestamptz, interval) IS 'takes in a value in cdp.decayed_sum';

CREATE FUNCTION cdp.decayed_sum_transition(cdp.decayed_sum_state, double precision, timestamptz, interval, timestamptz) RETURNS cdp.decayed_sum_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_transition';
COMMENT ON FUNCTION cdp.decayed_sum_transition(cdp.decayed_sum_state, double precision, timestamptz, interval, timestamptz) IS 'takes in a value in cdp.decayed_sum at a time';

CREATE FUNCTION cdp.decayed_sum_merge(cdp.decayed_sum_state, cdp.decayed_sum_state) RETURNS cdp.decayed_sum_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_merge';
COMMENT ON FUNCTION cdp.decayed_sum_merge(cdp.decayed_sum_state, cdp.decayed_sum_state) IS 'merges states of cdp.decayed_sum';

CREATE FUNCTION cdp.decayed_sum_value(state cdp.decayed_sum_state) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_value';
COMMENT ON FUNCTION cdp.decayed_sum_value(cdp.decayed_sum_state) IS 'the sum as of the time given to the aggregate, or of the newest row';

CREATE FUNCTION cdp.decayed_sum_value(state cdp.decayed_sum_state, at timestamptz) RETURNS double precision
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_decayed_sum_value';
COMMENT ON FUNCTION cdp.decayed_sum_value(cdp.decayed_sum_state, timestamptz) IS 'the sum as of a time, not before the newest row';

CREATE AGGREGATE cdp.decayed_sum(double precision, timestamptz, interval) (
	SFUNC = cdp.decayed_sum_transition,
	STYPE = cdp.decayed_sum_state,
	COMBINEFUNC = cdp.decayed_sum_merge,
	FINALFUNC = cdp.decayed_sum_value,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.decayed_sum(double precision, timestamptz, interval) IS
	'sum in which a value counts half after each half-life, as of the newest row: value, occurred_at, half_life';

CREATE AGGREGATE cdp.decayed_sum(double precision, timestamptz, interval, timestamptz) (
	SFUNC = cdp.decayed_sum_transition,
	STYPE = cdp.decayed_sum_state,
	COMBINEFUNC = cdp.decayed_sum_merge,
	FINALFUNC = cdp.decayed_sum_value,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.decayed_sum(double precision, timestamptz, interval, timestamptz) IS
	'sum in which a value counts half after each half-life, as of a time: value, occurred_at, half_life, at';

CREATE AGGREGATE cdp.decayed_sum_state_agg(double precision, timestamptz, interval) (
	SFUNC = cdp.decayed_sum_transition,
	STYPE = cdp.decayed_sum_state,
	COMBINEFUNC = cdp.decayed_sum_merge,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.decayed_sum_state_agg(double precision, timestamptz, interval) IS
	'the state of cdp.decayed_sum, to be stored';

CREATE AGGREGATE cdp.decayed_sum_merge_agg(cdp.decayed_sum_state) (
	SFUNC = cdp.decayed_sum_merge,
	STYPE = cdp.decayed_sum_state,
	COMBINEFUNC = cdp.decayed_sum_merge,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.decayed_sum_merge_agg(cdp.decayed_sum_state) IS
	'stored states of cdp.decayed_sum as one';

CREATE TYPE cdp.most_frequent_state;

CREATE FUNCTION cdp.most_frequent_state_in(cstring) RETURNS cdp.most_frequent_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_state_in';
CREATE FUNCTION cdp.most_frequent_state_out(cdp.most_frequent_state) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_state_out';
CREATE FUNCTION cdp.most_frequent_state_recv(internal) RETURNS cdp.most_frequent_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_state_recv';
CREATE FUNCTION cdp.most_frequent_state_send(cdp.most_frequent_state) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_state_send';

CREATE TYPE cdp.most_frequent_state (
	INPUT = cdp.most_frequent_state_in,
	OUTPUT = cdp.most_frequent_state_out,
	RECEIVE = cdp.most_frequent_state_recv,
	SEND = cdp.most_frequent_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.most_frequent_state IS 'how often each value came, the state of cdp.most_frequent';
COMMENT ON FUNCTION cdp.most_frequent_state_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.most_frequent_state_out(cdp.most_frequent_state) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.most_frequent_state_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.most_frequent_state_send(cdp.most_frequent_state) IS 'the binary form, which docs/trait.md specifies';

CREATE FUNCTION cdp.most_frequent_transition(cdp.most_frequent_state, anyelement) RETURNS cdp.most_frequent_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_transition';
COMMENT ON FUNCTION cdp.most_frequent_transition(cdp.most_frequent_state, anyelement) IS 'counts a value in cdp.most_frequent';

CREATE FUNCTION cdp.most_frequent_merge(cdp.most_frequent_state, cdp.most_frequent_state) RETURNS cdp.most_frequent_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_merge';
COMMENT ON FUNCTION cdp.most_frequent_merge(cdp.most_frequent_state, cdp.most_frequent_state) IS 'merges states of cdp.most_frequent';

CREATE FUNCTION cdp.most_frequent_state_finish(cdp.most_frequent_state) RETURNS cdp.most_frequent_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_state_finish';
COMMENT ON FUNCTION cdp.most_frequent_state_finish(cdp.most_frequent_state) IS 'ends cdp.most_frequent_state_agg';

CREATE FUNCTION cdp.most_frequent_value(state cdp.most_frequent_state, result_type anyelement) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_value';
COMMENT ON FUNCTION cdp.most_frequent_value(cdp.most_frequent_state, anyelement) IS 'the most frequent value, as the type of the second argument';

CREATE FUNCTION cdp.most_frequent_count(state cdp.most_frequent_state) RETURNS bigint
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_most_frequent_count';
COMMENT ON FUNCTION cdp.most_frequent_count(cdp.most_frequent_state) IS 'how often the most frequent value came; 0 for NULL';

CREATE AGGREGATE cdp.most_frequent(anyelement) (
	SFUNC = cdp.most_frequent_transition,
	STYPE = cdp.most_frequent_state,
	COMBINEFUNC = cdp.most_frequent_merge,
	FINALFUNC = cdp.most_frequent_value,
	FINALFUNC_EXTRA,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.most_frequent(anyelement) IS
	'the most frequent value, the smallest one of several';

CREATE AGGREGATE cdp.most_frequent_state_agg(anyelement) (
	SFUNC = cdp.most_frequent_transition,
	STYPE = cdp.most_frequent_state,
	COMBINEFUNC = cdp.most_frequent_merge,
	FINALFUNC = cdp.most_frequent_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.most_frequent_state_agg(anyelement) IS
	'the state of cdp.most_frequent, to be stored';

CREATE AGGREGATE cdp.most_frequent_merge_agg(cdp.most_frequent_state) (
	SFUNC = cdp.most_frequent_merge,
	STYPE = cdp.most_frequent_state,
	COMBINEFUNC = cdp.most_frequent_merge,
	FINALFUNC = cdp.most_frequent_state_finish,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.most_frequent_merge_agg(cdp.most_frequent_state) IS
	'stored states of cdp.most_frequent as one';

CREATE TYPE cdp.value_at_state;

CREATE FUNCTION cdp.value_at_state_in(cstring) RETURNS cdp.value_at_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_state_in';
CREATE FUNCTION cdp.value_at_state_out(cdp.value_at_state) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_state_out';
CREATE FUNCTION cdp.value_at_state_recv(internal) RETURNS cdp.value_at_state
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_state_recv';
CREATE FUNCTION cdp.value_at_state_send(cdp.value_at_state) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_state_send';

CREATE TYPE cdp.value_at_state (
	INPUT = cdp.value_at_state_in,
	OUTPUT = cdp.value_at_state_out,
	RECEIVE = cdp.value_at_state_recv,
	SEND = cdp.value_at_state_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);

COMMENT ON TYPE cdp.value_at_state IS 'the first or last value and its time, the state of cdp.first_value_at and cdp.last_value_at';
COMMENT ON FUNCTION cdp.value_at_state_in(cstring) IS 'reads \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.value_at_state_out(cdp.value_at_state) IS 'writes \x and hexadecimal digits of the binary form';
COMMENT ON FUNCTION cdp.value_at_state_recv(internal) IS 'reads the binary form, which docs/trait.md specifies';
COMMENT ON FUNCTION cdp.value_at_state_send(cdp.value_at_state) IS 'the binary form, which docs/trait.md specifies';

CREATE FUNCTION cdp.first_value_at_transition(cdp.value_at_state, anyelement, timestamptz) RETURNS cdp.value_at_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_first_value_at_transition';
COMMENT ON FUNCTION cdp.first_value_at_transition(cdp.value_at_state, anyelement, timestamptz) IS 'takes in a value in cdp.first_value_at';

CREATE FUNCTION cdp.last_value_at_transition(cdp.value_at_state, anyelement, timestamptz) RETURNS cdp.value_at_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_last_value_at_transition';
COMMENT ON FUNCTION cdp.last_value_at_transition(cdp.value_at_state, anyelement, timestamptz) IS 'takes in a value in cdp.last_value_at';

CREATE FUNCTION cdp.value_at_merge(cdp.value_at_state, cdp.value_at_state) RETURNS cdp.value_at_state
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_merge';
COMMENT ON FUNCTION cdp.value_at_merge(cdp.value_at_state, cdp.value_at_state) IS 'merges states of cdp.first_value_at or of cdp.last_value_at';

CREATE FUNCTION cdp.value_at_value(state cdp.value_at_state, result_type anyelement) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_value';
COMMENT ON FUNCTION cdp.value_at_value(cdp.value_at_state, anyelement) IS 'the value, as the type of the second argument';

CREATE FUNCTION cdp.value_at_value(state cdp.value_at_state, result_type anyelement, occurred_at timestamptz) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_value';
COMMENT ON FUNCTION cdp.value_at_value(cdp.value_at_state, anyelement, timestamptz) IS 'ends cdp.first_value_at and cdp.last_value_at';

CREATE FUNCTION cdp.value_at_time(state cdp.value_at_state) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'cdp_value_at_time';
COMMENT ON FUNCTION cdp.value_at_time(cdp.value_at_state) IS 'the time that belongs to the value';

CREATE AGGREGATE cdp.first_value_at(anyelement, timestamptz) (
	SFUNC = cdp.first_value_at_transition,
	STYPE = cdp.value_at_state,
	COMBINEFUNC = cdp.value_at_merge,
	FINALFUNC = cdp.value_at_value,
	FINALFUNC_EXTRA,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.first_value_at(anyelement, timestamptz) IS
	'the first value by time, the smallest one of several: value, occurred_at';

CREATE AGGREGATE cdp.first_value_at_state_agg(anyelement, timestamptz) (
	SFUNC = cdp.first_value_at_transition,
	STYPE = cdp.value_at_state,
	COMBINEFUNC = cdp.value_at_merge,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.first_value_at_state_agg(anyelement, timestamptz) IS
	'the state of cdp.first_value_at, to be stored';

CREATE AGGREGATE cdp.last_value_at(anyelement, timestamptz) (
	SFUNC = cdp.last_value_at_transition,
	STYPE = cdp.value_at_state,
	COMBINEFUNC = cdp.value_at_merge,
	FINALFUNC = cdp.value_at_value,
	FINALFUNC_EXTRA,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.last_value_at(anyelement, timestamptz) IS
	'the last value by time, the greatest one of several: value, occurred_at';

CREATE AGGREGATE cdp.last_value_at_state_agg(anyelement, timestamptz) (
	SFUNC = cdp.last_value_at_transition,
	STYPE = cdp.value_at_state,
	COMBINEFUNC = cdp.value_at_merge,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.last_value_at_state_agg(anyelement, timestamptz) IS
	'the state of cdp.last_value_at, to be stored';

CREATE AGGREGATE cdp.value_at_merge_agg(cdp.value_at_state) (
	SFUNC = cdp.value_at_merge,
	STYPE = cdp.value_at_state,
	COMBINEFUNC = cdp.value_at_merge,
	PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.value_at_merge_agg(cdp.value_at_state) IS
	'stored states of cdp.first_value_at, or of cdp.last_value_at, as one';
