/*
 * stitch.c
 *		cdp.stitch(source, query): takes in any number of rows at once.
 *
 * The rows are collected in memory, then carried through the graph in one go.
 * When they would take more than maintenance_work_mem, that is done in several
 * goes, with the same outcome.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/stitch.h"
#include "identity/tables.h"

/* Share of the memory budget that rows may take before links are made of them. */
#define INTAKE_SHARE	0.6

PG_FUNCTION_INFO_V1(cdp_stitch);

/* Text of any kind, numbers, UUIDs and enumerations serve as identifiers. */
bool
stitch_holds_identifier(Oid type)
{
	char		category;
	bool		is_preferred;

	if (type == UUIDOID)
		return true;
	get_type_category_preferred(type, &category, &is_preferred);
	return category == TYPCATEGORY_STRING || category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_ENUM;
}

/*
 * Finds out what the columns of the query are, and raises an error about what
 * does not serve.
 */
void
stitch_prepare_columns(Stitch *stitch)
{
	CdpQuery   *query = stitch->query;
	TupleDesc	descriptor = cdp_query_descriptor(query);
	bool		by_position = stitch->first_payload > 0;

	stitch->key_column = stitch->time_column = stitch->deleted_column = -1;
	stitch->column_count = descriptor->natts;
	stitch->columns = cdp_palloc0_array(StitchColumn, descriptor->natts + 1);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		StitchColumn *column = &stitch->columns[i];
		const char *name = NameStr(attribute->attname);
		Oid			element = get_base_element_type(attribute->atttypid);
		Oid			output;
		bool		is_varlena;

		column->namespace_index = -1;
		column->name = pstrdup(name);
		column->is_array = OidIsValid(element);
		column->type = column->is_array ? element : getBaseType(attribute->atttypid);
		if (by_position && i == 2)
			stitch->deleted_column = i;
		else if (by_position && i >= stitch->first_payload)
			continue;			/* the caller's own */
		else if (by_position ? i < stitch->first_identifier : strcmp(name, "record_key") == 0 || strcmp(name, "observed_at") == 0)
		{
			bool		is_key = by_position ? i == 0 : name[0] == 'r';
			int		   *place = is_key ? &stitch->key_column : &stitch->time_column;

			if (*place >= 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the query yields column \"%s\" more than once", name),
						 errhint("Only columns of identifiers may repeat.")));
			if (column->is_array)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" must not be an array", name),
						 is_key ? errhint("Put a key of several parts together with a separator: shop || '/' || number AS record_key.") : errhint("Give one time: greatest(created, modified) AS observed_at.")));
			*place = i;
		}
		else
		{
			column->namespace_index = graph_namespace_index(stitch->settings, name);
			if (column->namespace_index < 0)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("column \"%s\" is not a namespace", name),
						 errhint("Besides record_key and observed_at, each column is named after the namespace of its identifiers (AS email, for example). "
								 "The view cdp.namespaces lists them; cdp.create_namespace adds one.")));
			if (!stitch_holds_identifier(column->type))
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" has type %s, which holds no identifier", name, format_type_be(attribute->atttypid)),
						 errhint("Take the value out as text (properties->>'email', for example), or give an array of several.")));
		}
		column->is_text = column->type == TEXTOID || column->type == VARCHAROID;
		getTypeOutputInfo(column->type, &output, &is_varlena);
		fmgr_info(output, &column->output);
		get_typlenbyvalalign(column->type, &column->length, &column->by_value, &column->align);
	}
	if (stitch->key_column < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the query yields no column \"record_key\""),
				 errhint("Name the key of the source's rows: SELECT id AS record_key, ...")));
	if (!by_position && stitch->column_count <= 1 + (stitch->time_column >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the query yields no identifiers"),
				 errhint("Name each column of identifiers after its namespace: SELECT id AS record_key, mail AS email, ...")));
	/* A bare NULL has the type text. */
	if (stitch->time_column >= 0 && stitch->columns[stitch->time_column].type == TEXTOID &&
		cdp_query_coerce(query, stitch->time_column + 1, TIMESTAMPTZOID))
		stitch->columns[stitch->time_column].type = TIMESTAMPTZOID;
	if (stitch->time_column >= 0 && stitch->columns[stitch->time_column].type != TIMESTAMPTZOID)
	{
		Oid			type = stitch->columns[stitch->time_column].type;

		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"observed_at\" has type %s, not timestamp with time zone", format_type_be(type)),
				 type == TIMESTAMPOID || type == DATEOID ? errhint("Say in which zone it is: modified AT TIME ZONE 'UTC' AS observed_at.") : errhint("Cast it: modified::timestamptz AS observed_at.")));
	}
}

