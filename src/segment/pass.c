/*
 * pass.c
 *		One pass: expressions of one owner with the same settings, evaluated for
 *		everybody in one read of the events, with the owner's rights.
 *
 * The compiled statement yields a row per person.  What comes of it is kept
 * small: the members of a segment as a compressed set of ids, which is then
 * subtracted from that of the members before the pass and the other way round;
 * of a computed trait only the values that differ from the stored ones.  So what
 * is written (pass_write.c) is what changed, and people of whom no row comes
 * out any more leave like those for whom the predicate does not hold.
 *
 * The text of the owner runs in a subtransaction.  When it fails, the pass has
 * changed nothing and says why; whoever called it divides the pass, until the
 * expression that fails is alone.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/paths.h"
#include "parser/parse_coerce.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "query.h"
#include "segment/pass.h"
#include "segment/realtime.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(cdp_evaluate_pass);

/* Rows between two looks at the memory. */
#define MEMORY_CHECK_ROWS	16384
#define FETCH_ROWS			10000
/*
 * PostgreSQL takes a worker more than the logarithm of the number of queries in
 * UNION ALL: up to here there are as many processes as queries.
 */
#define MAX_SHARES			4

/* ---------- relations that exist for a few statements ---------- */

void
pass_relation_begin(PassRelation *relation, const char *name, TupleDesc descriptor)
{
	relation->name = name;
	relation->descriptor = descriptor;
	relation->rows = tuplestore_begin_heap(true, false, work_mem);
}

void
pass_relation_put(PassRelation *relation, const Datum *values, const bool *nulls)
{
	tuplestore_putvalues(relation->rows, relation->descriptor, (Datum *) values, (bool *) nulls);
}

bool
pass_relation_is_empty(const PassRelation *relation)
{
	return relation->rows == NULL || tuplestore_tuple_count(relation->rows) == 0;
}

/* Makes it a relation that statements of SPI can name, till SPI_finish. */
void
pass_relation_register(const PassRelation *relation)
{
	cdp_register_rows(relation->name, relation->descriptor, relation->rows);
}

void
pass_relation_end(PassRelation *relation)
{
	if (relation->rows != NULL)
		tuplestore_end(relation->rows);
	relation->rows = NULL;
}

static TupleDesc
describe_pairs(const char *first, Oid first_type, const char *second, Oid second_type)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(2);

	TupleDescInitEntry(descriptor, 1, first, first_type, -1, 0);
	TupleDescInitEntry(descriptor, 2, second, second_type, -1, 0);
	return descriptor;
}

/* ---------- the expressions ---------- */

/*
 * Finds those of the expressions that still exist, with what is known of their
 * evaluation.
 */
static void
load_expressions(Pass *pass, ArrayType *ids)
{
	Oid			types[] = {INT4ARRAYOID};
	Datum		values[] = {PointerGetDatum(ids)};
	MemoryContext caller = CurrentMemoryContext;
	int32	   *found;
	List	   *loaded;
	ListCell   *cell;
	int			number = 0;
	Oid			rows;

	SPI_connect();
	if (SPI_execute_with_args("SELECT e.expression_id, e.changed_at, COALESCE(s.status OPERATOR(pg_catalog.=) 'new', true), COALESCE(s.status OPERATOR(pg_catalog.=) 'ok', false), e.xmin"
							  " FROM pg_catalog.unnest($1) WITH ORDINALITY AS u(id, place)"
							  " JOIN cdp_data.expression AS e ON e.expression_id OPERATOR(pg_catalog.=) u.id"
							  " LEFT JOIN cdp_data.expression_state AS s ON s.expression_id OPERATOR(pg_catalog.=) u.id ORDER BY u.place",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the expressions");
	MemoryContextSwitchTo(caller);
	pass->count = (int) SPI_processed;
	pass->expressions = cdp_palloc0_array(PassExpression, pass->count + 1);
	found = cdp_palloc_array(int32, pass->count + 1);
	for (int i = 0; i < pass->count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		is_null;

		found[i] = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null));
		pass->expressions[i].changed_at = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &is_null));
		pass->expressions[i].is_new = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &is_null));
		pass->expressions[i].is_ok = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &is_null));
		pass->expressions[i].is_ours = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(SPI_getbinval(row, SPI_tuptable->tupdesc, 5, &is_null)));
	}
	SPI_finish();
	if (pass->count == 0)
		return;

	rows = get_relname_relid("profile_row", get_namespace_oid("cdp_data", false));
	loaded = expression_load(found, pass->count);
	if (list_length(loaded) != pass->count)
		elog(ERROR, "could not load the expressions of a pass");
	foreach (cell, loaded)
	{
		PassExpression *member = &pass->expressions[number++];

		member->expression = lfirst(cell);
		pass->has_realtime = pass->has_realtime || member->expression->is_realtime;
		pass->is_query = pass->is_query || member->expression->is_query;
		if (member->expression->is_segment)
		{
			pass->has_segments = true;
			audience_set_begin(&member->before, &cdp_audience_host, pass->context);
			audience_set_begin(&member->members, &cdp_audience_host, pass->context);
		}
		else
		{
			member->value = pass->trait_count++;
			member->type = get_atttype(rows, get_attnum(rows, member->expression->name));
		}
	}
	if (pass->is_query && pass->count != 1)
		elog(ERROR, "a segment given by a query is evaluated in a pass of its own");
}

