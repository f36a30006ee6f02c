/*
 * take_in.c
 *		cdp.take_in(source, selection, ...): the one way by which the rows of a
 *		declared source come in, whoever noticed them.
 *
 * The query of the source runs with the rights of the source's owner, in a
 * security-restricted operation with settings of its own.  Its rows go through
 * the identity engine, and what they hold besides identifiers is kept aside
 * until the batch is written.  Then one statement stores it, which reads the
 * rows as the relation "incoming", the way a trigger reads its transition
 * tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "cdp.h"
#include "query.h"
#include "identity/stitch.h"
#include "segment/realtime.h"
#include "source/source_texts.h"
#include "source/take_in.h"
#include "statement.h"

/* Columns of the query by position; the identifiers follow. */
#define KEY_COLUMN			0
#define FIRST_IDENTIFIER	3
/* Columns of the relation "incoming" before the payload. */
#define INCOMING_FIXED		4
/* Columns of the rows kept aside before the payload: record and row. */
#define ASIDE_FIXED			2
#define RESULT_COLUMNS		14

typedef struct TakeIn
{
	Stitch		stitch;			/* must be first */
	SourceTexts texts;
	int			payload_columns;
	int			occurred_at;	/* of the payload of an event, from 0; -1: there is none */
	int			event_name;
	TupleDesc	aside_descriptor;
	TupleDesc	incoming_descriptor;
	Tuplestorestate *aside;		/* payload of the batch at hand */
	Datum	   *values;
	bool	   *nulls;
	HTAB	   *wanted;			/* keys asked for and not seen yet */
	Tuplestorestate *present;	/* keys of the source, for a full compare; or its rows, see take_results */
	int64		written;
	bool		is_suspended;	/* the owner of the texts is, for a statement of the caller's */
	MemoryContext context;
} TakeIn;

typedef struct WantedKey
{
	const char *key;			/* hash key: the pointer's string */
} WantedKey;

PG_FUNCTION_INFO_V1(cdp_take_in);

/* Runs a statement with the rights of the caller, in the middle of the query. */
#define AS_CALLER(take, statement) \
	do \
	{ \
		source_owner_suspend(&(take)->texts.owner); \
		(take)->is_suspended = true; \
		statement; \
		(take)->is_suspended = false; \
		source_owner_resume(&(take)->texts.owner); \
	} while (0)

/* ---------- payload ---------- */

static void
begin_aside(TakeIn *take)
{
	MemoryContext caller = MemoryContextSwitchTo(take->context);

	take->aside = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(caller);
}

