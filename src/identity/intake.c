/*
 * intake.c
 *		From one row of a source to a record in the working set: normalising,
 *		dropping, rejecting, and settling which version of a record counts.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/intake.h"
#include "identity/tables.h"
#include "statement.h"

#define SOURCE_MAX_LENGTH	128
#define NOTES_AT_ONCE		10000	/* notes about rejected rows that one statement forgets */

/* The source as given by the caller, or an error. */
const char *
intake_check_source(text *source)
{
	char	   *result = text_to_cstring(source);

	if (result[0] == '\0' || strlen(result) > SOURCE_MAX_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of a source must have 1 to %d bytes", SOURCE_MAX_LENGTH),
				 errhint("Name where the records come from, such as 'crm'.")));
	return result;
}

void
intake_init(Intake *intake, Graph *graph, const char *source, struct NormalizeCache *cache)
{
	memset(intake, 0, sizeof(*intake));
	intake->graph = graph;
	intake->source = source;
	intake->arrival = GetCurrentTransactionStartTimestamp();
	intake->cache = cache;
	intake->source_hash = graph_value_hash(source, strlen(source));
	initStringInfo(&intake->buffer);
}

/*
 * Rows need not be in the working set when intake_finish_row returns, which
 * names no record then; intake_take_ahead sees to it.  For callers with many
 * rows who keep nothing of theirs.
 */
void
intake_look_ahead(Intake *intake)
{
	intake->ahead = cdp_palloc0_array(IntakeRow, INTAKE_ROWS_AHEAD);
	for (int i = 0; i < INTAKE_ROWS_AHEAD; i++)
		initStringInfo(&intake->ahead[i].bytes);
}

void
intake_begin_row(Intake *intake)
{
	MemoryContextReset(intake->graph->scratch);
	intake->value_count = 0;
	intake->row++;
	intake->is_kept = false;
}

static bool
is_blank(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (strchr(" \t\r\n", value[i]) == NULL || value[i] == '\0')
			return false;
	return true;
}

/*
 * Adds a raw value of the row.  What is empty after trimming is as good as
 * NULL; what is not valid is dropped and counted.
 */
void
intake_value(Intake *intake, int namespace_index, const char *value, size_t length)
{
	Graph	   *graph = intake->graph;
	const Normalizer *normalizer = &graph->settings->namespaces[namespace_index].normalizer;
	IntakeValue *taken;
	bool		valid;

	if (is_blank(value, length))
		return;
	valid = intake->cache != NULL ? cdp_normalize_cached(intake->cache, normalizer, value, length, &intake->buffer) : cdp_normalize(normalizer, value, length, &intake->buffer);
	if (!valid || !graph_value_is_valid(graph->settings, namespace_index, intake->buffer.data, intake->buffer.len))
	{
		graph->counts.identifiers_dropped++;
		return;
	}
	intake->values = graph_grow(graph->context, intake->values, intake->value_count,
								&intake->value_capacity, sizeof(IntakeValue));
	taken = &intake->values[intake->value_count++];
	taken->namespace_index = namespace_index;
	taken->length = intake->buffer.len;
	taken->value = MemoryContextAlloc(graph->scratch, taken->length + 1);
	memcpy((char *) taken->value, intake->buffer.data, taken->length);
}

static int
compare_values(const void *left, const void *right)
{
	const IntakeValue *a = left;
	const IntakeValue *b = right;

	if (a->namespace_index != b->namespace_index)
		return a->namespace_index < b->namespace_index ? -1 : 1;
	return compare_bytes(a->value, a->length, b->value, b->length);
}

static int
compare_positions(const void *left, const void *right, void *argument)
{
	return graph_compare_by_name(argument, *(const uint32 *) left, *(const uint32 *) right);
}

/*
 * The content of a record is the list of its (namespace, value) in byte order;
 * contents compare element by element, and a longer one is greater.
 */
