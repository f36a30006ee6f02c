-- trait: the compiler of expressions, for computed traits and segment predicates.

CREATE FUNCTION cdp.analyse_expression(
    kind text, name text, definition text, is_query boolean, owner name, time_zone text, search_path text, is_realtime boolean DEFAULT false,
    OUT type text, OUT fact_kinds text[], OUT fact_names text[])
    RETURNS record
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_analyse_expression';
COMMENT ON FUNCTION cdp.analyse_expression(text, text, text, boolean, name, text, text, boolean) IS
'Part of cdp.create_computed_trait and cdp.create_segment: checks a definition under the role of its owner and tells the type of its value and what it reads.';

CREATE FUNCTION cdp.compile_segment(predicate text) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_compile_segment';
COMMENT ON FUNCTION cdp.compile_segment(text) IS
'The SQL statement that yields profile_id of everybody for whom a predicate holds, for a dbt model or EXPLAIN.  Nothing is registered, and the text is read with the rights of the caller.';

CREATE FUNCTION cdp.segment_sql(name text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_segment_sql';
COMMENT ON FUNCTION cdp.segment_sql(text) IS
'The SQL statement that yields profile_id of the members of a segment, as it is evaluated; days and months are those of the session''s TimeZone.';

CREATE FUNCTION cdp.trait_sql(name text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_trait_sql';
COMMENT ON FUNCTION cdp.trait_sql(text) IS
'The SQL statement that yields profile_id and the value of a computed trait for everybody, as it is evaluated; days and months are those of the session''s TimeZone.';

CREATE FUNCTION cdp.window_closes(at timestamptz, width interval, slack interval, clock timestamptz) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'cdp_window_closes';
COMMENT ON FUNCTION cdp.window_closes(timestamptz, interval, interval, timestamptz) IS
'Part of compiled expressions: the time before which "now() - width" does not pass a time, seen from the clock; NULL when that is over.';

CREATE FUNCTION cdp.expression_sql(expression_ids integer[], shape text, flags integer DEFAULT 0) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_expression_sql';
COMMENT ON FUNCTION cdp.expression_sql(integer[], text, integer) IS
'Part of evaluation, for EXPLAIN: the statement by which expressions of one owner are evaluated together, for everybody, for given people ($1) or for everybody in shares, which processes can evaluate side by side; flags: 1 as of a time (the last parameter), 2 with the time at which the clock changes a result, 4 with clocks as constants, to be run in this transaction.';
