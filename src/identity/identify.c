/*
 * identify.c
 *		Single records in real time, and look-ups.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/identify.h"
#include "identity/intake.h"
#include "statement.h"
#include "source/contribution.h"

PG_FUNCTION_INFO_V1(cdp_identify);
PG_FUNCTION_INFO_V1(cdp_retract);
PG_FUNCTION_INFO_V1(cdp_resolve);
PG_FUNCTION_INFO_V1(cdp_find_identifier);
PG_FUNCTION_INFO_V1(cdp_lock_identities);
PG_FUNCTION_INFO_V1(cdp_ensure_identifier);
PG_FUNCTION_INFO_V1(cdp_reevaluate_identifiers);
PG_FUNCTION_INFO_V1(cdp_reevaluate_blocked);

const IdentityWatcher *identity_watcher = NULL;

static void
take_json_scalar(Intake *intake, int namespace_index, const char *name, const JsonbValue *value)
{
	char	   *number;

	switch (value->type)
	{
		case jbvNull:
			break;
		case jbvString:
			intake_value(intake, namespace_index, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			intake_value(intake, namespace_index, number, strlen(number));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the value of \"%s\" is not an identifier", name),
					 errhint("Give a string, a number, or an array of these.")));
	}
}

/* Takes the identifiers of {"email": ["a@b.c", ...], "crm_id": 17}. */
static void
take_json(Intake *intake, Jsonb *identifiers)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	int			namespace_index = -1;
	char	   *name = NULL;
	int			depth = 0;

	if (!JB_ROOT_IS_OBJECT(identifiers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("identifiers must be a JSON object"),
				 errhint("Name each value after its namespace: '{\"email\": \"ann@example.org\", \"crm_id\": 17}'.")));
	iterator = JsonbIteratorInit(&identifiers->root);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_KEY:
				name = pnstrdup(value.val.string.val, value.val.string.len);
				namespace_index = graph_namespace_required(intake->graph->settings, name);
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				take_json_scalar(intake, namespace_index, name, &value);
				break;
			case WJB_BEGIN_OBJECT:
			case WJB_BEGIN_ARRAY:
				if (++depth > (token == WJB_BEGIN_OBJECT ? 1 : 2))
					ereport(ERROR,
							(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							 errmsg("the value of \"%s\" is not an identifier", name),
							 errhint("Give a string, a number, or an array of these.")));
				break;
			default:
				depth--;
				break;
		}
	}
}

void
identify_not_null(FunctionCallInfo fcinfo, int argument, const char *name, const char *function)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of %s must not be null", name, function)));
}

static void
warn_when_queued(Graph *graph)
{
	if (graph->is_queued)
		ereport(WARNING,
				(errmsg("more than %d identifiers would have to be evaluated again; this is queued", graph->settings->max_replay),
				 errhint("The next cdp.stitch or cdp.refresh_identities() does it; the option max_replay sets the limit.")));
}

/* The list outlives the graph. */
static int64 *
copy_moved(const Graph *graph, int *count)
{
	int64	   *copy = cdp_palloc_array(int64, add_size(graph->moved_count, 1));

	if (graph->moved_count > 0)
		memcpy(copy, graph->moved, mul_size(sizeof(int64), graph->moved_count));
	*count = (int) graph->moved_count;
	return copy;
}

/*
 * After an operation that is no real-time call, or the whole graph's.
 */
void
identify_report_moved(const Graph *graph)
{
	if (identity_watcher != NULL && graph->moved_count > 0)
		identity_watcher->moved(graph->moved, (int) graph->moved_count);
}

/*
 * Takes in one record, evidence and partition, and says where it belongs.
 *
 * Errors: unknown namespaces, values that are no identifiers, no right to write.
 */
