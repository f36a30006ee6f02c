/*
 * store.c
 *		Writes what an operation changed: ordinary statements over arrays, one
 *		for each kind of change.
 *
 * Every statement says how many rows it must affect.  Fewer means that this
 * transaction's snapshot does not see a row that somebody else wrote since
 * (which REPEATABLE READ and SERIALIZABLE callers meet): a serialization
 * failure, which a retry cures.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/bulk.h"
#include "identity/graph.h"
#include "identity/tables.h"
#include "statement.h"

/* From this many new records on, indexes may be built afterwards. */
#define BULK_RECORDS		20000
/* About how many records a page holds. */
#define RECORDS_PER_PAGE	70

#define STATEMENT_ROWS		10000	/* rows that one statement writes */
#define STATEMENT_BYTES		(64 * 1024 * 1024)	/* memory that they take */
#define STATEMENT_COLUMNS	8

/*
 * A statement with an array parameter for each column.  Rows are added one by
 * one and written in portions.  (unnest with several arguments is syntax, which
 * the parser turns into pg_catalog.unnest whatever the search_path.)
 */
typedef struct Statement
{
	const char *sql;
	int			column_count;
	Oid			types[STATEMENT_COLUMNS];	/* of the elements */
	bool		may_skip;		/* fewer rows are no failure */
	SPIPlanPtr	plan;
} Statement;

typedef struct Writer
{
	Statement  *statement;
	MemoryContext context;
	Datum	   *columns[STATEMENT_COLUMNS];
	int			rows;
	BulkInsert *bulk;			/* instead of the statement */
} Writer;

static Statement insert_identifier = {
	"INSERT INTO cdp_data.identifier (id, profile_id, created_at, namespace_id, state, value)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
	6,
	{INT8OID, INT8OID, TIMESTAMPTZOID, INT2OID, CHAROID, TEXTOID}};

static Statement update_identifier = {
	"UPDATE cdp_data.identifier AS i SET profile_id = n.profile_id, state = n.state"
	" FROM unnest($1, $2, $3) AS n(id, profile_id, state) WHERE i.id OPERATOR(pg_catalog.=) n.id",
	3,
	{INT8OID, INT8OID, CHAROID}};

static Statement insert_history = {
	"INSERT INTO cdp_data.identifier_history (identifier_id, until, old_profile_id)"
	" SELECT * FROM unnest($1, $2, $3) ON CONFLICT DO NOTHING",
	3,
	{INT8OID, TIMESTAMPTZOID, INT8OID},
	true};

static Statement insert_record = {
	"INSERT INTO cdp_data.record (observed_at, first_seen, hub, source, record_key, ids)"
	" SELECT n.observed_at, n.first_seen, n.hub, n.source, n.record_key, n.ids::bigint[]"
	" FROM unnest($1, $2, $3, $4, $5, $6) AS n(observed_at, first_seen, hub, source, record_key, ids)"
	" ON CONFLICT DO NOTHING",
	6,
	{TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, TEXTOID}};

static Statement update_record = {
	"UPDATE cdp_data.record AS r SET observed_at = n.observed_at, first_seen = n.first_seen, hub = n.hub,"
	" ids = n.ids::bigint[]"
	" FROM unnest($1, $2, $3, $4, $5, $6) AS n(observed_at, first_seen, hub, source, record_key, ids)"
	" WHERE r.source OPERATOR(pg_catalog.=) n.source AND r.record_key OPERATOR(pg_catalog.=) n.record_key",
	6,
	{TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, TEXTOID}};

static Statement delete_record = {
	"DELETE FROM cdp_data.record AS r USING unnest($1, $2) AS n(source, record_key)"
	" WHERE r.source OPERATOR(pg_catalog.=) n.source AND r.record_key OPERATOR(pg_catalog.=) n.record_key",
	2,
	{TEXTOID, TEXTOID}};

static Statement insert_link = {
	"INSERT INTO cdp_data.link (a, b, first_seen, last_seen, records, head_records, state)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
	7,
	{INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, CHAROID}};