/* The memory of a refresh, not that of a query, for so many processes. */
static void
raise_work_mem(int least, int processes)
{
	char		value[32];

	snprintf(value, sizeof(value), "%dkB", Max(least, maintenance_work_mem / 2 / processes));
	cdp_set_option("work_mem", value);
}

static bool
is_too_large(const Pass *pass)
{
	return MemoryContextMemAllocated(pass->context, true) / 1024 > (Size) maintenance_work_mem;
}

/*
 * The sets must fit into the memory for maintenance.  A pass of several
 * expressions is divided, like one that has more columns than a statement can.
 */
static void
check_memory(const Pass *pass)
{
	if (pass->is_too_large || is_too_large(pass))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the members of a segment do not fit into maintenance_work_mem"),
				 errdetail("They take more than %d MB.", maintenance_work_mem / 1024),
				 errhint("Raise maintenance_work_mem for the role or session that refreshes.")));
}

/* ---------- members before ---------- */

static PassExpression *
find_segment(const Pass *pass, int32 id)
{
	for (int i = 0; i < pass->count; i++)
		if (pass->expressions[i].expression->id == id)
			return &pass->expressions[i];
	return NULL;
}

typedef struct MemberReader
{
	Pass	   *pass;
	PassExpression *last;
	int64		rows;
} MemberReader;

static void
keep_member(void *argument, TupleTableSlot *slot)
{
	MemberReader *reader = argument;
	int32		id;

	if (reader->pass->is_too_large)
		return;
	slot_getallattrs(slot);
	id = DatumGetInt32(slot->tts_values[0]);
	if (reader->last == NULL || reader->last->expression->id != id)
		reader->last = find_segment(reader->pass, id);
	if (reader->last != NULL)
		cdp_audience_check(audience_set_add(&reader->last->before, cdp_audience_id(DatumGetInt64(slot->tts_values[1]))), NULL);
	if (++reader->rows % MEMORY_CHECK_ROWS == 0)
		reader->pass->is_too_large = is_too_large(reader->pass);
}

/* Who is in the segments, by the snapshot that the pass reads with. */
static void
read_members(Pass *pass)
{
	MemberReader reader = {pass, NULL, 0};
	StringInfoData sql;
	CdpQuery   *query;
	const char *separator = "";

	if (!pass->has_segments)
		return;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT m.segment_id, m.profile_id FROM cdp_data.segment_member AS m"
								 " WHERE m.segment_id OPERATOR(pg_catalog.=) ANY (ARRAY[");
	for (int i = 0; i < pass->count; i++)
		if (pass->expressions[i].expression->is_segment)
		{
			appendStringInfo(&sql, "%s%d", separator, pass->expressions[i].expression->id);
			separator = ", ";
		}
	appendStringInfoString(&sql, "])");
	query = cdp_query_prepare(sql.data, "cdp.evaluate_pass");
	(void) cdp_query_run(query, 0, keep_member, &reader);
	cdp_query_free(query);
}