static int
compare_contents(Graph *graph, const uint32 *left, int left_count, const uint32 *right, int right_count)
{
	uint32	   *a = cdp_palloc_array(uint32, left_count);
	uint32	   *b = cdp_palloc_array(uint32, right_count);
	int			order = 0;

	memcpy(a, left, sizeof(uint32) * left_count);
	memcpy(b, right, sizeof(uint32) * right_count);
	qsort_arg(a, left_count, sizeof(uint32), compare_positions, graph);
	qsort_arg(b, right_count, sizeof(uint32), compare_positions, graph);
	for (int i = 0; i < Min(left_count, right_count) && order == 0; i++)
		order = graph_compare_by_name(graph, a[i], b[i]);
	if (order == 0)
		order = left_count - right_count;
	pfree(a);
	pfree(b);
	return order;
}

/* A deletion in an earlier go. */
typedef struct SettledRemoval
{
	TimestampTz removed_at;
	TimestampTz first_seen;		/* of the record that went */
} SettledRemoval;

/* What earlier goes of a call settled; see intake_remember. */
struct SettledRecords
{
	struct u64map_hash *by_key; /* by a hash of the key, since the source is one; what the SETTLED_ bits say */
	SettledRemoval *removals;
	uint32		removal_count;
	uint32		removal_capacity;
};

#define SETTLED_WAS_STORED	1	/* before the call */
#define SETTLED_IS_NEWER	2	/* than it was then */
#define SETTLED_REMOVAL		2	/* the bits from here on count its removal, from 1 */

static uint64
settled_key(const GraphRecord *record)
{
	return hash_bytes_extended((const unsigned char *) record->key, (int) record->key_length, 0);
}

static const U64Entry *
find_settled(const Graph *graph, const GraphRecord *record)
{
	return graph->settled == NULL ? NULL : u64map_lookup(graph->settled->by_key, settled_key(record));
}

/* The removal that an entry counts, or NULL. */
static SettledRemoval *
find_removal(const struct SettledRecords *settled, const U64Entry *entry)
{
	if (entry == NULL || entry->position >> SETTLED_REMOVAL == 0)
		return NULL;
	return &settled->removals[(entry->position >> SETTLED_REMOVAL) - 1];
}

/*
 * A record whose row gave no time carries that of its arrival until it is known whether one is
 * stored; then it has that one's, as it was before the call, whatever earlier goes made of it.
 */
static TimestampTz
resolved_time(const Graph *graph, const GraphRecord *record, TimestampTz observed_at, bool has_time)
{
	const U64Entry *entry = has_time ? NULL : find_settled(graph, record);
	const SettledRemoval *removal = find_removal(graph->settled, entry);

	if (has_time || (entry != NULL && !(entry->position & SETTLED_WAS_STORED)))
		return observed_at;
	/* That it is older than what counts now is all that matters. */
	if (record->is_stored)
		return entry != NULL && (entry->position & SETTLED_IS_NEWER) ? record->old_first_seen : record->old_observed_at;
	return removal != NULL ? removal->first_seen : observed_at;
}

/*
 * A second row with the same key in one call: the newer one counts, at equal
 * time the deletion, or else the greater content; the smallest time of all is
 * kept.  No ids: the row says that the record is gone.
 */
static void
merge_duplicate(Intake *intake, uint32 position, const uint32 *ids, int count, TimestampTz observed_at, bool has_time)
{
	Graph	   *graph = intake->graph;
	GraphRecord *record = &graph->records[position];
	TimestampTz first;
	TimestampTz second;

	if (!record->has_time || !has_time)
		(void) load_record(graph, position);
	first = resolved_time(graph, record, record->observed_at, record->has_time);
	second = resolved_time(graph, record, observed_at, has_time);
	record->first_seen = Min(record->has_time ? record->first_seen : first, second);
	record->has_time = true;
	record->observed_at = first;
	if (second > first ||
		(second == first && !record->is_removed &&
		 (count == 0 || compare_contents(graph, ids, count, record->ids, record->id_count) > 0)))
	{
		record->observed_at = second;
		record->ids = graph_keep(graph, mul_size(sizeof(uint32), count));
		if (count > 0)
			memcpy(record->ids, ids, sizeof(uint32) * count);
		record->id_count = count;
		record->is_removed = count == 0;
		record->row = intake->row;
		intake->is_kept = true;
	}
}

