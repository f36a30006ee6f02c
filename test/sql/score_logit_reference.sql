-- Logistic regression against R's glm on real data, which are read from
-- CDP_DATA_DIR and not part of the project.  Coefficients agree to 1e-7 and
-- standard errors to 1e-6, but for separated and aliased terms.
\set data `echo "${CDP_DATA_DIR:-$PWD/../shared/data}"`
\set present `test -r "${CDP_DATA_DIR:-$PWD/../shared/data}/propensity/bank_marketing.csv" && echo true || echo false`
\if :present
\else
\echo skipped: no propensity data in CDP_DATA_DIR
\quit
\endif
SET client_min_messages = error;

CREATE TEMPORARY TABLE bank (age float8, job text, marital text, education text, "default" text, housing text, loan text, contact text, month text,
	day_of_week text, duration float8, campaign float8, pdays float8, previous float8, poutcome text, "emp.var.rate" float8, "cons.price.idx" float8,
	"cons.conf.idx" float8, euribor3m float8, "nr.employed" float8, y text, id integer GENERATED ALWAYS AS IDENTITY);
\set path :data /propensity/bank_marketing.csv
COPY bank (age, job, marital, education, "default", housing, loan, contact, month, day_of_week, duration, campaign, pdays, previous, poutcome,
	"emp.var.rate", "cons.price.idx", "cons.conf.idx", euribor3m, "nr.employed", y) FROM :'path' (FORMAT csv, DELIMITER ';', HEADER);
CREATE TEMPORARY TABLE telco ("customerID" text, gender text, "SeniorCitizen" integer, "Partner" text, "Dependents" text, tenure integer, "PhoneService" text,
	"MultipleLines" text, "InternetService" text, "OnlineSecurity" text, "OnlineBackup" text, "DeviceProtection" text, "TechSupport" text,
	"StreamingTV" text, "StreamingMovies" text, "Contract" text, "PaperlessBilling" text, "PaymentMethod" text, "MonthlyCharges" float8,
	charges text, "Churn" text, "TotalCharges" float8 GENERATED ALWAYS AS (nullif(trim(charges), '')::float8) STORED);
\set path :data /propensity/telco_churn.csv
COPY telco FROM :'path' (FORMAT csv, HEADER);
CREATE TEMPORARY TABLE hillstrom (recency integer, history_segment text, history float8, mens integer, womens integer, zip_code text, newbie integer,
	channel text, segment text, visit integer, conversion integer, spend float8);
\set path :data /propensity/hillstrom_email.csv
COPY hillstrom FROM :'path' (FORMAT csv, HEADER);