static Statement update_link = {
	"UPDATE cdp_data.link AS l SET first_seen = n.first_seen, last_seen = n.last_seen, records = n.records,"
	" head_records = n.head_records, state = n.state"
	" FROM unnest($1, $2, $3, $4, $5, $6, $7) AS n(a, b, first_seen, last_seen, records, head_records, state)"
	" WHERE l.a OPERATOR(pg_catalog.=) n.a AND l.b OPERATOR(pg_catalog.=) n.b",
	7,
	{INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, CHAROID}};

static Statement delete_link = {
	"DELETE FROM cdp_data.link AS l USING unnest($1, $2) AS n(a, b)"
	" WHERE l.a OPERATOR(pg_catalog.=) n.a AND l.b OPERATOR(pg_catalog.=) n.b",
	2,
	{INT8OID, INT8OID}};

static Statement insert_profile = {
	"INSERT INTO cdp_data.profile (profile_id, anchor, changed_at, state)"
	" SELECT * FROM unnest($1, $2, $3, $4)",
	4,
	{INT8OID, INT8OID, TIMESTAMPTZOID, CHAROID}};

static Statement update_profile = {
	"UPDATE cdp_data.profile AS p SET anchor = n.anchor, changed_at = n.changed_at, state = n.state"
	" FROM unnest($1, $2, $3, $4) AS n(profile_id, anchor, changed_at, state)"
	" WHERE p.profile_id OPERATOR(pg_catalog.=) n.profile_id",
	4,
	{INT8OID, INT8OID, TIMESTAMPTZOID, CHAROID}};

static Statement insert_change = {
	"INSERT INTO cdp_data.identity_change (changed_at, kind, profile_id, other_profile_id, identifiers, cause)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
	6,
	{TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, INT8OID, TEXTOID}};

static Statement insert_changed = {
	"INSERT INTO cdp_data.changed_profile (profile_id) SELECT n.profile_id FROM pg_catalog.unnest($1) AS n(profile_id)",
	1,
	{INT8OID}};

static Statement move_contribution = {
	"UPDATE cdp_data.contribution AS c SET hub = n.hub FROM unnest($1, $2, $3) AS n(source, record_key, hub)"
	" WHERE c.source OPERATOR(pg_catalog.=) n.source AND c.record_key OPERATOR(pg_catalog.=) n.record_key",
	3,
	{TEXTOID, TEXTOID, INT8OID},
	true};

static Statement move_history = {
	"UPDATE cdp_data.contribution_history AS c SET hub = n.hub FROM unnest($1, $2, $3) AS n(source, record_key, hub)"
	" WHERE c.source OPERATOR(pg_catalog.=) n.source AND c.record_key OPERATOR(pg_catalog.=) n.record_key",
	3,
	{TEXTOID, TEXTOID, INT8OID},
	true};

static Statement move_event = {
	"UPDATE cdp_data.event AS e SET hub = n.hub FROM unnest($1, $2, $3) AS n(source, record_key, hub)"
	" WHERE e.source OPERATOR(pg_catalog.=) n.source AND e.record_key OPERATOR(pg_catalog.=) n.record_key",
	3,
	{TEXTOID, TEXTOID, INT8OID},
	true};

