-- source: the way of rows into the platform, behind refresh and capture.
--
-- cdp.source_query(source, selection, since) returns what cdp.take_in runs:
--
--   query               one SELECT, which runs as owner with the time_zone and search_path given
--                       beside it.  Its columns, by position: record_key (text), observed_at
--                       (timestamptz), deleted (boolean), then identifier_columns columns named after
--                       namespaces, then any payload.  In the selection "keys" it has one
--                       parameter, $1 text[], the keys wanted; in "missing" only record_key counts.
--   write               one statement that stores the payload, NULL for none.  It runs with the rights of
--                       the caller after each batch of records and reads the relation
--                       incoming(record_key text, hub bigint, observed_at timestamptz, deleted boolean, payload ...):
--                       one row for each record that counts; hub is NULL for deleted ones.
--   missing             a SELECT of record_key over the relation present(record_key text): the keys that are stored
--                       and not present in the source.  Runs with the rights of the caller.
--
-- The texts come from there and not from the caller of cdp.take_in, because the
-- query runs with the rights of the source's owner.

CREATE FUNCTION cdp.take_in(source text, selection text, keys text[] DEFAULT NULL, since text DEFAULT NULL, max_deleted bigint DEFAULT NULL,
        OUT rows_read bigint, OUT records_new bigint, OUT records_changed bigint, OUT records_unchanged bigint,
        OUT identifiers_new bigint, OUT links_new bigint, OUT profiles_new bigint, OUT merges bigint, OUT splits bigint,
        OUT refusals bigint, OUT rejected bigint, OUT identifiers_dropped bigint, OUT retracted bigint, OUT written bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'cdp_take_in';
COMMENT ON FUNCTION cdp.take_in(text, text, text[], text, bigint) IS
'Internal, called by cdp.refresh and capture: takes rows of a declared source in: all of them, those since a watermark, those with the given keys (keys that the source does not have are retracted), or the missing ones (stored records that the source no longer has are retracted, at most max_deleted).';
