-- segment: previews of predicates, and why somebody is in a segment or not.

-- Volatile because of the sample, which is another one each time.
CREATE FUNCTION cdp.preview_segment(
    predicate text DEFAULT NULL, sample integer DEFAULT 10, query text DEFAULT NULL,
    OUT members bigint, OUT people bigint, OUT share double precision, OUT sample bigint[])
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_preview_segment';
COMMENT ON FUNCTION cdp.preview_segment(text, integer, text) IS
'How many people a predicate (or a query that yields profile ids) selects, exactly, which share of all people that is, and a random sample of their profile ids, ascending.  Nothing is registered; the text runs with the rights of the caller.';

CREATE FUNCTION cdp.explain_segment(
    name text, profile_id bigint, at timestamptz DEFAULT NULL,
    OUT place integer, OUT depth integer, OUT kind text, OUT part text, OUT result boolean, OUT inputs jsonb, OUT is_decisive boolean, OUT note text)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE
    ROWS 20
    AS 'MODULE_PATHNAME', 'cdp_explain_segment';
COMMENT ON FUNCTION cdp.explain_segment(text, bigint, timestamptz) IS
'Why somebody is in a segment, or why not: the parts of its predicate in reading order, each with its result for that person, the values that a condition reads, whether the outcome goes by it, and a note in words; beneath a condition, the segments and computed traits that it reads.  As of a time, or (NULL) now.';