static const struct
{
	Oid			type;
	Oid			array;
	int16		length;
	bool		by_value;
	char		align;
}			element_types[] = {
	{INT8OID, INT8ARRAYOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{TIMESTAMPTZOID, TIMESTAMPTZARRAYOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{INT4OID, INT4ARRAYOID, 4, true, TYPALIGN_INT},
	{INT2OID, INT2ARRAYOID, 2, true, TYPALIGN_SHORT},
	{CHAROID, CHARARRAYOID, 1, true, TYPALIGN_CHAR},
	{TEXTOID, TEXTARRAYOID, -1, false, TYPALIGN_INT},
};

static int
element_type(Oid type)
{
	for (int i = 0; i < lengthof(element_types); i++)
		if (element_types[i].type == type)
			return i;
	elog(ERROR, "type %u has no array here", type);
}

static Writer
writer_begin(Graph *graph, Statement *statement)
{
	Writer		writer = {.statement = statement};

	writer.context = AllocSetContextCreate(graph->context, "cdp writer", ALLOCSET_DEFAULT_SIZES);
	return writer;
}

/* The same for inserts, which go to the table itself when there are very many. */
static Writer
writer_begin_insert(Graph *graph, Statement *statement, Relation relation, bool bulk)
{
	Writer		writer;

	if (!bulk)
		return writer_begin(graph, statement);
	memset(&writer, 0, sizeof(writer));
	writer.statement = statement;
	writer.bulk = bulk_begin(relation);
	writer.context = bulk_context(writer.bulk);
	return writer;
}

static void
writer_flush(Writer *writer)
{
	Statement  *statement = writer->statement;
	Datum		arguments[STATEMENT_COLUMNS];
	Oid			arrays[STATEMENT_COLUMNS];
	int			result;

	if (writer->rows == 0)
		return;
	for (int i = 0; i < statement->column_count; i++)
		arrays[i] = element_types[element_type(statement->types[i])].array;
	cdp_statement(&statement->plan, statement->sql, statement->column_count, arrays);
	for (int i = 0; i < statement->column_count; i++)
	{
		int			type = element_type(statement->types[i]);
		MemoryContext caller = MemoryContextSwitchTo(writer->context);
		int			dims[1] = {writer->rows};
		int			lower[1] = {1};
		bool	   *nulls = NULL;

		/* Only a record's ids can be NULL; a NULL pointer stands for it. */
		if (!element_types[type].by_value)
		{
			nulls = cdp_palloc_array(bool, writer->rows);
			for (int k = 0; k < writer->rows; k++)
				nulls[k] = DatumGetPointer(writer->columns[i][k]) == NULL;
		}
		arguments[i] = PointerGetDatum(construct_md_array(writer->columns[i], nulls, 1, dims, lower,
														  statement->types[i], element_types[type].length,
														  element_types[type].by_value, element_types[type].align));
		MemoryContextSwitchTo(caller);
	}
	result = SPI_execute_plan(statement->plan, arguments, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	if (SPI_processed != (uint64) writer->rows && !statement->may_skip)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent changes of identities"),
				 errhint("Retry the transaction.")));
	MemoryContextReset(writer->context);
	writer->rows = 0;
}

/*
 * Adds a row.  By-reference values live in writer->context; a NULL pointer in
 * a by-reference column stands for NULL.
 */
static void
writer_row(Writer *writer, const Datum *values)
{
	int			columns = writer->statement->column_count;

	CHECK_FOR_INTERRUPTS();
	if (writer->bulk != NULL)
	{
		bool		nulls[STATEMENT_COLUMNS];

		for (int i = 0; i < columns; i++)
			nulls[i] = writer->statement->types[i] == TEXTOID && DatumGetPointer(values[i]) == NULL;
		bulk_row(writer->bulk, values, nulls, 128);
		return;
	}
	if (writer->rows == 0)
		for (int i = 0; i < columns; i++)
			writer->columns[i] = MemoryContextAlloc(writer->context, mul_size(sizeof(Datum), STATEMENT_ROWS));
	for (int i = 0; i < columns; i++)
		writer->columns[i][writer->rows] = values[i];	/* NOLINT(clang-analyzer-core.uninitialized.Assign) */
	if (++writer->rows == STATEMENT_ROWS ||
		MemoryContextMemAllocated(writer->context, false) > STATEMENT_BYTES)
		writer_flush(writer);
}

static void
writer_end(Writer *writer)
{
	if (writer->bulk != NULL)
	{
		bulk_end(writer->bulk);
		return;
	}
	writer_flush(writer);
	MemoryContextDelete(writer->context);
}

static Datum
text_datum(Writer *writer, const char *value, uint32 length)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->context);
	Datum		result = PointerGetDatum(cstring_to_text_with_len(value, (int) length));

	MemoryContextSwitchTo(caller);
	return result;
}