/*
 * A whole number that a table holds as floating point, as it is written: an id of
 * sixteen digits, not 1.234567890123456e+15.  Beyond 2^53 neighbours are the same.
 */
static bool
is_whole_number(Oid type, Datum value, int64 *number)
{
	double		given;

	if (type != FLOAT8OID && type != FLOAT4OID)
		return false;
	given = type == FLOAT8OID ? DatumGetFloat8(value) : DatumGetFloat4(value);
	if (!(fabs(given) <= 9007199254740992.0) || given != floor(given))
		return false;
	*number = (int64) given;
	return true;
}

/* The characters of a value; in memory of the row unless it is text already. */
static void
value_bytes(StitchColumn *column, Datum value, const char **bytes, size_t *length)
{
	int64		number;

	if (column->is_text)
	{
		text	   *packed = DatumGetTextPP(value);

		*bytes = VARDATA_ANY(packed);
		*length = VARSIZE_ANY_EXHDR(packed);
	}
	else if (is_whole_number(column->type, value, &number))
	{
		*bytes = psprintf(INT64_FORMAT, number);
		*length = strlen(*bytes);
	}
	else
	{
		*bytes = OutputFunctionCall(&column->output, value);
		*length = strlen(*bytes);
	}
}

typedef void (*ValueCallback) (void *argument, StitchColumn *column, const char *bytes, size_t length);

/* Calls back for each identifier of a row. */
static void
each_identifier(Stitch *stitch, TupleTableSlot *slot, ValueCallback callback, void *argument)
{
	for (int i = 0; i < stitch->column_count; i++)
	{
		StitchColumn *column = &stitch->columns[i];
		const char *bytes;
		size_t		length;

		if (column->namespace_index < 0 || slot->tts_isnull[i])
			continue;
		if (!column->is_array)
		{
			value_bytes(column, slot->tts_values[i], &bytes, &length);
			callback(argument, column, bytes, length);
		}
		else
		{
			Datum	   *elements;
			bool	   *nulls;
			int			count;

			deconstruct_array(DatumGetArrayTypeP(slot->tts_values[i]), column->type, column->length,
							  column->by_value, column->align, &elements, &nulls, &count);
			for (int k = 0; k < count; k++)
			{
				if (nulls[k])
					continue;
				value_bytes(column, elements[k], &bytes, &length);
				callback(argument, column, bytes, length);
			}
		}
	}
}

static void
take_value(void *argument, StitchColumn *column, const char *bytes, size_t length)
{
	intake_value((Intake *) argument, column->namespace_index, bytes, length);
}

static void
print_value(void *argument, StitchColumn *column, const char *bytes, size_t length)
{
	StringInfo	json = argument;

	appendStringInfoString(json, json->len > 1 ? ", {" : "{");
	escape_json(json, column->name);
	appendStringInfoString(json, ": ");
	escape_json(json, pnstrdup(bytes, pg_mbcliplen(bytes, (int) length, IDENTIFIER_MAX_LENGTH)));
	appendStringInfoChar(json, '}');
}

static void
begin_batch(Stitch *stitch)
{
	MemoryContext caller = MemoryContextSwitchTo(stitch->context);

	stitch->graph = graph_create(stitch->settings, !stitch->is_realtime, stitch->cause);
	stitch->graph->settled = stitch->settled;
	intake_init(&stitch->intake, stitch->graph, stitch->source, stitch->cache);
	stitch->intake.is_event = stitch->is_event;
	if (stitch->keep_row == NULL && !stitch->is_realtime)
		intake_look_ahead(&stitch->intake);
	stitch->rows_in_batch = 0;
	MemoryContextSwitchTo(caller);
}

static void
add_counts(GraphCounts *total, const GraphCounts *more)
{
	int64	   *sums = (int64 *) total;
	const int64 *terms = (const int64 *) more;

	for (Size i = 0; i < sizeof(GraphCounts) / sizeof(int64); i++)
		sums[i] += terms[i];
}

/*
 * Whether to read the whole graph instead of looking up what the rows touch:
 * when they are a good part of it, and it fits into memory.
 */