static void
describe_payload(TakeIn *take)
{
	TupleDesc	given = cdp_query_descriptor(take->stitch.query);
	int			first = FIRST_IDENTIFIER + take->texts.identifier_columns;
	int			count = given->natts - first;

	take->payload_columns = count;
	take->occurred_at = take->event_name = -1;
	take->values = cdp_palloc0_array(Datum, count + INCOMING_FIXED);
	take->nulls = cdp_palloc0_array(bool, count + INCOMING_FIXED);
	take->aside_descriptor = CreateTemplateTupleDesc(ASIDE_FIXED + count);
	TupleDescInitEntry(take->aside_descriptor, 1, "record", INT4OID, -1, 0);
	TupleDescInitEntry(take->aside_descriptor, 2, "row", INT4OID, -1, 0);
	take->incoming_descriptor = CreateTemplateTupleDesc(INCOMING_FIXED + count);
	TupleDescInitEntry(take->incoming_descriptor, 1, "record_key", TEXTOID, -1, 0);
	TupleDescInitEntry(take->incoming_descriptor, 2, "hub", INT8OID, -1, 0);
	TupleDescInitEntry(take->incoming_descriptor, 3, "observed_at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(take->incoming_descriptor, 4, "deleted", BOOLOID, -1, 0);
	TupleDescInitEntryCollation(take->incoming_descriptor, 1, DEFAULT_COLLATION_OID);
	for (int i = 0; i < count; i++)
	{
		TupleDescCopyEntry(take->aside_descriptor, ASIDE_FIXED + i + 1, given, first + i + 1);
		TupleDescCopyEntry(take->incoming_descriptor, INCOMING_FIXED + i + 1, given, first + i + 1);
		if (take->texts.is_event && strcmp(NameStr(TupleDescAttr(given, first + i)->attname), "occurred_at") == 0)
			take->occurred_at = i;
		if (take->texts.is_event && strcmp(NameStr(TupleDescAttr(given, first + i)->attname), "event_name") == 0)
			take->event_name = i;
	}
}

/* Puts the payload of a row aside; the record may yet get another one. */
static void
keep_row(Stitch *stitch, TupleTableSlot *slot, uint32 record, uint32 row)
{
	TakeIn	   *take = (TakeIn *) stitch;
	int			first = FIRST_IDENTIFIER + take->texts.identifier_columns;

	take->values[0] = Int32GetDatum((int32) record);
	take->values[1] = Int32GetDatum((int32) row);
	take->nulls[0] = take->nulls[1] = false;
	for (int i = 0; i < take->payload_columns; i++)
	{
		take->values[ASIDE_FIXED + i] = slot->tts_values[first + i];
		take->nulls[ASIDE_FIXED + i] = slot->tts_isnull[first + i];
	}
	tuplestore_putvalues(take->aside, take->aside_descriptor, take->values, take->nulls);
}

/* Counts the event among the rejected rows when the statement that stores it refuses it; see cdp.source_write. */
static void
count_refused(TakeIn *take)
{
	int			occurred_at = INCOMING_FIXED + take->occurred_at;
	int			event_name = INCOMING_FIXED + take->event_name;

	if (take->occurred_at < 0 || take->event_name < 0)
		return;
	if (take->nulls[occurred_at] || TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(take->values[occurred_at])) ||
		take->nulls[event_name] || VARSIZE_ANY_EXHDR(DatumGetPointer(take->values[event_name])) == 0)
		take->stitch.counts.rejected++;
}

static void
put_incoming(TakeIn *take, Tuplestorestate *incoming, const GraphRecord *record)
{
	Graph	   *graph = take->stitch.graph;
	text	   *key = cstring_to_text_with_len(record->key, record->key_length);

	take->values[0] = PointerGetDatum(key);
	take->nulls[0] = false;
	take->nulls[1] = record->is_removed;
	take->values[1] = record->is_removed ? (Datum) 0 : Int64GetDatum(graph->identifiers[record->hub].id);
	take->values[2] = TimestampTzGetDatum(record->observed_at);
	take->nulls[2] = false;
	take->values[3] = BoolGetDatum(record->is_removed);
	take->nulls[3] = false;
	tuplestore_putvalues(incoming, take->incoming_descriptor, take->values, take->nulls);
	pfree(key);
}

/*
 * The rows of the batch that count, as the relation "incoming".  A record whose
 * row was put aside has its payload; one that the source no longer has, none.
 */
