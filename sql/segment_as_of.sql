-- segment: segments as of an earlier time, and training sets without leakage.

CREATE FUNCTION cdp.segment_at(name text, at timestamptz) RETURNS SETOF bigint
    LANGUAGE c STABLE PARALLEL UNSAFE
    ROWS 10000
    AS 'MODULE_PATHNAME', 'cdp_segment_at';
COMMENT ON FUNCTION cdp.segment_at(text, timestamptz) IS
'Who was in a segment at a time: the clock stands at that time, later events are hidden, traits are read from their history, and people are those known today who had been seen by then.  What is not known of an earlier time is an error that names it.';

CREATE FUNCTION cdp.training_sql(traits text[], population text) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_training_sql';
COMMENT ON FUNCTION cdp.training_sql(text[], text) IS
'A query for training a model: the rows of the population, which is a query with columns profile_id, as_of (timestamptz) and label, with a column for each trait (record or computed) and each segment (boolean), evaluated as of the row''s own time so that nothing later leaks in.  Rows without profile_id or as_of are left out, each other one gives one row.  What is not known of an earlier time is an error that names it.';
