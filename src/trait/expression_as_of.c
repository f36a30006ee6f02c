/*
 * expression_as_of.c
 *		Reading people as they were at an earlier time.
 *
 * An expression that is evaluated as of a time must not see what came later.
 * Events have a time, and so have the versions of what records say of traits
 * with history; who somebody is, is read as it is known today.  Whatever else an
 * expression may read is known only as it is now, and is refused by name.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "cdp.h"
#include "trait/expression_as_of.h"

/* ---------- people ---------- */

/* What has to be joined to the row of a person. */
typedef struct Joins
{
	bool		traits;
	bool		events;
	bool		records;
} Joins;

static void
refuse_column(const char *column, const char *reason, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of cdp.profiles cannot be had as of an earlier time", column),
			 errdetail("%s", reason),
			 errhint("%s", hint)));
}

/* Appends one column; the row says what cdp.profiles knows of it. */
static void
append_column(StringInfo list, const char *column, HeapTuple tuple, TupleDesc descriptor, const char *clock, Joins *joins)
{
	char	   *key = SPI_getvalue(tuple, descriptor, 2);
	char	   *type = SPI_getvalue(tuple, descriptor, 3);
	char	   *survivorship = SPI_getvalue(tuple, descriptor, 4);
	bool		is_namespace = strcmp(SPI_getvalue(tuple, descriptor, 5), "t") == 0;
	bool		has_history = strcmp(SPI_getvalue(tuple, descriptor, 6), "t") == 0;
	bool		is_computed = strcmp(SPI_getvalue(tuple, descriptor, 7), "t") == 0;
	const char *name = quote_identifier(column);

	if (strcmp(column, "first_seen") == 0)
		/* the first of all, so also the first until then */
		appendStringInfo(list, ", CASE WHEN p.first_seen OPERATOR(pg_catalog.<=) %s THEN p.first_seen END AS first_seen", clock);
	else if (strcmp(column, "event_count") == 0)
	{
		appendStringInfoString(list, ", COALESCE(did.events, 0) AS event_count");
		joins->events = true;
	}
	else if (strcmp(column, "record_count") == 0)
	{
		appendStringInfoString(list, ", COALESCE(told.records, 0) AS record_count");
		joins->records = true;
	}
	else if (strcmp(column, "last_seen") == 0)
		refuse_column(column, "Of a record, only the time of its newest version is known.",
					  "Use the time of the latest event: max(event.occurred_at).");
	else if (is_computed)
		refuse_column(column, "It is a computed trait that belongs to another role, or has another time zone or search_path, so only its value of today is known.",
					  "Declare a computed trait of the same text for this role and these settings.");
	else if (key != NULL && !has_history)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trait \"%s\" has no history, so what it was at an earlier time is not known", column),
				 errhint("Run SELECT cdp.alter_trait(%s, history => true); its versions are kept from then on.", quote_literal_cstr(column))));
	else if (key != NULL && is_namespace)
		refuse_column(column, "Where the trait has no value, the column shows an identifier of the namespace of that name, as it is today.",
					  psprintf("Give the trait a name of its own: SELECT cdp.rename_trait(%s, ...).", quote_literal_cstr(column)));
	else if (key != NULL)
	{
		appendStringInfo(list, ", cdp.trait_value(said.value, %s, %s::cdp.survivorship, NULL::%s) AS %s", quote_literal_cstr(key),
						 survivorship == NULL ? "NULL" : quote_literal_cstr(survivorship), type, name);
		joins->traits = true;
	}
	else if (is_namespace)
		appendStringInfo(list, ", p.%s", name);
	else
		refuse_column(column, "It is no trait that is declared now.", "Take it out of the expression.");
}

/* What records said of a person until then: of each record the newest version. */
static void
append_traits(StringInfo sql, const char *clock, const char *person)
{
	if (person == NULL)
		appendStringInfo(sql,
						 " LEFT JOIN (SELECT i.profile_id, cdp.profile_agg(h.traits) AS value"
						 " FROM (SELECT DISTINCT ON (v.source, v.record_key) v.hub, v.traits FROM cdp_data.contribution_history AS v"
						 " WHERE v.observed_at OPERATOR(pg_catalog.<=) %s ORDER BY v.source, v.record_key, v.observed_at DESC) AS h"
						 " JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) h.hub AND i.state OPERATOR(pg_catalog.=) 'u'"
						 " GROUP BY i.profile_id) AS said ON said.profile_id OPERATOR(pg_catalog.=) p.profile_id",
						 clock);
	else
		appendStringInfo(sql,
						 " LEFT JOIN LATERAL (SELECT cdp.profile_agg(h.traits) AS value"
						 " FROM cdp_data.identifier AS i JOIN cdp_data.contribution_history AS h ON h.hub OPERATOR(pg_catalog.=) i.id"
						 " WHERE i.profile_id OPERATOR(pg_catalog.=) %s AND i.state OPERATOR(pg_catalog.=) 'u'"
						 " AND h.observed_at OPERATOR(pg_catalog.<=) %s"
						 " AND NOT EXISTS (SELECT FROM cdp_data.contribution_history AS n WHERE n.source OPERATOR(pg_catalog.=) h.source"
						 " AND n.record_key OPERATOR(pg_catalog.=) h.record_key AND n.observed_at OPERATOR(pg_catalog.>) h.observed_at"
						 " AND n.observed_at OPERATOR(pg_catalog.<=) %s)) AS said ON true",
						 person, clock, clock);
}

