/*
 * realtime.c
 *		Computed traits and membership of given people, evaluated in the
 *		transaction that changed what they depend on.
 *
 * Whoever writes first takes a lock on cdp_data.segment_member that evaluations
 * for everybody wait for.  Then the rows of the people in cdp_data.profile are
 * locked, in the order of their ids, and only then is read what is evaluated:
 * of two transactions that write of one person, the second one sees what the
 * first one wrote.  What came out is compared with what is stored, and only
 * differences are written.
 *
 * Under REPEATABLE READ and SERIALIZABLE the statements would read what was
 * there when the transaction began, and the event that another one committed
 * since would be lost to both evaluations.  There, and for people with very
 * many events, the work is put off: cdp_data.expression_due says so, and
 * cdp.expire_segments() does it.
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
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/graph.h"
#include "identity/identify.h"
#include "segment/realtime.h"
#include "segment/realtime_evaluate.h"
#include "statement.h"

/* Columns of cdp_data.identifier, by number. */
#define IDENTIFIER_PROFILE		2
#define IDENTIFIER_NAMESPACE	4
#define IDENTIFIER_STATE		5

/* More people than that are locked at a time by nobody. */
#define EXPIRE_BATCH_MAX	100000

PG_FUNCTION_INFO_V1(cdp_evaluate_profiles);
PG_FUNCTION_INFO_V1(cdp_moved_profiles);
PG_FUNCTION_INFO_V1(cdp_expressions_of_events);
PG_FUNCTION_INFO_V1(cdp_expire_segments);

/* ---------- writers ---------- */

/*
 * Before a real-time call writes.  Evaluations for everybody hold this lock
 * against us; to wait for them with other locks in hand would be a deadlock.
 * Who only puts work off takes it as well: an evaluation writes the times in
 * cdp_data.expression_due anew.
 */
static void
begin_writing(void)
{
	RealtimeCache *cache = realtime_cache();

	if (cache->has_realtime)
		LockRelationOid(cache->member, RowExclusiveLock);
}

/* Whether two usable identifiers of the profile are of one of the namespaces. */
static bool
has_choice(int64 profile_id, uint64 namespaces)
{
	const GraphRelations *names = graph_relations();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Lookup		identifiers = {0};
	uint64		seen = 0;
	bool		found = false;

	lookup_open(&identifiers, names->identifier, names->identifier_profile_id, snapshot, 1);
	lookup_start(&identifiers, F_INT8EQ, Int64GetDatum(profile_id), 0);
	while (!found && lookup_next(&identifiers))
	{
		uint64		bit = NAMESPACE_BIT(DatumGetInt16(lookup_value(&identifiers, IDENTIFIER_NAMESPACE)));

		if (DatumGetChar(lookup_value(&identifiers, IDENTIFIER_STATE)) != IDENTIFIER_USABLE)
			continue;
		found = (seen & bit & namespaces) != 0;
		seen |= bit;
	}
	lookup_close(&identifiers);
	UnregisterSnapshot(snapshot);
	return found;
}

/* The people who hold these identifiers now; one that is shared or blocked is nobody's. */
static int
people_of_hubs(const int64 *hubs, int count, int64 *ids)
{
	const GraphRelations *names = graph_relations();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Lookup		identifiers = {0};
	int			found = 0;

	lookup_open(&identifiers, names->identifier, names->identifier_pkey, snapshot, 1);
	for (int i = 0; i < count; i++)
		if (hubs[i] != 0 && lookup_id(&identifiers, hubs[i]) &&
			DatumGetChar(lookup_value(&identifiers, IDENTIFIER_STATE)) == IDENTIFIER_USABLE)
			ids[found++] = DatumGetInt64(lookup_value(&identifiers, IDENTIFIER_PROFILE));
	lookup_close(&identifiers);
	UnregisterSnapshot(snapshot);
	return evaluate_sort(ids, found);
}

/*
 * After an event was stored that changed nobody's identity: evaluates what events of that
 * name concern, for whoever did it.
 */
