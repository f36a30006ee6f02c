/*
 * pass_write.c
 *		Writing what a pass found, beside real-time writers.
 *
 * A pass reads with one snapshot, S, and may take minutes.  Meanwhile others
 * bring events and change the membership of the people concerned.  What they
 * wrote must not be replaced by what S told.  The argument why it is not:
 *
 * 1. Whoever evaluates people one by one takes the lock ROW EXCLUSIVE on
 *	  cdp_data.segment_member first and holds it to the end of its transaction.
 *	  The pass takes SHARE ROW EXCLUSIVE when it is about to write.  So each of
 *	  them has either ended by then, or has not looked yet and will see what the
 *	  pass wrote.
 * 2. Whose data changed is noted in cdp_data.changed_profile by the transaction
 *	  that changed them.  Notes are taken away only under the advisory lock
 *	  "cdp.evaluation", which the pass holds since before S.  So of those that
 *	  have ended (1), every note that S does not see is there now.  The people
 *	  noted are left out, as far as expressions are concerned that are evaluated
 *	  in real time, and evaluated anew afterwards; expression_due says so until
 *	  that is done.  Nobody but a pass writes the others.  Of those whose note S
 *	  does see, it sees what they are, except that an id that has retired may
 *	  have its row in cdp.profiles for a while: the pass leaves it out (pass.c).
 *	  An expression may be unknown to writers whose transaction began before it
 *	  was declared or altered, and they may not have taken the lock, as nothing
 *	  was evaluated in real time; and writers leave out one that has failed.
 *	  So whether or not there is anything to write, a pass with one that is not
 *	  "ok" yet waits for whoever writes, and then takes the lock.  One that was
 *	  declared in the transaction of the pass is unknown to all others until that
 *	  ends, so they are kept from writing till then.  One that fails for a writer
 *	  meanwhile is called "ok" only by a pass that took the lock.
 * 3. Of people who are not noted, no data changed since S.  What others wrote
 *	  of them since (cdp.expire_segments) differs from what S tells by the clock
 *	  alone.  A difference that the pass does not see, it does not write; and
 *	  where it does write, its lower bound in expression_due is before the time
 *	  by which the other went, so that they are looked at again.
 *
 * Of the definitions, too, only those are written that are still the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "cdp.h"
#include "segment/pass.h"
#include "statement.h"

#define FETCH_ROWS	10000
/* With more, cdp.evaluate_step evaluates nobody anew. */
#define MOST_AGAIN	1000

/* What the statements have as parameters. */
typedef struct Writing
{
	Pass	   *pass;
	Datum		valid;			/* $1 integer[]: expressions whose definition is still the same */
	Datum		fresh;			/* $2 integer[]: those among them that are new or changed */
	Datum		realtime;		/* $3 integer[]: those that are evaluated in real time */
	Datum		noted;			/* $4 bigint[]: people whose data changed since */
	Datum		gone;			/* $5 bigint[]: ids that retired since */
	bool		any_noted;
	bool		covers_realtime;	/* no other expression is evaluated in real time */
} Writing;

