-- Normalisers, in a database whose encoding is UTF-8 (see
-- identity_normalize_encoding for the others)
\encoding UTF8
-- psql's versions disagree about the width of some characters
\pset format unaligned
SELECT current_database() AS home_database \gset
CREATE DATABASE cdp_normalize_utf8 TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
\connect cdp_normalize_utf8
SET client_min_messages = warning;
CREATE EXTENSION cdp;
\pset null NULL
\encoding UTF8

--
-- email
--

-- spelling
SELECT value, cdp.normalize_email(value)
FROM unnest(ARRAY[
	'jane@example.com',
	'Jane.DOE@Example.COM',
	E' \t\r\n\x0b\fjane@example.com \n',
	'jane+news@example.com',
	'o''brien@example.com',
	'!#$%&''*+-/=?^_`{|}~@example.com',
	'jane@example.com.',
	'jane@mail.example.co.uk',
	'jane@3com.com',
	'jane@123.com',
	'j@x.y',
	'jane@a-b--c.com'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;

-- not an address
SELECT value, cdp.normalize_email(value)
FROM unnest(ARRAY[
	'',
	' ',
	'@',
	'jane',
	'jane@',
	'@example.com',
	'jane@example',
	'jane@localhost',
	'jane@@example.com',
	'jane@doe@example.com',
	'jane doe@example.com',
	'jane@exam ple.com',
	'.jane@example.com',
	'jane.@example.com',
	'jane..doe@example.com',
	'jane@.example.com',
	'jane@example..com',
	'jane@example.com..',
	'jane@.',
	'jane@-example.com',
	'jane@example-.com',
	'jane@exam_ple.com',
	'jane@192.0.2.1',
	'jane@example.123',
	'jane(work)@example.com',
	'jane,doe@example.com',
	'jane:doe@example.com',
	'jane;doe@example.com',
	'jane\doe@example.com',
	'Jane Doe <jane@example.com>',
	'mailto:jane@example.com',
	'jane@example.com, joe@example.com',
	'jane@example.com/x',
	'jane@example.com:25',
	E'jane\x01@example.com',
	E'jane@example\x7f.com',
	'n/a'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;

-- quotes stay only where they are needed
SELECT value, cdp.normalize_email(value)
FROM unnest(ARRAY[
	'"jane.doe"@example.com',
	'"Jane Doe"@Example.com',
	'"jane@doe"@example.com',
	'"jane\.doe"@example.com',
	'"jane\"doe"@example.com',
	'"jane\\doe"@example.com',
	'"jane..doe"@example.com',
	'"jane\ doe"@example.com',
	'"jörg müller"@example.com',
	'""@example.com',
	'"jane@example.com',
	'"jane"doe@example.com',
	'"jane".doe@example.com',
	'jane."doe"@example.com',
	'"jane\"@example.com',
	'"jane',
	E'"jane\tdoe"@example.com'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;

-- address literals
SELECT value, cdp.normalize_email(value)
FROM unnest(ARRAY[
	'jane@[192.0.2.1]',
	'jane@[IPv6:2001:DB8:0:0::0001]',
	'jane@[IPv6:::FFFF:192.0.2.1]',
	'jane@[192.0.2]',
	'jane@[192.0.2.256]',
	'jane@[2001:db8::1]',
	'jane@[IPv6:192.0.2.1]',
	'jane@[IPv6:2001:db8::1::1]',
	'jane@[192.0.2.1',
	'jane@[192.0.2.1].com',
	'jane@[example.com]',
	'jane@[]',
	'jane@['
]) WITH ORDINALITY AS input (value, position) ORDER BY position;

-- limits: 64 bytes before the "@", 63 in a label, 254 together
SELECT local_part, label, rest, length(cdp.normalize_email(repeat('a', local_part) || '@' ||
	repeat('b', label) || '.' || repeat(repeat('c', 61) || '.', 2) || repeat('d', rest)))
FROM (VALUES (64, 1, 1), (65, 1, 1), (1, 63, 1), (1, 64, 1), (64, 63, 1), (64, 1, 62),
	(64, 63, 0), (62, 63, 3), (63, 63, 2), (64, 62, 3), (62, 61, 61), (1, 61, 64)) AS size (local_part, label, rest);
SELECT length(address) AS given, length(cdp.normalize_email(address))
FROM (SELECT repeat('a', 64) || '@' || repeat(repeat('b', 61) || '.', 3) || repeat('c', last) AS address
	FROM generate_series(1, 5) AS last) AS input;

-- outside ASCII: Unicode white space around, invisible characters anywhere
SELECT escaped, cdp.normalize_email(value)
FROM (VALUES
	('NO-BREAK SPACE', U&'\00A0jane@example.com\00A0'),
	('IDEOGRAPHIC SPACE', U&'\3000jane@example.com\3000'),
	('LINE SEPARATOR, NEXT LINE', U&'\2028jane@example.com\0085'),
	('BYTE ORDER MARK', U&'\FEFFjane@example.com'),
	('ZERO WIDTH SPACE', U&'\200Bja\200Bne@exam\200Bple.com\200B'),
	('SOFT HYPHEN', U&'ja\00ADne@example\00AD.com'),
	('LEFT-TO-RIGHT EMBEDDING', U&'\202Ajane@example.com\202C'),
	('ZERO WIDTH JOINER around', U&'\200Djane@example.com\200D'),
	('ZERO WIDTH JOINER within', U&'ja\200Dne@example.com'),
	('NO-BREAK SPACE within', U&'jane\00A0doe@example.com'),
	('IDEOGRAPHIC SPACE in the domain', U&'jane@exam\3000ple.com'),
	('control character', U&'ja\0080ne@example.com'),
	('noncharacter', U&'ja\FFFFne@example.com'),
	('only invisible', U&'\200B\2060'),
	('full-width @', U&'jane\FF20example.com')
) AS input (escaped, value);

-- outside ASCII: local parts
SELECT value, cdp.normalize_email(value), octet_length(cdp.normalize_email(value))
FROM (VALUES
	('JÖRG@example.com'),
	(U&'jo\0308rg@example.com'),
	('ΟΔΥΣΣΕΥΣ@example.com'),
	('İbrahim@example.com'),
	('用户@example.com'),
	('😀@example.com'),
	(U&'a\037Eb@example.com'), -- the Greek question mark composes to a semicolon
	(U&'\212Aelvin@example.com'), -- the sign for kelvin is a K
	(repeat('ä', 32) || '@example.com'),
	(repeat('ä', 33) || '@example.com')
) AS input (value);

-- outside ASCII: domains
SELECT left(value, 40) AS value, cdp.normalize_email(value)
FROM (VALUES
	('jane@BÜCHER.example'),
	(U&'jane@bu\0308cher.example'),
	('jane@faß.de'),
	('jane@ΣΊΣΥΦΟΣ.gr'),
	('jane@例え.テスト'),
	('jane@例え。テスト'),
	('jane@例え．テスト'),
	('jane@ＥＸＡＭＰＬＥ.com'),
	('jane@مثال.إختبار'),
	('jane@пример.испытание'),
	('jane@mail.bücher.example.'),
	('jane@xn--bcher-kva.example'),
	('jane@XN--BCHER-KVA.example'),
	('jane@bücher.xn--kgbechtv'),
	('jane@xn--i-7iq.ws'),
	('jane@i❤.ws'), -- IDNA2008 has no symbols
	('jane@-ü.com'),
	('jane@ü-.com'),
	('jane@ü..com'),
	('jane@ü'),
	('jane@ü_b.com'),
	('jane@aü--b.com'),
	(U&'jane@\0300b.com'), -- begins with a combining character
	(U&'jane@exam\037Eple.com'), -- becomes what no host name has: a semicolon,
	('jane@exam℀ple.com'), -- a slash,
	('jane@exam⑴ple.com'), -- parentheses
	('jane@example⒈com'), -- and here "1."
	('jane@' || repeat('ü', 58) || '.com'),
	('jane@' || repeat('ü', 600) || '.com'),
	('jane@' || repeat('ü.', 400) || 'com')
) AS input (value);

-- provider rules
SELECT value, cdp.normalize_email(value, false) AS without, cdp.normalize_email(value, true) AS "with"
FROM unnest(ARRAY[
	'Jane.Doe+News@Example.com',
	'jane+a+b@example.com',
	'jane.+a@example.com',
	'+a@example.com',
	'+a+b@example.com',
	'jane+@example.com',
	'J.a.n.e+news@gmail.com',
	'jane.doe@googlemail.com',
	'Jane.Doe@GoogleMail.com.',
	'jane.doe@mail.gmail.com',
	'jane.doe@notgmail.com',
	'+.a@gmail.com',
	'"jane.doe+a"@gmail.com',
	'"jane doe+a"@gmail.com',
	'"jane doe+a"@googlemail.com',
	'jörg.müller+a@gmail.com',
	U&'j.a.\0301ne@gmail.com',
	'jane@[192.0.2.1]',
	'jane..doe@gmail.com',
	'jane'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;

-- NULL
SELECT cdp.normalize_email(NULL), cdp.normalize_email(NULL, true), cdp.normalize_email('jane@example.com', NULL);

-- huge: refused at once, or trimmed
SELECT cdp.normalize_email(repeat('a', 1048576)),
	cdp.normalize_email(repeat('a', 1048576) || '@example.com'),
	cdp.normalize_email('jane@' || repeat('a.', 524288) || 'com'),
	cdp.normalize_email('jane@' || repeat('ü', 524288) || '.com'),
	cdp.normalize_email('"' || repeat('\"', 524288) || '"@example.com'),
	cdp.normalize_email('jane' || repeat(U&'\200B', 349525) || '@example.com'),
	cdp.normalize_email(repeat(' ', 524288) || 'jane@example.com' || repeat(U&'\00A0', 524288));

--
-- uuid
--
SELECT value, cdp.normalize_uuid(value)
FROM unnest(ARRAY[
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
	'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
	'(a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11)',
	'a0eebc999c0b4ef8bb6d6bb9bd380a11',
	'{a0eebc999c0b4ef8bb6d6bb9bd380a11}',
	'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
	'urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'URN:UUID:A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
	'uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	E' \ta0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n',
	U&'\FEFFa0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\00A0',
	'00000000-0000-0000-0000-000000000000',
	'ffffffff-ffff-ffff-ffff-ffffffffffff',
	'',
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1',
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111',
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g',
	'a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11',
	'a0eebc-999c0b-4ef8-bb6d-6bb9bd380a11',
	'-a0eebc999c0b4ef8bb6d6bb9bd380a11',
	'a0eebc999c0b4ef8bb6d6bb9bd380a11-',
	'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11)',
	'{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}',
	'urn:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'urn:uuid:',
	U&'a0eebc99\20119c0b\20114ef8\2011bb6d\20116bb9bd380a11',
	U&'\FF410eebc999c0b4ef8bb6d6bb9bd380a11'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;
SELECT cdp.normalize_uuid(NULL), cdp.normalize_uuid(repeat('a', 1048576));
SELECT count(*) AS differences FROM (SELECT gen_random_uuid() AS value FROM generate_series(1, 1000)) AS input
WHERE cdp.normalize_uuid(upper(value::text)) IS DISTINCT FROM value::text;

--
-- digits
--
SELECT value, cdp.normalize_digits(value)
FROM unnest(ARRAY[
	'0012-34 56',
	'No. 7',
	'1',
	'१२३ ٤٥٦ ۷۸ ９',
	'𝟘𝟙𝟚',
	'x² ½ Ⅷ ①',
	'none',
	' ',
	''
]) WITH ORDINALITY AS input (value, position) ORDER BY position;
SELECT cdp.normalize_digits(NULL), cdp.normalize_digits(repeat('a', 1048576)),
	length(cdp.normalize_digits(repeat('a1', 524288))), length(cdp.normalize_digits(repeat('१', 349525)));

--
-- lower
--
SELECT value, cdp.normalize_lower(value), octet_length(cdp.normalize_lower(value))
FROM unnest(ARRAY[
	'ABC xyz 123 [\]^_`{|}~@',
	'  A  B  ',
	U&'\00A0\200BA\200BB\200B\3000',
	'ÄÖÜ ÉÈ ß ẞ',
	U&'E\0301 A\030A',
	U&'\212B \2126 \212A',
	'ΟΔΥΣΣΕΥΣ ΣΑΣ, ΣΑΣ.',
	'οδυσσευς',
	'İI ıi',
	'ЖЯ',
	'Ǆ ǅ',
	'Ⓐ ＡＢＣ',
	'ﬁ',
	'',
	'  '
]) WITH ORDINALITY AS input (value, position) ORDER BY position;
SELECT cdp.normalize_lower(NULL),
	cdp.normalize_lower(repeat('A', 1048576)) = repeat('a', 1048576) AS ascii,
	cdp.normalize_lower(repeat('Ä', 524288)) = repeat('ä', 524288) AS one_word,
	cdp.normalize_lower(repeat('ÄÖÜ ΣΑΣ ', 80000)) = rtrim(repeat('äöü σας ', 80000)) AS many_words,
	cdp.normalize_lower(repeat(U&'E\0301', 349525)) = repeat('é', 349525) AS composed,
	cdp.normalize_lower(repeat('İ', 524288)) = repeat(U&'i\0307', 524288) AS growing;

--
-- exact
--
SELECT '[' || cdp.normalize_exact(value) || ']' AS exact
FROM unnest(ARRAY[
	' A b  C ',
	E'\t\r\n\x0b\f x \n',
	U&'\00A0\2003x\3000\2028',
	U&'E\0301',
	'',
	E' \t\n',
	U&'\3000'
]) WITH ORDINALITY AS input (value, position) ORDER BY position;
-- what is invisible but no white space stays
SELECT octet_length(cdp.normalize_exact(U&'\200Bx\FEFF'));
SELECT cdp.normalize_exact(NULL), cdp.normalize_exact(repeat(' ', 1048576)),
	length(cdp.normalize_exact(' ' || repeat('x', 1048576) || ' '));

--
-- All of them: volatility, use in indexes, parallel query, out-of-line values
--
SELECT proname, pg_get_function_arguments(oid) AS arguments, provolatile, proisstrict, proparallel
FROM pg_proc WHERE pronamespace = 'cdp'::regnamespace AND proname ~ '^normalize_(exact|lower|digits|uuid|email|phone)$' ORDER BY 1, 2;

CREATE TABLE contact AS SELECT number, 'Jane' || number || '@Example.COM ' AS email FROM generate_series(1, 20000) AS number;
INSERT INTO contact VALUES (0, repeat('no address ', 100000)), (-1, NULL);
CREATE UNIQUE INDEX ON contact (cdp.normalize_email(email));
ANALYZE contact;
SET enable_seqscan = off;
SELECT number FROM contact WHERE cdp.normalize_email(email) = 'jane17@example.com';
RESET enable_seqscan;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
DO $$
DECLARE
	line text;
	found boolean := false;
BEGIN
	FOR line IN EXPLAIN SELECT count(cdp.normalize_email(email)) FROM contact LOOP
		found := found OR line LIKE '%Partial Aggregate%';
	END LOOP;
	RAISE WARNING 'parallel: %', found;
END $$;
SELECT count(cdp.normalize_email(email)), count(cdp.normalize_lower(email)), count(cdp.normalize_exact(email)),
	count(cdp.normalize_digits(email)), count(cdp.normalize_uuid(email)), count(*) FROM contact;

\connect :home_database
DROP DATABASE cdp_normalize_utf8;
