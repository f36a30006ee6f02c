/*
 * expression_statement.c
 *		From analysed expressions to one statement.
 *
 * Aggregates over events are cut out of the expressions, equal ones once, and
 * go into a subquery:  for everybody one that groups the events by person and
 * is joined to cdp.profiles, for given people one that looks their events up.
 * What remains of the expressions is over cdp.profiles and the results of that
 * subquery.  The frame is analysed from text, the trees are put into it, and
 * PostgreSQL writes the whole as SQL again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "cdp.h"
#include "statement.h"
#include "trait/expression_as_of.h"
#include "trait/expression_tree.h"

/* Stand-ins, until the numbers of the relations in the frame are known. */
#define SUMMARY_RELATION	1001	/* results of aggregates */
#define NONE_RELATION		1002	/* of aggregates over no events */
#define POPULATION_RELATION	1003	/* people, each with a clock of its own */
#define DETAIL_RELATION		1004	/* of aggregates that read columns of profile or other results; one for each level */

#define POPULATION_AS_OF	2		/* its column that is the clock */

/* A row has at most 1,664 columns, of which some are those of the person. */
#define MAX_AGGREGATES	1600

/* So many different filters are worth a WHERE of their own. */
#define MAX_PREFILTERS		4

typedef struct Cutting
{
	ExpressionShape shape;
	List	   *summary;		/* aggregates, of the analysed form */
	List	   *details;		/* lists of aggregates, by level: each may read the results of those before */
	List	   *none;			/* those of the summary whose value over no events is not NULL */
	List	   *packed;			/* the summary of everybody by many expressions: what is evaluated for it */
	PackedPlace *places;		/* and where the aggregates of the summary are found in that */
	List	   *names;			/* of events (of Const), where their numbers stand in for them */
	int			depth;
} Cutting;

/* What the frame stands on. */
typedef struct Frame
{
	const char *clock;			/* SQL text of the parameter, as of a time; NULL: now, or a column of the population */
	List	   *columns;		/* as of a time: what is read of cdp.profiles, by number */
	Query	   *population;		/* NULL: none */
	int			share;			/* of people, from 0 */
	int			shares;			/* 0: everybody */
	bool		at_once;
} Frame;

/* Where the relations of the analysed form are in the frame. */
typedef struct Placing
{
	int			event;
	int			profile;
	int			segment;
	int			summary;
	int			none;
	List	   *details;		/* of int, by level */
	int			population;
	List	   *columns;		/* of profile as of a time: their numbers in the view; NIL: profile is the view */
	int			shift;			/* levels by which the tree moves outwards */
	int			depth;
} Placing;

/* ---------- cutting aggregates out ---------- */

typedef struct Reading
{
	bool		is_outer;		/* columns of profile, segment or population */
	int			level;			/* of the results of aggregates: 0 none, 1 summary, from 2 on detail */
	int			depth;
} Reading;

static bool
reading_walker(Node *node, void *argument)
{
	Reading	   *reading = argument;

	if (node == NULL)
		return false;
	if (IsA(node, Var) && (int) castNode(Var, node)->varlevelsup == reading->depth + OUTER_LEVEL)
	{
		int			relation = castNode(Var, node)->varno;

		if (relation == SUMMARY_RELATION || relation == NONE_RELATION)
			reading->level = Max(reading->level, 1);
		else if (relation >= DETAIL_RELATION)
			reading->level = Max(reading->level, relation - DETAIL_RELATION + 2);
		else
			reading->is_outer = true;
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		reading->depth++;
		result = query_tree_walker((Query *) node, reading_walker, argument, 0);
		reading->depth--;
		return result;
	}
	return expression_tree_walker(node, reading_walker, argument);
}

/* The place of an aggregate among others, from 1; equal ones share one. */
static int
place_of(List **aggregates, Node *aggregate)
{
	ListCell   *cell;

	foreach (cell, *aggregates)
		if (equal(lfirst(cell), aggregate))
			return foreach_current_index(cell) + 1;
	*aggregates = lappend(*aggregates, aggregate);
	return list_length(*aggregates);
}

/* Is the result over no rows NULL for sure? */
static bool
is_null_when_empty(const Aggref *aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));
	Form_pg_aggregate form;
	bool		has_initial;
	bool		result;

	/* of PostgreSQL's own ones, all but those that count and those for hypothetical rows */
	if (aggregate->aggfnoid < FirstGenbkiObjectId && aggregate->aggkind != AGGKIND_HYPOTHETICAL)
	{
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		return aggregate->aggfnoid != F_COUNT_ && aggregate->aggfnoid != F_COUNT_ANY && aggregate->aggfnoid != F_REGR_COUNT;
	}
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	(void) SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &has_initial);
	has_initial = !has_initial;
	result = !has_initial && (!OidIsValid(form->aggfinalfn) || func_strict(form->aggfinalfn));
	ReleaseSysCache(tuple);
	return result;
}

