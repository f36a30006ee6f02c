-- Stands in for the real contracts where those are not at hand: a generated table of the same shape.

SELECT setseed(0.42) \g /dev/null
INSERT INTO telco.contract
SELECT 'T-' || number, tenure, contract, internet, payment, senior, charges,
	random() < 1 / (1 + exp(1.2 + 0.035 * tenure - 0.02 * (charges - 30) + CASE contract WHEN 'Month-to-month' THEN -1.3 WHEN 'Two year' THEN 1.2 ELSE 0 END
		- CASE WHEN internet = 'Fiber optic' THEN 0.7 ELSE 0 END - CASE WHEN payment = 'Electronic check' THEN 0.4 ELSE 0 END))
FROM (
	SELECT number, 1 + floor(71 * random() ^ 1.3)::integer AS tenure,
		(ARRAY['Month-to-month', 'Month-to-month', 'One year', 'Two year'])[1 + floor(4 * random())::integer] AS contract,
		(ARRAY['DSL', 'Fiber optic', 'No'])[1 + floor(3 * random())::integer] AS internet,
		(ARRAY['Electronic check', 'Mailed check', 'Bank transfer', 'Credit card'])[1 + floor(4 * random())::integer] AS payment,
		random() < 0.16 AS senior, round((20 + 95 * random())::numeric, 2) AS charges
	FROM generate_series(1, 7000) AS number
) AS customer;