static bool
should_load_whole(Graph *graph)
{
	uint64		stored = (uint64) RelationGetNumberOfBlocks(graph->record_relation) * 70;
	Size		pages = (Size) RelationGetNumberOfBlocks(graph->identifier_relation) +
		RelationGetNumberOfBlocks(graph->link_relation);

	return (uint64) graph->record_count * 5 >= stored &&
		graph_memory(graph) + pages * BLCKSZ * 3 < (Size) maintenance_work_mem * 1024;
}

static void
finish_batch(Stitch *stitch, bool is_last)
{
	Graph	   *graph = stitch->graph;
	MemoryContext caller = MemoryContextSwitchTo(stitch->context);
	bool		is_known;

	intake_take_ahead(&stitch->intake);
	graph_report_phase(graph, "reading rows");
	graph_refresh_snapshot(graph);
	is_known = stitch->is_realtime || load_source_exists(graph, stitch->source);
	if (stitch->is_realtime)
	{
		lock_records(graph);
		load_stored_ids(graph);
		lock_new_identifiers(graph);
	}
	else
	{
		if (should_load_whole(graph))
			load_whole(graph);
		else
			load_stored_ids(graph);
		load_queued_profiles(graph);
	}
	for (uint32 i = 0, count = graph->record_count; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (stitch->is_realtime)
			graph->records[i].is_stored = false;	/* read again, now that it is locked */
		if (is_known && !graph->records[i].is_stored)
		{
			if (i % 1024 == 0)
				MemoryContextReset(graph->scratch);
			MemoryContextSwitchTo(graph->scratch);
			(void) load_record(graph, i);
			MemoryContextSwitchTo(stitch->context);
		}
		intake_settle(graph, i);
	}
	graph_report_phase(graph, graph->whole ? "loading the whole graph" : "loading what rows touch");
	graph_apply(graph);
	intake_clear_rejections(graph, stitch->source, stitch->started);
	if (!is_last)
		intake_remember(graph, &stitch->settled, stitch->context);
	add_counts(&stitch->counts, &graph->counts);
	if (stitch->batch_written != NULL)
		stitch->batch_written(stitch);
	graph_finish(graph);
	MemoryContextSwitchTo(caller);
}

/*
 * Writes what was taken in when it has grown too large, and goes on with an
 * empty batch.
 */
static void
end_row(Stitch *stitch)
{
	stitch->rows_in_batch++;
	stitch->taken_since_check += 1 + stitch->intake.value_count;
	if (stitch->taken_since_check < 1024)
		return;
	stitch->taken_since_check = 0;
	if (graph_memory(stitch->graph) > (Size) maintenance_work_mem * 1024 * INTAKE_SHARE)
	{
		ereport(DEBUG1,
				(errmsg_internal("stitch writes %llu rows before it reads on", (unsigned long long) stitch->rows_in_batch)));
		finish_batch(stitch, false);
		begin_batch(stitch);
	}
}

/* Takes in that the record with this key is gone. */
void
stitch_take_deleted(Stitch *stitch, const char *key, size_t key_length)
{
	uint32		record;

	intake_begin_row(&stitch->intake);
	record = intake_deleted(&stitch->intake, key, key_length, 0, false);
	/* Nobody keeps a row of it. */
	if (stitch->intake.is_kept)
		stitch->graph->records[record].row = 0;
	end_row(stitch);
}

