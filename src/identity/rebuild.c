/*
 * rebuild.c
 *		Everything from all evidence: as a repair, after a change of the rules,
 *		and, without writing, as the check of what is stored.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "cdp.h"
#include "identity/graph.h"

PG_FUNCTION_INFO_V1(cdp_rebuild_identities);
PG_FUNCTION_INFO_V1(cdp_identity_differences);

/* Links, partition and ids as the evidence says; nothing is written. */
static Graph *
derive(const char *cause, bool read_only)
{
	Graph	   *graph = graph_create_for(graph_settings(), true, cause, read_only);

	graph->derive = true;
	load_all_profiles(graph);
	load_whole(graph);
	load_all_records(graph);
	for (uint32 i = 0; i < graph->link_count; i++)
		graph_link_changed(graph, i);
	evidence_update(graph);
	partition_update(graph);
	relabel_profiles(graph);
	return graph;
}

static bool
link_differs(const GraphLink *link)
{
	bool		is_stored = link->old_state != '\0';
	bool		has_evidence = link->records > 0 || link->head_records > 0;

	if (is_stored != has_evidence)
		return true;
	return has_evidence &&
		(link->state != link->old_state || link->records != link->old_records ||
		 link->head_records != link->old_head_records ||
		 (link->records > 0 &&
		  (link->first_seen != link->old_first_seen || link->last_seen != link->old_last_seen)));
}

static void
count_differences(Graph *graph, int64 *identifiers, int64 *links, int64 *records)
{
	*identifiers = *links = *records = 0;
	for (uint32 i = 0; i < graph->identifier_count; i++)
		if (graph->identifiers[i].new_profile != graph->identifiers[i].old_profile ||
			graph->identifiers[i].state != graph->identifiers[i].old_state)
			(*identifiers)++;
	for (uint32 i = 0; i < graph->link_count; i++)
		if (link_differs(&graph->links[i]))
			(*links)++;
	for (uint32 i = 0; i < graph->record_count; i++)
		if (graph->records[i].hub != graph->records[i].old_hub)
			(*records)++;
}

/*
 * cdp.rebuild_identities()
 *
 * Derives links, partition and ids anew from all evidence and writes what
 * differs; on a sound database that is nothing.  Returns how many identifiers,
 * links and records differed, and the merges and splits that came of it.
 *
 * Errors: the graph does not fit into maintenance_work_mem; no right to write.
 */
Datum
cdp_rebuild_identities(PG_FUNCTION_ARGS)
{
	Graph	   *graph;
	TupleDesc	descriptor;
	Datum		values[5];
	bool		nulls[5] = {false};
	int64		identifiers;
	int64		links;
	int64		records;
	GraphCounts counts;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	graph_begin_writing(ShareRowExclusiveLock);
	graph = derive("rebuild", false);
	count_differences(graph, &identifiers, &links, &records);
	store_changes(graph);
	counts = graph->counts;
	identify_report_moved(graph);
	graph_finish(graph);

	values[0] = Int64GetDatum(identifiers);
	values[1] = Int64GetDatum(links);
	values[2] = Int64GetDatum(records);
	values[3] = Int64GetDatum(counts.merges);
	values[4] = Int64GetDatum(counts.splits);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

static void
put_difference(ReturnSetInfo *result, const char *problem, char *detail)
{
	Datum		values[2] = {CStringGetTextDatum(problem), CStringGetTextDatum(detail)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(detail);
}

/*
 * cdp.identity_differences() returns setof (problem text, detail text)
 *
 * What a rebuild would change.  Reads only, also on a standby.  Details name
 * ids, no values.
 *
 * Errors: no right to read; the graph does not fit into maintenance_work_mem.
 */
Datum
cdp_identity_differences(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Graph	   *graph;

	graph_check_readable();
	InitMaterializedSRF(fcinfo, 0);
	graph = derive("check", true);
	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];

		CHECK_FOR_INTERRUPTS();
		if (identifier->state != identifier->old_state)
			put_difference(result, "identifier state differs",
						   psprintf("identifier %lld is stored as '%c' and should be '%c'",
									(long long) identifier->id, identifier->old_state, identifier->state));
		if (identifier->new_profile != identifier->old_profile)
			put_difference(result, "partition differs",
						   psprintf("identifier %lld is stored in profile %lld and belongs elsewhere",
									(long long) identifier->id, (long long) identifier->old_profile));
	}
	for (uint32 i = 0; i < graph->link_count; i++)
	{
		const GraphLink *link = &graph->links[i];

		CHECK_FOR_INTERRUPTS();
		if (link_differs(link))
			put_difference(result, "link differs",
						   psprintf("link from %lld to %lld: stored state '%c', %d and %d records; should be '%c', %d and %d",
									(long long) graph->identifiers[link->end[0]].id,
									(long long) graph->identifiers[link->end[1]].id,
									link->old_state == '\0' ? '-' : link->old_state, link->old_records, link->old_head_records,
									link->records == 0 && link->head_records == 0 ? '-' : link->state,
									link->records, link->head_records));
	}
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];

		CHECK_FOR_INTERRUPTS();
		if (record->hub != record->old_hub)
			put_difference(result, "record hub differs",
						   psprintf("a record of source \"%s\" has hub %lld and should have %lld", record->source,
									(long long) graph->identifiers[record->old_hub].id,
									(long long) graph->identifiers[record->hub].id));
	}
	for (uint32 i = 0; i < graph->profile_count; i++)
	{
		const GraphProfile *profile = &graph->profiles[i];

		if (profile->is_changed && profile->state == profile->old_state && profile->anchor != profile->old_anchor)
			put_difference(result, "anchor differs",
						   psprintf("profile %lld does not hold its anchor", (long long) profile->profile_id));
	}
	graph_finish(graph);
	return (Datum) 0;
}