static Var *
result_var(int relation, int number, const Aggref *aggregate, int depth)
{
	return makeVar(relation, number, aggregate->aggtype, -1, aggregate->aggcollid, depth + OUTER_LEVEL);
}

static Node *cut_mutator(Node *node, void *argument);

static Node *
cut_aggregate(Cutting *cutting, Aggref *given)
{
	Aggref	   *aggregate = copyObject(given);
	Reading		reading = {0};
	int			depth = cutting->depth;
	Var		   *result;

	/* one within a subquery moves out of it */
	if (cutting->depth > 0)
		IncrementVarSublevelsUp((Node *) aggregate, -cutting->depth, cutting->depth);

	/* those in it, of expressions that it refers to, are evaluated before */
	cutting->depth = 0;
	aggregate = (Aggref *) expression_tree_mutator((Node *) aggregate, cut_mutator, cutting);
	cutting->depth = depth;
	(void) reading_walker((Node *) aggregate, &reading);
	if (reading.level > 0 || (reading.is_outer && cutting->shape != EXPRESSION_GIVEN))
	{
		int			level = Max(reading.level - 1, 0);

		while (list_length(cutting->details) <= level)
			cutting->details = lappend(cutting->details, NIL);
		return (Node *) result_var(DETAIL_RELATION + level, place_of((List **) &lfirst(list_nth_cell(cutting->details, level)), (Node *) aggregate),
								   aggregate, depth);
	}

	/* the first column of the summary of everybody is the person */
	result = result_var(SUMMARY_RELATION, place_of(&cutting->summary, (Node *) aggregate) + (cutting->shape == EXPRESSION_GIVEN ? 0 : 1),
						aggregate, cutting->depth);
	if (cutting->shape == EXPRESSION_GIVEN || is_null_when_empty(aggregate))
		return (Node *) result;

	/* who has no events is not in the summary */
	if (aggregate->aggfnoid == F_COUNT_ || aggregate->aggfnoid == F_COUNT_ANY)
	{
		CoalesceExpr *coalesce = makeNode(CoalesceExpr);

		coalesce->coalescetype = INT8OID;
		coalesce->args = list_make2(result, makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
		coalesce->location = -1;
		return (Node *) coalesce;
	}
	else
	{
		CaseExpr   *choice = makeNode(CaseExpr);
		CaseWhen   *when = makeNode(CaseWhen);
		NullTest   *test = makeNode(NullTest);

		test->arg = (Expr *) makeVar(SUMMARY_RELATION, 1, INT8OID, -1, InvalidOid, cutting->depth + OUTER_LEVEL);
		test->nulltesttype = IS_NULL;
		test->location = -1;
		when->expr = (Expr *) test;
		when->result = (Expr *) result_var(NONE_RELATION, place_of(&cutting->none, (Node *) aggregate), aggregate, cutting->depth);
		when->location = -1;
		choice->casetype = aggregate->aggtype;
		choice->casecollid = aggregate->aggcollid;
		choice->args = list_make1(when);
		choice->defresult = (Expr *) result;
		choice->location = -1;
		return (Node *) choice;
	}
}

#if PG_VERSION_NUM >= 160000
/* The value in the place of the stand-in that a conversion has for it. */
static Node *
convert_mutator(Node *node, void *value)
{
	if (node == NULL || IsA(node, CaseTestExpr))
		return node == NULL ? NULL : value;
	return expression_tree_mutator(node, convert_mutator, value);
}
#endif

static Node *
cut_mutator(Node *node, void *argument)
{
	Cutting	   *cutting = argument;

	if (node == NULL)
		return NULL;
#if PG_VERSION_NUM >= 160000
	/* JSON_ARRAYAGG and JSON_OBJECTAGG are aggregates in a wrapper, which cannot be written around anything else */
	if (IsA(node, JsonConstructorExpr) && castNode(JsonConstructorExpr, node)->func != NULL && IsA(castNode(JsonConstructorExpr, node)->func, Aggref))
	{
		Node	   *value = cut_mutator((Node *) castNode(JsonConstructorExpr, node)->func, argument);
		Node	   *conversion = (Node *) castNode(JsonConstructorExpr, node)->coercion;

		return conversion == NULL ? value : convert_mutator(conversion, value);
	}
#endif
	if (IsA(node, Aggref) && (int) castNode(Aggref, node)->agglevelsup == cutting->depth)
		return cut_aggregate(cutting, castNode(Aggref, node));
	if (IsA(node, Query))
	{
		Query	   *result;

		cutting->depth++;
		result = query_tree_mutator((Query *) node, cut_mutator, argument, 0);
		cutting->depth--;
		return (Node *) result;
	}
	return expression_tree_mutator(node, cut_mutator, argument);
}

/* Fewer than PostgreSQL could put into one row. */
static void
check_aggregates(const Cutting *cutting, bool is_realtime)
{
	int			count = list_length(cutting->summary);
	ListCell   *cell;

	foreach (cell, cutting->details)
		count = Max(count, list_length(lfirst(cell)));
	if (count > MAX_AGGREGATES)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("more than %d different aggregates over events cannot be evaluated together", MAX_AGGREGATES),
				 errdetail("There are %d, with those of expressions that are referred to and of windows of time that close.", count),
				 is_realtime ? errhint("Ask for fewer, or use refresh => 'batch'.") : errhint("Ask for fewer, or give the segment as a query.")));
}

