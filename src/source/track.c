/*
 * track.c
 *		cdp.track: one event in real time.
 *
 * The identity engine says whose event it is, and statements that are planned
 * once in a session store it.  Declared properties go to columns of
 * cdp_data.event, the rest to its column properties; which columns there are is
 * looked up once and again after the table changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "cdp.h"
#include "identity/identify.h"
#include "identity/intake.h"
#include "segment/realtime.h"
#include "source/contribution.h"
#include "source/typed_value.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(cdp_track);

/* Parameters of the statements before the columns of properties. */
enum
{
	EVENT_HUB,
	EVENT_OCCURRED_AT,
	EVENT_OBSERVED_AT,
	EVENT_SOURCE,
	EVENT_NAME,
	EVENT_RECORD_KEY,
	EVENT_PROPERTIES,
	EVENT_FIXED
};

static const char *const fixed_columns[EVENT_FIXED] = {
	"hub", "occurred_at", "observed_at", "source", "event_name", "record_key", "properties"};
static const Oid fixed_types[EVENT_FIXED] = {
	INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID};

typedef struct PropertyColumn
{
	const char *name;
	size_t		length;
	int			parameter;		/* position among the parameters */
	TypedTarget target;
} PropertyColumn;

/* What is known of cdp_data.event, in memory of its own. */
typedef struct EventTable
{
	MemoryContext context;
	pg_tz	   *time_zone;		/* of dates without one */
	int			property_count;
	PropertyColumn *properties; /* sorted by name */
	SPIPlanPtr	insert;
	SPIPlanPtr	update;
	bool		in_use;			/* by a call under way */
} EventTable;

static EventTable *event_table = NULL;
static bool event_table_valid = false;
static Oid	event_relation = InvalidOid;
static Oid	property_relation = InvalidOid;
static Oid	option_relation = InvalidOid;

/* The version of an event that is stored already. */
typedef struct StoredEvent
{
	const char *source;
	const char *key;
	bool		found;
	int64		hub;
	TimestampTz observed_at;
	char	   *name;
	MemoryContext context;		/* of the name, which outlives the graph */
} StoredEvent;

static void
relation_changed(Datum argument, Oid relation)
{
	if (relation == InvalidOid || relation == event_relation || relation == property_relation || relation == option_relation)
		event_table_valid = false;
}

static int
compare_names(const char *left, size_t left_length, const char *right, size_t right_length)
{
	int			order = memcmp(left, right, Min(left_length, right_length));

	return order != 0 ? order : (left_length > right_length) - (left_length < right_length);
}

static int
compare_properties(const void *left, const void *right)
{
	const PropertyColumn *a = left;
	const PropertyColumn *b = right;

	return compare_names(a->name, a->length, b->name, b->length);
}