static Datum
int32_array(const int32 *elements, int count)
{
	Datum	   *datums = cdp_palloc_array(Datum, add_size(count, 1));

	for (int i = 0; i < count; i++)
		datums[i] = Int32GetDatum(elements[i]);
	return PointerGetDatum(construct_array(datums, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

static Datum
int64_array(const Datum *datums, int count)
{
	return PointerGetDatum(construct_array((Datum *) datums, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Runs a statement with the parameters above; returns the number of rows. */
static int64
run(const Writing *writing, const char *sql, bool read_only)
{
	Oid			types[] = {INT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {writing->valid, writing->fresh, writing->realtime, writing->noted, writing->gone};
	int			result = SPI_execute_with_args(sql, 5, types, values, NULL, read_only, 0);

	if (result < 0)
		elog(ERROR, "could not write what a pass found: %s", SPI_result_code_string(result));
	return (int64) SPI_processed;
}

/* The rows of a query that reads with the snapshot of the pass. */
static void
collect(const char *sql, PassRelation *into)
{
	Portal		portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, CURSOR_OPT_NO_SCROLL);
	uint64		fetched;

	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		fetched = SPI_processed;
		for (uint64 i = 0; i < fetched; i++)
			tuplestore_puttuple(into->rows, SPI_tuptable->vals[i]);
		SPI_freetuptable(SPI_tuptable);
	} while (fetched > 0);
	SPI_cursor_close(portal);
}

/* ---------- what differs, before the lock ---------- */

/* A list of the columns of traits: each written by the format, which takes the name and the number. */
static void
append_columns(StringInfo sql, const Pass *pass, const char *prefix, bool by_name, bool realtime, bool batch)
{
	const char *separator = "";

	for (int i = 0; i < pass->count; i++)
	{
		const PassExpression *member = &pass->expressions[i];

		if (member->expression->is_segment || !OidIsValid(member->type) || !member->is_valid ||
			!(member->expression->is_realtime ? realtime : batch))
			continue;
		if (by_name)
			appendStringInfo(sql, "%s%s%s", separator, prefix, quote_identifier(member->expression->name));
		else
			appendStringInfo(sql, "%s%sv%d", separator, prefix, member->value + 1);
		separator = ", ";
	}
}

/* Those of the values that are not stored yet, byte for byte. */
static void
find_changed_values(Pass *pass, PassRelation *changed)
{
	StringInfoData sql;

	pass_relation_begin(changed, "changed", pass->values.descriptor);
	SPI_connect();
	pass_relation_register(&pass->values);
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT g.* FROM given AS g JOIN cdp_data.profile_row AS p ON p.profile_id OPERATOR(pg_catalog.=) g.profile_id WHERE ROW(");
	append_columns(&sql, pass, "p.", true, true, true);
	appendStringInfoString(&sql, ")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(");
	append_columns(&sql, pass, "g.", false, true, true);
	appendStringInfoString(&sql, ")::pg_catalog.record");
	collect(sql.data, changed);
	SPI_finish();
	pass_relation_end(&pass->values);
}

/* Those of the bounds that are not stored yet; and rows that need not be. */
static void
find_changed_due(Writing *writing, PassRelation *wanted, PassRelation *needless)
{
	Pass	   *pass = writing->pass;

	pass_relation_begin(wanted, "wanted", pass->due.descriptor);
	pass_relation_begin(needless, "needless", CreateTemplateTupleDesc(1));
	TupleDescInitEntry(needless->descriptor, 1, "profile_id", INT8OID, -1, 0);
	SPI_connect();
	pass_relation_register(&pass->due);
	collect(psprintf("SELECT d.profile_id, d.due_at FROM due AS d LEFT JOIN cdp_data.expression_due AS x ON x.profile_id OPERATOR(pg_catalog.=) d.profile_id"
					 " WHERE x.profile_id IS NULL OR x.due_at OPERATOR(pg_catalog.%s) d.due_at",
					 writing->covers_realtime ? "<>" : ">"),
			wanted);
	if (writing->covers_realtime)
		collect("SELECT x.profile_id FROM cdp_data.expression_due AS x"
				" WHERE NOT EXISTS (SELECT FROM due AS d WHERE d.profile_id OPERATOR(pg_catalog.=) x.profile_id)",
				needless);
	SPI_finish();
	pass_relation_end(&pass->due);
}

/* ---------- what happened since ---------- */

/* The notes in cdp_data.changed_profile that the snapshot does not see. */
static Datum
read_notes(Snapshot snapshot, int *count)
{
	Oid			id = get_relname_relid("changed_profile", get_namespace_oid("cdp_data", false));
	AclResult	access = pg_class_aclcheck(id, GetUserId(), ACL_SELECT);
	Relation	relation;
	Snapshot	latest;
	TableScanDesc scan;
	TupleTableSlot *slot;
	int			capacity = 64;
	Datum	   *notes = cdp_palloc_array(Datum, capacity);

	if (access != ACLCHECK_OK)
		aclcheck_error(access, OBJECT_TABLE, "changed_profile");
	*count = 0;
	relation = table_open(id, AccessShareLock);
	latest = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(relation, latest, 0, NULL);
	slot = table_slot_create(relation, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		is_null;
		Datum		value;

		CHECK_FOR_INTERRUPTS();
		if (table_tuple_satisfies_snapshot(relation, slot, snapshot))
			continue;
		value = slot_getattr(slot, 1, &is_null);
		/* 0, everybody, comes from loads, which evaluate nobody */
		if (is_null || DatumGetInt64(value) == 0)
			continue;
		if (*count == capacity)
		{
			if (capacity > (int) (MaxAllocSize / sizeof(Datum) / 2))
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("too many people changed while segments were evaluated")));
			capacity *= 2;
			notes = repalloc(notes, mul_size(sizeof(Datum), capacity));
		}
		notes[(*count)++] = value;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(latest);
	table_close(relation, NoLock);
	return int64_array(notes, *count);
}

/* The people whom the notes mean, and ids that retired.  SPI is connected. */
static void
find_noted(Writing *writing, Snapshot snapshot)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum		notes;
	Datum	   *noted;
	Datum	   *gone;
	int			noted_count = 0;
	int			gone_count = 0;
	int			count;

	notes = read_notes(snapshot, &count);
	writing->noted = writing->gone = int64_array(NULL, 0);
	if (count == 0)
		return;
	if (SPI_execute_with_args("SELECT u.id, p.profile_id IS NOT NULL FROM ("
							  " SELECT n.id FROM pg_catalog.unnest($1) AS n(id) WHERE n.id OPERATOR(pg_catalog.>) 0"
							  " UNION SELECT i.profile_id FROM pg_catalog.unnest($1) AS n(id) JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) (- n.id)"
							  " UNION SELECT i.profile_id FROM pg_catalog.unnest($1) AS n(id)"
							  " JOIN cdp_data.profile AS r ON r.profile_id OPERATOR(pg_catalog.=) n.id AND r.state OPERATOR(pg_catalog.=) 'r'"
							  " JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) r.anchor"
							  ") AS u LEFT JOIN cdp_data.profile AS p ON p.profile_id OPERATOR(pg_catalog.=) u.id AND p.state OPERATOR(pg_catalog.<>) 'r'",
							  1, types, &notes, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find who changed");
	noted = cdp_palloc_array(Datum, add_size(SPI_processed, 1));
	gone = cdp_palloc_array(Datum, add_size(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		is_null;
		Datum		id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null);
		bool		is_there = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));

		noted[noted_count++] = id;
		if (!is_there)
			gone[gone_count++] = id;
		else if (writing->pass->has_realtime)
		{
			MemoryContext caller = MemoryContextSwitchTo(writing->pass->context);
			int64	   *again = palloc(sizeof(int64));

			*again = DatumGetInt64(id);
			writing->pass->again = lappend(writing->pass->again, again);
			MemoryContextSwitchTo(caller);
		}
	}
	writing->any_noted = noted_count > 0;
	writing->noted = int64_array(noted, noted_count);
	writing->gone = int64_array(gone, gone_count);
}

/* Which definitions are still those that were evaluated.  SPI is connected. */
static void
check_definitions(Writing *writing)
{
	Pass	   *pass = writing->pass;
	int32	   *valid = cdp_palloc_array(int32, pass->count + 1);
	int32	   *fresh = cdp_palloc_array(int32, pass->count + 1);
	int32	   *realtime = cdp_palloc_array(int32, pass->count + 1);
	int			valid_count = 0;
	int			fresh_count = 0;
	int			realtime_count = 0;
	bool		is_null;

	for (int i = 0; i < pass->count; i++)
	{
		pass->expressions[i].is_valid = false;
		valid[i] = pass->expressions[i].expression->id;
	}
	writing->valid = writing->fresh = writing->realtime = int32_array(valid, pass->count);
	writing->noted = writing->gone = int64_array(NULL, 0);
	(void) run(writing, "SELECT e.expression_id, e.changed_at FROM cdp_data.expression AS e WHERE e.expression_id OPERATOR(pg_catalog.=) ANY ($1)", false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int32		id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &is_null));
		TimestampTz changed_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &is_null));

		for (int i = 0; i < pass->count; i++)
			if (pass->expressions[i].expression->id == id && pass->expressions[i].changed_at == changed_at)
				pass->expressions[i].is_valid = true;
	}
	for (int i = 0; i < pass->count; i++)
	{
		const PassExpression *member = &pass->expressions[i];

		if (!member->is_valid)
			continue;
		valid[valid_count++] = member->expression->id;
		if (member->is_new)
			fresh[fresh_count++] = member->expression->id;
		if (member->expression->is_realtime)
			realtime[realtime_count++] = member->expression->id;
	}
	writing->valid = int32_array(valid, valid_count);
	writing->fresh = int32_array(fresh, fresh_count);
	writing->realtime = int32_array(realtime, realtime_count);
	writing->covers_realtime = run(writing, "SELECT FROM cdp_data.expression AS e WHERE e.is_realtime AND NOT (e.expression_id OPERATOR(pg_catalog.=) ANY ($3)) LIMIT 1", false) == 0;
}

