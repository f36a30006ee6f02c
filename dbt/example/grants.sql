-- Once per database, by whoever may create roles.  cdp_owner owns the storage of
-- cdp and all that dbt builds in production; nobody logs in as it.
CREATE ROLE cdp_owner;
CREATE ROLE dbt_production LOGIN IN ROLE cdp_owner;
CREATE ROLE dbt_developer LOGIN;
GRANT CREATE ON DATABASE shop TO cdp_owner, dbt_developer;

-- The extension is trusted, so it needs no superuser.
SET ROLE cdp_owner;
CREATE EXTENSION cdp;
SELECT cdp.setup();
SELECT cdp.grant_access('dbt_developer', 'reader');
RESET ROLE;
