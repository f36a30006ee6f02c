-- trait: computed traits, which are expressions over a profile and its events.

-- ---------- expressions: computed traits and segments alike ----------

CREATE FUNCTION cdp.check_expression_owner() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $check$
BEGIN
    IF NOT pg_catalog.pg_has_role(NEW.owner, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = pg_catalog.format('permission denied to declare a %s that runs as role "%s"',
                CASE NEW.kind WHEN 'trait' THEN 'computed trait' ELSE 'segment' END, NEW.owner),
            HINT = 'A member of that role may do so.';
    END IF;
    RETURN NEW;
END
$check$;
COMMENT ON FUNCTION cdp.check_expression_owner() IS
'Trigger on cdp_data.expression: only a member of the role under which a text runs may write it, by whatever way.';