/*
 * Raises an error for an expression of the analysed form that no statement can
 * evaluate, in real time with the times at which the clock changes it.
 */
void
expression_check_aggregates(const Compilation *compilation, Node *tree, bool is_realtime)
{
	Cutting		cutting = {.shape = EXPRESSION_EVERYBODY};
	Node	   *clock = (Node *) makeFuncExpr(F_NOW, TIMESTAMPTZOID, NIL, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

	(void) cut_mutator(tree, &cutting);
	if (is_realtime)
		(void) cut_mutator(clock_due(clock_windows(tree), clock, compilation->owner.time_zone), &cutting);
	check_aggregates(&cutting, is_realtime);
}

/* ---------- columns of profile ---------- */

typedef struct Columns
{
	List	   *numbers;		/* in cdp.profiles */
	int			depth;
} Columns;

static bool
columns_walker(Node *node, void *argument)
{
	Columns	   *columns = argument;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = castNode(Var, node);

		if ((int) var->varlevelsup == columns->depth + OUTER_LEVEL && var->varno == PROFILE_RELATION)
			columns->numbers = list_append_unique_int(columns->numbers, var->varattno);
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		columns->depth++;
		result = query_tree_walker((Query *) node, columns_walker, argument, 0);
		columns->depth--;
		return result;
	}
	return expression_tree_walker(node, columns_walker, argument);
}

/* Adds the columns of cdp.profiles that a tree of the analysed form reads. */
static void
add_columns(List **numbers, Node *tree)
{
	Columns		columns = {.numbers = *numbers};

	(void) columns_walker(tree, &columns);
	*numbers = columns.numbers;
}

static AttrNumber
column_place(List *numbers, AttrNumber number)
{
	ListCell   *cell;

	foreach (cell, numbers)
		if (lfirst_int(cell) == number)
			return foreach_current_index(cell) + 1;
	elog(ERROR, "column %d of cdp.profiles was not expected", number);
}

/* What stands in for cdp.profiles as of a time. */
static char *
profile_as_of(const Compilation *compilation, List *numbers, const char *clock, const char *person)
{
	List	   *names = NIL;
	ListCell   *cell;
	char	   *result;

	foreach (cell, numbers)
		names = lappend(names, get_attname(compilation->profiles, lfirst_int(cell), false));
	source_owner_suspend(&compilation->owner);
	result = expression_profile_as_of(names, clock, person);
	source_owner_resume(&compilation->owner);
	return result;
}

/* ---------- putting trees into the frame ---------- */

static Node *
place_mutator(Node *node, void *argument)
{
	Placing	   *placing = argument;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject(castNode(Var, node));
		int			level = (int) var->varlevelsup - placing->depth;

		if (level < 0)
			return (Node *) var;
		if (level == EVENT_LEVEL)
			var->varno = placing->event;
		else if (var->varno == PROFILE_RELATION)
		{
			var->varno = placing->profile;
			if (placing->columns != NIL)
				var->varattno = column_place(placing->columns, var->varattno);
		}
		else if (var->varno == POPULATION_RELATION)
			var->varno = placing->population;
		else if (var->varno == SEGMENT_RELATION)
			var->varno = placing->segment;
		else if (var->varno == SUMMARY_RELATION)
			var->varno = placing->summary;
		else if (var->varno == NONE_RELATION)
			var->varno = placing->none;
		else
			var->varno = list_nth_int(placing->details, var->varno - DETAIL_RELATION);
		var->varlevelsup -= placing->shift;
		var->varnosyn = var->varno;
		var->varattnosyn = var->varattno;
		return (Node *) var;
	}
	if (IsA(node, Query))
	{
		Query	   *result;

		placing->depth++;
		result = query_tree_mutator((Query *) node, place_mutator, argument, 0);
		placing->depth--;
		return (Node *) result;
	}
	return expression_tree_mutator(node, place_mutator, argument);
}