static void
append_events(StringInfo sql, const char *clock, const char *person)
{
	if (person == NULL)
		appendStringInfo(sql,
						 " LEFT JOIN (SELECT e.profile_id, pg_catalog.count(*) AS events FROM cdp.events AS e"
						 " WHERE e.occurred_at OPERATOR(pg_catalog.<=) %s GROUP BY e.profile_id) AS did"
						 " ON did.profile_id OPERATOR(pg_catalog.=) p.profile_id",
						 clock);
	else
		appendStringInfo(sql,
						 " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS events FROM cdp.events AS e"
						 " WHERE e.profile_id OPERATOR(pg_catalog.=) %s AND e.occurred_at OPERATOR(pg_catalog.<=) %s) AS did ON true",
						 person, clock);
}

/* Records that are no events, nor refused ones, from the time of their first version on. */
static void
append_records(StringInfo sql, const char *clock, const char *person)
{
	static const char *const records =
		"FROM cdp_data.identifier AS i JOIN cdp_data.record AS r ON r.hub OPERATOR(pg_catalog.=) i.id"
		" WHERE %s i.state OPERATOR(pg_catalog.=) 'u' AND r.first_seen OPERATOR(pg_catalog.<=) %s"
		" AND NOT EXISTS (SELECT FROM cdp_data.source AS s WHERE s.name OPERATOR(pg_catalog.=) r.source AND s.kind OPERATOR(pg_catalog.=) 'event')"
		" AND NOT EXISTS (SELECT FROM cdp_data.event AS e WHERE e.source OPERATOR(pg_catalog.=) r.source"
		" AND e.record_key OPERATOR(pg_catalog.=) r.record_key)";

	if (person == NULL)
		appendStringInfo(sql, " LEFT JOIN (SELECT i.profile_id, pg_catalog.count(*) AS records %s GROUP BY i.profile_id) AS told"
							  " ON told.profile_id OPERATOR(pg_catalog.=) p.profile_id",
						 psprintf(records, "", clock));
	else
		appendStringInfo(sql, " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS records %s) AS told ON true",
						 psprintf(records, psprintf("i.profile_id OPERATOR(pg_catalog.=) %s AND", person), clock));
}

/*
 * The condition, as SQL, that a person had been seen by a time: there is a record
 * or event of that time, one of the identifiers was known then, or it is known
 * from the history of traits (the records may be gone by now).
 *
 * person: name of a row of cdp.profiles; clock: SQL text of the time.
 */
char *
expression_was_seen(const char *person, const char *clock)
{
	return psprintf("(%1$s.first_seen OPERATOR(pg_catalog.<=) %2$s"
					" OR EXISTS (SELECT FROM cdp_data.identifier AS i WHERE i.profile_id OPERATOR(pg_catalog.=) %1$s.profile_id"
					" AND i.state OPERATOR(pg_catalog.=) 'u' AND i.created_at OPERATOR(pg_catalog.<=) %2$s)"
					" OR EXISTS (SELECT FROM cdp_data.identifier AS i JOIN cdp_data.contribution_history AS h ON h.hub OPERATOR(pg_catalog.=) i.id"
					" WHERE i.profile_id OPERATOR(pg_catalog.=) %1$s.profile_id AND i.state OPERATOR(pg_catalog.=) 'u'"
					" AND h.observed_at OPERATOR(pg_catalog.<=) %2$s))",
					person, clock);
}

/*
 * A SELECT that stands in for cdp.profiles as of a time.  It yields profile_id,
 * is_known and the columns asked for, under their names and with their types.
 *
 * columns: names of columns of cdp.profiles (char *).
 * clock: SQL text of the time, a timestamptz; it may be there several times.
 * person: SQL text of the one profile id that is asked for, to be looked up by
 * index, whenever first seen; NULL: everybody who was seen by then.
 *
 * The role in force needs the right to read what it reads: cdp.profiles,
 * cdp.events, and for traits cdp_data.contribution_history and identifier.
 * Errors: a column of which nothing but the present value is known, by name.
 */