static void
evaluate_event(RealtimeCache *cache, const RealtimeEvent *event)
{
	const int64 hubs[] = {event->hub, event->old_hub == event->hub ? 0 : event->old_hub};
	ExpressionSet *set = realtime_set_of_event(cache, event->name, event->old_name, false);
	int64		ids[2];
	int64		again[2];
	int			count;
	bool		with_identifiers = false;
	Evaluation	evaluation = {.cache = cache, .cause = CAUSE_EVENT};

	if (set->count == 0 && cache->namespaces == 0)
		return;
	count = people_of_hubs(hubs, lengthof(hubs), ids);
	for (int i = 0; i < count && cache->namespaces != 0; i++)
		with_identifiers |= has_choice(ids[i], cache->namespaces);
	if (with_identifiers)
		set = realtime_set_of_event(cache, event->name, event->old_name, true);
	if (count == 0 || set->count == 0)
		return;
	if (IsolationUsesXactSnapshot())
	{
		evaluate_put_off(ids, count);
		return;
	}
	LockRelationOid(cache->member, RowExclusiveLock);
	for (int attempt = 0;; attempt++)
	{
		int			found;

		evaluate_lock(&evaluation, ids, count);
		/* They may have become somebody else while we waited. */
		found = people_of_hubs(hubs, lengthof(hubs), again);
		if (found == count && memcmp(ids, again, sizeof(int64) * count) == 0)
			break;
		if (attempt > 10)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent changes of identities"),
					 errhint("Retry the transaction.")));
		memcpy(ids, again, sizeof(ids));
		count = found;
	}
	evaluate_locked(&evaluation, set, set->reads_counts || with_identifiers ? DERIVE_ROWS : 0, 0);
}

/* More than one of them was there before: people merged or split. */
static bool
concerns_several(const int64 *ids, int count)
{
	for (int i = 1; i < count; i++)
		if (ids[i] != ids[0])
			return true;
	return false;
}

/*
 * After an event was stored or replaced: see realtime.h.  Nothing happens when no
 * expression is concerned.
 */
void
realtime_event(const RealtimeEvent *event)
{
	RealtimeCache *cache = realtime_cache();

	if (!cache->has_realtime)
		return;
	realtime_cache_hold(cache);
	PG_TRY();
	{
		SPI_connect();
		if (event->moved_count == 0)
			evaluate_event(cache, event);
		else
		{
			const int64 hubs[] = {event->hub, event->old_hub};
			int64	   *ids = cdp_palloc_array(int64, add_size(event->moved_count, 2));
			int			count = people_of_hubs(hubs, lengthof(hubs), ids);

			memcpy(ids + count, event->moved, mul_size(sizeof(int64), event->moved_count));
			(void) evaluate_people(cache, realtime_set_of_scope(cache, SCOPE_ALL), ids, count + event->moved_count,
								   concerns_several(event->moved, event->moved_count) ? CAUSE_IDENTITY : CAUSE_EVENT, DERIVE_ROWS, 0);
		}
		SPI_finish();
	}
	PG_FINALLY();
	{
		realtime_cache_release(cache);
	}
	PG_END_TRY();
}

/* The hook of identity: see IdentityWatcher. */
static void
people_changed(const int64 *moved, int moved_count, const int64 *told, int told_count, const int64 *derived, int derived_count)
{
	RealtimeCache *cache = realtime_cache();
	int64	   *ids;
	int			count = 0;
	bool		is_derived = moved_count == 0;

	if (!cache->has_realtime)
		return;
	ids = cdp_palloc_array(int64, add_size(moved_count, told_count));
	for (int i = 0; i < moved_count; i++)
		ids[count++] = moved[i];
	for (int i = 0; i < told_count; i++)
	{
		bool		found = false;

		for (int k = 0; k < derived_count; k++)
			found |= derived[k] == told[i];
		is_derived &= found;
		ids[count++] = told[i];
	}
	realtime_cache_hold(cache);
	PG_TRY();
	{
		SPI_connect();
		(void) evaluate_people(cache, realtime_set_of_scope(cache, moved_count > 0 ? SCOPE_ALL : SCOPE_PERSON), ids, count,
							   concerns_several(moved, moved_count) ? CAUSE_IDENTITY : told_count == 0 ? CAUSE_EVENT
																									   : CAUSE_TRAIT,
							   is_derived ? 0 : DERIVE_ROWS, 0);
		SPI_finish();
	}
	PG_FINALLY();
	{
		realtime_cache_release(cache);
	}
	PG_END_TRY();
}