-- The reference fits: each file has a line for each term.
CREATE TEMPORARY TABLE line (term text, coefficient text, standard_error text, z text, p text);
CREATE TEMPORARY TABLE reference (file text, term text, coefficient float8, standard_error float8);
CREATE FUNCTION pg_temp.take(text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO reference SELECT $1, term, CASE WHEN trim(coefficient) <> 'NA' THEN coefficient::float8 END, CASE WHEN trim(standard_error) <> 'NA' THEN standard_error::float8 END FROM line;
	DELETE FROM line;
$$;
\set path :data /propensity/glm_bank_numeric.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_numeric');
\set path :data /propensity/glm_bank_clean_noduration_all.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_clean_noduration_all');
\set path :data /propensity/glm_bank_clean_noduration_train_mod5.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_clean_noduration_train_mod5');
\set path :data /propensity/glm_bank_full_noduration_all.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_full_noduration_all');
\set path :data /propensity/glm_bank_full_noduration_train_mod5.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_full_noduration_train_mod5');
\set path :data /propensity/glm_bank_full_withduration_train_mod5.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('bank_full_withduration_train_mod5');
\set path :data /propensity/glm_telco_numeric.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('telco_numeric');
\set path :data /propensity/glm_telco_clean.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('telco_clean');
\set path :data /propensity/glm_telco_full.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('telco_full');
\set path :data /propensity/glm_hillstrom_visit.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('hillstrom_visit');
\set path :data /propensity/glm_hillstrom_conversion_rare.csv
COPY line FROM :'path' (FORMAT csv, HEADER);
SELECT pg_temp.take('hillstrom_conversion_rare');

-- The columns of each fit; R writes a level behind its column without a sign.
CREATE TEMPORARY VIEW bank_full AS
SELECT id, y = 'yes' AS y, age, job, marital, education, "default", housing, loan, contact, month, day_of_week, campaign, pdays, previous, poutcome,
	"emp.var.rate", "cons.price.idx", "cons.conf.idx", euribor3m, "nr.employed", duration
FROM bank;
CREATE TEMPORARY VIEW bank_clean AS
SELECT id, y = 'yes' AS y, age, job, marital, education, CASE WHEN "default" = 'no' THEN 'no' ELSE 'other' END AS default2, housing,
	loan = 'yes' AS "loan == ""yes""TRUE", contact, month, day_of_week, campaign, pdays, previous, poutcome,
	"emp.var.rate", "cons.price.idx", "cons.conf.idx", euribor3m, "nr.employed"
FROM bank;
CREATE TEMPORARY VIEW telco_full AS
SELECT "Churn" = 'Yes' AS y, gender, "SeniorCitizen", "Partner", "Dependents", tenure, "PhoneService", "MultipleLines", "InternetService", "OnlineSecurity",
	"OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies", "Contract", "PaperlessBilling", "PaymentMethod",
	"MonthlyCharges", "TotalCharges"
FROM telco;
CREATE TEMPORARY VIEW telco_clean AS
SELECT y, "SeniorCitizen", "Partner", "Dependents", tenure, "InternetService", "MultipleLines" = 'Yes' AS "MultipleLines == ""Yes""TRUE",
	"OnlineSecurity" = 'Yes' AS "OnlineSecurity == ""Yes""TRUE", "TechSupport" = 'Yes' AS "TechSupport == ""Yes""TRUE",
	"StreamingTV" = 'Yes' AS "StreamingTV == ""Yes""TRUE", "StreamingMovies" = 'Yes' AS "StreamingMovies == ""Yes""TRUE",
	"Contract", "PaperlessBilling", "PaymentMethod", "MonthlyCharges", "TotalCharges"
FROM telco_full;
CREATE TEMPORARY VIEW hillstrom_features AS
SELECT recency, history, mens, womens, zip_code, newbie, channel, (segment <> 'No E-Mail')::integer AS treat, visit, conversion FROM hillstrom;

CREATE TEMPORARY TABLE fit (file text, model cdp.logit_model);
INSERT INTO fit
SELECT 'bank_numeric', cdp.logit_fit(y, ARRAY[age, campaign, pdays, previous, "emp.var.rate", "cons.price.idx", "cons.conf.idx", euribor3m, "nr.employed"],
	cdp.logit_options(names => '{age,campaign,pdays,previous,emp.var.rate,cons.price.idx,cons.conf.idx,euribor3m,nr.employed}'))
FROM bank_full;
\set full '{age,job,marital,education,default,housing,loan,contact,month,day_of_week,campaign,pdays,previous,poutcome,emp.var.rate,cons.price.idx,cons.conf.idx,euribor3m,nr.employed}'
\set full_duration '{age,job,marital,education,default,housing,loan,contact,month,day_of_week,campaign,pdays,previous,poutcome,emp.var.rate,cons.price.idx,cons.conf.idx,euribor3m,nr.employed,duration}'
INSERT INTO fit VALUES
	('bank_clean_noduration_all', cdp.train_logit('SELECT * FROM bank_clean', 'y', (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'bank_clean'::regclass AND attname NOT IN ('id', 'y')))),
	('bank_clean_noduration_train_mod5', cdp.train_logit('SELECT * FROM bank_clean WHERE id % 5 <> 0', 'y', (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'bank_clean'::regclass AND attname NOT IN ('id', 'y')))),
	('bank_full_noduration_all', cdp.train_logit('SELECT * FROM bank_full', 'y', :'full')),
	('bank_full_noduration_train_mod5', cdp.train_logit('SELECT * FROM bank_full WHERE id % 5 <> 0', 'y', :'full')),
	('bank_full_withduration_train_mod5', cdp.train_logit('SELECT * FROM bank_full WHERE id % 5 <> 0', 'y', :'full_duration')),
	('telco_numeric', cdp.train_logit('SELECT y, tenure, "MonthlyCharges", "TotalCharges", "SeniorCitizen" FROM telco_full', 'y')),
	('telco_clean', cdp.train_logit('SELECT * FROM telco_clean', 'y')),
	('telco_full', cdp.train_logit('SELECT * FROM telco_full', 'y')),
	('hillstrom_visit', cdp.train_logit('SELECT * FROM hillstrom_features', 'visit', '{recency,history,mens,womens,zip_code,newbie,channel,treat}')),
	('hillstrom_conversion_rare', cdp.train_logit('SELECT * FROM hillstrom_features', 'conversion', '{recency,history,mens,womens,zip_code,newbie,channel,treat}'));

-- All terms are there, and those that are no number in R are aliased here.
SELECT r.file, count(*) AS terms, count(*) FILTER (WHERE c.term IS NULL) AS missing,
	count(*) FILTER (WHERE c.aliased) AS aliased, count(*) FILTER (WHERE c.aliased <> (r.coefficient IS NULL)) AS aliased_otherwise,
	array_agg(r.term) FILTER (WHERE c.separated) AS separated,
	max(abs(c.coefficient / r.coefficient - 1)) FILTER (WHERE NOT c.separated) < 1e-7 AS coefficients,
	max(abs(c.standard_error / r.standard_error - 1)) FILTER (WHERE NOT c.separated) < 1e-6 AS standard_errors
FROM reference r LEFT JOIN (SELECT f.file, c.*, CASE c.term WHEN '(intercept)' THEN '(Intercept)' ELSE regexp_replace(c.term, '^([^=]*[^= ])=([^=])', '\1\2') END AS r_term
	FROM fit f, LATERAL cdp.coefficients(f.model) c) c ON c.file = r.file AND c.r_term = r.term
GROUP BY r.file ORDER BY r.file;

-- Log-likelihoods, and the quality of predictions.
SELECT f.file, abs((f.model::jsonb->>'log_likelihood')::float8 - r.log_likelihood) < 1e-8 AS log_likelihood
FROM fit f JOIN (VALUES ('bank_numeric', -11831.8818314015), ('bank_clean_noduration_all', -11355.6673369600), ('telco_numeric', -3156.8043197779),
	('telco_clean', -2914.0789996367), ('hillstrom_visit', -25632.2636851770), ('hillstrom_conversion_rare', -3217.5535835018)) r (file, log_likelihood) USING (file)
ORDER BY f.file;
SELECT round(cdp.auc(p, y)::numeric, 9) AS auc, round(cdp.log_loss(p, y)::numeric, 9) AS log_loss, abs(cdp.binned_auc(p, y) - cdp.auc(p, y)) < 1e-4 AS binned
FROM (SELECT y, cdp.predict(model, ARRAY[age, campaign, pdays, previous, "emp.var.rate", "cons.price.idx", "cons.conf.idx", euribor3m, "nr.employed"]) AS p
	FROM bank_full, fit WHERE file = 'bank_numeric') s;
SELECT file, round(cdp.auc(m)::numeric, 7) AS auc, round(cdp.log_loss(m)::numeric, 7) AS log_loss, round(cdp.brier_score(m)::numeric, 7) AS brier,
	round(cdp.ks_statistic(m)::numeric, 6) AS ks, round(cdp.lift(m, 0.1)::numeric, 2) AS lift
FROM (SELECT file, cdp.metrics_agg(cdp.predict_row(model, b), y) AS m FROM bank_clean b, fit WHERE file = 'bank_clean_noduration_train_mod5' AND id % 5 = 0 GROUP BY file) s;
SELECT round(cdp.auc(cdp.predict_row(model, b), y)::numeric, 6) AS auc FROM bank_full b, fit WHERE file = 'bank_full_withduration_train_mod5' AND id % 5 = 0;