/* The number of the relation of that name; 0: there is none. */
static int
relation_number(const Query *query, const char *name)
{
	ListCell   *cell;

	foreach (cell, query->rtable)
		if (strcmp(lfirst_node(RangeTblEntry, cell)->eref->aliasname, name) == 0)
			return foreach_current_index(cell) + 1;
	return 0;
}

static void
add_condition(Query *query, Node *condition)
{
	query->jointree->quals = make_and_qual(query->jointree->quals, condition);
	query->hasSubLinks |= checkExprHasSubLink(condition);
}

static void
set_target(Query *query, int number, Node *tree)
{
	TargetEntry *target = list_nth_node(TargetEntry, query->targetList, number - 1);

	target->expr = (Expr *) tree;
	query->hasSubLinks |= checkExprHasSubLink(tree);
}

/*
 * The events that the aggregates of a subquery need, where that is said by few
 * conditions; NULL: perhaps all.
 */
static Node *
prefilter(List *aggregates)
{
	List	   *filters = NIL;
	ListCell   *cell;

	foreach (cell, aggregates)
	{
		Aggref	   *aggregate = lfirst_node(Aggref, cell);

		if (aggregate->aggfilter == NULL)
			return NULL;
		filters = list_append_unique(filters, aggregate->aggfilter);
		if (list_length(filters) > MAX_PREFILTERS)
			return NULL;
	}
	if (filters == NIL)
		return NULL;
	return list_length(filters) == 1 ? linitial(filters) : (Node *) makeBoolExpr(OR_EXPR, filters, -1);
}

/* Fills a grouped query over events with aggregates, of which the first has that number among its columns. */
static void
fill_query(Query *subquery, Placing placing, List *aggregates, int first, Node *condition)
{
	ListCell   *cell;

	placing.event = relation_number(subquery, "event");
	foreach (cell, aggregates)
		set_target(subquery, first + foreach_current_index(cell), place_mutator(lfirst(cell), &placing));
	subquery->hasAggs = true;
	if (condition != NULL)
		add_condition(subquery, place_mutator(copyObject(condition), &placing));
}

static Query *
subquery_of(Query *query, const char *name)
{
	return list_nth_node(RangeTblEntry, query->rtable, relation_number(query, name) - 1)->subquery;
}

/* The same for a subquery of that name. */
static void
fill_subquery(Query *query, Placing placing, const char *name, List *aggregates, int first, Node *condition)
{
	if (relation_number(query, name) != 0)
		fill_query(subquery_of(query, name), placing, aggregates, first, condition);
}

/* Fills the summary of everybody by many expressions, which has a query of its own below it. */
static void
fill_packed(Query *query, const Compilation *compilation, const Placing *placing, const Cutting *cutting, Node *condition, bool *at_once)
{
	Query	   *summary = subquery_of(query, "summary");
	Query	   *packed = subquery_of(summary, "packed");
	int			number = relation_number(summary, "packed");
	List	   *aggregates = NIL;
	ListCell   *cell;

	foreach (cell, cutting->packed)
		aggregates = lappend(aggregates, pack_constants(lfirst(cell), at_once));
	if (cutting->names != NIL)
	{
		/* events with the numbers of their names, and what they need to fulfil */
		Query	   *events = subquery_of(packed, "event");
		Placing		inner = *placing;

		inner.event = relation_number(events, "event");
		set_target(events, list_length(events->targetList), place_mutator(packed_number(cutting->names, get_attnum(compilation->events, "event_name")), &inner));
		if (condition != NULL)
			add_condition(events, place_mutator(copyObject(condition), &inner));
		condition = NULL;
	}
	fill_query(packed, *placing, aggregates, 2, condition);
	for (int i = 0; i < list_length(cutting->summary); i++)
		set_target(summary, 2 + i, packed_result(cutting->packed, cutting->places[i], number, 2));
}