void
identify_record(SingleRecord *single)
{
	Intake		intake;
	Graph	   *graph;
	Rejection	rejection;
	uint32		record;
	const GraphIdentifier *hub;

	graph_begin_writing(RowExclusiveLock);
	if (identity_watcher != NULL)
		identity_watcher->begin();
	graph = graph_create(graph_settings(), false, psprintf("identify %s", single->source));
	intake_init(&intake, graph, single->source, NULL);
	intake.is_event = single->is_event;
	if (single->arrival != 0)
		intake.arrival = single->arrival;
	intake_begin_row(&intake);
	take_json(&intake, single->identifiers);
	rejection = intake_finish_row(&intake, single->key, single->key_length, single->observed_at, single->has_time, &record);
	single->is_rejected = rejection.reason != NULL;
	if (single->is_rejected)
	{
		intake_reject(&intake, single->key_length > IDENTIFIER_MAX_LENGTH ? NULL : single->key,
					  single->observed_at, single->has_time, &rejection,
					  JsonbToCString(NULL, &single->identifiers->root, 0));
		graph_finish(graph);
		return;
	}

	/* The usual cases first, without a lock: nothing new. */
	load_stored_ids(graph);
	if (!single->take_lock)
	{
		bool		is_stored = load_record(graph, record);
		GraphRecord saved = graph->records[record];

		if (is_stored)
			intake_settle(graph, record);
		else if (single->is_event && saved.id_count == 1 && graph->identifiers[saved.ids[0]].id != 0)
		{
			/* An event of somebody known is no news to the graph. */
			graph->records[record].hub = saved.ids[0];
			graph->records[record].observed_at = single->has_time ? single->observed_at : intake.arrival;
		}
		if (graph->records[record].hub != NO_INDEX && !graph->records[record].is_changed)
		{
			hub = &graph->identifiers[graph->records[record].hub];
			single->is_current = graph->records[record].row != 0;
			single->resolved_at = graph->records[record].observed_at;
			single->hub = hub->id;
			single->profile_id = hub->old_profile;
			intake_clear_rejections(graph, single->source, DT_NOEND);
			graph_finish(graph);
			return;
		}
		graph->records[record] = saved;
	}

	lock_record(graph, record);
	single->is_locked = true;
	if (single->is_outdated != NULL && single->is_outdated(single))
	{
		single->is_current = false;
		graph_finish(graph);
		return;
	}
	graph_refresh_snapshot(graph);
	graph->records[record].is_stored = false;
	(void) load_record(graph, record);
	load_stored_ids(graph);
	lock_new_identifiers(graph);
	intake_settle(graph, record);
	graph_apply(graph);
	warn_when_queued(graph);
	intake_clear_rejections(graph, single->source, DT_NOEND);
	hub = &graph->identifiers[graph->records[record].hub];
	single->is_current = graph->records[record].row != 0;
	single->resolved_at = graph->records[record].observed_at;
	single->hub = hub->id;
	single->profile_id = hub->new_profile;
	single->is_news = graph->records[record].is_changed;
	single->moved = copy_moved(graph, &single->moved_count);
	graph_finish(graph);
}

/*
 * cdp.identify(identifiers jsonb, source text, record_key text,
 *				observed_at timestamptz, traits jsonb) returns bigint
 *
 * Takes in one record and returns the profile of its strongest usable
 * identifier; NULL when the record is rejected (see cdp.rejected_records).
 * A NULL observed_at is the time of arrival, for a known record the time that
 * it has.  NULL traits: the record says nothing about traits, and what it said
 * before stays.
 *
 * Errors: other NULL arguments, unknown namespaces, values that are no
 * identifiers, traits that are no object, infinite times, no right to write.
 */
Datum
cdp_identify(PG_FUNCTION_ARGS)
{
	SingleRecord record = {0};
	int64	   *derived = NULL;
	int			derived_count = 0;

	identify_not_null(fcinfo, 0, "identifiers", "cdp.identify");
	identify_not_null(fcinfo, 1, "source", "cdp.identify");
	identify_not_null(fcinfo, 2, "record_key", "cdp.identify");
	record.identifiers = PG_GETARG_JSONB_P(0);
	record.source = intake_check_source(PG_GETARG_TEXT_PP(1));
	record.key = text_to_cstring(PG_GETARG_TEXT_PP(2));
	record.key_length = strlen(record.key);
	record.has_time = !PG_ARGISNULL(3);
	record.observed_at = record.has_time ? PG_GETARG_TIMESTAMPTZ(3) : 0;
	if (record.has_time && TIMESTAMP_NOT_FINITE(record.observed_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("observed_at must be finite"),
				 errhint("NULL stands for the time of arrival.")));
	/* A library that is newer than the extension is called without traits. */
	if (PG_NARGS() > 4 && !PG_ARGISNULL(4))
		contribution_check(PG_GETARG_JSONB_P(4));

	identify_record(&record);
	if (record.is_rejected)
		PG_RETURN_NULL();
	if (PG_NARGS() > 4 && !PG_ARGISNULL(4) && record.is_current)
		derived = contribution_store(&record, PG_GETARG_JSONB_P(4), &derived_count);
	if (identity_watcher != NULL && (record.moved_count > 0 || record.is_news || derived_count > 0))
	{
		int64	   *told = cdp_palloc_array(int64, add_size(derived_count, 1));

		for (int i = 0; i < derived_count; i++)
			told[i] = derived[i];
		told[derived_count] = record.profile_id;
		identity_watcher->changed(record.moved, record.moved_count, told, derived_count + 1, derived, derived_count);
	}
	/* with traits that is done */
	if (derived == NULL)
		contribution_join(record.moved, record.moved_count);
	PG_RETURN_INT64(record.profile_id);
}

