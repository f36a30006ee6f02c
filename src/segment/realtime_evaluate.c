/*
 * realtime_evaluate.c
 *		Evaluates a set of expressions for given people and writes what changed:
 *		memberships, computed traits, and when to look again.  realtime.c says how
 *		people are locked, and when.
 *
 * A statement that fails is never the failure of the event.  Each runs in a
 * subtransaction (which costs little, since it writes nothing); the expression
 * that fails is found, marked, and left alone until a refresh evaluates it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/identify.h"
#include "query.h"
#include "segment/realtime_evaluate.h"
#include "statement.h"

/* Put-off work is listed one by one up to here; with more, the next refresh does it anyway. */
#define PUT_OFF_MAX		100000

/* So few memberships are written one by one. */
#define MEMBERS_ONE_BY_ONE	5

/* Where no time can be told at which a result changes, people are looked at again after so long. */
#define RECHECK_SECONDS		60

/* Columns, by number. */
#define PROFILE_STATE		4
#define ROW_EVENT_COUNT		4
#define DUE_AT				2

/* ---------- look-ups ---------- */

void
lookup_open(Lookup *lookup, Oid table, Oid index, Snapshot snapshot, int key_count)
{
	lookup->table = table_open(table, AccessShareLock);
	lookup->index = index_open(index, AccessShareLock);
	lookup->slot = table_slot_create(lookup->table, NULL);
	lookup->scan = cdp_index_beginscan(lookup->table, lookup->index, snapshot, key_count);
	lookup->key_count = key_count;
}

void
lookup_start(Lookup *lookup, Oid equals, Datum first, int64 second)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, equals, first);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(second));
	index_rescan(lookup->scan, keys, lookup->key_count, NULL, 0);
}

bool
lookup_next(Lookup *lookup)
{
	return index_getnext_slot(lookup->scan, ForwardScanDirection, lookup->slot);
}

/* The row with this id, in lookup->slot. */
bool
lookup_id(Lookup *lookup, int64 id)
{
	lookup_start(lookup, F_INT8EQ, Int64GetDatum(id), 0);
	return lookup_next(lookup);
}

void
lookup_close(Lookup *lookup)
{
	if (lookup->scan == NULL)
		return;
	index_endscan(lookup->scan);
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_close(lookup->index, NoLock);
	table_close(lookup->table, NoLock);
	memset(lookup, 0, sizeof(*lookup));
}

Datum
lookup_value(Lookup *lookup, AttrNumber column)
{
	bool		is_null;

	return slot_getattr(lookup->slot, column, &is_null);
}

/* ---------- statements of our own ---------- */

/* Plans made while a table is empty must serve when it is large: a few people out of millions, by index. */
static void
plan_for_few(void)
{
	cdp_set_option("enable_seqscan", "off");
	cdp_set_option("enable_bitmapscan", "off");
	cdp_set_option("enable_hashjoin", "off");
	cdp_set_option("enable_mergejoin", "off");
	cdp_set_option("jit", "off");
}

int
evaluate_prefer_indexes(void)
{
	int			level = NewGUCNestLevel();

	plan_for_few();
	return level;
}