/* ---------- writing ---------- */

/* Beyond so many rows they are joined to all of a table, rather than looked up. */
#define LOOKUP_ROWS	20000

/*
 * The statistics of tables that this very pass fills say nothing.  Few rows are
 * looked up by index, many are joined as a whole.  What has no index, such as
 * the results of the pass, is hashed in both cases.
 */
static int
begin_plans(const PassRelation *relation)
{
	bool		few = tuplestore_tuple_count(relation->rows) < LOOKUP_ROWS;
	int			level = NewGUCNestLevel();
	const char *off[] = {few ? "enable_seqscan" : "enable_nestloop", few ? "enable_mergejoin" : NULL};

	for (int i = 0; i < lengthof(off); i++)
		if (off[i] != NULL)
			cdp_set_option(off[i], "off");
	return level;
}

static void
end_plans(int level)
{
	AtEOXact_GUC(true, level);
}

/* Rows of real-time segments that are about people whose data changed since are left out. */
static const char *
unless_noted(const Writing *writing)
{
	if (!writing->any_noted)
		return "";
	return " AND NOT (c.segment_id OPERATOR(pg_catalog.=) ANY ($3) AND c.profile_id OPERATOR(pg_catalog.=) ANY ($4))";
}

static void
write_members(Writing *writing)
{
	Pass	   *pass = writing->pass;

	if (!pass_relation_is_empty(&pass->entered))
	{
		int			level = begin_plans(&pass->entered);

		pass_relation_register(&pass->entered);
		pass->entered_count =
			run(writing, psprintf("WITH written AS ("
								  " INSERT INTO cdp_data.segment_member AS t (segment_id, profile_id, entered_at)"
								  " SELECT c.segment_id, c.profile_id, pg_catalog.now() FROM entered AS c"
								  " WHERE c.segment_id OPERATOR(pg_catalog.=) ANY ($1)%s%s"
								  " AND NOT EXISTS (SELECT FROM cdp_data.segment_member AS m"
								  " WHERE m.segment_id OPERATOR(pg_catalog.=) c.segment_id AND m.profile_id OPERATOR(pg_catalog.=) c.profile_id)"
								  " RETURNING t.segment_id, t.profile_id)"
								  " INSERT INTO cdp_data.segment_change (profile_id, changed_at, segment_id, is_entry, cause)"
								  " SELECT w.profile_id, pg_catalog.now(), w.segment_id, true,"
								  " CASE WHEN w.segment_id OPERATOR(pg_catalog.=) ANY ($2) THEN 'definition' ELSE 'batch' END FROM written AS w",
								  unless_noted(writing), writing->any_noted ? " AND NOT (c.profile_id OPERATOR(pg_catalog.=) ANY ($5))" : ""),
				false);
		end_plans(level);
	}
	if (!pass_relation_is_empty(&pass->exited))
	{
		int			level = begin_plans(&pass->exited);

		pass_relation_register(&pass->exited);
		pass->exited_count =
			run(writing, psprintf("WITH written AS ("
								  " DELETE FROM cdp_data.segment_member AS t USING exited AS c"
								  " WHERE t.segment_id OPERATOR(pg_catalog.=) c.segment_id AND t.profile_id OPERATOR(pg_catalog.=) c.profile_id"
								  " AND c.segment_id OPERATOR(pg_catalog.=) ANY ($1)%s"
								  " RETURNING t.segment_id, t.profile_id)"
								  " INSERT INTO cdp_data.segment_change (profile_id, changed_at, segment_id, is_entry, cause)"
								  " SELECT w.profile_id, pg_catalog.now(), w.segment_id, false,"
								  " CASE WHEN NOT EXISTS (SELECT FROM cdp_data.profile AS p WHERE p.profile_id OPERATOR(pg_catalog.=) w.profile_id AND p.state OPERATOR(pg_catalog.<>) 'r') THEN 'identity'"
								  " WHEN w.segment_id OPERATOR(pg_catalog.=) ANY ($2) THEN 'definition' ELSE 'batch' END FROM written AS w",
								  unless_noted(writing)),
				false);
		end_plans(level);
	}
}