/* observed_at of a row without a time is that of its arrival. */
static void
take_record(Intake *intake, uint32 position, bool found, uint32 *ids, int count, TimestampTz observed_at, bool has_time)
{
	GraphRecord *record = &intake->graph->records[position];

	if (!has_time)
		record->is_timeless = true;
	if (found)
	{
		merge_duplicate(intake, position, ids, count, observed_at, has_time);
		return;
	}
	record->is_incoming = true;
	record->is_event = intake->is_event;
	record->is_removed = count == 0;
	record->ids = ids;
	record->id_count = count;
	record->observed_at = record->first_seen = observed_at;
	record->has_time = has_time;
	record->row = intake->row;
	intake->is_kept = true;
}

/*
 * The source no longer has the record with this key.  With a time, only
 * versions up to it are gone.
 */
uint32
intake_deleted(Intake *intake, const char *key, size_t key_length, TimestampTz observed_at, bool has_time)
{
	bool		found;
	uint32		position;

	if (has_time && TIMESTAMP_NOT_FINITE(observed_at))
		has_time = false;
	if (!has_time)
		observed_at = intake->arrival;
	position = graph_take_record(intake->graph, intake->source, key, key_length, &found);
	take_record(intake, position, found, NULL, 0, observed_at, has_time);
	return position;
}

/* A record of a good row, in the working set. */
static uint32
take_values(Intake *intake, const char *key, uint32 key_length, uint32 hash, const IntakeValue *values, uint32 count,
			TimestampTz observed_at, bool has_time)
{
	Graph	   *graph = intake->graph;
	bool		found;
	uint32		position = graph_take_hashed(graph, intake->source, key, key_length, hash, &found);
	uint32	   *ids = graph_keep(graph, mul_size(sizeof(uint32), count));

	for (uint32 i = 0; i < count; i++)
		ids[i] = graph_intern_hashed(graph, values[i].namespace_index, values[i].value, values[i].length, values[i].hash);
	take_record(intake, position, found, ids, (int) count, observed_at, has_time);
	return position;
}

/* Takes in the row that has waited longest. */
static void
take_oldest(Intake *intake)
{
	IntakeRow  *oldest = &intake->ahead[intake->ahead_taken++ % INTAKE_ROWS_AHEAD];
	uint32		row = intake->row;

	intake->row = oldest->row;
	(void) take_values(intake, oldest->bytes.data, oldest->key_length, oldest->hash, oldest->values, oldest->value_count,
					   oldest->observed_at, oldest->has_time);
	intake->row = row;
}

/* Takes in all rows that wait. */
void
intake_take_ahead(Intake *intake)
{
	while (intake->ahead_taken != intake->ahead_added)
		take_oldest(intake);
}

static void
prefetch_values(const Intake *intake, uint32 number, int step)
{
	const IntakeRow *row = &intake->ahead[number % INTAKE_ROWS_AHEAD];

	for (uint32 i = 0; i < row->value_count; i++)
		graph_prefetch_value(intake->graph, row->values[i].namespace_index, row->values[i].hash, step);
}