/* The zone of the option time_zone. */
static pg_tz *
option_time_zone(void)
{
	if (SPI_execute("SELECT o.value FROM cdp_data.option AS o WHERE o.name OPERATOR(pg_catalog.=) 'time_zone'", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the option time_zone");
	return typed_time_zone(SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : "UTC");
}

/*
 * The statements that store a version: the first where there is none, the
 * second in place of one that differs.  An image of the row is compared, since
 * a property may be of a type that has no equality.
 */
static void
prepare_statements(EventTable *table)
{
	int			count = EVENT_FIXED + table->property_count;
	const char **columns = cdp_palloc_array(const char *, count);
	Oid		   *types = cdp_palloc_array(Oid, count);
	StringInfoData names;
	StringInfoData values;
	StringInfoData set;
	StringInfoData old;
	StringInfoData sql;

	for (int i = 0; i < EVENT_FIXED; i++)
	{
		columns[i] = fixed_columns[i];
		types[i] = fixed_types[i];
	}
	for (int i = 0; i < table->property_count; i++)
	{
		columns[EVENT_FIXED + i] = quote_identifier(table->properties[i].name);
		types[EVENT_FIXED + i] = table->properties[i].target.type;
		table->properties[i].parameter = EVENT_FIXED + i;
	}
	initStringInfo(&names);
	initStringInfo(&values);
	initStringInfo(&set);
	initStringInfo(&old);
	initStringInfo(&sql);
	for (int i = 0; i < count; i++)
	{
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", columns[i]);
		appendStringInfo(&values, "%s$%d", i > 0 ? ", " : "", i + 1);
		if (i != EVENT_SOURCE && i != EVENT_RECORD_KEY)
			appendStringInfo(&set, "%s%s = $%d", set.len > 0 ? ", " : "", columns[i], i + 1);
		appendStringInfo(&old, "%se.%s", i > 0 ? ", " : "", columns[i]);
	}
	appendStringInfo(&sql, "INSERT INTO cdp_data.event (%s) VALUES (%s) ON CONFLICT ON CONSTRAINT event_key DO NOTHING",
					 names.data, values.data);
	cdp_statement(&table->insert, sql.data, count, types);
	resetStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE cdp_data.event AS e SET %s"
						   " WHERE e.source OPERATOR(pg_catalog.=) $%d AND e.record_key OPERATOR(pg_catalog.=) $%d"
						   " AND ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(%s)::pg_catalog.record",
					 set.data, EVENT_SOURCE + 1, EVENT_RECORD_KEY + 1, old.data, values.data);
	cdp_statement(&table->update, sql.data, count, types);
}

static void
forget_event_table(EventTable *table)
{
	if (table->insert != NULL)
		SPI_freeplan(table->insert);
	if (table->update != NULL)
		SPI_freeplan(table->update);
	MemoryContextDelete(table->context);
}

/*
 * What is known of cdp_data.event, looked up anew when it may have changed.
 * SPI is connected.
 */
static pg_noinline EventTable *
get_event_table(void)
{
	static bool registered = false;
	MemoryContext context;
	Relation	relation;
	TupleDesc	descriptor;
	EventTable *table;
	Oid			schema;
	SPITupleTable *declared;
	uint64		declared_count;

	if (event_table_valid && event_table != NULL)
		return event_table;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		registered = true;
	}
	if (event_table != NULL && !event_table->in_use)
		forget_event_table(event_table);
	event_table = NULL;

	schema = get_namespace_oid("cdp_data", false);
	event_relation = storage_relation(schema, "event");
	property_relation = storage_relation(schema, "property");
	option_relation = storage_relation(schema, "option");
	/* Set before anything is read, so that an invalidation meanwhile counts. */
	event_table_valid = true;

	context = AllocSetContextCreate(CurrentMemoryContext, "cdp events", ALLOCSET_SMALL_SIZES);
	table = MemoryContextAllocZero(context, sizeof(EventTable));
	table->context = context;
	table->time_zone = option_time_zone();
	if (SPI_execute("SELECT p.name::pg_catalog.text FROM cdp_data.property AS p", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the declared properties");
	declared = SPI_tuptable;
	declared_count = SPI_processed;
	relation = relation_open(event_relation, AccessShareLock);
	descriptor = RelationGetDescr(relation);
	table->properties = MemoryContextAllocZero(context, mul_size(sizeof(PropertyColumn), declared_count + 1));
	for (uint64 k = 0; k < declared_count; k++)
	{
		char	   *name = SPI_getvalue(declared->vals[k], declared->tupdesc, 1);

		for (int i = EVENT_FIXED; i < descriptor->natts; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
			PropertyColumn *column = &table->properties[table->property_count];

			if (attribute->attisdropped || attribute->attgenerated != '\0' || strcmp(NameStr(attribute->attname), name) != 0)
				continue;
			column->name = MemoryContextStrdup(context, name);
			column->length = strlen(name);
			typed_target_init(&column->target, attribute->atttypid, attribute->atttypmod, context);
			table->property_count++;
			break;
		}
	}
	relation_close(relation, NoLock);
	if (table->property_count > 1)
		qsort(table->properties, table->property_count, sizeof(PropertyColumn), compare_properties);
	prepare_statements(table);
	MemoryContextSetParent(context, CacheMemoryContext);
	event_table = table;
	return table;
}

static PropertyColumn *
find_property(EventTable *table, const JsonbValue *name)
{
	int			low = 0;
	int			high = table->property_count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		PropertyColumn *column = &table->properties[middle];
		int			order = compare_names(name->val.string.val, name->val.string.len, column->name, column->length);

		if (order == 0)
			return column;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

/*
 * Distributes properties to the parameters: declared ones to their columns, and
 * those that do not fit their column, with all others, to "properties".
 */
static void
distribute_properties(EventTable *table, Jsonb *properties, Datum *values, char *nulls)
{
	JsonbIterator *iterator;
	JsonbParseState *state = NULL;
	JsonbValue	name;
	JsonbValue	value;
	int			rest = 0;
	int			taken = 0;

	if (!JB_ROOT_IS_OBJECT(properties))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("properties must be a JSON object"),
				 errhint("Name each value: '{\"amount\": 12.5, \"currency\": \"EUR\"}'.")));
	if (JB_ROOT_COUNT(properties) == 0)
		return;
	if (table->property_count > 0)
	{
		iterator = JsonbIteratorInit(&properties->root);
		(void) JsonbIteratorNext(&iterator, &value, true);
		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
		{
			PropertyColumn *column = find_property(table, &name);

			(void) JsonbIteratorNext(&iterator, &value, true);
			if (column != NULL && value.type == jbvNull)
			{
				taken++;
				continue;
			}
			if (column != NULL && typed_value(&column->target, &value, table->time_zone, &values[column->parameter]))
			{
				nulls[column->parameter] = ' ';
				taken++;
				continue;
			}
			(void) pushJsonbValue(&state, WJB_KEY, &name);
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
			rest++;
		}
		if (taken > 0 && rest > 0)
			properties = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
		if (taken > 0 && rest == 0)
			return;
	}
	values[EVENT_PROPERTIES] = JsonbPGetDatum(properties);
	nulls[EVENT_PROPERTIES] = ' ';
}

/* Plans made while a table is empty must serve when it is large. */
static int
prefer_indexes(void)
{
	int			level = NewGUCNestLevel();

	cdp_set_option("enable_seqscan", "off");
	return level;
}

/* Finds and locks the version that is stored. */
static bool
is_outdated(SingleRecord *record)
{
	static SPIPlanPtr plan = NULL;
	StoredEvent *stored = record->argument;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		arguments[] = {CStringGetTextDatum(stored->source), CStringGetTextDatum(stored->key)};
	int			level = prefer_indexes();

	SPI_connect();
	cdp_statement(&plan, "SELECT e.hub, e.observed_at, e.event_name FROM cdp_data.event AS e"
						 " WHERE e.source OPERATOR(pg_catalog.=) $1 AND e.record_key OPERATOR(pg_catalog.=) $2 FOR UPDATE",
				  2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the stored event");
	stored->found = SPI_processed > 0;
	if (stored->found)
	{
		bool		is_null;

		stored->hub = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
		stored->observed_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
		stored->name = MemoryContextStrdup(stored->context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3));
	}
	SPI_finish();
	AtEOXact_GUC(true, level);
	return stored->found && record->has_time && record->observed_at < stored->observed_at;
}

/* The profile that holds an identifier. */
static int64
profile_of_hub(int64 hub)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID};
	Datum		argument = Int64GetDatum(hub);
	int			level = prefer_indexes();
	int64		result = 0;
	bool		is_null;

	SPI_connect();
	cdp_statement(&plan, "SELECT i.profile_id FROM cdp_data.identifier AS i WHERE i.id OPERATOR(pg_catalog.=) $1", 1, types);
	if (SPI_execute_plan(plan, &argument, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the profile of an event");
	if (SPI_processed > 0)
		result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	SPI_finish();
	AtEOXact_GUC(true, level);
	return result;
}

/*
 * The row of whoever holds the identifier is to be derived again, by the next
 * refresh.  A negative number in the queue stands for an identifier.
 */
static void
note_changed(int64 hub)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8OID};
	Datum		argument = Int64GetDatum(-hub);

	cdp_statement(&plan, "INSERT INTO cdp_data.changed_profile (profile_id) VALUES ($1)", 1, types);
	if (SPI_execute_plan(plan, &argument, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not note a changed profile");
}

/*
 * Puts the version in the place of the one that is stored; false when they are
 * the same.
 */
static bool
replace_event(EventTable *table, const StoredEvent *stored, const SingleRecord *record, Datum *values, const char *nulls)
{
	int			level = prefer_indexes();
	uint64		written;

	if (!record->has_time)
		values[EVENT_OBSERVED_AT] = TimestampTzGetDatum(stored->observed_at);
	if (SPI_execute_plan(table->update, values, nulls, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not replace an event");
	written = SPI_processed;
	AtEOXact_GUC(true, level);
	if (written == 0)
		return false;
	note_changed(record->hub);
	if (stored->hub != record->hub)
		note_changed(stored->hub);
	return true;
}

/*
 * Stores the event and returns its profile, 0 when it is rejected; and what the
 * news is, in *news (hub 0: none).
 */
static int64
store_event(EventTable *table, SingleRecord *record, Datum *values, const char *nulls, RealtimeEvent *news)
{
	StoredEvent stored = {.source = record->source, .key = record->key, .context = CurrentMemoryContext};
	SingleRecord attempt;

	for (int attempts = 0;; attempts++)
	{
		CHECK_FOR_INTERRUPTS();
		stored.found = false;
		attempt = *record;
		attempt.argument = &stored;
		attempt.is_outdated = is_outdated;
		attempt.take_lock = attempts > 0;
		identify_record(&attempt);
		if (attempt.is_rejected)
			return 0;
		if (!attempt.is_current)
			return stored.found ? profile_of_hub(stored.hub) : attempt.profile_id;
		values[EVENT_HUB] = Int64GetDatum(attempt.hub);
		values[EVENT_OBSERVED_AT] = TimestampTzGetDatum(attempt.resolved_at);
		/* Evidence that moved somebody is news, whatever becomes of the event. */
		if (attempt.moved_count > 0)
		{
			news->moved = attempt.moved;
			news->moved_count = attempt.moved_count;
			news->hub = attempt.hub;
		}
		if (stored.found)
		{
			if (replace_event(table, &stored, &attempt, values, nulls))
			{
				news->hub = attempt.hub;
				news->old_hub = stored.hub;
				news->old_name = stored.name;
			}
			return attempt.profile_id;
		}
		if (SPI_execute_plan(table->insert, values, nulls, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not insert an event");
		if (SPI_processed > 0)
		{
			note_changed(attempt.hub);
			news->hub = attempt.hub;
			return attempt.profile_id;
		}
		/* There is a version: once more, with the key locked, which finds it. */
		if (attempts > 10)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent changes of an event"),
					 errhint("Retry the transaction.")));
	}
}

/*
 * cdp.track(identifiers jsonb, event_name text, occurred_at timestamptz,
 *			 properties jsonb, source text, record_key text,
 *			 observed_at timestamptz) returns bigint
 *
 * Takes in one event and returns the profile of the strongest usable of its
 * identifiers; NULL when it is rejected (see cdp.rejected_records).  NULL
 * occurred_at: now; NULL properties: none; NULL record_key: a new UUID, so that
 * the same call again is another event; NULL observed_at: occurred_at, for a
 * known event the time that it has.
 *
 * Errors: other NULL arguments, unknown namespaces, values that are no
 * identifiers, properties that are no object, infinite times, no right to
 * write.
 */
Datum
cdp_track(PG_FUNCTION_ARGS)
{
	SingleRecord record = {0};
	EventTable *table;
	Datum	   *values;
	char	   *nulls;
	TimestampTz occurred_at;
	int64		profile_id;
	RealtimeEvent news = {0};
	bool		was_in_use;
	int			count;

	identify_not_null(fcinfo, 0, "identifiers", "cdp.track");
	identify_not_null(fcinfo, 1, "event_name", "cdp.track");
	identify_not_null(fcinfo, 4, "source", "cdp.track");
	record.identifiers = PG_GETARG_JSONB_P(0);
	occurred_at = PG_ARGISNULL(2) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(2);
	record.source = intake_check_source(PG_GETARG_TEXT_PP(4));
	if (PG_ARGISNULL(5))
		record.key = DatumGetCString(DirectFunctionCall1(uuid_out, DirectFunctionCall1(gen_random_uuid, (Datum) 0)));
	else
		record.key = text_to_cstring(PG_GETARG_TEXT_PP(5));
	record.key_length = strlen(record.key);
	record.has_time = !PG_ARGISNULL(6);
	record.observed_at = record.has_time ? PG_GETARG_TIMESTAMPTZ(6) : 0;
	/* Evidence is as old as the event, whenever it is told. */
	record.arrival = occurred_at;
	record.is_event = true;
	if (TIMESTAMP_NOT_FINITE(occurred_at) || (record.has_time && TIMESTAMP_NOT_FINITE(record.observed_at)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be finite", TIMESTAMP_NOT_FINITE(occurred_at) ? "occurred_at" : "observed_at")));
	if (VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event_name must not be empty")));

	(void) graph_relations();	/* raises the errors about storage */
	SPI_connect();
	table = get_event_table();
	count = EVENT_FIXED + table->property_count;
	values = cdp_palloc0_array(Datum, count);
	nulls = cdp_palloc_array(char, count);
	memset(nulls, 'n', count);
	for (int i = 0; i < EVENT_PROPERTIES; i++)
		nulls[i] = ' ';
	values[EVENT_OCCURRED_AT] = TimestampTzGetDatum(occurred_at);
	values[EVENT_SOURCE] = PG_GETARG_DATUM(4);
	values[EVENT_NAME] = PG_GETARG_DATUM(1);
	values[EVENT_RECORD_KEY] = CStringGetTextDatum(record.key);

	/* An input function, or a trigger on the storage, might call cdp.track. */
	was_in_use = table->in_use;
	table->in_use = true;
	PG_TRY();
	{
		if (!PG_ARGISNULL(3))
			distribute_properties(table, PG_GETARG_JSONB_P(3), values, nulls);
		profile_id = store_event(table, &record, values, nulls, &news);
	}
	PG_FINALLY();
	{
		table->in_use = was_in_use;
	}
	PG_END_TRY();
	/* The news stands in memory that ends with SPI_finish. */
	if (profile_id != 0 && news.hub != 0)
	{
		news.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
		realtime_event(&news);
		contribution_join(news.moved, news.moved_count);
	}
	SPI_finish();
	if (profile_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(profile_id);
}