/* ---------- the frame ---------- */

static void
append_null_columns(StringInfo sql, int count)
{
	for (int i = 1; i <= count; i++)
		appendStringInfo(sql, "%sNULL AS value_%d", i == 1 ? "" : ", ", i);
}

/*
 * Of the people of a relation, those of the share.  By the planner's estimate a
 * third of them pass, whichever share it is; an equality would be taken for a
 * handful.  Ids come from a sequence, so they are positive, each has one share,
 * and the sum does not come to the end of the type.
 */
static void
append_share(StringInfo sql, const Frame *frame, const char *relation)
{
	if (frame->shares > 0)
		appendStringInfo(sql, " WHERE ((%s.profile_id OPERATOR(pg_catalog.+) %d) OPERATOR(pg_catalog.%%) %d) OPERATOR(pg_catalog.<) 1", relation, frame->share, frame->shares);
}

static char *
detail_name(int level)
{
	return level == 0 ? pstrdup("detail") : psprintf("detail_%d", level + 1);
}

/* The population, as it was given, and who its people are today; the query itself is put in later. */
static void
append_population(StringInfo sql, const Query *population)
{
	ListCell   *cell;
	const char *separator = "";

	appendStringInfoString(sql, " FROM (SELECT CAST(given.profile_id AS bigint) AS profile_id, given.as_of, given.label, cdp.canonical_id(given.profile_id) AS person FROM (SELECT ");
	foreach (cell, population->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (target->resjunk)
			continue;
		appendStringInfo(sql, "%sNULL::%s AS %s", separator,
						 format_type_extended(exprType((Node *) target->expr), exprTypmod((Node *) target->expr), FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
						 quote_identifier(target->resname));
		separator = ", ";
	}
	/* each person is looked up once */
	appendStringInfoString(sql, ") AS given WHERE given.profile_id IS NOT NULL AND given.as_of IS NOT NULL OFFSET 0) AS population");
}

/* FROM and WHERE of the statement, without the trees. */
static void
append_frame(StringInfo sql, const Compilation *compilation, const Cutting *cutting, const Frame *frame)
{
	ListCell   *cell;
	const char *person = frame->population != NULL ? "population.person" : "profile.profile_id";

	if (frame->population != NULL)
	{
		append_population(sql, frame->population);
		appendStringInfo(sql, " LEFT JOIN LATERAL (%s) AS profile ON true", profile_as_of(compilation, frame->columns, "population.as_of", person));
	}
	else if (frame->clock == NULL)
		appendStringInfoString(sql, " FROM cdp.profiles AS profile");
	else if (cutting->shape == EXPRESSION_GIVEN)
		appendStringInfo(sql, " FROM (SELECT DISTINCT u.profile_id FROM pg_catalog.unnest($1) AS u(profile_id)) AS given CROSS JOIN LATERAL (%s) AS profile",
						 profile_as_of(compilation, frame->columns, frame->clock, "given.profile_id"));
	else
		appendStringInfo(sql, " FROM (%s) AS profile", profile_as_of(compilation, frame->columns, frame->clock, NULL));
	if (compilation->stored_segments != NIL)
	{
		appendStringInfoString(sql, " CROSS JOIN LATERAL (SELECT ");
		foreach (cell, compilation->stored_segments)
			appendStringInfo(sql, "%sEXISTS (SELECT FROM cdp.segment_members AS member WHERE member.segment OPERATOR(pg_catalog.=) %s AND member.profile_id OPERATOR(pg_catalog.=) profile.profile_id) AS %s",
							 foreach_current_index(cell) == 0 ? "" : ", ", quote_literal_cstr(lfirst(cell)), quote_identifier(lfirst(cell)));
		appendStringInfoString(sql, ") AS segment");
	}
	if (cutting->summary != NIL && cutting->shape == EXPRESSION_GIVEN)
	{
		appendStringInfoString(sql, " CROSS JOIN LATERAL (SELECT ");
		append_null_columns(sql, list_length(cutting->summary));
		appendStringInfo(sql, " FROM cdp.events AS event WHERE event.profile_id OPERATOR(pg_catalog.=) %s) AS summary", person);
	}
	else if (cutting->packed != NIL)
	{
		appendStringInfoString(sql, " LEFT JOIN (SELECT packed.profile_id, ");
		append_null_columns(sql, list_length(cutting->summary));
		appendStringInfoString(sql, " FROM (SELECT event.profile_id, ");
		append_null_columns(sql, list_length(cutting->packed));
		/* with OFFSET, so that the number is found once for each event; of type bigint, or the planner has to assume that it limits the rows, which cannot be done in parallel */
		appendStringInfoString(sql, cutting->names != NIL ? " FROM (SELECT event.*, 0 AS name_number FROM cdp.events AS event" : " FROM cdp.events AS event");
		append_share(sql, frame, "event");
		if (cutting->names != NIL)
			appendStringInfoString(sql, " OFFSET '0') AS event");
		appendStringInfoString(sql, " GROUP BY event.profile_id) AS packed) AS summary ON summary.profile_id OPERATOR(pg_catalog.=) profile.profile_id");
	}
	else if (cutting->summary != NIL)
	{
		appendStringInfoString(sql, " LEFT JOIN (SELECT event.profile_id, ");
		append_null_columns(sql, list_length(cutting->summary));
		appendStringInfoString(sql, " FROM cdp.events AS event");
		append_share(sql, frame, "event");
		appendStringInfoString(sql, " GROUP BY event.profile_id) AS summary ON summary.profile_id OPERATOR(pg_catalog.=) profile.profile_id");
	}
	if (cutting->none != NIL)
	{
		appendStringInfoString(sql, " CROSS JOIN (SELECT ");
		append_null_columns(sql, list_length(cutting->none));
		appendStringInfoString(sql, " FROM cdp.events AS event WHERE false) AS none");
	}
	foreach (cell, cutting->details)
	{
		appendStringInfoString(sql, " CROSS JOIN LATERAL (SELECT ");
		append_null_columns(sql, list_length(lfirst(cell)));
		appendStringInfo(sql, " FROM cdp.events AS event WHERE event.profile_id OPERATOR(pg_catalog.=) %s) AS %s", person, detail_name(foreach_current_index(cell)));
	}
	if (cutting->shape == EXPRESSION_GIVEN && frame->clock == NULL && frame->population == NULL)
		appendStringInfoString(sql, " WHERE profile.profile_id OPERATOR(pg_catalog.=) ANY ($1)");
	append_share(sql, frame, "profile");
}

/* event.occurred_at <= clock */
static Node *
until_clock(const Compilation *compilation, Node *clock)
{
	AttrNumber	number = get_attnum(compilation->events, "occurred_at");
	OpExpr	   *comparison = makeNode(OpExpr);

	if (number == InvalidAttrNumber)
		elog(ERROR, "view cdp.events has no column occurred_at");
	comparison->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("<=")), TIMESTAMPTZOID, TIMESTAMPTZOID);
	comparison->opfuncid = get_opcode(comparison->opno);
	comparison->opresulttype = BOOLOID;
	comparison->args = list_make2(makeVar(EVENT_RELATION, number, TIMESTAMPTZOID, -1, InvalidOid, EVENT_LEVEL), copyObject(clock));
	comparison->location = -1;
	return (Node *) comparison;
}