/*
 * Values of traits; of those in real time not for people whose data changed
 * since.  Rows that somebody else has locked right now are left out and come to
 * the list of those to be evaluated anew, so that nobody is waited for here,
 * unless that list becomes too long: then they are written as well.
 */
static void
write_values(Writing *writing, bool realtime, bool batch, const char *who, bool waits)
{
	Pass	   *pass = writing->pass;
	StringInfoData names;
	StringInfoData sql;
	int64		rows;
	bool		too_many;

	initStringInfo(&names);
	append_columns(&names, pass, "", true, realtime, batch);
	if (names.len == 0)
		return;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "WITH differing AS MATERIALIZED ("
								 " SELECT c.* FROM changed AS c JOIN cdp_data.profile_row AS p ON p.profile_id OPERATOR(pg_catalog.=) c.profile_id WHERE ROW(");
	append_columns(&sql, pass, "p.", true, realtime, batch);
	appendStringInfoString(&sql, ")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(");
	append_columns(&sql, pass, "c.", false, realtime, batch);
	appendStringInfo(&sql, ")::pg_catalog.record%s), free AS MATERIALIZED ("
						   " SELECT p.profile_id FROM cdp_data.profile_row AS p WHERE p.profile_id IN (SELECT d.profile_id FROM differing AS d)"
						   " FOR NO KEY UPDATE OF p%s),"
						   " written AS (UPDATE cdp_data.profile_row AS t SET (%s) = ROW(",
					 who, waits ? "" : " SKIP LOCKED", names.data);
	append_columns(&sql, pass, "d.", false, realtime, batch);
	appendStringInfoString(&sql, ") FROM differing AS d JOIN free AS f ON f.profile_id OPERATOR(pg_catalog.=) d.profile_id"
								 " WHERE t.profile_id OPERATOR(pg_catalog.=) d.profile_id RETURNING t.profile_id)"
								 " SELECT NULL::pg_catalog.int8, pg_catalog.count(*) FROM written AS w UNION ALL"
								 " SELECT d.profile_id, 0 FROM differing AS d WHERE NOT EXISTS (SELECT FROM written AS w WHERE w.profile_id OPERATOR(pg_catalog.=) d.profile_id)");
	rows = run(writing, sql.data, false);
	/* one row tells how many were written */
	too_many = !waits && rows - 1 + list_length(pass->again) > MOST_AGAIN;
	for (int64 i = 0; i < rows; i++)
	{
		bool		is_null;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));

		if (is_null)
			pass->changed_count += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));
		else if (!too_many)
		{
			MemoryContext caller = MemoryContextSwitchTo(pass->context);
			int64	   *again = palloc(sizeof(int64));

			*again = id;
			pass->again = lappend(pass->again, again);
			MemoryContextSwitchTo(caller);
		}
	}
	if (too_many)
		write_values(writing, realtime, batch, who, true);
}