/* The ids of a record in ascending order; the caller frees. */
static int64 *
store_record_ids(Graph *graph, const GraphRecord *record)
{
	int64	   *ids = cdp_palloc_array(int64, record->id_count);

	for (int i = 0; i < record->id_count; i++)
		ids[i] = graph->identifiers[record->ids[i]].id;
	qsort(ids, record->id_count, sizeof(int64), cdp_compare_int64);
	return ids;
}

/* {1,2,3} */
static text *
ids_as_text(ArrayType *array)
{
	int64	   *ids = (int64 *) ARR_DATA_PTR(array);
	int			count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	StringInfoData buffer;

	initStringInfo(&buffer);
	for (int i = 0; i < count; i++)
		appendStringInfo(&buffer, "%c" INT64_FORMAT, i == 0 ? '{' : ',', ids[i]);
	appendStringInfoChar(&buffer, '}');
	return cstring_to_text_with_len(buffer.data, buffer.len);
}

/* ---------- what changed ---------- */

static void
store_identifiers(Graph *graph, bool bulk)
{
	Writer		insert = writer_begin_insert(graph, &insert_identifier, graph->identifier_relation, bulk);
	Writer		update = writer_begin(graph, &update_identifier);
	Writer		history = writer_begin(graph, &insert_history);

	for (uint32 i = 0; i < graph->identifier_count; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];

		if (identifier->old_state == '\0')
		{
			Datum		row[] = {
				Int64GetDatum(identifier->id),
				Int64GetDatum(identifier->new_profile),
				TimestampTzGetDatum(graph->now),
				Int16GetDatum(graph->settings->namespaces[identifier->namespace_index].namespace_id),
				CharGetDatum(identifier->state),
				text_datum(&insert, identifier->value, identifier->length)};

			writer_row(&insert, row);
			continue;
		}
		if (identifier->new_profile != identifier->old_profile || identifier->state != identifier->old_state)
		{
			Datum		row[] = {
				Int64GetDatum(identifier->id),
				Int64GetDatum(identifier->new_profile),
				CharGetDatum(identifier->state)};

			writer_row(&update, row);
		}
		if (identifier->new_profile != identifier->old_profile)
		{
			Datum		row[] = {
				Int64GetDatum(identifier->id),
				TimestampTzGetDatum(graph->now),
				Int64GetDatum(identifier->old_profile)};

			writer_row(&history, row);
		}
	}
	writer_end(&insert);
	writer_end(&update);
	writer_end(&history);
}

/* Whether the record becomes a new row. */
static inline bool
is_inserted(const GraphRecord *record)
{
	return !record->is_stored && !record->is_removed && graph_record_is_kept(record);
}

/*
 * New records have one source, that of the call, and so the index by source and
 * key can be built from the keys in memory.
 */
static void
sort_record_keys(Graph *graph, Writer *writer)
{
	const char *source = NULL;
	uint64		count = 0;

	for (uint32 i = 0; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];

		if (!is_inserted(record))
			continue;
		if (source == NULL)
			source = record->source;
		else if (source != record->source)
			return;
		count++;
	}
	if (source != NULL)
		bulk_sort_keys(writer->bulk, graph->relations->record_key, source, count);
}

static void
record_row(Graph *graph, Writer *writer, const GraphRecord *record)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->context);
	Datum		ids = (Datum) 0;
	Datum		row[6];

	if (record->id_count > 1)
	{
		Datum	   *elements = cdp_palloc_array(Datum, record->id_count);
		int64	   *sorted = store_record_ids(graph, record);
		ArrayType  *array;

		for (int i = 0; i < record->id_count; i++)
			elements[i] = Int64GetDatum(sorted[i]);
		array = construct_array(elements, record->id_count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
		/* A statement's parameter cannot be an array of arrays; there the ids travel as text. */
		ids = writer->bulk != NULL ? PointerGetDatum(array) : PointerGetDatum(ids_as_text(array));
	}
	row[0] = TimestampTzGetDatum(record->observed_at);
	row[1] = TimestampTzGetDatum(record->first_seen);
	row[2] = Int64GetDatum(graph->identifiers[record->hub].id);
	row[3] = text_datum(writer, record->source, strlen(record->source));
	row[4] = text_datum(writer, record->key, record->key_length);
	row[5] = ids;
	MemoryContextSwitchTo(caller);
	if (writer->bulk != NULL)
		bulk_key(writer->bulk, record->key, record->key_length);
	writer_row(writer, row);
}

