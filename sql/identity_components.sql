-- Connected components of a graph whose edges a query yields.  C functions, because they take query text: it runs with the
-- caller's rights and search_path.  Volatile, because the query may be.

CREATE FUNCTION cdp.connected_components(query text)
RETURNS TABLE (node bigint, component bigint)
AS 'MODULE_PATHNAME', 'cdp_connected_components'
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000;

COMMENT ON FUNCTION cdp.connected_components(text) IS
	'nodes of a graph with the smallest node of their component; the query yields the edges as two columns of bigint, a node without edges as (node, NULL)';

CREATE FUNCTION cdp.connected_components(query text, node_type text)
RETURNS TABLE (node text, component text)
AS 'MODULE_PATHNAME', 'cdp_connected_components_text'
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000;

COMMENT ON FUNCTION cdp.connected_components(text, text) IS
	'the same for nodes of type text, smallest by bytes; the second argument, such as NULL::text, only chooses the type';

CREATE FUNCTION cdp.connected_components(query text, node_type uuid)
RETURNS TABLE (node uuid, component uuid)
AS 'MODULE_PATHNAME', 'cdp_connected_components_uuid'
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000;

COMMENT ON FUNCTION cdp.connected_components(text, uuid) IS
	'the same for nodes of type uuid; the second argument, such as NULL::uuid, only chooses the type';
