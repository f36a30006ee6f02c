-- The phone normaliser. What a valid number is changes with libphonenumber's
-- metadata: the numbers here are published ones of organisations, or such that
-- no numbering plan will ever have.
\pset null NULL

-- national and international spelling
SELECT region, value, cdp.normalize_phone(value, region)
FROM (VALUES
	('US', '650-253-0000'),
	('US', '(650) 253-0000'),
	('US', '1 650 253 0000'),
	('US', '+1 650.253.0000'),
	('US', '011 44 20 8366 1177'),
	('CA', '650-253-0000'),
	('GB', '020 8366 1177'),
	('GB', '+44 (0)20 8366 1177'),
	('GB', '0044 20 8366 1177'),
	('GB', 'tel:+44-20-8366-1177'),
	('DE', '030/90 18 20'),
	('DE', '+49 30 901820'),
	('DE', '004930901820'),
	('DE', '+1 650 253 0000'),
	('FR', '01 42 68 53 00'),
	('IT', '02 3661 8300'),
	('CH', '044 668 18 00'),
	('JP', '03-6384-9000'),
	('AU', '(02) 9374 4000'),
	('us', '650-253-0000'),
	('ZZ', '+1 650 253 0000'),
	('', '+1 650 253 0000')
) AS input (region, value);

-- letters, extensions, other digits and spaces, invisible characters
SELECT cdp.normalize_phone(value, 'US'), description
FROM (VALUES
	('1-800-FLOWERS', 'letters'),
	('650-253-0000 x123', 'extension'),
	('+1 650 253 0000 ext. 123', 'extension'),
	('tel:+1-650-253-0000;ext=123', 'extension'),
	('  650 253 0000  ', 'white space'),
	(convert_from('\xefbc8b31efbc8836352e30efbc892032353330303030'::bytea, 'UTF8'), 'full-width punctuation'),
	(convert_from('\xefbc8befbc91efbc96efbc95efbc90efbc92efbc95efbc93efbc90efbc90efbc90efbc90'::bytea, 'UTF8'), 'full-width digits'),
	(convert_from('\xe280aa36353020323533203030303030e280ac'::bytea, 'UTF8'), 'direction marks, one digit too many'),
	(convert_from('\xe280aa363530203235332030303030e280ac'::bytea, 'UTF8'), 'direction marks')
) AS input (value, description);

-- not a valid number
SELECT region, value, cdp.normalize_phone(value, region)
FROM (VALUES
	('US', ''),
	('US', ' '),
	('US', 'n/a'),
	('US', '0'),
	('US', '123'),
	('US', '253-0000'),
	('US', '000-000-0000'),
	('US', '650-253-00000'),
	('US', '+1 650 253'),
	('US', '+0 650 253 0000'),
	('US', '+999 650 253 0000'),
	('US', '030 901820'),
	('US', '1234567890123456789012'),
	('DE', '110'),
	('ZZ', '650-253-0000'),
	('', '650-253-0000')
) AS input (region, value);
SELECT cdp.normalize_phone(repeat('1', 1048576), 'US'), cdp.normalize_phone(repeat('1', 999), 'US'),
	cdp.normalize_phone(repeat(' ', 1048576), 'US');

-- NULL
SELECT cdp.normalize_phone(NULL, 'US'), cdp.normalize_phone('650-253-0000', NULL);

-- unknown regions
SELECT cdp.normalize_phone('650-253-0000', 'XX');
SELECT cdp.normalize_phone('650-253-0000', 'UK');
SELECT cdp.normalize_phone('650-253-0000', 'USA');
SELECT cdp.normalize_phone('650-253-0000', 'a very long name');
SELECT cdp.normalize_phone('650-253-0000', '001');
DO $$
DECLARE
	code text;
	hint text;
BEGIN
	PERFORM cdp.normalize_phone('650-253-0000', 'XX');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
	RAISE INFO '% %', code, hint;
END $$;

-- stable, so no index; safe in parallel workers
CREATE TABLE phone_contact AS
SELECT '(650) 253-' || lpad(number::text, 4, '0') AS phone FROM generate_series(0, 4999) AS number;
CREATE INDEX ON phone_contact (cdp.normalize_phone(phone, 'US'));
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(cdp.normalize_phone(phone, 'US')), min(cdp.normalize_phone(phone, 'US')), max(cdp.normalize_phone(phone, 'US'))
FROM phone_contact;
DROP TABLE phone_contact;