char *
expression_profile_as_of(List *columns, const char *clock, const char *person)
{
	MemoryContext caller_context = CurrentMemoryContext;
	StringInfoData list;
	StringInfoData sql;
	Joins		joins = {false, false, false};
	Datum	   *names = cdp_palloc_array(Datum, list_length(columns) + 1);
	int			count = 0;
	ListCell   *cell;
	Oid			types[] = {TEXTARRAYOID};
	Datum		arguments[1];

	foreach (cell, columns)
	{
		if (strcmp(lfirst(cell), "profile_id") != 0 && strcmp(lfirst(cell), "is_known") != 0)
			names[count++] = CStringGetTextDatum(lfirst(cell));
	}
	initStringInfo(&list);
	initStringInfo(&sql);
	appendStringInfoString(&list, "p.profile_id, p.is_known");
	if (count > 0)
	{
		arguments[0] = PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
		SPI_connect();
		if (SPI_execute_with_args("SELECT u.name, c.trait_key, c.type, c.survivorship, c.namespace_id IS NOT NULL,"
								  " COALESCE(t.history, false), x.expression_id IS NOT NULL"
								  " FROM pg_catalog.unnest($1) WITH ORDINALITY AS u(name, place)"
								  " LEFT JOIN cdp.profile_columns() AS c ON c.name OPERATOR(pg_catalog.=) u.name"
								  " LEFT JOIN cdp_data.trait AS t ON t.name OPERATOR(pg_catalog.=) u.name"
								  " LEFT JOIN cdp_data.expression AS x ON x.kind OPERATOR(pg_catalog.=) 'trait' AND x.name OPERATOR(pg_catalog.=) u.name"
								  " ORDER BY u.place",
								  1, types, arguments, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not look up the columns of cdp.profiles");
		for (uint64 i = 0; i < SPI_processed; i++)
			append_column(&list, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1), SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
						  clock, &joins);
		SPI_finish();
		MemoryContextSwitchTo(caller_context);
	}
	appendStringInfo(&sql, "SELECT %s FROM cdp.profiles AS p", list.data);
	if (joins.traits)
		append_traits(&sql, clock, person);
	if (joins.events)
		append_events(&sql, clock, person);
	if (joins.records)
		append_records(&sql, clock, person);
	if (person == NULL)
		appendStringInfo(&sql, " WHERE %s", expression_was_seen("p", clock));
	else
		appendStringInfo(&sql, " WHERE p.profile_id OPERATOR(pg_catalog.=) %s", person);
	return sql.data;
}

/* ---------- what has no earlier state ---------- */

/* Functions of the server that read tables. */
static bool
reads_tables(Oid function)
{
	switch (function)
	{
		case F_TABLE_TO_XML:
		case F_TABLE_TO_XML_AND_XMLSCHEMA:
		case F_SCHEMA_TO_XML:
		case F_SCHEMA_TO_XML_AND_XMLSCHEMA:
		case F_DATABASE_TO_XML:
		case F_DATABASE_TO_XML_AND_XMLSCHEMA:
			return true;
		default:
			return false;
	}
}

/*
 * Can the outcome of a function depend on when it is called?  Of those of the
 * server, only the clocks, which are taken care of elsewhere.  Normalisers of
 * ours depend on the library's release.
 */
static bool
is_timely(Oid function, void *context)
{
	Oid			schema;

	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	schema = get_func_namespace(function);
	if (schema == PG_CATALOG_NAMESPACE)
		return reads_tables(function);
	return !(schema == get_namespace_oid("cdp", true) && strncmp(get_func_name(function), "normalize", 9) == 0);
}

/* The function of a node of which is_timely holds. */
static bool
find_timely(Oid function, void *context)
{
	if (!is_timely(function, NULL))
		return false;
	*(Oid *) context = function;
	return true;
}

static bool
leakage_walker(Node *node, void *argument)
{
	Oid			function = InvalidOid;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = castNode(RangeTblEntry, node);

		if (entry->rtekind == RTE_RELATION)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("what relation %s held at an earlier time is not known",
							quote_qualified_identifier(get_namespace_name(get_rel_namespace(entry->relid)), get_rel_name(entry->relid))),
					 get_rel_namespace(entry->relid) == get_namespace_oid("cdp", true) ? errhint("Read events by aggregates over event, and traits by columns of profile.") : errhint("Make it a source of events, or of a trait with history, and read that.")));
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, leakage_walker, argument, QTW_EXAMINE_RTES_BEFORE);
	if (!IsA(node, CoerceViaIO) && check_functions_in_node(node, find_timely, &function))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("what function %s gave at an earlier time is not known, because it is not immutable", format_procedure(function)),
				 errhint("If its result depends on its arguments alone, declare it IMMUTABLE.")));
	return expression_tree_walker(node, leakage_walker, argument);
}

/* A query reads whatever it likes. */
void
expression_refuse_query(const Expression *expression)
{
	if (expression->is_query)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("segment \"%s\" is given by a query, and what that yielded at an earlier time is not known", expression->name),
				 errhint("Give the segment by a predicate; then it can be evaluated as of any time.")));
}

static void
leakage_error_callback(void *argument)
{
	const Expression *expression = argument;

	errcontext("%s \"%s\" as of an earlier time", expression->is_segment ? "segment" : "computed trait", expression->name);
}

/*
 * Refuses, by name, what the analysed form of an expression reads besides the
 * profile and its events: tables in sub-selects, and functions that may read
 * some.
 */
void
expression_refuse_leakage(Node *tree, const Expression *expression)
{
	ErrorContextCallback error_context;

	error_context.callback = leakage_error_callback;
	error_context.arg = (void *) expression;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;
	(void) leakage_walker(tree, NULL);
	error_context_stack = error_context.previous;
}