/*
 * Who retired and still has a row in cdp.profiles: between a merge and the next
 * refresh there may be some, and they are noted.  By the snapshot of the pass.
 */
static void
read_retired(Pass *pass)
{
	SPI_connect();
	if (SPI_execute("SELECT r.profile_id FROM cdp_data.changed_profile AS q"
					" JOIN cdp_data.profile AS r ON r.profile_id OPERATOR(pg_catalog.=) q.profile_id WHERE r.state OPERATOR(pg_catalog.=) 'r'"
					" UNION "
					/* 0 stands for everybody */
					"SELECT r.profile_id FROM cdp_data.profile_row AS p"
					" JOIN cdp_data.profile AS r ON r.profile_id OPERATOR(pg_catalog.=) p.profile_id WHERE r.state OPERATOR(pg_catalog.=) 'r'"
					" AND EXISTS (SELECT FROM cdp_data.changed_profile AS q WHERE q.profile_id OPERATOR(pg_catalog.=) 0)"
					" ORDER BY 1",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for retired profiles");
	pass->retired_count = (int) SPI_processed;
	pass->retired = MemoryContextAllocHuge(pass->context, mul_size(sizeof(int64), pass->retired_count + 1));
	for (int i = 0; i < pass->retired_count; i++)
	{
		bool		is_null;

		pass->retired[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
	}
	SPI_finish();
}

static bool
is_retired(const Pass *pass, int64 profile_id)
{
	return pass->retired_count > 0 &&
		bsearch(&profile_id, pass->retired, pass->retired_count, sizeof(int64), cdp_compare_int64) != NULL;
}

/* ---------- the compiled statement ---------- */

typedef struct RowReader
{
	Pass	   *pass;
	Datum	   *values;
	bool	   *nulls;
} RowReader;

static void
take_row(void *argument, TupleTableSlot *slot)
{
	RowReader  *reader = argument;
	Pass	   *pass = reader->pass;
	uint64		id;

	slot_getallattrs(slot);
	if (slot->tts_isnull[0] || is_retired(pass, DatumGetInt64(slot->tts_values[0])))
		return;
	id = cdp_audience_id(DatumGetInt64(slot->tts_values[0]));
	for (int i = 0; i < pass->count; i++)
	{
		PassExpression *member = &pass->expressions[i];

		if (!member->expression->is_segment)
		{
			reader->values[1 + member->value] = slot->tts_values[1 + i];
			reader->nulls[1 + member->value] = slot->tts_isnull[1 + i];
		}
		else if (!slot->tts_isnull[1 + i] && DatumGetBool(slot->tts_values[1 + i]))
			cdp_audience_check(audience_set_add(&member->members, id), NULL);
	}
	if (pass->trait_count > 0)
	{
		reader->values[0] = slot->tts_values[0];
		pass_relation_put(&pass->values, reader->values, reader->nulls);
	}
	if (pass->has_due && !slot->tts_isnull[1 + pass->count])
	{
		Datum		due[] = {slot->tts_values[0], slot->tts_values[1 + pass->count]};
		bool		nulls[] = {false, false};

		pass_relation_put(&pass->due, due, nulls);
	}
	if (++pass->people % MEMORY_CHECK_ROWS == 0)
		check_memory(pass);
}

/* The columns of the statement, checked, and where the values of traits go. */
static void
describe_rows(Pass *pass, TupleDesc given)
{
	TupleDesc	descriptor;

	if (pass->trait_count == 0)
		return;
	descriptor = CreateTemplateTupleDesc(1 + pass->trait_count);
	TupleDescInitEntry(descriptor, 1, "profile_id", INT8OID, -1, 0);
	for (int i = 0; i < pass->count; i++)
	{
		const PassExpression *member = &pass->expressions[i];
		Form_pg_attribute attribute = TupleDescAttr(given, 1 + i);
		AttrNumber	number = (AttrNumber) (2 + member->value);

		if (member->expression->is_segment)
			continue;
		TupleDescInitEntry(descriptor, number, psprintf("v%d", number - 1), attribute->atttypid, -1, 0);
		TupleDescInitEntryCollation(descriptor, number, attribute->attcollation);
	}
	pass->values.descriptor = descriptor;
}

/* The statement, with its columns as the types of the traits. */
static CdpQuery *
prepare_statement(Pass *pass, const char *sql)
{
	CdpQuery   *query = cdp_query_prepare(sql, "cdp.refresh_segments");
	TupleDesc	given;
	char	   *cast;
	Oid		   *types;			/* of the columns of computed traits */

	given = cdp_query_descriptor(query);
	if (given->natts != 1 + pass->count + (pass->has_due ? 1 : 0) || TupleDescAttr(given, 0)->atttypid != INT8OID)
		elog(ERROR, "the statement of a pass has other columns");
	types = cdp_palloc0_array(Oid, given->natts);
	for (int i = 0; i < pass->count; i++)
		if (!pass->expressions[i].expression->is_segment)
			types[1 + i] = pass->expressions[i].type;
	cast = expression_cast(sql, given, types);
	if (cast != NULL)
	{
		cdp_query_free(query);
		query = cdp_query_prepare(cast, "cdp.refresh_segments");
	}
	if (!expression_has_types(cdp_query_descriptor(query), types))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the type of a computed trait changed while it was evaluated")));
	return query;
}

/*
 * Into how many shares the people are cut, for processes side by side; 1: not at
 * all.  Each of them reads all events, and joins and aggregates those of its own
 * people only, so that more of them than processors would be a loss.
 */
static int
share_count(const Pass *pass)
{
	int			processes = Min(max_parallel_workers_per_gather, max_parallel_workers) + 1;
	long		processors = sysconf(_SC_NPROCESSORS_ONLN);
	Relation	events;
	BlockNumber blocks;

	/* one alone is as well off with a plan that PostgreSQL chooses */
	if (pass->count == 1 || processes == 1)
		return 1;
	/* an ordinary table, as cdp.setup() made it, which has blocks of its own */
	events = table_open(get_relname_relid("event", get_namespace_oid("cdp_data", false)), AccessShareLock);
	blocks = RelationGetNumberOfBlocks(events);
	table_close(events, NoLock);
	if (blocks < (BlockNumber) min_parallel_table_scan_size)
		return 1;
	if (processors > 0 && processors < processes)
		processes = Max((int) processors, 2);
	return Min(processes, MAX_SHARES);
}

/* Evaluates the expressions for everybody.  The owner's rights are in force. */
static void
run_statement(Pass *pass)
{
	List	   *expressions = NIL;
	RowReader	reader = {pass};
	CdpQuery   *query = NULL;
	/* an error that a clock raises may not be that of a lone expression */
	int			flags = (pass->has_due ? EXPRESSION_DUE : 0) | (pass->count > 1 ? EXPRESSION_AT_ONCE : 0);
	int			shares = share_count(pass);
	int			least = work_mem;
	char	   *sql;
	MemoryContext caller;

	/* it takes seconds to compile a hundred expressions, and each process does */
	cdp_set_option("jit", "off");
	for (int i = 0; i < pass->count; i++)
		expressions = lappend(expressions, pass->expressions[i].expression);
	if (shares > 1 && (sql = expression_shared_statement(expressions, flags, shares)) != NULL)
	{
		query = prepare_statement(pass, sql);
		raise_work_mem(least, shares);
		if (!cdp_query_plan_apart(query))
		{
			cdp_query_free(query);
			query = NULL;
		}
	}
	if (query == NULL)
	{
		raise_work_mem(least, 1);
		query = prepare_statement(pass, expression_statement(expressions, EXPRESSION_EVERYBODY, flags));
	}
	caller = MemoryContextSwitchTo(pass->context);
	describe_rows(pass, cdp_query_descriptor(query));
	reader.values = cdp_palloc0_array(Datum, pass->trait_count + 1);
	reader.nulls = cdp_palloc0_array(bool, pass->trait_count + 1);
	MemoryContextSwitchTo(caller);
	(void) cdp_query_run(query, CDP_QUERY_PARALLEL, take_row, &reader);
	cdp_query_free(query);
}

/* ---------- segments given by a query ---------- */

typedef struct IdReader
{
	Pass	   *pass;
	AudienceSet *ids;
	CoercionPathType path;
	FmgrInfo	function;		/* cast, or output of the type */
	int64		rows;
} IdReader;

static void
take_id(void *argument, TupleTableSlot *slot)
{
	IdReader   *reader = argument;
	Datum		value;
	int64		id;

	slot_getsomeattrs(slot, 1);
	if (slot->tts_isnull[0])
		return;
	value = slot->tts_values[0];
	switch (reader->path)
	{
		case COERCION_PATH_FUNC:
			value = FunctionCall1(&reader->function, value);
			break;
		case COERCION_PATH_COERCEVIAIO:
			value = DirectFunctionCall1(int8in, CStringGetDatum(OutputFunctionCall(&reader->function, value)));
			break;
		default:
			break;
	}
	id = DatumGetInt64(value);
	if (id > 0)
		cdp_audience_check(audience_set_add(reader->ids, (uint64) id), NULL);
	if (++reader->rows % MEMORY_CHECK_ROWS == 0)
		check_memory(reader->pass);
}

/* The ids that the query yields, whatever they are, as they come. */
static void
run_query(Pass *pass, AudienceSet *ids)
{
	const Expression *expression = pass->expressions[0].expression;
	IdReader	reader = {pass, ids, COERCION_PATH_RELABELTYPE};
	CdpQuery   *query = cdp_query_prepare(expression->definition, "cdp.create_segment");
	TupleDesc	given = cdp_query_descriptor(query);
	Oid			type = given->natts > 0 ? TupleDescAttr(given, 0)->atttypid : InvalidOid;
	Oid			function = InvalidOid;

	cdp_query_refuse_temporary(query);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
				 errmsg("the query of segment \"%s\" yields no column", expression->name),
				 errhint("Let it select profile_id.")));
	if (type != INT8OID)
		reader.path = find_coercion_pathway(INT8OID, type, COERCION_EXPLICIT, &function);
	/* a cast of somebody's own may take more arguments, or come to NULL */
	if (reader.path == COERCION_PATH_NONE || reader.path == COERCION_PATH_ARRAYCOERCE || function >= FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the first column of the query of segment \"%s\" is of type %s, which cannot be cast to bigint",
						expression->name, format_type_be(type)),
				 errhint("Let it select profile_id first.")));
	if (reader.path == COERCION_PATH_COERCEVIAIO)
	{
		bool		is_varlena;

		getTypeOutputInfo(type, &function, &is_varlena);
	}
	if (OidIsValid(function))
		fmgr_info(function, &reader.function);
	(void) cdp_query_run(query, CDP_QUERY_PARALLEL, take_id, &reader);
	cdp_query_free(query);
}