/* Lets a row wait until others have come after it. */
static void
add_ahead(Intake *intake, const char *key, uint32 key_length, uint32 hash, uint32 count, TimestampTz observed_at, bool has_time)
{
	IntakeRow  *row;
	char	   *bytes;

	if (intake->ahead_added - intake->ahead_taken == INTAKE_ROWS_AHEAD)
		take_oldest(intake);
	row = &intake->ahead[intake->ahead_added % INTAKE_ROWS_AHEAD];
	row->key_length = key_length;
	row->hash = hash;
	row->observed_at = observed_at;
	row->has_time = has_time;
	row->row = intake->row;
	row->value_count = count;
	while (row->value_capacity < count)
		row->values = graph_grow(intake->graph->context, row->values, row->value_capacity, &row->value_capacity, sizeof(IntakeValue));
	memcpy(row->values, intake->values, sizeof(IntakeValue) * count);
	resetStringInfo(&row->bytes);
	appendBinaryStringInfo(&row->bytes, key, (int) key_length);
	for (uint32 i = 0; i < count; i++)
		appendBinaryStringInfo(&row->bytes, row->values[i].value, (int) row->values[i].length);
	/* Only now does the buffer stay where it is. */
	bytes = row->bytes.data + key_length;
	for (uint32 i = 0; i < count; i++)
	{
		row->values[i].value = bytes;
		bytes += row->values[i].length;
	}
	graph_prefetch_record(intake->graph, hash);
	prefetch_values(intake, intake->ahead_added, 0);
	if (intake->ahead_added - intake->ahead_taken >= INTAKE_ROWS_AHEAD / 3 * 2)
	{
		prefetch_values(intake, intake->ahead_added - INTAKE_ROWS_AHEAD / 3, 1);
		prefetch_values(intake, intake->ahead_added - INTAKE_ROWS_AHEAD / 3 * 2, 2);
	}
	intake->ahead_added++;
}

/*
 * Makes a record of the values added since intake_begin_row, or says why not.
 */
Rejection
intake_finish_row(Intake *intake, const char *key, size_t key_length,
				  TimestampTz observed_at, bool has_time, uint32 *result)
{
	Graph	   *graph = intake->graph;
	Rejection	rejection = {NULL, NULL};
	uint32		count = 0;
	uint32		hash;

	*result = NO_INDEX;
	if (key == NULL)
		rejection.reason = "missing_record_key";
	else if (key_length == 0 || key_length > IDENTIFIER_MAX_LENGTH)
	{
		rejection.reason = "invalid_record_key";
		rejection.detail = psprintf("the key has %zu bytes; 1 to %d are allowed", key_length, IDENTIFIER_MAX_LENGTH);
	}
	else if (has_time && TIMESTAMP_NOT_FINITE(observed_at))
		rejection.reason = "infinite_time";
	else if (intake->value_count == 0)
		rejection.reason = "no_valid_identifier";
	else if (intake->value_count > PG_UINT16_MAX)
		rejection.reason = "too_many_identifiers";
	if (rejection.reason != NULL)
		return rejection;

	if (intake->value_count > 1)
		qsort(intake->values, intake->value_count, sizeof(IntakeValue), compare_values);
	for (uint32 i = 0; i < intake->value_count; i++)
		if (i == 0 || compare_values(&intake->values[i], &intake->values[i - 1]) != 0)
			intake->values[count++] = intake->values[i];
	for (uint32 i = 0, run; i < count; i = run)
	{
		const GraphNamespace *ns = &graph->settings->namespaces[intake->values[i].namespace_index];

		for (run = i; run < count && intake->values[run].namespace_index == intake->values[i].namespace_index; run++)
			;
		/* More of a namespace that allows several is evidence, and links beyond are refused. */
		if (ns->max_per_profile == 1 && run - i > 1)
		{
			rejection.reason = "max_per_profile";
			rejection.detail = psprintf("namespace \"%s\" allows one value per profile, and the record holds %u",
										ns->name, run - i);
			return rejection;
		}
	}

	if (!has_time)
		observed_at = intake->arrival;
	for (uint32 i = 0; i < count; i++)
		intake->values[i].hash = graph_value_hash(intake->values[i].value, intake->values[i].length);
	hash = graph_record_hash(intake->source_hash, key, (uint32) key_length);
	if (intake->ahead != NULL)
		add_ahead(intake, key, (uint32) key_length, hash, count, observed_at, has_time);
	else
		*result = take_values(intake, key, (uint32) key_length, hash, intake->values, count, observed_at, has_time);
	return rejection;
}