static void
people_moved(const int64 *moved, int moved_count)
{
	if (!realtime_cache()->has_realtime)
		return;
	SPI_connect();
	evaluate_put_off(moved, moved_count);
	SPI_finish();
}

static const IdentityWatcher watcher = {begin_writing, people_changed, people_moved};

/* Called when the library is loaded. */
void
realtime_init(void)
{
	identity_watcher = &watcher;
}

/* ---------- capture ---------- */

/* Profiles that captured rows moved in this transaction, until cdp.moved_profiles() is called. */
static int64 *collected = NULL;
static int	collected_count = 0;
static int	collected_capacity = 0;

static void
forget_collected(XactEvent event, void *argument)
{
	collected = NULL;
	collected_count = collected_capacity = 0;
}

/*
 * Keeps in mind who is not who they were, for the capture under way.  A row that
 * is taken back afterwards leaves a profile too many, which does no harm.
 */
void
realtime_collect(const int64 *moved, int count)
{
	static bool registered = false;

	if (count == 0 || !realtime_cache()->has_realtime)
		return;
	if (!registered)
	{
		RegisterXactCallback(forget_collected, NULL);
		registered = true;
	}
	if (collected_count + count > collected_capacity)
	{
		int			capacity = Max(collected_capacity * 2, collected_count + count + 16);
		int64	   *grown = MemoryContextAlloc(TopTransactionContext, mul_size(sizeof(int64), capacity));

		if (collected_count > 0)
			memcpy(grown, collected, mul_size(sizeof(int64), collected_count));
		if (collected != NULL)
			pfree(collected);
		collected = grown;
		collected_capacity = capacity;
	}
	memcpy(collected + collected_count, moved, mul_size(sizeof(int64), count));
	collected_count = evaluate_sort(collected, collected_count + count);
}

/*
 * cdp.moved_profiles() returns bigint[]
 *
 * The profiles that rows taken in by key have moved in this transaction since
 * the last call: merged, split, or given an identifier.
 */
Datum
cdp_moved_profiles(PG_FUNCTION_ARGS)
{
	ArrayType  *result = evaluate_array(collected, collected_count);

	collected_count = 0;
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * cdp.expressions_of_events(event_names text[], person boolean)
 * returns integer[]
 *
 * The expressions in real time that events of these names concern (NULL
 * elements are passed over), with "person" also those that read what records
 * say.  The rows of people are taken to be up to date.
 */
Datum
cdp_expressions_of_events(PG_FUNCTION_ARGS)
{
	RealtimeCache *cache = realtime_cache();
	Datum	   *names;
	bool	   *nulls;
	int			name_count;
	Datum	   *ids;
	int			count = 0;
	int			capacity = 16;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &name_count);
	ids = cdp_palloc_array(Datum, capacity);
	for (int i = PG_GETARG_BOOL(1) ? -1 : 0; i < name_count; i++)
	{
		const ExpressionSet *set;

		CHECK_FOR_INTERRUPTS();
		if (i >= 0 && nulls[i])
			continue;
		set = i < 0 ? realtime_set_of_scope(cache, SCOPE_PERSON) : realtime_set_of_event(cache, TextDatumGetCString(names[i]), NULL, true);
		while (count + set->count > capacity)
		{
			capacity *= 2;
			ids = repalloc(ids, mul_size(sizeof(Datum), capacity));
		}
		for (int k = 0; k < set->count; k++)
			ids[count++] = Int32GetDatum(set->expressions[k]->definition->id);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* ---------- functions ---------- */

static int64 *
ids_of_array(ArrayType *array, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	int			element_count;
	int64	   *ids;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &element_count);
	ids = cdp_palloc_array(int64, add_size(element_count, 1));
	*count = 0;
	for (int i = 0; i < element_count; i++)
		if (!nulls[i])
			ids[(*count)++] = DatumGetInt64(elements[i]);
	return ids;
}

/* Whoever evaluates runs texts of their owners, for what is stored: so it takes the right to store it. */
void
realtime_require_writer(Oid relation)
{
	if (pg_class_aclcheck(relation, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to evaluate segments"),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'writer').",
						 cdp_quoted_caller())));
}