/* The settings of statements of our own; the level to end them with. */
static int
begin_own_statements(void)
{
	int			level = NewGUCNestLevel();

	cdp_set_option("search_path", "pg_catalog, pg_temp");
	cdp_set_option("jit", "off");
	raise_work_mem(work_mem, 1);
	return level;
}

/*
 * The people behind the ids that a query gave: a retired one leads to its
 * successor, an unknown one to nobody.
 */
static void
find_people(Pass *pass, AudienceSet *ids)
{
	PassExpression *member = &pass->expressions[0];
	PassRelation given;
	AudienceReader reader;
	AudienceContainer container;
	AudienceRun *runs = cdp_palloc_array(AudienceRun, AUDIENCE_MAX_RUNS);
	AudienceStatus status;
	bool		nulls[] = {false};
	Portal		portal;
	int			level = begin_own_statements();

	pass_relation_begin(&given, "given", CreateTemplateTupleDesc(1));
	TupleDescInitEntry(given.descriptor, 1, "profile_id", INT8OID, -1, 0);
	cdp_audience_check(audience_set_finish(ids), NULL);
	cdp_audience_check(audience_read(&reader, ids->bytes.data, ids->bytes.length, false, false), NULL);
	while ((status = audience_next(&reader, &container)) == AUDIENCE_OK)
	{
		uint32_t	count = audience_runs(&container, runs);

		CHECK_FOR_INTERRUPTS();
		for (uint32_t i = 0; i < count; i++)
			for (uint32_t number = runs[i].first; number <= runs[i].last; number++)
			{
				Datum		id = Int64GetDatum((int64) (container.key << 16 | number));

				pass_relation_put(&given, &id, nulls);
			}
	}
	if (status != AUDIENCE_END)
		cdp_audience_check(status, reader.problem);
	pfree(runs);

	SPI_connect();
	pass_relation_register(&given);
	portal = SPI_cursor_open_with_args(NULL,
									   "SELECT p.profile_id FROM given AS g"
									   " LEFT JOIN cdp_data.profile AS r ON r.profile_id OPERATOR(pg_catalog.=) g.profile_id AND r.state OPERATOR(pg_catalog.=) 'r'"
									   " LEFT JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) r.anchor"
									   " JOIN cdp_data.profile_row AS p ON p.profile_id OPERATOR(pg_catalog.=) CASE WHEN r.profile_id IS NULL THEN g.profile_id ELSE i.profile_id END"
									   " WHERE p.is_known OR $1",
									   1, (Oid[]){BOOLOID}, (Datum[]){BoolGetDatum(member->expression->include_anonymous)}, NULL, true, CURSOR_OPT_NO_SCROLL);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		is_null;
			int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));

			cdp_audience_check(audience_set_add(&member->members, cdp_audience_id(id)), NULL);
		}
		pass->people += (int64) SPI_processed;
		check_memory(pass);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	pass_relation_end(&given);
	AtEOXact_GUC(true, level);
}

