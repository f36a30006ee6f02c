-- Stands in for the real order lines where those are not at hand: a generated table of the same shape. 541,909 lines of about 25,900
-- invoices, 4,372 customers, a quarter of the lines without a customer, refunds with a negative quantity and a C before their number.

CREATE FUNCTION pg_temp.draw(n bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(n, salt) & 1073741823) / 1073741824.0::double precision;

CREATE TEMPORARY TABLE customer AS
SELECT row_number() OVER (ORDER BY customer_id) - 1 AS position, customer_id,
	CASE WHEN pg_temp.draw(customer_id, 1) < 0.91 OR customer_id IN (13089, 14096, 15311, 16029) THEN 'United Kingdom'
		ELSE (ARRAY['Germany', 'France', 'Netherlands', 'EIRE', 'Spain'])[1 + customer_id % 5] END AS country
FROM (
	SELECT customer_id FROM generate_series(12346, 18287) AS customer_id
	ORDER BY customer_id IN (13089, 14096, 15311, 16029) DESC, pg_temp.draw(customer_id, 2) LIMIT 4372
) AS chosen;

CREATE TEMPORARY TABLE invoice AS
SELECT number, CASE WHEN pg_temp.draw(number, 3) < 0.14 THEN 'C' ELSE '' END AS prefix, customer.customer_id,
	coalesce(customer.country, 'United Kingdom') AS country,
	timestamp '2010-12-01 08:00' + floor(pg_temp.draw(number, 4) * 374) * interval '1 day' + floor(pg_temp.draw(number, 5) * 600) * interval '1 minute' AS invoice_date
FROM generate_series(0, 25899) AS number
LEFT JOIN customer ON number < 22190
	AND customer.position = CASE WHEN number < 4372 THEN number ELSE floor(4372 * pg_temp.draw(number, 6) ^ 2) END;

INSERT INTO shop.order_line (invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country)
SELECT prefix || 536365 + invoice.number, 'G' || product,
	(ARRAY['WHITE', 'RED', 'VINTAGE', 'SMALL', 'SET OF 3'])[1 + product % 5] || ' ' || (ARRAY['LANTERN', 'TEA CUP', 'CUSHION', 'CAKE TIN', 'HEART', 'CLOCK', 'LUNCH BOX'])[1 + product % 7],
	CASE prefix WHEN 'C' THEN -1 ELSE 1 END * (1 + floor(24 * pg_temp.draw(line, 7) ^ 3))::integer,
	invoice_date, round((0.42 + 12 * pg_temp.draw(product, 8) ^ 2)::numeric, 2), customer_id, country
FROM (
	-- an invoice has at least one line; refunds and invoices with a customer are short, the tills' are long
	SELECT line, CASE WHEN line <= 25900 THEN line - 1
		WHEN pg_temp.draw(line, 9) < 0.764 THEN floor(22190 * pg_temp.draw(line, 10))
		ELSE 22190 + floor(3710 * pg_temp.draw(line, 10)) END::integer AS number,
		floor(4070 * pg_temp.draw(line, 11) ^ 2)::integer AS product
	FROM generate_series(1, 541909) AS line
) AS line JOIN invoice USING (number)
ORDER BY invoice_date, invoice.number, line;

DROP TABLE customer, invoice;
DROP FUNCTION pg_temp.draw(bigint, bigint);