/*
 * Forgets what a record said about traits, or the event that it was; returns
 * how many such things there were, and whose.
 */
static int
forget_payload(const char *source, const char *key, int64 **people)
{
	MemoryContext caller = CurrentMemoryContext;
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		arguments[] = {CStringGetTextDatum(source), CStringGetTextDatum(key)};
	int			count;

	SPI_connect();
	cdp_statement(&plan, "WITH contribution AS (DELETE FROM cdp_data.contribution AS c"
						 "  WHERE c.source OPERATOR(pg_catalog.=) $1 AND c.record_key OPERATOR(pg_catalog.=) $2 RETURNING c.hub),"
						 " history AS (DELETE FROM cdp_data.contribution_history AS h"
						 "  WHERE h.source OPERATOR(pg_catalog.=) $1 AND h.record_key OPERATOR(pg_catalog.=) $2),"
						 " event AS (DELETE FROM cdp_data.event AS e"
						 "  WHERE e.source OPERATOR(pg_catalog.=) $1 AND e.record_key OPERATOR(pg_catalog.=) $2 RETURNING e.hub)"
						 " INSERT INTO cdp_data.changed_profile (profile_id)"
						 " SELECT i.profile_id FROM (TABLE contribution UNION ALL TABLE event) AS gone"
						 " JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) gone.hub"
						 " RETURNING profile_id",
				  2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) < 0)
		elog(ERROR, "could not forget what a record said");
	count = (int) SPI_processed;
	*people = MemoryContextAlloc(caller, mul_size(sizeof(int64), count + 1));
	for (int i = 0; i < count; i++)
	{
		bool		is_null;

		(*people)[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
	}
	SPI_finish();
	return count;
}

/*
 * cdp.retract(source text, record_key text) returns boolean
 *
 * The record is gone: forgets it and what it said, and splits whom nothing else
 * joins.  False when there is no such record.
 */
Datum
cdp_retract(PG_FUNCTION_ARGS)
{
	Graph	   *graph;
	const char *source;
	char	   *key;
	uint32		record;
	bool		found;
	int64	   *moved;
	int			moved_count;
	int64	   *people;
	int			count;

	identify_not_null(fcinfo, 0, "source", "cdp.retract");
	identify_not_null(fcinfo, 1, "record_key", "cdp.retract");
	source = intake_check_source(PG_GETARG_TEXT_PP(0));
	key = text_to_cstring(PG_GETARG_TEXT_PP(1));

	graph_begin_writing(RowExclusiveLock);
	if (identity_watcher != NULL)
		identity_watcher->begin();
	graph = graph_create(graph_settings(), false, psprintf("retract %s", source));
	record = graph_take_record(graph, source, key, strlen(key), &found);
	lock_record(graph, record);
	found = load_record(graph, record);
	graph->records[record].is_incoming = graph->records[record].is_timeless = true;
	if (found)
	{
		graph->records[record].is_removed = true;
		graph->records[record].is_changed = true;
		graph_apply(graph);
		warn_when_queued(graph);
	}
	intake_clear_rejections(graph, source, DT_NOEND);
	moved = copy_moved(graph, &moved_count);
	graph_finish(graph);
	count = forget_payload(source, key, &people);
	/* What is gone may have been anything. */
	if (identity_watcher != NULL && (moved_count > 0 || count > 0))
	{
		moved = repalloc(moved, mul_size(sizeof(int64), add_size(moved_count, count)));
		memcpy(moved + moved_count, people, mul_size(sizeof(int64), count));
		identity_watcher->changed(moved, moved_count + count, NULL, 0, NULL, 0);
	}
	contribution_join(moved, moved_count);
	PG_RETURN_BOOL(found || count > 0);
}