/* ---------- the owner's text ---------- */

/*
 * Whether it may be of use to divide the pass: a smaller one also does with less
 * memory.
 */
static bool
is_about_expression(const ErrorData *error)
{
	return cdp_is_about_text(error) || error->sqlerrcode == ERRCODE_OUT_OF_MEMORY;
}

/*
 * Compiles and runs the text of the owner, and finds the people whom a query
 * means.  Returns the error that came up, in the current memory context, or NULL.
 */
static ErrorData *
run_as_owner(Pass *pass, AudienceSet *ids)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner_of_resources = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		SourceOwner owner = {0};

		check_memory(pass);
		expression_enter(pass->expressions[0].expression, &owner);
		if (pass->is_query)
		{
			raise_work_mem(work_mem, 1);
			run_query(pass, ids);
		}
		else
			run_statement(pass);
		source_owner_leave(&owner);
		/* with the rights of the caller, but the memory that it takes is a matter of the query */
		if (pass->is_query)
			find_people(pass, ids);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner_of_resources;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner_of_resources;
		if (!is_about_expression(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/* ---------- differences ---------- */

/* Notes the ids that are in one set and not in the other. */
static int64
put_difference(PassRelation *relation, int32 segment_id, const AudienceSet *left, const AudienceSet *right)
{
	AudienceBuffer difference;
	AudienceReader reader;
	AudienceContainer container;
	AudienceRun *runs = cdp_palloc_array(AudienceRun, AUDIENCE_MAX_RUNS);
	AudienceStatus status;
	const char *problem = NULL;
	Datum		values[2] = {Int32GetDatum(segment_id)};
	bool		nulls[2] = {false, false};
	int64		count = 0;

	audience_buffer_begin(&difference, &cdp_audience_host, NULL);
	cdp_audience_check(audience_combine(AUDIENCE_MINUS, (AudienceBytes){left->bytes.data, left->bytes.length},
										(AudienceBytes){right->bytes.data, right->bytes.length}, &difference, &problem),
					   problem);
	cdp_audience_check(audience_read(&reader, difference.data, difference.length, false, false), NULL);
	while ((status = audience_next(&reader, &container)) == AUDIENCE_OK)
	{
		uint32_t	run_count = audience_runs(&container, runs);

		CHECK_FOR_INTERRUPTS();
		for (uint32_t i = 0; i < run_count; i++)
			for (uint32_t number = runs[i].first; number <= runs[i].last; number++)
			{
				values[1] = Int64GetDatum((int64) (container.key << 16 | number));
				pass_relation_put(relation, values, nulls);
				count++;
			}
	}
	if (status != AUDIENCE_END)
		cdp_audience_check(status, reader.problem);
	audience_buffer_release(&difference);
	pfree(runs);
	return count;
}

static void
find_differences(Pass *pass)
{
	for (int i = 0; i < pass->count; i++)
	{
		PassExpression *member = &pass->expressions[i];

		if (!member->expression->is_segment)
			continue;
		cdp_audience_check(audience_set_finish(&member->before), NULL);
		cdp_audience_check(audience_set_finish(&member->members), NULL);
		(void) put_difference(&pass->entered, member->expression->id, &member->members, &member->before);
		(void) put_difference(&pass->exited, member->expression->id, &member->before, &member->members);
	}
}

/* ---------- the pass ---------- */

static Datum
ids_datum(List *ids)
{
	Datum	   *elements = cdp_palloc_array(Datum, list_length(ids) + 1);
	ListCell   *cell;
	int			count = 0;

	foreach (cell, ids)
		elements[count++] = Int64GetDatum(*(int64 *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * cdp.evaluate_pass(expression_ids integer[], OUT people bigint,
 *		OUT entered bigint, OUT exited bigint, OUT changed bigint,
 *		OUT again bigint[], OUT sqlstate text, OUT message text, OUT hint text)
 *
 * See its comment in sql/segment_refresh.sql.  The ids must not be NULL; those
 * of expressions that are gone are left out.
 *
 * Errors: what is not due to the expressions; their own errors are returned.
 */
Datum
cdp_evaluate_pass(PG_FUNCTION_ARGS)
{
	Pass	   *pass;
	AudienceSet ids;
	ErrorData  *error;
	TupleDesc	descriptor;
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[8] = {0};
	bool		nulls[8] = {false, false, false, false, false, true, true, true};
	int			guc_level;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("expression_ids of cdp.evaluate_pass must not be null")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	realtime_require_writer(get_relname_relid("segment_member", get_namespace_oid("cdp_data", false)));
	pass = palloc0(sizeof(Pass));
	pass->context = AllocSetContextCreate(caller, "cdp pass", ALLOCSET_DEFAULT_SIZES);
	load_expressions(pass, PG_GETARG_ARRAYTYPE_P(0));

	if (pass->count > 0)
	{
		audience_set_begin(&ids, &cdp_audience_host, pass->context);
		/* outside of the subtransaction: what a tuplestore spills belongs to whoever began it */
		pass->has_due = pass->has_realtime;
		pass_relation_begin(&pass->values, "given", NULL);
		pass_relation_begin(&pass->due, "due", describe_pairs("profile_id", INT8OID, "due_at", TIMESTAMPTZOID));
		pass_relation_begin(&pass->entered, "entered", describe_pairs("segment_id", INT4OID, "profile_id", INT8OID));
		pass_relation_begin(&pass->exited, "exited", describe_pairs("segment_id", INT4OID, "profile_id", INT8OID));

		read_members(pass);
		read_retired(pass);
		error = run_as_owner(pass, &ids);
		if (error != NULL)
		{
			nulls[5] = nulls[6] = false;
			values[5] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
			values[6] = CStringGetTextDatum(error->message != NULL ? error->message : "unknown error");
			nulls[7] = error->hint == NULL;
			if (error->hint != NULL)
				values[7] = CStringGetTextDatum(error->hint);
		}
		else
		{
			guc_level = begin_own_statements();
			find_differences(pass);
			pass_write(pass, GetActiveSnapshot());
			AtEOXact_GUC(true, guc_level);
		}
		pass_relation_end(&pass->values);
		pass_relation_end(&pass->due);
		pass_relation_end(&pass->entered);
		pass_relation_end(&pass->exited);
	}
	values[0] = Int64GetDatum(pass->people);
	values[1] = Int64GetDatum(pass->entered_count);
	values[2] = Int64GetDatum(pass->exited_count);
	values[3] = Int64GetDatum(pass->changed_count);
	values[4] = ids_datum(pass->again);
	MemoryContextDelete(pass->context);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