/*
 * Keeps in mind what a go settled, for the next ones of the same call, so that the outcome is
 * that of one go: a tie in time goes by content, a row without a time has the time from before
 * the call, and a deletion counts against the rows that are not newer.
 */
void
intake_remember(const Graph *graph, struct SettledRecords **remembered, MemoryContext context)
{
	struct SettledRecords *settled = *remembered;

	if (settled == NULL)
	{
		settled = *remembered = MemoryContextAllocZero(context, sizeof(struct SettledRecords));
		settled->by_key = u64map_create(context, graph->record_count, NULL);
	}
	for (uint32 i = 0; i < graph->record_count; i++)
	{
		const GraphRecord *record = &graph->records[i];
		TimestampTz first_seen = record->is_stored ? Min(record->first_seen, record->old_first_seen) : record->first_seen;
		U64Entry   *entry;
		SettledRemoval *removal;
		bool		found;

		/* A row that was older than what an earlier call stored settled nothing. */
		if (!record->is_incoming || record->row == 0)
			continue;
		entry = u64map_insert(settled->by_key, settled_key(record), &found);
		if (!found)
			entry->position = record->is_stored ? SETTLED_WAS_STORED : 0;
		if (record->is_stored && (record->is_removed || record->observed_at > record->old_observed_at))
			entry->position |= SETTLED_IS_NEWER;
		if (!record->is_removed)
			continue;
		removal = find_removal(settled, entry);
		if (removal != NULL)
		{
			removal->removed_at = Max(removal->removed_at, record->observed_at);
			removal->first_seen = Min(removal->first_seen, first_seen);
			continue;
		}
		settled->removals = graph_grow(context, settled->removals, settled->removal_count,
									   &settled->removal_capacity, sizeof(SettledRemoval));
		removal = &settled->removals[settled->removal_count++];
		removal->removed_at = record->observed_at;
		removal->first_seen = first_seen;
		entry->position |= settled->removal_count << SETTLED_REMOVAL;
	}
}

/*
 * Settles a record against its stored version, which load_record has read if
 * there is one: the newer one replaces the set, at equal time the later call
 * wins, and the smallest time of all versions is kept.
 */
void
intake_settle(Graph *graph, uint32 position)
{
	GraphRecord *record = &graph->records[position];
	const U64Entry *settled = find_settled(graph, record);
	const SettledRemoval *removal = find_removal(graph->settled, settled);

	record->first_seen = resolved_time(graph, record, record->first_seen, record->has_time);
	record->observed_at = resolved_time(graph, record, record->observed_at, record->has_time);
	if (record->is_removed)
	{
		bool		is_outdated = record->is_stored && record->observed_at < record->old_observed_at;

		record->has_time = true;
		record->is_changed = record->is_stored && !is_outdated;
		if (record->is_changed)
			graph->counts.retracted++;
		if (!is_outdated)
			return;
		record->is_removed = false;
	}
	record->has_time = true;
	if (!record->is_stored && removal != NULL)
	{
		record->first_seen = Min(record->first_seen, removal->first_seen);
		if (record->observed_at <= removal->removed_at)
		{
			record->is_removed = true;
			record->row = 0;
			return;
		}
	}
	if (!record->is_stored)
	{
		record->is_changed = true;
		if (graph_record_is_kept(record))
			graph->counts.records_new++;
		return;
	}
	record->first_seen = Min(record->first_seen, record->old_first_seen);
	if (record->observed_at < record->old_observed_at ||
		(record->observed_at == record->old_observed_at && settled != NULL &&
		 compare_contents(graph, record->ids, record->id_count, record->old_ids, record->old_id_count) < 0))
	{
		record->observed_at = record->old_observed_at;
		record->ids = record->old_ids;
		record->id_count = record->old_id_count;
		record->row = 0;
	}
	record->hub = record->old_hub;
	record->is_changed = record->observed_at != record->old_observed_at ||
		record->first_seen != record->old_first_seen ||
		record->id_count != record->old_id_count ||
		memcmp(record->ids, record->old_ids, sizeof(uint32) * record->id_count) != 0;
	if (record->is_changed)
		graph->counts.records_changed++;
	else
		graph->counts.records_unchanged++;
}