/* Takes in one row of the query; in memory that is reset before the next one. */
void
stitch_take_row(Stitch *stitch, TupleTableSlot *slot)
{
	const char *key = NULL;
	size_t		key_length = 0;
	TimestampTz observed_at = 0;
	bool		has_time = false;
	Rejection	rejection;
	uint32		record;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	if (stitch->rows_in_batch == 0)
		graph_expect_records(stitch->graph, cdp_query_expected_rows(stitch->query) - (double) stitch->counts.rows_read);
	stitch->graph->counts.rows_read++;
	intake_begin_row(&stitch->intake);
	if (!slot->tts_isnull[stitch->key_column])
		value_bytes(&stitch->columns[stitch->key_column], slot->tts_values[stitch->key_column], &key, &key_length);
	if (stitch->time_column >= 0 && !slot->tts_isnull[stitch->time_column])
	{
		observed_at = DatumGetTimestampTz(slot->tts_values[stitch->time_column]);
		has_time = true;
	}
	if (stitch->arrival_column > 0)
	{
		TimestampTz happened = slot->tts_isnull[stitch->arrival_column] ? DT_NOEND : DatumGetTimestampTz(slot->tts_values[stitch->arrival_column]);

		stitch->intake.arrival = TIMESTAMP_NOT_FINITE(happened) ? GetCurrentTransactionStartTimestamp() : happened;
	}
	if (stitch->deleted_column >= 0 && key != NULL && !slot->tts_isnull[stitch->deleted_column] &&
		DatumGetBool(slot->tts_values[stitch->deleted_column]))
	{
		record = intake_deleted(&stitch->intake, key, key_length, observed_at, has_time);
		if (stitch->keep_row != NULL && stitch->intake.is_kept)
			stitch->keep_row(stitch, slot, record, stitch->intake.row);
		end_row(stitch);
		return;
	}
	each_identifier(stitch, slot, take_value, &stitch->intake);
	rejection = intake_finish_row(&stitch->intake, key, key_length, observed_at, has_time, &record);
	if (rejection.reason != NULL)
	{
		StringInfoData json;

		/* A list of pairs, since a name may repeat. */
		initStringInfo(&json);
		appendStringInfoChar(&json, '[');
		each_identifier(stitch, slot, print_value, &json);
		appendStringInfoChar(&json, ']');
		intake_reject(&stitch->intake, key == NULL ? NULL : pnstrdup(key, pg_mbcliplen(key, (int) key_length, IDENTIFIER_MAX_LENGTH)),
					  observed_at, has_time, &rejection, json.data);
	}
	else if (stitch->keep_row != NULL && stitch->intake.is_kept)
		stitch->keep_row(stitch, slot, record, stitch->intake.row);
	end_row(stitch);
}

/* Sets out; the locks are those of the only writer. */
void
stitch_begin(Stitch *stitch)
{
	stitch->context = CurrentMemoryContext;
	stitch->started = GetCurrentTimestamp();
	graph_begin_writing(stitch->is_realtime ? RowExclusiveLock : ShareRowExclusiveLock);
	/* The query may run other people's code, so these settings are its own. */
	stitch->settings = graph_settings_load(CurrentMemoryContext);
	stitch->cache = cdp_normalize_cache_create(CurrentMemoryContext, (size_t) work_mem * 1024);
	begin_batch(stitch);
}

/* Writes what is left. */
void
stitch_end(Stitch *stitch)
{
	finish_batch(stitch, true);
}

static void
take_row(void *argument, TupleTableSlot *slot)
{
	stitch_take_row(argument, slot);
}

/*
 * cdp.stitch(source text, query text)
 *
 * Takes in the records that the query yields and returns one row of counts.
 * The query runs with the caller's rights and search_path.
 *
 * Errors: NULL arguments; what is not one read-only query; columns that are
 * missing, unknown or of the wrong type; no right to write; a query that itself
 * changes identities.
 */
Datum
cdp_stitch(PG_FUNCTION_ARGS)
{
	Stitch		stitch = {0};
	CdpQuery   *query;
	TupleDesc	descriptor;
	Datum		values[12];
	bool		nulls[12] = {false};
	GraphCounts *counts = &stitch.counts;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of cdp.stitch must not be null", PG_ARGISNULL(0) ? "source" : "query")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	stitch.source = intake_check_source(PG_GETARG_TEXT_PP(0));
	stitch.cause = psprintf("stitch %s", stitch.source);
	stitch.query = query = cdp_query_prepare(text_to_cstring(PG_GETARG_TEXT_PP(1)), "cdp.stitch");
	stitch_begin(&stitch);
	stitch_prepare_columns(&stitch);

	graph_query_is_running = true;
	PG_TRY();
	{
		(void) cdp_query_run(query, 0, take_row, &stitch);
	}
	PG_FINALLY();
	{
		graph_query_is_running = false;
	}
	PG_END_TRY();
	stitch_end(&stitch);
	cdp_query_free(query);

	values[0] = Int64GetDatum(counts->rows_read);
	values[1] = Int64GetDatum(counts->records_new);
	values[2] = Int64GetDatum(counts->records_changed);
	values[3] = Int64GetDatum(counts->records_unchanged);
	values[4] = Int64GetDatum(counts->identifiers_new);
	values[5] = Int64GetDatum(counts->links_new);
	values[6] = Int64GetDatum(counts->profiles_new);
	values[7] = Int64GetDatum(counts->merges);
	values[8] = Int64GetDatum(counts->splits);
	values[9] = Int64GetDatum(counts->refusals);
	values[10] = Int64GetDatum(counts->rejected);
	values[11] = Int64GetDatum(counts->identifiers_dropped);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
