-- trait: how often each bit is set, by which many counts with conditions of their own are one aggregate.

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
