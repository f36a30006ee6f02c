-- Normalisers: from the many spellings of an identifier to the one that is
-- compared.  All are written in C (src/identity/normalize*.c) and described in
-- docs/identity.md.

CREATE FUNCTION cdp.normalize_email(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_email';

COMMENT ON FUNCTION cdp.normalize_email(text) IS
	'email address trimmed, in lower case, its domain in ASCII; NULL for what is not an address';

CREATE FUNCTION cdp.normalize_email(value text, provider_rules boolean) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_email';

COMMENT ON FUNCTION cdp.normalize_email(text, boolean) IS
	'as normalize_email(text); provider_rules also removes +tags, and the dots of gmail.com, also known as googlemail.com';

-- stable because valid numbers change with libphonenumber's metadata
CREATE FUNCTION cdp.normalize_phone(value text, default_region text) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 500
	AS 'MODULE_PATHNAME', 'cdp_normalize_phone';

COMMENT ON FUNCTION cdp.normalize_phone(text, text) IS
	'phone number in E.164 form, read as in default_region (two-letter country code, or ZZ for none); NULL for what is not a valid number';

CREATE FUNCTION cdp.normalize_uuid(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_uuid';

COMMENT ON FUNCTION cdp.normalize_uuid(text) IS
	'UUID of any usual spelling in lower case with hyphens; NULL for what is not a UUID';

CREATE FUNCTION cdp.normalize_digits(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_digits';

COMMENT ON FUNCTION cdp.normalize_digits(text) IS
	'decimal digits only, those of every script as 0 to 9; NULL where there are none';

CREATE FUNCTION cdp.normalize_lower(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_lower';

COMMENT ON FUNCTION cdp.normalize_lower(text) IS
	'trimmed, in lower case by Unicode whatever the locale, in composed form (NFC); NULL where nothing is left';

CREATE FUNCTION cdp.normalize_exact(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 2
	AS 'MODULE_PATHNAME', 'cdp_normalize_exact';

COMMENT ON FUNCTION cdp.normalize_exact(text) IS
	'trimmed of white space, otherwise as it is; NULL where nothing is left';