#define INSERT_REJECTION \
	" INSERT INTO cdp_data.rejected_record (source, record_key, observed_at, reason, detail, identifiers, profile_id, rejected_at)" \
	" VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.jsonb, $7, pg_catalog.clock_timestamp())"

/* The profile of the strongest valid identifier of the row that is known. */
static Datum
rejected_profile(Intake *intake, bool *is_null)
{
	static SPIPlanPtr plan = NULL;
	Graph	   *graph = intake->graph;
	Oid			types[] = {INT2ARRAYOID, TEXTARRAYOID};
	uint32		count = Min(intake->value_count, 100);
	Datum		arguments[2];
	Datum	   *namespaces;
	Datum	   *values;

	*is_null = true;
	if (count == 0)
		return (Datum) 0;
	if (count > 1)
		qsort(intake->values, count, sizeof(IntakeValue), compare_values);
	namespaces = cdp_palloc_array(Datum, count);
	values = cdp_palloc_array(Datum, count);
	for (uint32 i = 0; i < count; i++)
	{
		namespaces[i] = Int16GetDatum(graph->settings->namespaces[intake->values[i].namespace_index].namespace_id);
		values[i] = PointerGetDatum(cstring_to_text_with_len(intake->values[i].value, intake->values[i].length));
	}
	arguments[0] = PointerGetDatum(construct_array(namespaces, count, INT2OID, 2, true, TYPALIGN_SHORT));
	arguments[1] = PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
	cdp_statement(&plan, "SELECT i.profile_id FROM unnest($1, $2) WITH ORDINALITY AS u(namespace_id, value, position)"
						 " JOIN cdp_data.identifier AS i ON i.namespace_id OPERATOR(pg_catalog.=) u.namespace_id AND i.value OPERATOR(pg_catalog.=) u.value"
						 " ORDER BY u.position USING OPERATOR(pg_catalog.<) LIMIT 1",
				  2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the profile of a rejected record");
	if (SPI_processed == 0)
		return (Datum) 0;
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
}

/*
 * Notes a row that is not taken in.  identifiers is JSON, as the source gave
 * them.  An earlier note about the same record is replaced.
 */
void
intake_reject(Intake *intake, const char *key, TimestampTz observed_at, bool has_time,
			  const Rejection *rejection, const char *identifiers)
{
	static SPIPlanPtr keyed_plan = NULL;
	static SPIPlanPtr keyless_plan = NULL;
	Graph	   *graph = intake->graph;
	Oid			types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT8OID};
	Datum		arguments[7];
	char		nulls[8] = "       ";
	bool		is_null;

	graph->counts.rejected++;
	SPI_connect();

	/*
	 * A row without a key is recognised by its identifiers.  Two statements,
	 * because one for both cases would be planned anew for every row.
	 */
	if (key != NULL)
		cdp_statement(&keyed_plan, "WITH gone AS (DELETE FROM cdp_data.rejected_record AS r"
								   "  WHERE r.source OPERATOR(pg_catalog.=) $1 AND r.record_key OPERATOR(pg_catalog.=) $2)" INSERT_REJECTION,
					  7, types);
	else
		cdp_statement(&keyless_plan, "WITH gone AS (DELETE FROM cdp_data.rejected_record AS r"
									 "  WHERE r.source OPERATOR(pg_catalog.=) $1 AND r.record_key IS NULL"
									 "  AND r.identifiers OPERATOR(pg_catalog.=) $6::pg_catalog.jsonb)" INSERT_REJECTION,
					  7, types);
	arguments[0] = CStringGetTextDatum(intake->source);
	if (key != NULL)
		arguments[1] = CStringGetTextDatum(key);
	else
		nulls[1] = 'n';
	arguments[2] = TimestampTzGetDatum(observed_at);
	if (!has_time)
		nulls[2] = 'n';
	arguments[3] = CStringGetTextDatum(rejection->reason);
	if (rejection->detail != NULL)
		arguments[4] = CStringGetTextDatum(rejection->detail);
	else
		nulls[4] = 'n';
	arguments[5] = CStringGetTextDatum(identifiers);
	arguments[6] = rejected_profile(intake, &is_null);
	if (is_null)
		nulls[6] = 'n';
	if (SPI_execute_plan(key != NULL ? keyed_plan : keyless_plan, arguments, nulls, false, 0) < 0)
		elog(ERROR, "could not note a rejected record");
	SPI_finish();
}