/*
 * cdp.evaluate_profiles(profile_ids bigint[], expression_ids integer[],
 *						 cause text) returns bigint
 *
 * Evaluates expressions for people, and returns how many memberships and values
 * changed.  NULL elements and unknown people are passed over; retired ones leave
 * all segments.  NULL expression_ids: all that are evaluated in real time; ids of
 * queries, of failed expressions and unknown ones are passed over.
 *
 * Errors: NULL profile_ids or cause; no right to write.
 */
Datum
cdp_evaluate_profiles(PG_FUNCTION_ARGS)
{
	RealtimeCache *cache;
	int64	   *ids;
	int			count;
	volatile int64 changed = 0;

	for (int i = 0; i < 3; i += 2)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of cdp.evaluate_profiles must not be null", i == 0 ? "profile_ids" : "cause")));
	cache = realtime_cache();
	realtime_require_writer(cache->member);
	if (PG_ARGISNULL(1) && !cache->has_realtime)
		PG_RETURN_INT64(0);
	ids = ids_of_array(PG_GETARG_ARRAYTYPE_P(0), &count);
	realtime_cache_hold(cache);
	PG_TRY();
	{
		ExpressionSet *set;

		if (PG_ARGISNULL(1))
			set = realtime_set_of_scope(cache, SCOPE_ALL);
		else
		{
			Datum	   *elements;
			bool	   *nulls;
			int			element_count;
			LiveExpression **chosen;
			int			chosen_count = 0;

			deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls, &element_count);
			chosen = cdp_palloc_array(LiveExpression *, add_size(element_count, 1));
			for (int i = 0; i < element_count; i++)
			{
				LiveExpression *found = nulls[i] ? NULL : realtime_find(cache, DatumGetInt32(elements[i]));

				if (found != NULL)
					chosen[chosen_count++] = found;
			}
			set = realtime_set(cache, chosen, chosen_count);
		}
		SPI_connect();
		changed = evaluate_people(cache, set, ids, count, text_to_cstring(PG_GETARG_TEXT_PP(2)), 0, 0);
		SPI_finish();
	}
	PG_FINALLY();
	{
		realtime_cache_release(cache);
	}
	PG_END_TRY();
	PG_RETURN_INT64((int64) changed);
}

/* ---------- windows that close ---------- */

/*
 * Locks people who are due, in the order in which they are, passing over those
 * that somebody else has locked: whoever it is evaluates them as well, or they
 * are still due for the next call.  The entry in the list is locked with them,
 * so that it is ours to replace: what somebody puts off meanwhile comes after.
 * Writers come to it with the lock of the person in hand, or with none; hence
 * the person first, and no waiting.
 */
