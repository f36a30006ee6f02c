-- trait: by which a refresh evaluates many aggregates over events: how often each bit is set, so that many counts with
-- conditions of their own are one aggregate, and the number of a name.

CREATE FUNCTION cdp.count_bits_transition(state bigint[], bits bigint) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_count_bits_transition';
COMMENT ON FUNCTION cdp.count_bits_transition(bigint[], bigint) IS 'Internal: the transition function of cdp.count_bits.';

CREATE FUNCTION cdp.count_bits_combine(state bigint[], other bigint[]) RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_count_bits_combine';
COMMENT ON FUNCTION cdp.count_bits_combine(bigint[], bigint[]) IS 'Internal: adds two states of cdp.count_bits.';

CREATE AGGREGATE cdp.count_bits(bigint) (
    SFUNC = cdp.count_bits_transition,
    STYPE = bigint[],
    SSPACE = 320,
    COMBINEFUNC = cdp.count_bits_combine,
    PARALLEL = safe
);
COMMENT ON AGGREGATE cdp.count_bits(bigint) IS
'How often each bit of the numbers is set: element 1 counts the lowest one.  The array ends somewhere behind the highest bit that was set; NULL when none was.  By it many counts, each with a condition of its own, are one aggregate.';

CREATE FUNCTION cdp.name_number(name text, names text[]) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'cdp_name_number';
COMMENT ON FUNCTION cdp.name_number(text, text[]) IS
'The place, from 1, of the first of the names that is byte for byte the given one; 0 when none is, NULL when an argument is.  By it a refresh compares the name of an event once, and numbers from then on.';
