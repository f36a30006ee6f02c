-- Writes dbt/models/cdp.yml, the unified views as dbt sources, from the comments in a
-- database where cdp.setup() was called and nothing was declared: "make sql-reference".
--
--   psql -XAtq -f test/dbt/views.sql
SELECT line
FROM (
    SELECT '' AS name, 0 AS place, line
    FROM (VALUES ($head$# The views of the platform, as sources: {{ source('cdp', 'profiles') }}.
# Written by "make sql-reference" from the comments in the database.  Columns of
# traits and properties, which each installation declares itself, come to dbt docs
# from the catalog, with their comments.
version: 2

sources:
  - name: cdp
    schema: cdp
    description: customer data platform in this database
    tables:$head$)) AS head(line)
    UNION ALL
    SELECT c.relname, 0, format(E'      - name: %s\n        description: %s%s\n        columns:', c.relname, to_json(obj_description(c.oid)),
        CASE c.relname WHEN 'refresh_log' THEN E'\n        config:\n          loaded_at_field: finished_at\n          freshness: {warn_after: {count: 26, period: hour}}' END)
    FROM pg_class AS c WHERE c.relnamespace = 'cdp'::regnamespace AND c.relkind = 'v'
    UNION ALL
    SELECT c.relname, a.attnum, format('          - {name: %s, data_type: %s, description: %s%s}', a.attname, to_json(format_type(a.atttypid, a.atttypmod)),
        to_json(col_description(a.attrelid, a.attnum)), CASE a.attname WHEN 'check' THEN ', quote: true' END)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'cdp'::regnamespace AND c.relkind = 'v'
) AS l
ORDER BY name COLLATE "C", place;