static Tuplestorestate *
collect_incoming(TakeIn *take)
{
	Graph	   *graph = take->stitch.graph;
	Tuplestorestate *incoming = tuplestore_begin_heap(true, false, work_mem);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(take->aside_descriptor, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(take->aside, true, false, slot))
	{
		const GraphRecord *record;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		record = &graph->records[(uint32) DatumGetInt32(slot->tts_values[0])];
		if (record->row != (uint32) DatumGetInt32(slot->tts_values[1]))
			continue;
		for (int i = 0; i < take->payload_columns; i++)
		{
			take->values[INCOMING_FIXED + i] = slot->tts_values[ASIDE_FIXED + i];
			take->nulls[INCOMING_FIXED + i] = slot->tts_isnull[ASIDE_FIXED + i];
		}
		if (!record->is_removed)
			count_refused(take);
		put_incoming(take, incoming, record);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(take->aside);
	take->aside = NULL;

	memset(take->nulls, true, sizeof(bool) * (INCOMING_FIXED + take->payload_columns));
	for (uint32 i = 0; i < graph->record_count; i++)
		if (graph->records[i].is_incoming && graph->records[i].is_removed && graph->records[i].row == 0)
			put_incoming(take, incoming, &graph->records[i]);
	return incoming;
}

/* Runs the statement over a relation that exists for it alone. */
static int64
run_over(TakeIn *take, const char *sql, const char *name, TupleDesc descriptor, Tuplestorestate *rows, bool read_only)
{
	int			result;

	cdp_register_rows(name, descriptor, rows);
	result = SPI_execute(sql, read_only, 0);
	if (result < 0)
		elog(ERROR, "could not run the statement of source \"%s\": %s", take->stitch.source, SPI_result_code_string(result));
	SPI_unregister_relation(name);
	return (int64) SPI_processed;
}

/* Stores what the rows of "incoming" hold, and ends with them.  SPI is connected. */
static void
write_incoming(TakeIn *take, Tuplestorestate *incoming)
{
	int			guc_level = NewGUCNestLevel();

	cdp_set_option("search_path", "pg_catalog, pg_temp");
	/* Rows are looked up by key, also in a table that was empty a moment ago. */
	cdp_set_option("enable_seqscan", "off");
	cdp_set_option("jit", "off");
	if (tuplestore_tuple_count(incoming) > 0)
		take->written += run_over(take, take->texts.write, "incoming", take->incoming_descriptor, incoming, false);
	tuplestore_end(incoming);
	AtEOXact_GUC(true, guc_level);
}

/* After each batch: its payload goes where it belongs. */
static void
batch_written(Stitch *stitch)
{
	TakeIn	   *take = (TakeIn *) stitch;

	/* Whoever captures rows evaluates people at once. */
	if (take->wanted != NULL)
		realtime_collect(stitch->graph->moved, (int) stitch->graph->moved_count);
	if (take->texts.write != NULL)
	{
		SPI_connect();
		write_incoming(take, collect_incoming(take));
		SPI_finish();
	}
	else
		tuplestore_end(take->aside);
	begin_aside(take);
}

/* ---------- rows ---------- */

static void
note_seen(TakeIn *take, TupleTableSlot *slot)
{
	if (take->wanted != NULL && !slot->tts_isnull[KEY_COLUMN])
	{
		const char *key = TextDatumGetCString(slot->tts_values[KEY_COLUMN]);

		(void) hash_search(take->wanted, &key, HASH_REMOVE, NULL);
	}
}

static void
take_row(void *argument, TupleTableSlot *slot)
{
	TakeIn	   *take = argument;

	slot_getallattrs(slot);
	note_seen(take, slot);
	AS_CALLER(take, stitch_take_row(&take->stitch, slot));
}

static uint32
wanted_hash(const void *key, Size size)
{
	const char *string = *(const char *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) string, (int) strlen(string)));
}