static void
store_records(Graph *graph, bool bulk)
{
	Writer		insert = writer_begin_insert(graph, &insert_record, graph->record_relation, bulk);
	Writer		update = writer_begin(graph, &update_record);
	Writer		delete = writer_begin(graph, &delete_record);

	if (bulk)
		sort_record_keys(graph, &insert);
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];

		if (i + FETCH_AHEAD < graph->record_count)
			for (int k = 0; k < record[FETCH_AHEAD].id_count; k++)
				prefetch(&graph->identifiers[record[FETCH_AHEAD].ids[k]]);
		if (!graph_record_is_kept(record) || (record->is_removed && !record->is_stored))
			continue;
		if (record->is_removed)
		{
			Datum		row[] = {
				text_datum(&delete, record->source, strlen(record->source)),
				text_datum(&delete, record->key, record->key_length)};

			writer_row(&delete, row);
		}
		else if (!record->is_stored)
			record_row(graph, &insert, record);
		else if (record->is_changed || record->hub != record->old_hub)
			record_row(graph, &update, record);
	}
	writer_end(&delete);
	writer_end(&insert);
	writer_end(&update);
}

static void
store_links(Graph *graph, bool bulk)
{
	Writer		insert = writer_begin_insert(graph, &insert_link, graph->link_relation, bulk);
	Writer		update = writer_begin(graph, &update_link);
	Writer		delete = writer_begin(graph, &delete_link);

	for (uint32 i = 0; i < graph->changed_link_count; i++)
	{
		GraphLink  *link = &graph->links[graph->changed_links[i]];
		Datum		row[7] = {0};

		graph_fetch_changed(graph, i);
		if (link->records == 0)
		{
			/* A pair that no record has as hub and member has no times. */
			link->first_seen = DT_NOEND;
			link->last_seen = DT_NOBEGIN;
		}
		row[0] = Int64GetDatum(graph->identifiers[link->end[0]].id);
		row[1] = Int64GetDatum(graph->identifiers[link->end[1]].id);
		if (link->records == 0 && link->head_records == 0)
		{
			if (link->old_state != '\0')
				writer_row(&delete, row);
			continue;
		}
		if (link->old_state == link->state && link->first_seen == link->old_first_seen &&
			link->last_seen == link->old_last_seen && link->records == link->old_records &&
			link->head_records == link->old_head_records)
			continue;
		row[2] = TimestampTzGetDatum(link->first_seen);
		row[3] = TimestampTzGetDatum(link->last_seen);
		row[4] = Int32GetDatum(link->records);
		row[5] = Int32GetDatum(link->head_records);
		row[6] = CharGetDatum(link->state);
		writer_row(link->old_state == '\0' ? &insert : &update, row);
		if (link->old_records == 0 && link->records > 0)
			graph->counts.links_new++;
	}
	writer_end(&delete);
	writer_end(&insert);
	writer_end(&update);
}

static void
store_profiles(Graph *graph, bool bulk)
{
	Writer		insert = writer_begin_insert(graph, &insert_profile, graph->profile_relation, bulk);
	Writer		update = writer_begin(graph, &update_profile);

	for (uint32 i = 0; i < graph->profile_count; i++)
	{
		const GraphProfile *profile = &graph->profiles[i];
		Datum		row[] = {
			Int64GetDatum(profile->profile_id),
			Int64GetDatum(profile->anchor),
			TimestampTzGetDatum(graph->now),
			CharGetDatum(profile->state)};

		if (profile->is_changed)
			writer_row(profile->old_state == '\0' ? &insert : &update, row);
	}
	writer_end(&insert);
	writer_end(&update);
}