/*
 * A column of the stored identifier that a namespace and a value name, or 0.
 * Identifiers from before the namespace had its pattern are found as well.
 *
 * Errors: the namespace does not exist; no right to read.
 */
static int64
find_stored(FunctionCallInfo fcinfo, int column)
{
	const GraphSettings *settings = graph_settings();
	const GraphRelations *relations = graph_relations();
	text	   *name = PG_GETARG_TEXT_PP(0);
	text	   *value = PG_GETARG_TEXT_PP(1);
	int			namespace_index = graph_namespace_required(settings, text_to_cstring(name));
	StringInfoData normalized;
	Relation	heap;
	StorageScan scan;
	int64		result = 0;
	AclResult	acl;

	initStringInfo(&normalized);
	if (!cdp_normalize(&settings->namespaces[namespace_index].normalizer,
					   VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &normalized) ||
		normalized.len > IDENTIFIER_MAX_LENGTH)
		return 0;
	acl = pg_class_aclcheck(relations->identifier, GetUserId(), ACL_SELECT);
	if (acl != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the storage of cdp"),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'reader').",
						 cdp_quoted_caller())));

	heap = table_open(relations->identifier, AccessShareLock);
	memset(&scan, 0, sizeof(scan));
	scan_open(&scan, heap, relations->identifier_value_key, GetActiveSnapshot());
	scan_value(&scan, settings->namespaces[namespace_index].namespace_id, normalized.data, normalized.len);
	if (scan_next(&scan))
		result = DatumGetInt64(scan.slot->tts_values[column]);
	scan_close(&scan);
	table_close(heap, AccessShareLock);
	return result;
}

/*
 * cdp.resolve(namespace text, value text) returns bigint
 *
 * The profile that holds the identifier, NULL when it is unknown or not valid.
 *
 * Errors: the namespace does not exist; no right to read.
 */