static int
wanted_match(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The keys asked for, of which those remain that the source does not have. */
static HTAB *
want_keys(TakeIn *take, ArrayType *keys)
{
	HASHCTL		control = {0};
	HTAB	   *wanted;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(keys, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	control.keysize = control.entrysize = sizeof(WantedKey);
	control.hash = wanted_hash;
	control.match = wanted_match;
	control.hcxt = take->context;
	wanted = hash_create("cdp keys", Max(count, 16), &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	for (int i = 0; i < count; i++)
	{
		const char *key;

		if (nulls[i])
			continue;
		key = TextDatumGetCString(elements[i]);
		(void) hash_search(wanted, &key, HASH_ENTER, NULL);
	}
	return wanted;
}

/*
 * Whether the rows name their profile instead of identifiers: results of other
 * work that come back as traits.
 */
static bool
names_profiles(const TakeIn *take, TupleDesc descriptor)
{
	return take->texts.identifier_columns == 0 && descriptor->natts > FIRST_IDENTIFIER &&
		strcmp(NameStr(TupleDescAttr(descriptor, FIRST_IDENTIFIER)->attname), "profile_id") == 0;
}

static void
keep_result(void *argument, TupleTableSlot *slot)
{
	TakeIn	   *take = argument;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	note_seen(take, slot);
	take->stitch.counts.rows_read++;
	tuplestore_putvalues(take->present, cdp_query_descriptor(take->stitch.query), slot->tts_values, slot->tts_isnull);
}

/* Runs the source's query and takes its rows in, or keeps them for take_results. */
static void
take_query(TakeIn *take, Datum keys, bool has_keys)
{
	Oid			types[] = {TEXTARRAYOID};
	Stitch	   *stitch = &take->stitch;

	source_owner_enter(&take->texts.owner);
	stitch->query = cdp_query_prepare_parameters(take->texts.query, "cdp.create_source", types, has_keys ? 1 : 0);
	cdp_query_refuse_temporary(stitch->query);
	if (cdp_query_descriptor(stitch->query)->natts < FIRST_IDENTIFIER + take->texts.identifier_columns)
		elog(ERROR, "the query of source \"%s\" has too few columns", stitch->source);
	stitch->first_identifier = FIRST_IDENTIFIER;
	stitch->first_payload = FIRST_IDENTIFIER + take->texts.identifier_columns;
	if (names_profiles(take, cdp_query_descriptor(stitch->query)))
		take->present = tuplestore_begin_heap(true, false, work_mem);
	else
		AS_CALLER(take, stitch_prepare_columns(stitch));
	describe_payload(take);

	/* An event that is told without a version is as old as what happened. */
	if (take->texts.is_event && take->payload_columns > 0 &&
		strcmp(NameStr(TupleDescAttr(cdp_query_descriptor(stitch->query), stitch->first_payload)->attname), "occurred_at") == 0 &&
		TupleDescAttr(cdp_query_descriptor(stitch->query), stitch->first_payload)->atttypid == TIMESTAMPTZOID)
		stitch->arrival_column = stitch->first_payload;
	if (has_keys)
		cdp_query_bind(stitch->query, &keys);
	graph_query_is_running = true;
	PG_TRY();
	{
		source_owner_run(stitch->query, 0, take->present != NULL ? keep_result : take_row, take, &take->is_suspended);
	}
	PG_FINALLY();
	{
		graph_query_is_running = false;
	}
	PG_END_TRY();
	source_owner_leave(&take->texts.owner);
}

/* ---------- rows that name their profile ---------- */

#define WHY_NOT \
	"CASE WHEN g.record_key IS NULL THEN 'missing_record_key'" \
	" WHEN g.observed_at IN ('-infinity', 'infinity') THEN 'infinite_time'" \
	" WHEN p.profile_id IS NULL AND g.deleted IS NOT TRUE THEN 'unknown_profile' END"

#define GIVEN_AND_PROFILE \
	" FROM given AS g LEFT JOIN cdp_data.profile AS p ON p.profile_id OPERATOR(pg_catalog.=) g.profile_id"

/*
 * The rows that take_query kept: no evidence comes of them.  What they say is
 * said of the identifier that the id follows, its anchor, and so goes with the
 * person whatever becomes of the id.  Of several rows with one key the newest
 * counts.
 */
static void
take_results(TakeIn *take)
{
	char	   *source = quote_literal_cstr(take->stitch.source);
	TupleDesc	given = cdp_query_descriptor(take->stitch.query);
	Tuplestorestate *incoming = tuplestore_begin_heap(true, false, work_mem);
	StringInfoData select;
	int			guc_level = NewGUCNestLevel();
	SPITupleTable *rows;
	uint64		count;

	cdp_set_option("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	(void) run_over(take, psprintf("DELETE FROM cdp_data.rejected_record AS r USING given AS g"
								   " WHERE r.source = %s AND r.record_key = g.record_key",
								   source),
					"given", given, take->present, false);
	take->stitch.counts.rejected +=
		run_over(take, psprintf("INSERT INTO cdp_data.rejected_record (source, record_key, observed_at, reason, detail, identifiers, rejected_at)"
								" SELECT %s, g.record_key, g.observed_at, w.reason, CASE w.reason WHEN 'unknown_profile' THEN format('profile %%s', g.profile_id) END,"
								" '[]', clock_timestamp()" GIVEN_AND_PROFILE " CROSS JOIN LATERAL (SELECT " WHY_NOT ") AS w(reason) WHERE w.reason IS NOT NULL",
								source),
				 "given", given, take->present, false);

	initStringInfo(&select);
	appendStringInfoString(&select, "SELECT DISTINCT ON (g.record_key) g.record_key, CASE WHEN g.deleted IS NOT TRUE THEN p.anchor END,"
									" COALESCE(g.observed_at, now()), g.deleted IS TRUE, g.*" GIVEN_AND_PROFILE " WHERE " WHY_NOT " IS NULL ORDER BY g.record_key, g.observed_at DESC NULLS FIRST, g.deleted DESC NULLS LAST");
	count = (uint64) run_over(take, select.data, "given", given, take->present, true);
	rows = SPI_tuptable;
	tuplestore_end(take->present);
	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < INCOMING_FIXED; k++)
			take->values[k] = SPI_getbinval(rows->vals[i], rows->tupdesc, k + 1, &take->nulls[k]);
		for (int k = 0; k < take->payload_columns; k++)
			take->values[INCOMING_FIXED + k] = SPI_getbinval(rows->vals[i], rows->tupdesc, INCOMING_FIXED + FIRST_IDENTIFIER + k + 1,
															 &take->nulls[INCOMING_FIXED + k]);
		if (!DatumGetBool(take->values[3]))
			count_refused(take);
		tuplestore_putvalues(incoming, take->incoming_descriptor, take->values, take->nulls);
	}
	SPI_freetuptable(rows);
	if (take->texts.write != NULL)
		write_incoming(take, incoming);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/* ---------- what the source no longer has ---------- */

static void
note_present(void *argument, TupleTableSlot *slot)
{
	TakeIn	   *take = argument;

	CHECK_FOR_INTERRUPTS();
	slot_getsomeattrs(slot, KEY_COLUMN + 1);
	if (!slot->tts_isnull[KEY_COLUMN])
		tuplestore_putvalues(take->present, take->aside_descriptor, &slot->tts_values[KEY_COLUMN], &slot->tts_isnull[KEY_COLUMN]);
}

/*
 * Reads the keys of the source, compares them with those that are stored, and
 * takes in that the others are gone.
 */
static void
take_missing(TakeIn *take, int64 limit, bool has_limit)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(1);
	CdpQuery   *query;
	SPITupleTable *missing;
	int64		count;

	TupleDescInitEntry(descriptor, 1, "record_key", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(descriptor, 1, DEFAULT_COLLATION_OID);
	take->present = tuplestore_begin_heap(true, false, work_mem);
	take->aside_descriptor = descriptor;
	source_owner_enter(&take->texts.owner);
	query = cdp_query_prepare(take->texts.query, "cdp.create_source");
	cdp_query_refuse_temporary(query);
	if (cdp_query_descriptor(query)->natts < 1 || TupleDescAttr(cdp_query_descriptor(query), 0)->atttypid != TEXTOID)
		elog(ERROR, "the query of source \"%s\" yields no key of type text", take->stitch.source);
	source_owner_run(query, CDP_QUERY_PARALLEL, note_present, take, NULL);
	source_owner_leave(&take->texts.owner);
	cdp_query_free(query);

	/* The rows of "incoming" have no payload then. */
	take->stitch.query = cdp_query_prepare("SELECT NULL::pg_catalog.text, NULL::pg_catalog.timestamptz, NULL::pg_catalog.bool", "cdp.take_in");
	take->texts.identifier_columns = 0;
	describe_payload(take);
	SPI_connect();
	count = run_over(take, take->texts.missing, "present", descriptor, take->present, true);
	missing = SPI_tuptable;
	if (has_limit && count > limit)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("source \"%s\" would withdraw " INT64_FORMAT " records, more than the " INT64_FORMAT " allowed",
						take->stitch.source, count, limit),
				 errhint("Check that its table is complete; then CALL cdp.refresh(ARRAY[%s], allow_deletes => true).",
						 quote_literal_cstr(take->stitch.source))));
	for (int64 i = 0; i < count; i++)
	{
		bool		is_null;
		Datum		key;

		CHECK_FOR_INTERRUPTS();
		key = SPI_getbinval(missing->vals[i], missing->tupdesc, 1, &is_null);
		if (!is_null)
		{
			text	   *packed = DatumGetTextPP(key);

			stitch_take_deleted(&take->stitch, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
		}
	}
	SPI_finish();
	tuplestore_end(take->present);
}