static void
store_identity_changes(Graph *graph)
{
	Writer		insert = writer_begin(graph, &insert_change);

	for (uint32 i = 0; i < graph->change_count; i++)
	{
		const GraphChange *change = &graph->changes[i];
		const char *kind = change->is_merge ? "merge" : "split";
		Datum		row[] = {
			TimestampTzGetDatum(graph->now),
			text_datum(&insert, kind, strlen(kind)),
			Int64GetDatum(change->profile_id),
			Int64GetDatum(change->other_profile_id),
			Int64GetDatum(change->identifiers),
			text_datum(&insert, graph->cause, strlen(graph->cause))};

		writer_row(&insert, row);
	}
	writer_end(&insert);
}

/*
 * What hangs on a record (its contribution, its event) carries the record's
 * hub, by which it finds its person: when that moved, because an identifier
 * became shared or usable again, they follow.
 */
static void
store_moves(Graph *graph)
{
	Statement  *statements[] = {&move_contribution, &move_history, &move_event};

	for (int k = 0; k < (int) lengthof(statements); k++)
	{
		Writer		writer = writer_begin(graph, statements[k]);

		for (uint32 i = 0; i < graph->record_count; i++)
		{
			const GraphRecord *record = &graph->records[i];

			if (record->is_stored && !record->is_removed && record->hub != record->old_hub)
			{
				Datum		row[] = {
					text_datum(&writer, record->source, strlen(record->source)),
					text_datum(&writer, record->key, record->key_length),
					Int64GetDatum(graph->identifiers[record->hub].id)};

				writer_row(&writer, row);
			}
		}
		writer_end(&writer);
	}
}

static void
note_changed(Writer *insert, struct u64map_hash *seen, int64 profile_id)
{
	Datum		row[] = {Int64GetDatum(profile_id)};
	bool		found;

	if (profile_id == 0)
		return;
	(void) u64map_insert(seen, (uint64) profile_id, &found);
	if (!found)
		writer_row(insert, row);
}

/* Both profiles between which an identifier moved, or the one that it is in. */
static void
note_changed_identifier(Writer *insert, struct u64map_hash *seen, const GraphIdentifier *identifier)
{
	note_changed(insert, seen, identifier->old_profile);
	note_changed(insert, seen, identifier->new_profile);
}

/* The same, for the list of those who are not who they were. */
static void
note_moved(Graph *graph, const GraphIdentifier *identifier)
{
	const int64 profiles[] = {identifier->old_profile, identifier->new_profile};

	for (int i = 0; i < lengthof(profiles); i++)
	{
		bool		is_known = profiles[i] == 0;

		/* What happens to one person comes in a row. */
		for (uint32 k = graph->moved_count; k > 0 && graph->moved_count - k < 4 && !is_known; k--)
			is_known = graph->moved[k - 1] == profiles[i];
		if (is_known)
			continue;
		graph->moved = graph_grow(graph->context, graph->moved, graph->moved_count, &graph->moved_capacity, sizeof(int64));
		graph->moved[graph->moved_count++] = profiles[i];
	}
}

/*
 * Notes whose row in cdp.profiles has to be derived again: who gained or lost an
 * identifier, has one that became shared or usable, or whose records changed.
 * Of a first load that is everybody, for which 0 stands.
 */
