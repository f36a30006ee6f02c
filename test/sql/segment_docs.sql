-- The examples of docs/segment.md.  What the page shows is what this test expects; test/t/docs.pl compares the two.
CREATE TABLE purchases (profile_id bigint, product text);
INSERT INTO purchases SELECT i, CASE WHEN i % 3 = 0 THEN 'shoes' ELSE 'hats' END FROM generate_series(1, 30) AS i;
CREATE TABLE mailings (name text, recipients cdp.audience);
INSERT INTO mailings VALUES ('spring', '{1-10,12}'), ('summer', '{8,9,20-25}');
SELECT product, cdp.audience_agg(profile_id) AS buyers FROM purchases GROUP BY product ORDER BY product;
SET search_path = public, cdp;
SELECT shoes & spring AS both, shoes | spring AS either, spring - shoes AS not_shoes, shoes # spring AS just_one
FROM (SELECT audience_agg(profile_id) AS shoes FROM purchases WHERE product = 'shoes') AS p,
     (SELECT recipients AS spring FROM mailings WHERE name = 'spring') AS m;
SELECT m.name, cardinality(m.recipients) AS recipients, cardinality(m.recipients & p.buyers) AS buyers, m.recipients @> 9::bigint AS went_to_9
FROM mailings AS m, (SELECT audience_agg(profile_id) AS buyers FROM purchases WHERE product = 'shoes') AS p
ORDER BY m.name;
SELECT p.profile_id, p.product
FROM mailings AS m, members(m.recipients) AS profile_id JOIN purchases AS p USING (profile_id)
WHERE m.name = 'summer' AND p.product = 'shoes' ORDER BY profile_id;
SELECT audience_union_agg(recipients) AS reached, audience_intersection_agg(recipients) AS reached_each_time FROM mailings;
WITH named AS (SELECT name, recipients FROM mailings
	UNION ALL SELECT 'shoes', audience_agg(profile_id) FROM purchases WHERE product = 'shoes')
SELECT a.name, b.name, cardinality(a.recipients & b.recipients) AS overlap
FROM named AS a JOIN named AS b ON a.name < b.name ORDER BY 1, 2;
SELECT ARRAY[7, 3, NULL, 4]::bigint[]::audience AS audience, '{3-5}'::audience::bigint[] AS ids;
RESET search_path;
DROP TABLE purchases, mailings;