static void
write_all_values(Writing *writing, const PassRelation *changed)
{
	int			level;

	if (pass_relation_is_empty(changed))
		return;
	level = begin_plans(changed);
	pass_relation_register(changed);
	if (!writing->any_noted)
		write_values(writing, true, true, "", false);
	else
	{
		write_values(writing, true, true, " AND NOT (c.profile_id OPERATOR(pg_catalog.=) ANY ($4))", false);
		write_values(writing, false, true, " AND c.profile_id OPERATOR(pg_catalog.=) ANY ($4)", false);
	}
	end_plans(level);
}

/*
 * When to look at people again: never later than the pass says.  Where it knows
 * of all expressions in real time, also not earlier, unless their data changed.
 */
static void
write_due(Writing *writing, const PassRelation *wanted, const PassRelation *needless)
{
	int			level;
	const char *others = writing->any_noted ? " AND NOT (w.profile_id OPERATOR(pg_catalog.=) ANY ($4))" : "";

	if (!pass_relation_is_empty(wanted))
	{
		pass_relation_register(wanted);
		(void) run(writing, psprintf("INSERT INTO cdp_data.expression_due AS t (profile_id, due_at) SELECT w.profile_id, w.due_at FROM wanted AS w WHERE true%s"
									 " ON CONFLICT ON CONSTRAINT expression_due_pkey DO UPDATE SET due_at = EXCLUDED.due_at WHERE t.due_at OPERATOR(pg_catalog.%s) EXCLUDED.due_at",
									 others, writing->covers_realtime ? "<>" : ">"),
				   false);
	}
	if (writing->covers_realtime && !pass_relation_is_empty(needless))
	{
		level = begin_plans(needless);
		pass_relation_register(needless);
		(void) run(writing, psprintf("DELETE FROM cdp_data.expression_due AS t USING needless AS w WHERE w.profile_id OPERATOR(pg_catalog.=) t.profile_id%s", others), false);
		end_plans(level);
	}
	if (writing->any_noted)
		(void) run(writing, "INSERT INTO cdp_data.expression_due AS t (profile_id, due_at)"
							" SELECT n.id, '-infinity' FROM pg_catalog.unnest($4) AS n(id) WHERE NOT (n.id OPERATOR(pg_catalog.=) ANY ($5))"
							" ON CONFLICT ON CONSTRAINT expression_due_pkey DO UPDATE SET due_at = '-infinity' WHERE t.due_at OPERATOR(pg_catalog.>) '-infinity'",
				   false);
}

