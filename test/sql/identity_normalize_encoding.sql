-- Normalisers in databases whose encoding is not UTF-8
-- psql's versions disagree about the width of some characters
\pset format unaligned
SELECT current_database() AS home_database \gset
SET client_min_messages = warning;

--
-- LATIN1: converted to UTF-8 and back
--
CREATE DATABASE cdp_normalize_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
\connect cdp_normalize_latin1
\encoding UTF8
\pset null NULL
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT value, cdp.normalize_email(value), cdp.normalize_email(value, true)
FROM unnest(ARRAY['Jane@Example.com', 'JÖRG+a@BÜCHER.example', 'jane@faß.de', 'jane@exam÷ple.com']) WITH ORDINALITY AS input (value, position) ORDER BY position;
SELECT cdp.normalize_lower(' ÄÖÜ ß Ñ ') AS lower, cdp.normalize_exact(chr(160) || 'Ä' || chr(160)) AS exact, cdp.normalize_digits('Nº 12²') AS digits,
	cdp.normalize_uuid(chr(160) || 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11') AS uuid;
SELECT cdp.normalize_lower(repeat('Ä', 1048576)) = repeat('ä', 1048576) AS huge;
SELECT cdp.normalize_phone(chr(160) || '650' || chr(160) || '253' || chr(160) || '0000', 'US'), cdp.normalize_phone('ä', 'US');
\connect :home_database
DROP DATABASE cdp_normalize_latin1;

--
-- LATIN5: the lower case of the Turkish capital I with a dot has no place in it
--
CREATE DATABASE cdp_normalize_latin5 TEMPLATE template0 ENCODING 'LATIN5' LOCALE 'C';
\connect cdp_normalize_latin5
\encoding UTF8
\pset null NULL
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT value, cdp.normalize_lower(value), cdp.normalize_email(value || '@Example.com')
FROM unnest(ARRAY['ŞIŞLI', 'İSTANBUL']) WITH ORDINALITY AS input (value, position) ORDER BY position;
\connect :home_database
DROP DATABASE cdp_normalize_latin5;

--
-- EUC_JP: several bytes a character
--
CREATE DATABASE cdp_normalize_euc_jp TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C';
\connect cdp_normalize_euc_jp
\encoding UTF8
\pset null NULL
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT cdp.normalize_email('jane@例え。テスト'), cdp.normalize_email('用戸@Example.com'), cdp.normalize_lower('　ＡＢＣ　日本　') AS lower,
	cdp.normalize_exact('　日本　') AS exact, cdp.normalize_digits('１２３') AS digits, cdp.normalize_phone('０３－６３８４－９０００', 'JP') AS phone;
\connect :home_database
DROP DATABASE cdp_normalize_euc_jp;

--
-- MULE_INTERNAL: no conversion to UTF-8, so bytes above 127 are opaque
--
CREATE DATABASE cdp_normalize_mule TEMPLATE template0 ENCODING 'MULE_INTERNAL' LOCALE 'C';
\connect cdp_normalize_mule
\pset null NULL
SET client_min_messages = warning;
CREATE EXTENSION cdp;
SELECT cdp.normalize_email('Jane@Example.com'), cdp.normalize_email(convert_from('\x81e440622e6465', 'MULE_INTERNAL'));
SELECT convert_to(cdp.normalize_lower(convert_from('\x2041819c42', 'MULE_INTERNAL')), 'MULE_INTERNAL') AS lower,
	convert_to(cdp.normalize_exact(convert_from('\x2081a020', 'MULE_INTERNAL')), 'MULE_INTERNAL') AS exact;
SELECT cdp.normalize_digits(convert_from('\x81e43132', 'MULE_INTERNAL')) AS digits, cdp.normalize_phone('650-253-0000' || convert_from('\x81e4', 'MULE_INTERNAL'), 'US');
\connect :home_database
DROP DATABASE cdp_normalize_mule;

--
-- SQL_ASCII: UTF-8 where the bytes are well-formed, otherwise opaque
--
CREATE DATABASE cdp_normalize_sql_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
\connect cdp_normalize_sql_ascii
\encoding SQL_ASCII
\pset null NULL
SET client_min_messages = warning;
CREATE EXTENSION cdp;
CREATE TABLE raw (description text, value text);
INSERT INTO raw VALUES
	('ASCII', ' Jane@Example.com '),
	('UTF-8', E'J\xc3\x96RG12@B\xc3\x9cCHER.example'),
	('UTF-8 white space', E'\xc2\xa0X12\xe3\x80\x80'),
	('Latin 1', E'J\xd6RG12@B\xdcCHER.example'),
	('Latin 1 in the domain', E'jane@B\xdcCHER.example'),
	('Latin 1 white space', E'\xa0X12\xa0'),
	('truncated', E' X12\xe3\x80 '),
	('overlong', E'\xc0\xa0X12'),
	('surrogate', E'X12\xed\xa0\x80'),
	('above U+10FFFF', E'X12\xf4\x90\x80\x80'),
	('bytes that never occur', E'X12\xff\xfe');
SELECT description, convert_to(cdp.normalize_email(value), 'SQL_ASCII') AS email, convert_to(cdp.normalize_lower(value), 'SQL_ASCII') AS lower,
	convert_to(cdp.normalize_exact(value), 'SQL_ASCII') AS exact, cdp.normalize_digits(value) AS digits,
	cdp.normalize_uuid(value) AS uuid, cdp.normalize_phone(value, 'US') AS phone
FROM raw;
SELECT cdp.normalize_uuid(E'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\xa0'), cdp.normalize_uuid(E'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\xc2\xa0'),
	cdp.normalize_phone(E'650-253-0000\xff', 'US'), cdp.normalize_email(repeat(E'\xff', 1048576)),
	length(cdp.normalize_lower(repeat(E'\xff', 1048576)));
\connect :home_database
DROP DATABASE cdp_normalize_sql_ascii;
