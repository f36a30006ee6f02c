/*
 * component_graph.h
 *		The graph of cdp.connected_components: edges in, components out.
 */
#ifndef CDP_COMPONENT_GRAPH_H
#define CDP_COMPONENT_GRAPH_H

#include "query.h"
#include "utils/tuplestore.h"

typedef enum NodeType
{
	NODE_BIGINT,
	NODE_UUID,
	NODE_TEXT
} NodeType;

typedef struct ComponentGraph ComponentGraph;

extern ComponentGraph *component_graph_create(NodeType type, const Oid column_types[2]);
extern CdpRowCallback component_graph_receiver(NodeType type);
extern void component_graph_write(ComponentGraph *graph, Tuplestorestate *store,
								  TupleDesc descriptor);

#endif							/* CDP_COMPONENT_GRAPH_H */