Datum
cdp_resolve(PG_FUNCTION_ARGS)
{
	int64		profile_id = find_stored(fcinfo, 1);

	if (profile_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(profile_id);
}

/*
 * cdp.find_identifier(namespace text, value text) returns bigint
 *
 * The key of the identifier, NULL when it is unknown or not valid.
 *
 * Errors: as of cdp.resolve.
 */
Datum
cdp_find_identifier(PG_FUNCTION_ARGS)
{
	int64		id = find_stored(fcinfo, 0);

	if (id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

/* A digest of the labels that a snapshot shows. */
static uint64
label_digest(Relation labels, Snapshot snapshot)
{
	TableScanDesc scan = table_beginscan(labels, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(labels, NULL);
	uint64		digest = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		is_null;

		digest += (uint64) DatumGetInt64(slot_getattr(slot, 1, &is_null)) * UINT64CONST(0x9e3779b97f4a7c15) + 1;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return digest;
}

/*
 * cdp.lock_identities() returns void
 *
 * Makes the transaction the only writer of the identity graph until its end.
 *
 * Errors: a serialization failure when the transaction's snapshot is older
 * than the labels, which statements of the caller are about to look at.
 */
Datum
cdp_lock_identities(PG_FUNCTION_ARGS)
{
	graph_begin_writing(ShareRowExclusiveLock);
	if (IsolationUsesXactSnapshot())
	{
		Relation	labels = table_open(graph_relations()->label, AccessShareLock);
		Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
		uint64		digest = label_digest(labels, latest);

		UnregisterSnapshot(latest);
		if (digest != label_digest(labels, GetActiveSnapshot()))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent changes of labels"),
					 errhint("Retry the transaction.")));
		table_close(labels, AccessShareLock);
	}
	PG_RETURN_VOID();
}

/*
 * cdp.ensure_identifier(namespace text, value text) returns bigint
 *
 * The id of an identifier, which is stored as a profile of its own when it is
 * new.
 *
 * Errors: the namespace does not exist, the value is not valid in it.
 */
Datum
cdp_ensure_identifier(PG_FUNCTION_ARGS)
{
	const GraphSettings *settings;
	int			namespace_index;
	text	   *value;
	StringInfoData normalized;
	Graph	   *graph;
	uint32		identifier;
	int64		id;
	bool		is_spelt;
	bool		is_stored;

	identify_not_null(fcinfo, 0, "namespace", "the identifier");
	identify_not_null(fcinfo, 1, "value", "the identifier");
	value = PG_GETARG_TEXT_PP(1);
	graph_begin_writing(ShareRowExclusiveLock);
	is_stored = find_stored(fcinfo, 0) != 0;
	settings = graph_settings();
	namespace_index = graph_namespace_required(settings, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	initStringInfo(&normalized);
	is_spelt = cdp_normalize(&settings->namespaces[namespace_index].normalizer,
							 VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &normalized) &&
		normalized.len <= IDENTIFIER_MAX_LENGTH;
	/* One that was stored before the namespace had its pattern is an identifier. */
	if (!is_spelt ||
		(!is_stored && !graph_value_is_valid(settings, namespace_index, normalized.data, normalized.len)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the value is not valid in namespace \"%s\"", settings->namespaces[namespace_index].name),
				 errhint("The view cdp.namespaces shows its normalizer and pattern.")));

	graph = graph_create(settings, true, "label");
	identifier = graph_intern_value(graph, namespace_index, normalized.data, normalized.len);
	load_stored_ids(graph);
	if (graph->identifiers[identifier].id == 0)
		graph_apply(graph);
	id = graph->identifiers[identifier].id;
	graph_finish(graph);
	PG_RETURN_INT64(id);
}

/*
 * cdp.reevaluate_identifiers(identifier_ids bigint[], cause text) returns void
 *
 * Evaluates the profiles of these identifiers again, after labels or blocks
 * that concern them changed, and all queued ones.
 */
Datum
cdp_reevaluate_identifiers(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	Datum	   *ids;
	bool	   *nulls;
	int			count;
	Graph	   *graph;

	identify_not_null(fcinfo, 0, "identifier_ids", "cdp.reevaluate_identifiers");
	identify_not_null(fcinfo, 1, "cause", "cdp.reevaluate_identifiers");
	array = PG_GETARG_ARRAYTYPE_P(0);
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids, &nulls, &count);
	graph_begin_writing(ShareRowExclusiveLock);
	graph = graph_create(graph_settings(), true, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			graph_add_replay_seed(graph, load_identifier_by_id(graph, DatumGetInt64(ids[i])));
	load_queued_profiles(graph);
	graph_apply(graph);
	identify_report_moved(graph);
	graph_finish(graph);
	PG_RETURN_VOID();
}

/*
 * cdp.reevaluate_blocked(value text) returns bigint
 *
 * Brings stored identifiers to what is blocked now: those with the given
 * value, in every namespace, or all of them when it is NULL.  Returns how many
 * became blocked or ceased to be so.
 */
Datum
cdp_reevaluate_blocked(PG_FUNCTION_ARGS)
{
	const GraphSettings *settings;
	Graph	   *graph;
	int64		count = 0;

	graph_begin_writing(ShareRowExclusiveLock);
	settings = graph_settings();
	graph = graph_create(settings, true, "blocked identifiers");
	if (PG_ARGISNULL(0))
	{
		/* Only those that flip are brought in, so that memory follows their number. */
		TableScanDesc scan = table_beginscan(graph->identifier_relation, graph->snapshot, 0, NULL);
		TupleTableSlot *slot = table_slot_create(graph->identifier_relation, NULL);

		while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			CHECK_FOR_INTERRUPTS();
			slot_getallattrs(slot);
			if (load_if_block_flips(graph, slot))
				count++;
		}
		ExecDropSingleTupleTableSlot(slot);
		table_endscan(scan);
	}
	else
	{
		text	   *value = PG_GETARG_TEXT_PP(0);

		for (int i = 0; i < settings->namespace_count; i++)
		{
			StorageScan *scan = graph_scan(graph, SCAN_IDENTIFIER_BY_VALUE);

			scan_value(scan, settings->namespaces[i].namespace_id, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
			while (scan_next(scan))
				if (load_if_block_flips(graph, scan->slot))
					count++;
		}
	}
	if (count > 0)
		graph_apply(graph);
	identify_report_moved(graph);
	graph_finish(graph);
	PG_RETURN_INT64(count);
}