static Node *
both(Node *a, Node *b)
{
	return a == NULL ? b : b == NULL ? a
									 : make_and_qual(copyObject(a), copyObject(b));
}

/* Membership that is read as it is stored was another one at an earlier time. */
static void
refuse_stored_segments(const Compilation *compilation)
{
	if (compilation->stored_segments != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("who was in segment \"%s\" at an earlier time cannot be evaluated", (char *) linitial(compilation->stored_segments)),
				 errdetail("It is given by a query, or belongs to another role, or has another time zone or search_path."),
				 errhint("Declare a segment of the same predicate for this role and these settings.")));
}

/* The statement as SQL that means the same under any search_path. */
static char *
sql_of(Query *query)
{
	int			level = NewGUCNestLevel();
	char	   *result;

	cdp_set_option("search_path", "pg_catalog");
	result = pg_get_querydef(query, false);
	AtEOXact_GUC(false, level);
	return result;
}

static AttrNumber
column_count(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	AttrNumber	result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	result = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	return result;
}

/* NULL: of several shares, for expressions that read no events. */
static char *
compile(List *expressions, ExpressionShape shape, int flags, Query *population, int share, int shares)
{
	Compilation compilation;
	Cutting		cutting = {.shape = shape};
	Frame		frame = {.population = population, .share = share, .shares = shares, .at_once = (flags & EXPRESSION_AT_ONCE) != 0};
	Placing		outer = {.shift = 1};
	Placing		inner = {0};
	Oid			types[2];
	int			parameter_count = 0;
	List	   *trees = NIL;
	List	   *windows = NIL;
	Node	   *clock;
	Node	   *due = NULL;
	Node	   *hidden = NULL;
	StringInfoData sql;
	List	   *statements;
	Query	   *query;
	ListCell   *cell;
	char	   *result;
	int			number = 1;

	compilation_begin(&compilation, linitial(expressions));
	if (population != NULL)
	{
		number = 3;
		clock = (Node *) makeVar(POPULATION_RELATION, POPULATION_AS_OF, TIMESTAMPTZOID, -1, InvalidOid, OUTER_LEVEL);
	}
	else if (shape == EXPRESSION_GIVEN)
		types[parameter_count++] = INT8ARRAYOID;
	if (population == NULL && (flags & EXPRESSION_AS_OF))
	{
		Param	   *param = makeNode(Param);

		types[parameter_count++] = TIMESTAMPTZOID;
		param->paramkind = PARAM_EXTERN;
		param->paramid = parameter_count;
		param->paramtype = TIMESTAMPTZOID;
		param->paramtypmod = -1;
		param->location = -1;
		clock = (Node *) param;
		frame.clock = psprintf("$%d", parameter_count);
	}
	else if (population == NULL)
		clock = (Node *) makeFuncExpr(F_NOW, TIMESTAMPTZOID, NIL, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	if (flags & EXPRESSION_AS_OF)
	{
		hidden = until_clock(&compilation, clock);
		/* the person is always there */
		frame.columns = list_make2_int(get_attnum(compilation.profiles, "profile_id"), get_attnum(compilation.profiles, "is_known"));
	}

	foreach (cell, expressions)
	{
		Expression *expression = lfirst(cell);
		Node	   *tree = expression->is_segment ? expression_condition(&compilation, expression) : expression_analyse(&compilation, expression, NULL);

		/* what is evaluated by refreshes alone waits for one anyway */
		if ((flags & EXPRESSION_DUE) && expression->is_realtime)
			windows = list_concat(windows, clock_windows(tree));
		if (flags & EXPRESSION_AS_OF)
		{
			refuse_stored_segments(&compilation);
			expression_refuse_leakage(tree, expression);
			tree = clock_replace(tree, clock);
			add_columns(&frame.columns, tree);
		}
		trees = lappend(trees, cut_mutator(tree, &cutting));
	}
	if (flags & EXPRESSION_DUE)
	{
		due = clock_due(windows, clock, compilation.owner.time_zone);
		if (due == NULL)
			due = (Node *) makeNullConst(TIMESTAMPTZOID, -1, InvalidOid);
		if (flags & EXPRESSION_AS_OF)
			due = clock_replace(due, clock);
		due = cut_mutator(due, &cutting);
	}

	check_aggregates(&cutting, (flags & EXPRESSION_DUE) != 0);
	if (shape == EXPRESSION_EVERYBODY && population == NULL)
		cutting.packed = pack_counts(cutting.summary, get_attnum(compilation.events, "event_name"), &cutting.places);
	if (cutting.packed != NIL && frame.at_once)
		cutting.packed = pack_names(cutting.packed, get_attnum(compilation.events, "event_name"), column_count(compilation.events) + 1, &cutting.names);
	if (shares > 0 && cutting.summary == NIL && cutting.details == NIL)
	{
		compilation_end(&compilation);
		return NULL;
	}

	initStringInfo(&sql);
	appendStringInfoString(&sql, population != NULL ? "SELECT population.profile_id, population.as_of, population.label" : "SELECT profile.profile_id");
	if (shape != EXPRESSION_MEMBERS)
		foreach (cell, expressions)
			appendStringInfo(&sql, ", NULL AS %s", quote_identifier(((Expression *) lfirst(cell))->name[0] == '\0' ? "value" : ((Expression *) lfirst(cell))->name));
	if (flags & EXPRESSION_DUE)
		appendStringInfoString(&sql, ", NULL AS due_at");
	append_frame(&sql, &compilation, &cutting, &frame);

	statements = raw_parser(sql.data, RAW_PARSE_DEFAULT);
	query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql.data, types, parameter_count, NULL);
	if (population != NULL)
	{
		RangeTblEntry *given;

		outer.population = inner.population = relation_number(query, "population");
		given = list_nth_node(RangeTblEntry, query->rtable, outer.population - 1);
		given = list_nth_node(RangeTblEntry, given->subquery->rtable, relation_number(given->subquery, "given") - 1);
		given->subquery = population;
	}
	outer.columns = inner.columns = frame.columns;
	outer.profile = inner.profile = relation_number(query, "profile");
	outer.segment = inner.segment = relation_number(query, "segment");
	outer.summary = inner.summary = relation_number(query, "summary");
	outer.none = inner.none = relation_number(query, "none");
	foreach (cell, cutting.details)
		outer.details = lappend_int(outer.details, relation_number(query, detail_name(foreach_current_index(cell))));
	inner.details = outer.details;
	if (cutting.packed != NIL)
		fill_packed(query, &compilation, &inner, &cutting, both(prefilter(cutting.summary), hidden), frame.at_once ? &frame.at_once : NULL);
	else
		fill_subquery(query, inner, "summary", cutting.summary, shape == EXPRESSION_GIVEN ? 1 : 2, both(prefilter(cutting.summary), hidden));
	foreach (cell, cutting.details)
		fill_subquery(query, inner, detail_name(foreach_current_index(cell)), lfirst(cell), 1, both(prefilter(lfirst(cell)), hidden));
	fill_subquery(query, inner, "none", cutting.none, 1, NULL);
	foreach (cell, trees)
	{
		Node	   *tree = place_mutator(lfirst(cell), &outer);

		if (shape == EXPRESSION_MEMBERS)
			add_condition(query, tree);
		else
			set_target(query, ++number, tree);
	}
	if (due != NULL)
		set_target(query, ++number, place_mutator(due, &outer));
	result = sql_of(query);
	compilation_end(&compilation);
	return result;
}

