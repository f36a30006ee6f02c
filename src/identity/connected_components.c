/*
 * connected_components.c
 *		cdp.connected_components: the SQL functions, one for each type of nodes.
 *
 * The edges are the rows of a query, which runs as query.h says; what is done
 * with them is in component_graph.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "cdp.h"
#include "funcapi.h"
#include "identity/component_graph.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_connected_components);
PG_FUNCTION_INFO_V1(cdp_connected_components_text);
PG_FUNCTION_INFO_V1(cdp_connected_components_uuid);

#define FUNCTION_NAME "cdp.connected_components"

/*
 * Check that the query yields two columns of the node type, or what can be cast
 * to it implicitly, and say which types will come.
 */
static void
check_columns(CdpQuery *query, Oid node_type, Oid column_types[2])
{
	TupleDesc	columns = cdp_query_descriptor(query);

	if (columns->natts != 2)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg_plural("query must yield two columns, not %d column",
							   "query must yield two columns, not %d columns",
							   columns->natts, columns->natts),
				 errhint("Select the two ends of each edge, as in SELECT a, b FROM edges; a node without edges has NULL as its other end.")));

	for (int i = 0; i < 2; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		column_types[i] = getBaseType(column->atttypid);
		if (node_type == INT8OID &&
			(column_types[i] == INT2OID ||
			 column_types[i] == INT4OID ||
			 column_types[i] == INT8OID))
			continue;

		if (!cdp_query_coerce(query, i + 1, node_type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of the query is of type %s, not %s",
							NameStr(column->attname),
							format_type_be(column->atttypid),
							format_type_be(node_type)),
					 errhint("Cast the column to %s, or choose the type of nodes with the second argument of %s: none for bigint, NULL::text, NULL::uuid.",
							 format_type_be(node_type), FUNCTION_NAME)));
		column_types[i] = node_type;
	}
}

static Datum
connected_components(FunctionCallInfo fcinfo, NodeType type, Oid node_type)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext graph_context;
	MemoryContext outer_context;
	ComponentGraph *graph;
	CdpQuery   *query;
	Oid			column_types[2];
	TupleDesc	descriptor;
	Tuplestorestate *store;
	bool		random_access;

	if (result == NULL || !IsA(result, ReturnSetInfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	if (!(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("materialize mode required, but it is not allowed in this context")));

	graph_context = AllocSetContextCreate(CurrentMemoryContext,
										  "cdp connected components",
										  ALLOCSET_DEFAULT_SIZES);
	outer_context = MemoryContextSwitchTo(graph_context);

	query = cdp_query_prepare(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
							  FUNCTION_NAME);
	check_columns(query, node_type, column_types);
	graph = component_graph_create(type, column_types);
	cdp_query_run(query, CDP_QUERY_PARALLEL, component_graph_receiver(type), graph);
	cdp_query_free(query);

	/* the result outlives this call */
	MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	random_access = (result->allowedModes & SFRM_Materialize_Random) != 0;
	store = tuplestore_begin_heap(random_access, false, work_mem);
	MemoryContextSwitchTo(graph_context);
	component_graph_write(graph, store, descriptor);

	result->returnMode = SFRM_Materialize;
	result->setResult = store;
	result->setDesc = descriptor;

	MemoryContextSwitchTo(outer_context);
	MemoryContextDelete(graph_context);
	return (Datum) 0;
}

/*
 * cdp.connected_components(query text)
 *		returns table(node bigint, component bigint)
 *
 * query: one SELECT that yields the edges, two columns of bigint, integer or
 * smallint.  A row with one NULL is a node without an edge, a row with two says
 * nothing.  Each node comes out once, in no particular order, with the smallest
 * node of its component.
 *
 * A NULL query is an error, and so is what is not one read-only query with two
 * columns of the right type, and a graph that needs more than
 * maintenance_work_mem.
 */
Datum
cdp_connected_components(PG_FUNCTION_ARGS)
{
	return connected_components(fcinfo, NODE_BIGINT, INT8OID);
}

/*
 * cdp.connected_components(query text, node_type text)
 *		returns table(node text, component text)
 *
 * The same for nodes that are text, compared as bytes.  The value of node_type
 * is not looked at.
 */
Datum
cdp_connected_components_text(PG_FUNCTION_ARGS)
{
	return connected_components(fcinfo, NODE_TEXT, TEXTOID);
}

/*
 * cdp.connected_components(query text, node_type uuid)
 *		returns table(node uuid, component uuid)
 *
 * The same for nodes that are uuid.  The value of node_type is not looked at.
 */
Datum
cdp_connected_components_uuid(PG_FUNCTION_ARGS)
{
	return connected_components(fcinfo, NODE_UUID, UUIDOID);
}