ArrayType *
evaluate_array(const int64 *ids, int count)
{
	Datum	   *elements = cdp_palloc_array(Datum, add_size(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(ids[i]);
	return construct_array(elements, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* Runs a statement that is kept, over one array of ids. */
static void
run_over_ids(SPIPlanPtr *plan, const char *sql, const int64 *ids, int count)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		argument = PointerGetDatum(evaluate_array(ids, count));
	int			level = evaluate_prefer_indexes();

	cdp_statement(plan, sql, 1, types);
	if (SPI_execute_plan(*plan, &argument, NULL, false, 0) < 0)
		elog(ERROR, "could not run a statement over people");
	AtEOXact_GUC(true, level);
}

/* Leaves people to cdp.expire_segments(). */
void
evaluate_put_off(const int64 *ids, int count)
{
	static SPIPlanPtr plan = NULL;

	if (count == 0 || count > PUT_OFF_MAX)
		return;
	run_over_ids(&plan, "INSERT INTO cdp_data.expression_due AS d (profile_id, due_at)"
						" SELECT DISTINCT n.profile_id, '-infinity'::pg_catalog.timestamptz FROM pg_catalog.unnest($1) AS n(profile_id) ORDER BY 1"
						" ON CONFLICT ON CONSTRAINT expression_due_pkey DO UPDATE SET due_at = EXCLUDED.due_at"
						" WHERE d.due_at OPERATOR(pg_catalog.>) EXCLUDED.due_at",
				 ids, count);
}

static void
derive(const int64 *ids, int count)
{
	static SPIPlanPtr plan = NULL;

	if (count > 0)
		run_over_ids(&plan, "SELECT cdp.materialize_profiles($1)", ids, count);
}

/* ---------- people ---------- */

/* Sorts ids and drops those that repeat; returns how many are left. */
int
evaluate_sort(int64 *ids, int count)
{
	int			kept = 0;

	if (count > 1)
		qsort(ids, count, sizeof(int64), cdp_compare_int64);
	for (int i = 0; i < count; i++)
		if (ids[i] != 0 && (kept == 0 || ids[kept - 1] != ids[i]))
			ids[kept++] = ids[i];
	return kept;
}

/*
 * Locks people, whose ids are sorted, and looks at what they are then.  Those
 * who do not exist are left out.
 */
void
evaluate_lock(Evaluation *evaluation, const int64 *ids, int count)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Lookup		profiles = {0};

	lookup_open(&profiles, evaluation->cache->profile, evaluation->cache->profile_key, snapshot, 1);
	LockRelationOid(evaluation->cache->profile, RowShareLock);
	evaluation->people = cdp_palloc0_array(Person, add_size(count, 1));
	evaluation->count = 0;
	for (int i = 0; i < count; i++)
	{
		ItemPointerData tid;
		TM_FailureData failure;
		TM_Result	result;
		Person	   *person;

		CHECK_FOR_INTERRUPTS();
		if (!lookup_id(&profiles, ids[i]))
			continue;
		tid = profiles.slot->tts_tid;
		result = table_tuple_lock(profiles.table, &tid, snapshot, profiles.slot, GetCurrentCommandId(true),
								  LockTupleNoKeyExclusive, LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
		if (result == TM_Deleted)
			continue;
		if (result != TM_Ok)
			elog(ERROR, "could not lock a profile: %d", result);
		person = &evaluation->people[evaluation->count++];
		person->profile_id = ids[i];
		person->is_retired = DatumGetChar(lookup_value(&profiles, PROFILE_STATE)) == PROFILE_RETIRED;
		person->due_at = DT_NOEND;
	}
	lookup_close(&profiles);
	UnregisterSnapshot(snapshot);
}

/* Reads what follows as it is now. */
static void
refresh_snapshot(Evaluation *evaluation)
{
	lookup_close(&evaluation->members);
	lookup_close(&evaluation->rows);
	if (evaluation->snapshot != NULL)
		UnregisterSnapshot(evaluation->snapshot);
	evaluation->snapshot = RegisterSnapshot(GetLatestSnapshot());
	lookup_open(&evaluation->members, evaluation->cache->member, evaluation->cache->member_key, evaluation->snapshot, 2);
	lookup_open(&evaluation->rows, evaluation->cache->row, evaluation->cache->row_key, evaluation->snapshot, 1);
}

/*
 * Those who have ceased to exist leave cdp.profiles and every segment, also
 * those that are not evaluated in real time.
 */
static void
forget_retired(Evaluation *evaluation)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr due_plan = NULL;
	int64	   *ids = cdp_palloc_array(int64, add_size(evaluation->count, 1));
	int			retired = 0;
	int			kept = 0;

	for (int i = 0; i < evaluation->count; i++)
	{
		if (evaluation->people[i].is_retired)
			ids[retired++] = evaluation->people[i].profile_id;
		else
			evaluation->people[kept++] = evaluation->people[i];
	}
	evaluation->count = kept;
	if (retired == 0)
		return;
	derive(ids, retired);
	run_over_ids(&plan, "WITH gone AS (DELETE FROM cdp_data.segment_member AS m"
						"  WHERE m.segment_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT e.expression_id FROM cdp_data.expression AS e WHERE e.kind OPERATOR(pg_catalog.=) 'segment'))"
						"  AND m.profile_id OPERATOR(pg_catalog.=) ANY ($1) RETURNING m.segment_id, m.profile_id)"
						" INSERT INTO cdp_data.segment_change (profile_id, changed_at, segment_id, is_entry, cause)"
						" SELECT g.profile_id, pg_catalog.clock_timestamp(), g.segment_id, false, '" CAUSE_IDENTITY "' FROM gone AS g",
				 ids, retired);
	evaluation->changed += (int64) SPI_processed;
	run_over_ids(&due_plan, "DELETE FROM cdp_data.expression_due AS d WHERE d.profile_id OPERATOR(pg_catalog.=) ANY ($1)", ids, retired);
}

/*
 * Brings rows of cdp.profiles up to date: those of the given people, or (as
 * always) of those who have none yet.  Then leaves out whom it would take long to
 * evaluate, when there is a limit.
 */
static void
prepare_people(Evaluation *evaluation, bool everybody, bool has_limit)
{
	int64	   *ids = cdp_palloc_array(int64, add_size(evaluation->count, 1));
	int			count = 0;
	int			large = 0;
	int			kept = 0;

	for (int i = 0; i < evaluation->count; i++)
		if (everybody || !lookup_id(&evaluation->rows, evaluation->people[i].profile_id))
			ids[count++] = evaluation->people[i].profile_id;
	if (count > 0)
	{
		derive(ids, count);
		refresh_snapshot(evaluation);
	}
	if (!has_limit)
		return;
	/* The slot still has the row of one who stands alone and had it. */
	for (int i = 0; i < evaluation->count; i++)
	{
		if (((evaluation->count == 1 && count == 0) || lookup_id(&evaluation->rows, evaluation->people[i].profile_id)) &&
			DatumGetInt64(lookup_value(&evaluation->rows, ROW_EVENT_COUNT)) > evaluation->cache->max_events)
			ids[large++] = evaluation->people[i].profile_id;
		else
			evaluation->people[kept++] = evaluation->people[i];
	}
	evaluation->count = kept;
	evaluate_put_off(ids, large);
}

static Person *
find_person(Evaluation *evaluation, int64 profile_id)
{
	int			low = 0;
	int			high = evaluation->count - 1;

	while (low <= high)
	{
		int			middle = low + (high - low) / 2;

		if (evaluation->people[middle].profile_id == profile_id)
			return &evaluation->people[middle];
		if (evaluation->people[middle].profile_id < profile_id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/* ---------- membership ---------- */

static void
compare_member(Evaluation *evaluation, const LiveExpression *expression, int64 profile_id, bool is_member)
{
	int32		segment_id = expression->definition->id;
	MemberChange *change;
	bool		was_member;

	lookup_start(&evaluation->members, F_INT4EQ, Int32GetDatum(segment_id), profile_id);
	was_member = lookup_next(&evaluation->members);
	if (was_member == is_member)
		return;
	if (evaluation->change_count == evaluation->change_capacity)
	{
		evaluation->change_capacity = evaluation->change_capacity == 0 ? 16 : evaluation->change_capacity * 2;
		evaluation->changes = evaluation->changes == NULL
			? cdp_palloc_array(MemberChange, evaluation->change_capacity)
			: repalloc(evaluation->changes, mul_size(sizeof(MemberChange), evaluation->change_capacity));
	}
	change = &evaluation->changes[evaluation->change_count++];
	change->segment_id = segment_id;
	change->profile_id = profile_id;
	change->is_entry = is_member;
}

/*
 * One by one: statements that touch one row each take a fraction of the time of
 * the one below.
 */
static void
store_few_members(Evaluation *evaluation)
{
	static SPIPlanPtr enter_plan = NULL;
	static SPIPlanPtr leave_plan = NULL;
	static SPIPlanPtr note_plan = NULL;
	Oid			types[] = {INT4OID, INT8OID, TIMESTAMPTZOID, BOOLOID, TEXTOID};
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		cause = CStringGetTextDatum(evaluation->cause);
	int			level = evaluate_prefer_indexes();

	cdp_statement(&enter_plan, "INSERT INTO cdp_data.segment_member (segment_id, profile_id, entered_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", 3, types);
	cdp_statement(&leave_plan, "DELETE FROM cdp_data.segment_member AS m WHERE m.segment_id OPERATOR(pg_catalog.=) $1 AND m.profile_id OPERATOR(pg_catalog.=) $2", 2, types);
	cdp_statement(&note_plan, "INSERT INTO cdp_data.segment_change (segment_id, profile_id, changed_at, is_entry, cause) VALUES ($1, $2, $3, $4, $5)", 5, types);
	for (int i = 0; i < evaluation->change_count; i++)
	{
		const MemberChange *change = &evaluation->changes[i];
		Datum		arguments[] = {Int32GetDatum(change->segment_id), Int64GetDatum(change->profile_id), now, BoolGetDatum(change->is_entry), cause};

		if (SPI_execute_plan(change->is_entry ? enter_plan : leave_plan, arguments, NULL, false, 0) < 0)
			elog(ERROR, "could not write who entered and left segments");
		if (SPI_processed > 0 && SPI_execute_plan(note_plan, arguments, NULL, false, 0) < 0)
			elog(ERROR, "could not note who entered and left segments");
		evaluation->changed += (int64) SPI_processed;
	}
	AtEOXact_GUC(true, level);
	evaluation->change_count = 0;
}

/* Writes the memberships that changed. */
static void
store_members(Evaluation *evaluation)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4ARRAYOID, INT8ARRAYOID, BOOLARRAYOID, TEXTOID};
	int			count = evaluation->change_count;
	Datum	   *segments;
	Datum	   *people;
	Datum	   *entries;
	Datum		arguments[4];
	int			level;

	if (count <= MEMBERS_ONE_BY_ONE)
	{
		if (count > 0)
			store_few_members(evaluation);
		return;
	}
	segments = cdp_palloc_array(Datum, count);
	people = cdp_palloc_array(Datum, count);
	entries = cdp_palloc_array(Datum, count);
	for (int i = 0; i < count; i++)
	{
		segments[i] = Int32GetDatum(evaluation->changes[i].segment_id);
		people[i] = Int64GetDatum(evaluation->changes[i].profile_id);
		entries[i] = BoolGetDatum(evaluation->changes[i].is_entry);
	}
	arguments[0] = PointerGetDatum(construct_array(segments, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	arguments[1] = PointerGetDatum(construct_array(people, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	arguments[2] = PointerGetDatum(construct_array(entries, count, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR));
	arguments[3] = CStringGetTextDatum(evaluation->cause);
	level = evaluate_prefer_indexes();
	cdp_statement(&plan, "WITH given AS MATERIALIZED (SELECT * FROM unnest($1, $2, $3) AS n(segment_id, profile_id, is_entry)),"
						 " noted AS (SELECT pg_catalog.clock_timestamp() AS at),"
						 " gone AS (DELETE FROM cdp_data.segment_member AS m USING given AS n"
						 "  WHERE NOT n.is_entry AND m.segment_id OPERATOR(pg_catalog.=) n.segment_id AND m.profile_id OPERATOR(pg_catalog.=) n.profile_id"
						 "  RETURNING m.segment_id, m.profile_id),"
						 " come AS (INSERT INTO cdp_data.segment_member (segment_id, profile_id, entered_at)"
						 "  SELECT n.segment_id, n.profile_id, t.at FROM given AS n CROSS JOIN noted AS t WHERE n.is_entry"
						 "  ON CONFLICT DO NOTHING RETURNING segment_id, profile_id)"
						 " INSERT INTO cdp_data.segment_change (profile_id, changed_at, segment_id, is_entry, cause)"
						 " SELECT c.profile_id, t.at, c.segment_id, c.is_entry, $4"
						 " FROM (SELECT g.segment_id, g.profile_id, false AS is_entry FROM gone AS g UNION ALL SELECT e.segment_id, e.profile_id, true FROM come AS e) AS c"
						 " CROSS JOIN noted AS t",
				  4, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) < 0)
		elog(ERROR, "could not write who entered and left segments");
	evaluation->changed += (int64) SPI_processed;
	AtEOXact_GUC(true, level);
	evaluation->change_count = 0;
}

/* ---------- computed traits ---------- */

static void
prepare_store(SetPart *part, LiveExpression **expressions, TupleDesc descriptor)
{
	StringInfoData sql;
	Oid		   *types = cdp_palloc_array(Oid, part->count + 1);
	int			count = 0;
	SPIPlanPtr	plan;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "UPDATE cdp_data.profile_row AS p SET ");
	types[count++] = INT8OID;
	for (int i = 0; i < part->count; i++)
	{
		if (expressions[i]->column == 0)
			continue;
		types[count] = TupleDescAttr(descriptor, i + 1)->atttypid;
		appendStringInfo(&sql, "%s%s = $%d", count > 1 ? ", " : "", quote_identifier(expressions[i]->definition->name), count + 1);
		count++;
	}
	appendStringInfoString(&sql, " WHERE p.profile_id OPERATOR(pg_catalog.=) $1");
	plan = SPI_prepare(sql.data, count, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	part->store = plan;
}

/*
 * Writes the computed traits of one person, if any of them changed.  An image
 * is compared, since a trait may be of a type that has no equality.
 */
static void
store_traits(Evaluation *evaluation, SetPart *part, LiveExpression **expressions, HeapTuple tuple, TupleDesc descriptor, int64 profile_id)
{
	Datum	   *values = cdp_palloc_array(Datum, part->count + 1);
	char	   *nulls = cdp_palloc_array(char, part->count + 2);
	int			count = 1;
	int			changed = 0;
	TupleDesc	stored;
	int			level;

	if (!lookup_id(&evaluation->rows, profile_id))
		return;
	stored = RelationGetDescr(evaluation->rows.table);
	values[0] = Int64GetDatum(profile_id);
	nulls[0] = ' ';
	for (int i = 0; i < part->count; i++)
	{
		Form_pg_attribute attribute;
		Datum		old;
		bool		was_null;
		bool		is_null;

		if (expressions[i]->column == 0)
			continue;
		attribute = TupleDescAttr(stored, expressions[i]->column - 1);
		values[count] = SPI_getbinval(tuple, descriptor, i + 2, &is_null);
		nulls[count] = is_null ? 'n' : ' ';
		old = slot_getattr(evaluation->rows.slot, expressions[i]->column, &was_null);
		if (was_null != is_null ||
			(!is_null && (attribute->atttypid != TupleDescAttr(descriptor, i + 1)->atttypid || !datum_image_eq(old, values[count], attribute->attbyval, attribute->attlen))))
			changed++;
		count++;
	}
	if (changed > 0)
	{
		if (part->store == NULL)
			prepare_store(part, expressions, descriptor);
		level = evaluate_prefer_indexes();
		if (SPI_execute_plan(part->store, values, nulls, false, 0) != SPI_OK_UPDATE)
			elog(ERROR, "could not store computed traits");
		AtEOXact_GUC(true, level);
		evaluation->changed += changed;
	}
	pfree(values);
	pfree(nulls);
}

/* ---------- expressions ---------- */

static bool
has_traits(const SetPart *part, LiveExpression **expressions)
{
	for (int i = 0; i < part->count; i++)
		if (expressions[i]->column != 0)
			return true;
	return false;
}

/* The statement of a part, as text: analysed with the rights of the owner, like all of it. */
static char *
part_statement(const SetPart *part, LiveExpression **expressions)
{
	List	   *definitions = NIL;

	for (int i = 0; i < part->count; i++)
		definitions = lappend(definitions, expressions[i]->definition);
	return expression_statement(definitions, EXPRESSION_GIVEN, part->is_due ? EXPRESSION_DUE : 0);
}

/* The types that its columns have to have: those of the columns that its values go to. */
static Oid *
part_types(const RealtimeCache *cache, const SetPart *part, LiveExpression **expressions)
{
	Oid		   *types = cdp_palloc0_array(Oid, 1 + part->count + 1);

	for (int i = 0; i < part->count; i++)
		if (expressions[i]->column != 0)
			types[1 + i] = get_atttype(cache->row, expressions[i]->column);
	return types;
}

static SPIPlanPtr
prepare_part(const char *sql)
{
	Oid			types[] = {INT8ARRAYOID};
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, 1, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * Runs the statement of a part, with the rights of the owner; its rows are in
 * SPI_tuptable.  A plan that is kept is made anew by the server when a function
 * that it calls is another one, and then yields other types.
 */
static void
run_part(const Evaluation *evaluation, SetPart *part, LiveExpression **expressions, Datum people)
{
	Oid		   *types = part_types(evaluation->cache, part, expressions);

	for (int attempt = 0; attempt < 3; attempt++)
	{
		SourceOwner owner = {0};
		char	   *sql = part->plan == NULL ? part_statement(part, expressions) : NULL;

		expression_enter(expressions[0]->definition, &owner);
		/* Given back when the owner is left. */
		plan_for_few();
		if (sql != NULL)
		{
			SPIPlanPtr	plan = prepare_part(sql);
			char	   *cast = expression_cast(sql, ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->resultDesc, types);

			if (cast != NULL)
			{
				SPI_freeplan(plan);
				plan = prepare_part(cast);
			}
			SPI_keepplan(plan);
			part->plan = plan;
			pfree(sql);
		}
		if (SPI_execute_plan(part->plan, &people, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not evaluate expressions");
		source_owner_leave(&owner);
		if (SPI_tuptable->tupdesc->natts == part->count + 1 + part->is_due && expression_has_types(SPI_tuptable->tupdesc, types))
		{
			pfree(types);
			return;
		}
		SPI_freetuptable(SPI_tuptable);
		SPI_freeplan(part->plan);
		part->plan = NULL;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the type of a computed trait changes while it is evaluated")));
}

/*
 * The same in a subtransaction.  False: it failed, and why is in *error.
 */
static bool
try_part(const Evaluation *evaluation, SetPart *part, LiveExpression **expressions, Datum people, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner resources = CurrentResourceOwner;

	*error = NULL;
	BeginInternalSubTransaction(NULL);
	(void) MemoryContextSwitchTo(context);
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		run_part(evaluation, part, expressions, people);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
		(void) MemoryContextSwitchTo(context);
		CurrentResourceOwner = resources;
	}
	PG_CATCH();
	{
		(void) MemoryContextSwitchTo(context);
		*error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		(void) MemoryContextSwitchTo(context);
		CurrentResourceOwner = resources;
	}
	PG_END_TRY();
	if (*error != NULL && !cdp_is_about_text(*error))
		ReThrowError(*error);
	return *error == NULL;
}

static void
note_failure(Evaluation *evaluation, LiveExpression *expression, const ErrorData *error)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		arguments[4];
	char		nulls[] = {' ', ' ', ' ', ' ', '\0'};

	arguments[0] = Int32GetDatum(expression->definition->id);
	arguments[1] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	arguments[2] = CStringGetTextDatum(error->message == NULL ? "" : error->message);
	arguments[3] = error->hint == NULL ? (Datum) 0 : CStringGetTextDatum(error->hint);
	nulls[3] = error->hint == NULL ? 'n' : ' ';
	cdp_statement(&plan, "SELECT cdp.note_realtime_failure($1, $2, $3, $4)", 4, types);
	if (SPI_execute_plan(plan, arguments, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not note a failed expression");
	expression->is_failed = true;
}

/* Compares what a statement gave for people with what is stored. */
static void
take_rows(Evaluation *evaluation, SetPart *part, LiveExpression **expressions)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		count = SPI_processed;
	bool		with_traits = has_traits(part, expressions);
	bool		is_null;

	if (table->tupdesc->natts != part->count + 1 + part->is_due)
		elog(ERROR, "the statement of expressions has %d columns", table->tupdesc->natts);
	for (int i = 0; i < evaluation->count; i++)
		evaluation->people[i].is_seen = false;
	for (uint64 row = 0; row < count; row++)
	{
		HeapTuple	tuple = table->vals[row];
		Person	   *person = find_person(evaluation, DatumGetInt64(SPI_getbinval(tuple, table->tupdesc, 1, &is_null)));

		CHECK_FOR_INTERRUPTS();
		if (person == NULL)
			continue;
		person->is_seen = true;
		for (int i = 0; i < part->count; i++)
			if (expressions[i]->definition->is_segment)
			{
				bool		is_member = DatumGetBool(SPI_getbinval(tuple, table->tupdesc, i + 2, &is_null));

				compare_member(evaluation, expressions[i], person->profile_id, is_member && !is_null);
			}
		if (with_traits)
			store_traits(evaluation, part, expressions, tuple, table->tupdesc, person->profile_id);
		if (part->is_due)
		{
			TimestampTz due_at = DatumGetTimestampTz(SPI_getbinval(tuple, table->tupdesc, part->count + 2, &is_null));

			if (!is_null)
				person->due_at = Min(person->due_at, due_at);
		}
	}
	SPI_freetuptable(table);
	/* Whoever has no row in cdp.profiles is in no segment. */
	for (int i = 0; i < evaluation->count; i++)
		for (int k = 0; k < part->count && !evaluation->people[i].is_seen; k++)
			if (expressions[k]->definition->is_segment)
				compare_member(evaluation, expressions[k], evaluation->people[i].profile_id, false);
}

static void evaluate_parts(Evaluation *evaluation, ExpressionSet *set, Datum people);

/*
 * Of several expressions, halves; of one, it is the one that fails.
 */
static void
divide_part(Evaluation *evaluation, const SetPart *part, LiveExpression **expressions, Datum people, const ErrorData *error)
{
	LiveExpression **half;

	if (part->count == 1)
	{
		note_failure(evaluation, expressions[0], error);
		return;
	}
	half = cdp_palloc_array(LiveExpression *, part->count);
	for (int i = 0; i < 2; i++)
	{
		int			first = i == 0 ? 0 : part->count / 2;
		int			count = i == 0 ? part->count / 2 : part->count - part->count / 2;

		memcpy(half, expressions + first, mul_size(sizeof(LiveExpression *), count));
		evaluate_parts(evaluation, realtime_set(evaluation->cache, half, count), people);
	}
	pfree(half);
}

static void
evaluate_parts(Evaluation *evaluation, ExpressionSet *set, Datum people)
{
	int			level = -1;

	check_stack_depth();
	for (int i = 0; i < set->part_count; i++)
	{
		SetPart	   *part = &set->parts[i];
		LiveExpression **expressions = set->expressions + part->first;
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		/* What they read has to be there. */
		if (level >= 0 && expressions[0]->level != level)
			store_members(evaluation);
		level = expressions[0]->level;
		if (try_part(evaluation, part, expressions, people, &error))
			take_rows(evaluation, part, expressions);
		else
			divide_part(evaluation, part, expressions, people, error);
	}
}

/* ---------- when to look again ---------- */

/*
 * Notes when windows close: earlier than is noted, or (with "until", by
 * cdp.expire_segments) just that.
 */
static void
store_due(Evaluation *evaluation, bool is_exact, TimestampTz until)
{
	static SPIPlanPtr lower_plan = NULL;
	static SPIPlanPtr exact_plan = NULL;
	static SPIPlanPtr gone_plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZARRAYOID};
	Datum	   *ids = cdp_palloc_array(Datum, add_size(evaluation->count, 1));
	Datum	   *times = cdp_palloc_array(Datum, add_size(evaluation->count, 1));
	int64	   *gone = cdp_palloc_array(int64, add_size(evaluation->count, 1));
	int			count = 0;
	int			gone_count = 0;
	Datum		arguments[2];
	Lookup		due = {0};
	int			level;

	if (!is_exact)
		lookup_open(&due, evaluation->cache->due, evaluation->cache->due_key, evaluation->snapshot, 1);
	for (int i = 0; i < evaluation->count; i++)
	{
		const Person *person = &evaluation->people[i];
		TimestampTz due_at = person->due_at;

		if (due_at == DT_NOEND)
		{
			gone[gone_count++] = person->profile_id;
			continue;
		}
		if (is_exact && due_at <= until)
			due_at = until + RECHECK_SECONDS * USECS_PER_SEC;
		if (!is_exact && lookup_id(&due, person->profile_id) && DatumGetTimestampTz(lookup_value(&due, DUE_AT)) <= due_at)
			continue;
		ids[count] = Int64GetDatum(person->profile_id);
		times[count++] = TimestampTzGetDatum(due_at);
	}
	lookup_close(&due);
	if (is_exact && gone_count > 0)
		run_over_ids(&gone_plan, "DELETE FROM cdp_data.expression_due AS d WHERE d.profile_id OPERATOR(pg_catalog.=) ANY ($1)", gone, gone_count);
	if (count == 0)
		return;
	arguments[0] = PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	arguments[1] = PointerGetDatum(construct_array(times, count, TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	level = evaluate_prefer_indexes();
	if (is_exact)
		cdp_statement(&exact_plan, "INSERT INTO cdp_data.expression_due AS d (profile_id, due_at) SELECT * FROM unnest($1, $2)"
								   " ON CONFLICT ON CONSTRAINT expression_due_pkey DO UPDATE SET due_at = EXCLUDED.due_at",
					  2, types);
	else
		cdp_statement(&lower_plan, "INSERT INTO cdp_data.expression_due AS d (profile_id, due_at) SELECT * FROM unnest($1, $2)"
								   " ON CONFLICT ON CONSTRAINT expression_due_pkey DO UPDATE SET due_at = EXCLUDED.due_at"
								   " WHERE d.due_at OPERATOR(pg_catalog.>) EXCLUDED.due_at",
					  2, types);
	if (SPI_execute_plan(is_exact ? exact_plan : lower_plan, arguments, NULL, false, 0) < 0)
		elog(ERROR, "could not note when windows close");
	AtEOXact_GUC(true, level);
}

/* ---------- all of it ---------- */

/*
 * Evaluates a set for people who are locked.  SPI is connected.
 */
void
evaluate_locked(Evaluation *evaluation, ExpressionSet *set, int flags, TimestampTz until)
{
	int64	   *ids;

	refresh_snapshot(evaluation);
	forget_retired(evaluation);
	if (evaluation->count > 0)
		prepare_people(evaluation, (flags & DERIVE_ROWS) != 0, (flags & NO_LIMIT) == 0);
	if (evaluation->count > 0 && set->count > 0)
	{
		ids = cdp_palloc_array(int64, evaluation->count);
		for (int i = 0; i < evaluation->count; i++)
			ids[i] = evaluation->people[i].profile_id;
		evaluate_parts(evaluation, set, PointerGetDatum(evaluate_array(ids, evaluation->count)));
		store_members(evaluation);
	}
	if (evaluation->count > 0)
		store_due(evaluation, (flags & DUE_EXACT) != 0, until);
	lookup_close(&evaluation->members);
	lookup_close(&evaluation->rows);
	UnregisterSnapshot(evaluation->snapshot);
	evaluation->snapshot = NULL;
}

/* Evaluates a set for people; returns how much changed.  The ids are sorted here. */
int64
evaluate_people(RealtimeCache *cache, ExpressionSet *set, int64 *ids, int count, const char *cause, int flags, TimestampTz until)
{
	Evaluation	evaluation = {.cache = cache, .cause = cause};

	count = evaluate_sort(ids, count);
	if (count == 0)
		return 0;
	if (IsolationUsesXactSnapshot())
	{
		evaluate_put_off(ids, count);
		return 0;
	}
	LockRelationOid(cache->member, RowExclusiveLock);
	evaluate_lock(&evaluation, ids, count);
	evaluate_locked(&evaluation, set, flags, until);
	return evaluation.changed;
}