/*
 * The statement that evaluates expressions of one owner and settings, none of
 * them a query, as SQL.  Its columns: profile_id bigint, one for each
 * expression (segments: boolean, never NULL), and with EXPRESSION_DUE due_at.
 *
 * Errors: those of the analysis; with EXPRESSION_AS_OF also what is not known
 * of an earlier time.
 */
char *
expression_statement(List *expressions, ExpressionShape shape, int flags)
{
	return compile(expressions, shape, flags, NULL, 0, 0);
}

/*
 * The same for everybody, one query for each share of the people (2 or more),
 * which several processes can evaluate side by side.  NULL: it is not worth it,
 * since no events are read.
 */
char *
expression_shared_statement(List *expressions, int flags, int shares)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int share = 0; share < shares; share++)
	{
		char	   *part = compile(expressions, EXPRESSION_EVERYBODY, flags, NULL, share, shares);

		if (part == NULL)
			return NULL;
		appendStringInfo(&sql, "%s(%s)", share == 0 ? "" : " UNION ALL ", part);
		pfree(part);
	}
	return sql.data;
}

/*
 * The same for people who are each looked at as of a time of their own.  The
 * population is an analysed query with columns profile_id (a type of integers),
 * as_of (timestamptz) and label; its rows without profile_id or as_of give none,
 * each other one gives one.  The statement has these columns, profile_id as
 * bigint, and one for each expression.
 */