static int
lock_due(int batch, TimestampTz until, int64 *ids, bool *are_put_off)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		arguments[] = {TimestampTzGetDatum(until), Int32GetDatum(batch)};
	int			level = evaluate_prefer_indexes();
	int			count;

	cdp_statement(&plan, "SELECT d.profile_id, d.due_at OPERATOR(pg_catalog.=) '-infinity'"
						 " FROM cdp_data.expression_due AS d JOIN cdp_data.profile AS p ON p.profile_id OPERATOR(pg_catalog.=) d.profile_id"
						 " WHERE d.due_at OPERATOR(pg_catalog.<=) $1 ORDER BY d.due_at USING OPERATOR(pg_catalog.<) LIMIT $2"
						 " FOR NO KEY UPDATE OF p, d SKIP LOCKED",
				  2, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for whoever is due");
	count = (int) SPI_processed;
	for (int i = 0; i < count; i++)
	{
		bool		is_null;

		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
		are_put_off[i] = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));
	}
	SPI_freetuptable(SPI_tuptable);
	AtEOXact_GUC(true, level);
	return count;
}

/*
 * Evaluates at most so many people of those who are due at that time, and
 * returns how many those were; fewer than "batch" when nobody else is left.
 * Where work was put off, all of it is done; of the others only expressions
 * that compare with the clock can have changed.
 */
int
realtime_expire(int batch, TimestampTz until)
{
	RealtimeCache *cache = realtime_cache();
	int64	   *ids = cdp_palloc_array(int64, batch);
	int64	   *others = cdp_palloc_array(int64, batch);
	bool	   *are_put_off = cdp_palloc_array(bool, batch);
	int			count = 0;

	realtime_cache_hold(cache);
	PG_TRY();
	{
		int			late = 0;
		int			closing = 0;

		LockRelationOid(cache->member, RowExclusiveLock);
		SPI_connect();
		count = lock_due(batch, until, ids, are_put_off);
		for (int i = 0; i < count; i++)
		{
			if (are_put_off[i])
				others[late++] = ids[i];
			else
				ids[closing++] = ids[i];
		}
		(void) evaluate_people(cache, realtime_set_of_scope(cache, SCOPE_WINDOW), ids, closing, CAUSE_WINDOW, NO_LIMIT | DUE_EXACT, until);
		(void) evaluate_people(cache, realtime_set_of_scope(cache, SCOPE_ALL), others, late, CAUSE_EVENT, NO_LIMIT | DUE_EXACT | DERIVE_ROWS, until);
		SPI_finish();
	}
	PG_FINALLY();
	{
		realtime_cache_release(cache);
	}
	PG_END_TRY();
	return count;
}

/*
 * cdp.expire_segments(batch integer)
 *
 * See its comment in sql/segment_realtime.sql.
 *
 * Errors: a NULL batch, or one that is not positive; no right to write.
 */
Datum
cdp_expire_segments(PG_FUNCTION_ARGS)
{
	bool		may_commit = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;
	TimestampTz until = GetCurrentTransactionStartTimestamp();
	int			batch;
	MemoryContext context;
	MemoryContext caller;
	int			done;

	if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1 || PG_GETARG_INT32(0) > EXPIRE_BATCH_MAX)
		ereport(ERROR,
				(errcode(PG_ARGISNULL(0) ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch of cdp.expire_segments must be from 1 to %d", EXPIRE_BATCH_MAX)));
	batch = PG_GETARG_INT32(0);
	realtime_require_writer(realtime_cache()->member);
	if (!may_commit && IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cdp.expire_segments cannot run in a transaction that is REPEATABLE READ or SERIALIZABLE"),
				 errhint("Call it outside of a transaction block.")));
	/* of the procedure call, which outlives its transactions */
	context = AllocSetContextCreate(may_commit ? PortalContext : CurrentMemoryContext, "cdp expire", ALLOCSET_DEFAULT_SIZES);
	SPI_connect_ext(may_commit ? SPI_OPT_NONATOMIC : 0);
	/* what was read so far may have settled the isolation level */
	if (may_commit)
		SPI_commit();
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (may_commit && SPI_execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", false, 0) < 0)
			elog(ERROR, "could not set the isolation level");
		caller = MemoryContextSwitchTo(context);
		done = realtime_expire(batch, until);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
		if (may_commit)
			SPI_commit();
	} while (done == batch);
	SPI_finish();
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
