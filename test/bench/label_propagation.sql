-- The baseline of the stitch: identity resolution by iterative label propagation in plain SQL, the way warehouse (dbt) packages do it.
--
-- One table of edges (record, identifier) from the same rows, identifiers cleaned with nothing dearer than lower() and btrim(), the worst
-- junk filtered by hand. Then each round gives every identifier the smallest label among its records, and every record the smallest
-- label among its identifiers, as a new table per round, until a round changes no label. It keeps no evidence, knows no constraint
-- (kiosks and households melt into one person) and starts over at every run: it is what the stitch has to beat while doing more.
-- Nodes are numbered first, so that the rounds join and group integers; many packages carry text through every round and are slower.
-- What it leaves behind is one indexed table (identifier, label).

\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS label_propagation CASCADE;
CREATE SCHEMA label_propagation;

CREATE TABLE label_propagation.raw AS
SELECT record, namespace || ':' || value AS identifier
FROM (
	SELECT 'crm/' || id AS record, namespace, value FROM workload.crm,
		LATERAL (VALUES ('crm_id', crm_id), ('email', lower(btrim(email))), ('email', lower(btrim(work_email))),
			('phone', replace(replace(phone, ' ', ''), '(0)', '')), ('user_id', user_id)) AS cell (namespace, value)
	UNION ALL
	SELECT 'pos/' || id, namespace, value FROM workload.pos,
		LATERAL (VALUES ('loyalty_id', loyalty_id), ('email', lower(btrim(email))),
			('phone', replace(replace(phone, ' ', ''), '(0)', ''))) AS cell (namespace, value)
	UNION ALL
	SELECT 'app/' || id, namespace, value FROM workload.app,
		LATERAL (VALUES ('device_id', lower(device_id)), ('user_id', user_id), ('email', lower(btrim(email)))) AS cell (namespace, value)
	UNION ALL
	SELECT 'web/' || id, namespace, value FROM workload.web,
		LATERAL (VALUES ('anonymous_id', anonymous_id), ('user_id', user_id), ('email', lower(btrim(email)))) AS cell (namespace, value)
) AS cell
WHERE value IS NOT NULL AND value NOT IN ('test@test.com', 'n/a', '00000000-0000-0000-0000-000000000000');
ANALYZE label_propagation.raw;

CREATE TABLE label_propagation.identifier AS
SELECT row_number() OVER () AS id, identifier FROM (SELECT DISTINCT identifier FROM label_propagation.raw) AS distinct_identifier;
ANALYZE label_propagation.identifier;

CREATE TABLE label_propagation.edge AS
SELECT dense_rank() OVER (ORDER BY raw.record COLLATE "C") AS record, identifier.id AS identifier
FROM label_propagation.raw JOIN label_propagation.identifier USING (identifier);
ANALYZE label_propagation.edge;

CREATE TABLE label_propagation.label AS SELECT id AS identifier, id AS label FROM label_propagation.identifier;
ANALYZE label_propagation.label;

CREATE TABLE label_propagation.round (round integer, changed bigint);

\o /dev/null
DO $$
DECLARE
	changed bigint;
	round integer := 0;
BEGIN
	LOOP
		round := round + 1;
		CREATE TABLE label_propagation.record_label AS
			SELECT edge.record, min(label.label) AS label
			FROM label_propagation.edge JOIN label_propagation.label USING (identifier) GROUP BY edge.record;
		ANALYZE label_propagation.record_label;
		CREATE TABLE label_propagation.next_label AS
			SELECT edge.identifier, min(record_label.label) AS label
			FROM label_propagation.edge JOIN label_propagation.record_label USING (record) GROUP BY edge.identifier;
		ANALYZE label_propagation.next_label;
		SELECT count(*) INTO changed
			FROM label_propagation.label JOIN label_propagation.next_label USING (identifier) WHERE label.label <> next_label.label;
		DROP TABLE label_propagation.record_label;
		DROP TABLE label_propagation.label;
		ALTER TABLE label_propagation.next_label RENAME TO label;
		INSERT INTO label_propagation.round VALUES (round, changed);
		EXIT WHEN changed = 0;
	END LOOP;
END
$$;
\o

CREATE TABLE label_propagation.person AS
SELECT identifier.identifier, label.label FROM label_propagation.identifier JOIN label_propagation.label ON label.identifier = identifier.id;
CREATE UNIQUE INDEX ON label_propagation.person (identifier);
CREATE INDEX ON label_propagation.person (label);