char *
expression_training_statement(List *expressions, Query *population)
{
	return compile(expressions, EXPRESSION_GIVEN, EXPRESSION_AS_OF, population, 0, 0);
}

/* ---------- values as the types of their columns ---------- */

/* Whether the columns of a statement have these types; InvalidOid: any will do. */
bool
expression_has_types(TupleDesc given, const Oid *types)
{
	for (int i = 0; i < given->natts; i++)
		if (OidIsValid(types[i]) && types[i] != TupleDescAttr(given, i)->atttypid)
			return false;
	return true;
}

/*
 * A compiled statement with columns cast to these types (InvalidOid: as they
 * are).  A cast may be a function of anybody's, so it belongs to what runs with
 * the rights and settings of the owner.  NULL: they have these types.
 */
char *
expression_cast(const char *sql, TupleDesc given, const Oid *types)
{
	StringInfoData targets;
	StringInfoData names;

	if (expression_has_types(given, types))
		return NULL;
	initStringInfo(&targets);
	initStringInfo(&names);
	for (int i = 0; i < given->natts; i++)
	{
		const char *separator = i > 0 ? ", " : "";

		appendStringInfo(&names, "%sc%d", separator, i);
		if (!OidIsValid(types[i]) || types[i] == TupleDescAttr(given, i)->atttypid)
			appendStringInfo(&targets, "%ss.c%d", separator, i);
		else if (types[i] == JSONBOID)
			appendStringInfo(&targets, "%spg_catalog.to_jsonb(s.c%d)", separator, i);
		else
			appendStringInfo(&targets, "%ss.c%d::%s", separator, i, format_type_be_qualified(types[i]));
	}
	return psprintf("SELECT %s FROM (%s) AS s(%s)", targets.data, sql, names.data);
}
