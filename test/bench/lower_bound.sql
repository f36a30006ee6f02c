-- The lower bound of a stitch: writing the very rows that it leaves in cdp_data, and building their indexes, with everything logged.
-- Nothing that keeps these rows can be faster than this without writing fewer or thinner ones.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS lower_bound CASCADE;
CREATE SCHEMA lower_bound;

DO $$
DECLARE
	name text;
	definition text;
BEGIN
	FOREACH name IN ARRAY ARRAY['identifier', 'record', 'link', 'profile'] LOOP
		EXECUTE format('CREATE TABLE lower_bound.%1$I AS SELECT * FROM cdp_data.%1$I', name);
		FOR definition IN
			SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = format('cdp_data.%I', name)::regclass ORDER BY indisprimary DESC, indexrelid
		LOOP
			EXECUTE replace(definition, ' ON cdp_data.', ' ON lower_bound.');
		END LOOP;
	END LOOP;
END
$$;
