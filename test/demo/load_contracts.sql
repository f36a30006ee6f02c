-- The real contracts, from the CSV file that is the standard input.

CREATE TEMPORARY TABLE raw (
	customer_id text, gender text, senior integer, partner text, dependents text, tenure integer, phone text, lines text, internet text,
	security text, backup text, protection text, support text, television text, films text, contract text, paperless text, payment text,
	charges numeric, total text, churn text
);
\copy raw FROM pstdin (FORMAT csv, HEADER)
INSERT INTO telco.contract
SELECT customer_id, tenure, contract, internet, payment, senior = 1, charges, churn = 'Yes' FROM raw;