static void
store_changed_profiles(Graph *graph, bool bulk)
{
	Writer		insert = writer_begin(graph, &insert_changed);
	struct u64map_hash *seen = u64map_create(graph->context, 64, NULL);

	if (bulk)
	{
		Datum		everybody[] = {Int64GetDatum(0)};

		writer_row(&insert, everybody);
	}
	for (uint32 i = 0; i < graph->identifier_count && !bulk; i++)
	{
		const GraphIdentifier *identifier = &graph->identifiers[i];

		if (identifier->new_profile != 0 &&
			(identifier->old_profile != identifier->new_profile || identifier->old_state != identifier->state))
		{
			note_changed_identifier(&insert, seen, identifier);
			note_moved(graph, identifier);
		}
	}
	for (uint32 i = 0; i < graph->record_count && !bulk; i++)
	{
		const GraphRecord *record = &graph->records[i];

		/* An event that is its own evidence is noted by whoever stores it, if it is news. */
		if ((!record->is_changed && record->hub == record->old_hub) || !graph_record_is_kept(record))
			continue;
		if (record->is_stored && record->old_hub != NO_INDEX)
			note_changed_identifier(&insert, seen, &graph->identifiers[record->old_hub]);
		if (!record->is_removed && record->hub != NO_INDEX)
			note_changed_identifier(&insert, seen, &graph->identifiers[record->hub]);
		if (record->is_stored && record->old_hub != NO_INDEX && (record->is_removed || record->hub != record->old_hub))
		{
			note_moved(graph, &graph->identifiers[record->old_hub]);
			if (!record->is_removed && record->hub != NO_INDEX)
				note_moved(graph, &graph->identifiers[record->hub]);
		}
	}
	writer_end(&insert);
	u64map_destroy(seen);
}

/*
 * Whether rows may go to a table past the executor: it has the columns that
 * cdp.setup() gave it and nothing that would have to be computed, checked or
 * fired, and nobody in this session reads through its indexes.
 */
static bool
takes_bulk(Relation relation, int column_count)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;
	List	   *indexes;
	ListCell   *cell;
	bool		in_use = false;

	if (RelationGetNumberOfAttributes(relation) != column_count ||
		relation->trigdesc != NULL || relation->rd_rel->relrowsecurity ||
		(constraints != NULL && constraints->num_check > 0))
		return false;
	indexes = RelationGetIndexList(relation);
	foreach (cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		in_use |= index->rd_refcnt > 1;
		index_close(index, NoLock);
	}
	list_free(indexes);
	return !in_use;
}

/*
 * Whether so much is new that building the indexes afterwards is cheaper than
 * keeping them up to date.
 */
static bool
is_bulk(Graph *graph)
{
	uint64		inserted = 0;

	if (!graph->exclusive ||
		!takes_bulk(graph->identifier_relation, insert_identifier.column_count) ||
		!takes_bulk(graph->record_relation, insert_record.column_count) ||
		!takes_bulk(graph->link_relation, insert_link.column_count) ||
		!takes_bulk(graph->profile_relation, insert_profile.column_count))
		return false;
	for (uint32 i = 0; i < graph->record_count; i++)
		if (is_inserted(&graph->records[i]))
			inserted++;
	return inserted >= BULK_RECORDS &&
		inserted > (uint64) RelationGetNumberOfBlocks(graph->record_relation) * RECORDS_PER_PAGE / 2;
}

/*
 * Writes everything that the operation changed.
 */
void
store_changes(Graph *graph)
{
	bool		bulk;
	int			guc_level = NewGUCNestLevel();

	/*
	 * The statements are planned once, perhaps while the tables are empty, and
	 * kept; only the plan that is right for large tables is wanted.
	 */
	cdp_set_option("enable_seqscan", "off");
	cdp_set_option("enable_hashjoin", "off");
	cdp_set_option("enable_mergejoin", "off");
	cdp_set_option("plan_cache_mode", "force_generic_plan");
	cdp_set_option("jit", "off");

	/* Open scans would keep the indexes from being built anew. */
	graph_refresh_snapshot(graph);
	bulk = is_bulk(graph);
	SPI_connect();
	graph->now = GetCurrentTimestamp();
	store_identifiers(graph, bulk);
	graph_report_phase(graph, "writing identifiers");
	store_records(graph, bulk);
	graph_report_phase(graph, "writing records");
	store_links(graph, bulk);
	graph_report_phase(graph, "writing links");
	store_profiles(graph, bulk);
	graph_report_phase(graph, "writing profiles");
	store_identity_changes(graph);
	store_moves(graph);
	store_changed_profiles(graph, bulk);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}