/*
 * Forgets notes about records that have been taken in since: of a version that
 * is not newer than the one that counts now.  Notes of the same call, which began
 * at the given time, stay unless theirs is older: two rows with one key
 * and no order between them are no correction of each other.
 */
void
intake_clear_rejections(Graph *graph, const char *source, TimestampTz since)
{
	static SPIPlanPtr any_plan = NULL;
	static SPIPlanPtr plan = NULL;
	Relation	rejected;
	bool		is_empty;
	Oid			types[] = {TEXTOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID};
	Datum		arguments[4];
	Datum	   *keys;
	Datum	   *times;
	int			count = 0;

	if (graph->record_count == 0)
		return;
	/* The usual case costs no statement. */
	rejected = table_open(graph->relations->rejected_record, AccessShareLock);
	is_empty = RelationGetNumberOfBlocks(rejected) == 0;
	table_close(rejected, NoLock);
	if (is_empty)
		return;
	SPI_connect();
	arguments[0] = CStringGetTextDatum(source);
	cdp_statement(&any_plan, "SELECT FROM cdp_data.rejected_record AS r WHERE r.source OPERATOR(pg_catalog.=) $1 LIMIT 1", 1, types);
	cdp_statement(&plan, "DELETE FROM cdp_data.rejected_record AS r USING unnest($2, $3) AS k(record_key, observed_at)"
						 " WHERE r.source OPERATOR(pg_catalog.=) $1 AND r.record_key OPERATOR(pg_catalog.=) k.record_key"
						 " AND CASE WHEN r.rejected_at OPERATOR(pg_catalog.>=) $4 THEN r.observed_at OPERATOR(pg_catalog.<) k.observed_at"
						 "  ELSE r.observed_at IS NULL OR NOT pg_catalog.isfinite(r.observed_at)"
						 "  OR r.observed_at OPERATOR(pg_catalog.<=) k.observed_at END",
				  4, types);
	arguments[3] = TimestampTzGetDatum(since);
	/* Those that this call noted, too. */
	if (SPI_execute_plan(any_plan, arguments, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for rejected records");
	if (SPI_processed > 0)
	{
		keys = cdp_palloc_array(Datum, NOTES_AT_ONCE);
		times = cdp_palloc_array(Datum, NOTES_AT_ONCE);
		for (uint32 i = 0; i < graph->record_count; i++)
		{
			const GraphRecord *record = &graph->records[i];

			if (record->is_incoming)
			{
				/* What comes without a time is newer than all that came before. */
				times[count] = TimestampTzGetDatum(record->is_timeless ? DT_NOEND : record->observed_at);
				keys[count++] = PointerGetDatum(cstring_to_text_with_len(record->key, record->key_length));
			}
			if (count == NOTES_AT_ONCE || (count > 0 && i + 1 == graph->record_count))
			{
				arguments[1] = PointerGetDatum(construct_array(keys, count, TEXTOID, -1, false, TYPALIGN_INT));
				arguments[2] = PointerGetDatum(construct_array(times, count, TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
				if (SPI_execute_plan(plan, arguments, NULL, false, 0) < 0)
					elog(ERROR, "could not forget rejected records");
				count = 0;
			}
		}
	}
	SPI_finish();
}