/* Takes in that the keys which nobody found are gone. */
static void
take_unseen(TakeIn *take)
{
	HASH_SEQ_STATUS status;
	WantedKey  *entry;

	hash_seq_init(&status, take->wanted);
	while ((entry = hash_seq_search(&status)) != NULL)
		stitch_take_deleted(&take->stitch, entry->key, strlen(entry->key));
}

static int
count_elements(ArrayType *array)
{
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/*
 * cdp.take_in(source text, selection text, keys text[], since text,
 *			   max_deleted bigint)
 *
 * See sql/source_take_in.sql.  NULL keys, since and max_deleted: none.
 *
 * Errors: other NULL arguments; an unknown source or selection; an owner that
 * is gone or beyond the rights of the storage's owner; more missing records
 * than max_deleted; what the source's own text raises.
 */
Datum
cdp_take_in(PG_FUNCTION_ARGS)
{
	TakeIn	   *take;
	TupleDesc	descriptor;
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};
	char	   *selection;
	bool		by_key;
	int			column = 0;
	const GraphCounts *counts;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of cdp.take_in must not be null", PG_ARGISNULL(0) ? "source" : "selection")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	selection = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(selection, "list") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid selection 'list' of cdp.take_in"),
				 errhint("It is that of cdp.source_keys.")));
	by_key = strcmp(selection, "keys") == 0;
	if (by_key && PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("keys of cdp.take_in must not be null")));

	take = palloc0(sizeof(TakeIn));
	take->context = CurrentMemoryContext;
	take->stitch.source = intake_check_source(PG_GETARG_TEXT_PP(0));
	take->stitch.cause = psprintf("refresh %s", take->stitch.source);
	source_texts_read(&take->texts, take->stitch.source, selection, PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	take->stitch.is_event = take->texts.is_event;
	take->stitch.is_realtime = by_key && count_elements(PG_GETARG_ARRAYTYPE_P(2)) <= TAKE_IN_REALTIME_KEYS;
	take->stitch.keep_row = keep_row;
	take->stitch.batch_written = batch_written;

	stitch_begin(&take->stitch);
	begin_aside(take);
	if (strcmp(selection, "missing") == 0)
		take_missing(take, PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4), !PG_ARGISNULL(4));
	else
	{
		if (by_key)
			take->wanted = want_keys(take, PG_GETARG_ARRAYTYPE_P(2));
		take_query(take, by_key ? PG_GETARG_DATUM(2) : (Datum) 0, by_key);
		if (take->present != NULL)
			take_results(take);
		if (by_key)
			take_unseen(take);
	}
	stitch_end(&take->stitch);
	cdp_query_free(take->stitch.query);

	counts = &take->stitch.counts;
	values[column++] = Int64GetDatum(counts->rows_read);
	values[column++] = Int64GetDatum(counts->records_new);
	values[column++] = Int64GetDatum(counts->records_changed);
	values[column++] = Int64GetDatum(counts->records_unchanged);
	values[column++] = Int64GetDatum(counts->identifiers_new);
	values[column++] = Int64GetDatum(counts->links_new);
	values[column++] = Int64GetDatum(counts->profiles_new);
	values[column++] = Int64GetDatum(counts->merges);
	values[column++] = Int64GetDatum(counts->splits);
	values[column++] = Int64GetDatum(counts->refusals);
	values[column++] = Int64GetDatum(counts->rejected);
	values[column++] = Int64GetDatum(counts->identifiers_dropped);
	values[column++] = Int64GetDatum(counts->retracted);
	values[column++] = Int64GetDatum(take->written);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