/*
 * How it went, for each expression.  Without the lock, one that failed for a
 * writer meanwhile is left failed.
 */
static void
write_state(const Writing *writing, bool is_locked)
{
	const Pass *pass = writing->pass;
	Oid			types[] = {INT4ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, BOOLOID};
	Datum	   *members = cdp_palloc0_array(Datum, pass->count + 1);
	Datum	   *ids = cdp_palloc0_array(Datum, pass->count + 1);
	Datum		values[4];

	for (int i = 0; i < pass->count; i++)
	{
		const PassExpression *member = &pass->expressions[i];
		uint64_t	cardinality = 0;
		const char *problem = NULL;

		if (member->expression->is_segment)
			cdp_audience_check(audience_cardinality((AudienceBytes){member->members.bytes.data, member->members.bytes.length}, &cardinality, &problem), problem);
		ids[i] = Int32GetDatum(member->expression->id);
		members[i] = Int64GetDatum((int64) cardinality);
	}
	values[0] = PointerGetDatum(construct_array(ids, pass->count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[1] = int64_array(members, pass->count);
	values[2] = writing->valid;
	values[3] = BoolGetDatum(is_locked);
	if (SPI_execute_with_args("INSERT INTO cdp_data.expression_state AS t (expression_id, status, evaluated_at, members)"
							  " SELECT u.id, 'ok', pg_catalog.now(), CASE WHEN e.kind OPERATOR(pg_catalog.=) 'segment' THEN u.members END"
							  " FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS u(id, members)"
							  " JOIN cdp_data.expression AS e ON e.expression_id OPERATOR(pg_catalog.=) u.id"
							  " WHERE u.id OPERATOR(pg_catalog.=) ANY ($3)"
							  " AND ($4 OR NOT e.is_realtime OR EXISTS (SELECT FROM cdp_data.expression_state AS s"
							  "  WHERE s.expression_id OPERATOR(pg_catalog.=) u.id AND s.status OPERATOR(pg_catalog.=) 'ok'))"
							  " ON CONFLICT ON CONSTRAINT expression_state_pkey DO UPDATE SET status = 'ok', evaluated_at = EXCLUDED.evaluated_at,"
							  " members = EXCLUDED.members, error = NULL, sqlstate = NULL, hint = NULL, failed_since = NULL",
							  4, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not note how a pass went");
}

/*
 * Whether writers may not have evaluated some of the expressions in real time;
 * with is_ours only those that this transaction declared.
 */
static bool
has_unknown(const Pass *pass, bool is_ours)
{
	for (int i = 0; i < pass->count; i++)
		if (pass->expressions[i].expression->is_realtime && !pass->expressions[i].is_ok && (pass->expressions[i].is_ours || !is_ours))
			return true;
	return false;
}

/* The relation on which all who write hold RowExclusiveLock, or more. */
static Oid
relation_of_writers(void)
{
	return get_relname_relid("record", get_namespace_oid("cdp_data", false));
}

/*
 * Waits until those have ended who write now.  Nobody waits for us meanwhile:
 * others who begin know what is declared.
 */
static void
wait_for_writers(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation_of_writers());
	WaitForLockers(tag, ShareLock, false);
}

/*
 * Writes what the pass found, as one transaction with all it noted.
 *
 * snapshot: that by which the pass read.
 */
void
pass_write(Pass *pass, Snapshot snapshot)
{
	Writing		writing = {pass};
	PassRelation changed = {0};
	PassRelation wanted = {0};
	PassRelation needless = {0};
	bool		is_unknown = has_unknown(pass, false);
	bool		must_lock;
	int			level;

	/* As much as possible before others have to wait. */
	SPI_connect();
	check_definitions(&writing);
	SPI_finish();
	level = NewGUCNestLevel();
	cdp_set_option("enable_nestloop", "off");
	if (pass->trait_count > 0)
	{
		StringInfoData names;

		initStringInfo(&names);
		append_columns(&names, pass, "", true, true, true);
		if (names.len > 0)
			find_changed_values(pass, &changed);
	}
	if (pass->has_due)
		find_changed_due(&writing, &wanted, &needless);
	AtEOXact_GUC(true, level);
	must_lock = is_unknown || !pass_relation_is_empty(&pass->entered) || !pass_relation_is_empty(&pass->exited) || !pass_relation_is_empty(&changed) ||
		!pass_relation_is_empty(&wanted) || !pass_relation_is_empty(&needless);

	if (is_unknown)
		wait_for_writers();
	SPI_connect();
	if (must_lock)
	{
		if (SPI_execute("LOCK TABLE cdp_data.segment_member IN SHARE ROW EXCLUSIVE MODE", false, 0) < 0)
			elog(ERROR, "could not lock the members of segments");
		/* Who begins to write before we commit would not know it either. */
		if (has_unknown(pass, true))
			LockRelationOid(relation_of_writers(), ShareLock);
	}
	check_definitions(&writing);
	if (must_lock)
	{
		find_noted(&writing, snapshot);
		write_members(&writing);
		write_all_values(&writing, &changed);
		write_due(&writing, &wanted, &needless);
	}
	/*
	 * Who changes a definition from here on waits for these rows; whose change
	 * is there by now is not told that it was evaluated.  Declarations lock
	 * those that need others, which are the younger ones, first.
	 */
	(void) run(&writing, "SELECT FROM cdp_data.expression_state AS s WHERE s.expression_id OPERATOR(pg_catalog.=) ANY ($1) ORDER BY s.expression_id DESC FOR UPDATE", false);
	check_definitions(&writing);
	write_state(&writing, must_lock);
	SPI_finish();
	pass_relation_end(&changed);
	pass_relation_end(&wanted);
	pass_relation_end(&needless);
}
