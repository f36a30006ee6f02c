/*
 * expression_facts.c
 *		What an analysed expression reads: names of events, properties, windows,
 *		functions and relations.  Dispatch of real-time changes and the view
 *		cdp.segment_dependencies go by these.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "cdp.h"
#include "trait/expression_tree.h"

/* Columns of cdp.events that are no properties. */
static const char *const event_columns[] = {
	"profile_id", "event_name", "occurred_at", "source", "record_key", "observed_at"};

typedef struct Collecting
{
	const Compilation *compilation;
	ExpressionFacts *facts;
	int			depth;
} Collecting;

/* Notes a fact, once. */
void
expression_fact(ExpressionFacts *facts, const char *kind, const char *name)
{
	ListCell   *kind_cell;
	ListCell   *name_cell;

	forboth (kind_cell, facts->kinds, name_cell, facts->names)
	{
		if (strcmp(lfirst(kind_cell), kind) == 0 && strcmp(lfirst(name_cell), name) == 0)
			return;
	}
	facts->kinds = lappend(facts->kinds, pstrdup(kind));
	facts->names = lappend(facts->names, pstrdup(name));
}

/*
 * The one expression of a SELECT list that we wrote, analysed.
 */
Node *
expression_single(const char *sql)
{
	List	   *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
	Query	   *query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, NULL, 0, NULL);

	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

/* ---------- names of events ---------- */

/* The column event_name, perhaps relabelled. */
static bool
is_event_name(const Collecting *collecting, Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) castNode(RelabelType, node)->arg;
	return node != NULL && IsA(node, Var) && (int) castNode(Var, node)->varlevelsup == collecting->depth + EVENT_LEVEL &&
		castNode(Var, node)->varno == EVENT_RELATION &&
		strcmp(get_attname(collecting->compilation->events, castNode(Var, node)->varattno, false), "event_name") == 0;
}

static Const *
text_constant(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) castNode(RelabelType, node)->arg;
	if (node != NULL && IsA(node, Const) && !castNode(Const, node)->constisnull &&
		(castNode(Const, node)->consttype == TEXTOID || castNode(Const, node)->consttype == VARCHAROID))
		return castNode(Const, node);
	return NULL;
}

static bool
is_deterministic(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/*
 * The names that a condition lets pass, as list of char; false when it may let
 * others pass too.
 */
static bool
names_of_condition(const Collecting *collecting, Node *condition, List **names)
{
	*names = NIL;
	if (IsA(condition, OpExpr) && castNode(OpExpr, condition)->opfuncid == F_TEXTEQ && is_deterministic(castNode(OpExpr, condition)->inputcollid))
	{
		List	   *args = castNode(OpExpr, condition)->args;
		Const	   *constant = NULL;

		if (is_event_name(collecting, linitial(args)))
			constant = text_constant(lsecond(args));
		else if (is_event_name(collecting, lsecond(args)))
			constant = text_constant(linitial(args));
		if (constant != NULL)
			*names = list_make1(TextDatumGetCString(constant->constvalue));
		return constant != NULL;
	}
	if (IsA(condition, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *any = castNode(ScalarArrayOpExpr, condition);
		Node	   *array = lsecond(any->args);

		if (!any->useOr || get_opcode(any->opno) != F_TEXTEQ || !is_deterministic(any->inputcollid) || !is_event_name(collecting, linitial(any->args)))
			return false;
		while (IsA(array, RelabelType))
			array = (Node *) castNode(RelabelType, array)->arg;
		if (IsA(array, ArrayExpr) && !castNode(ArrayExpr, array)->multidims)
		{
			ListCell   *cell;

			foreach (cell, castNode(ArrayExpr, array)->elements)
			{
				Const	   *constant = text_constant(lfirst(cell));

				if (constant == NULL)
					return false;
				*names = lappend(*names, TextDatumGetCString(constant->constvalue));
			}
			return true;
		}
		if (IsA(array, Const) && !castNode(Const, array)->constisnull && castNode(Const, array)->consttype == TEXTARRAYOID)
		{
			Datum	   *elements;
			bool	   *nulls;
			int			count;

			deconstruct_array(DatumGetArrayTypeP(castNode(Const, array)->constvalue), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
			for (int i = 0; i < count; i++)
				if (!nulls[i])
					*names = lappend(*names, TextDatumGetCString(elements[i]));
			return true;
		}
		return false;
	}
	if (is_orclause(condition))
	{
		ListCell   *cell;

		foreach (cell, castNode(BoolExpr, condition)->args)
		{
			List	   *more;

			if (!names_of_condition(collecting, lfirst(cell), &more))
				return false;
			*names = list_concat(*names, more);
		}
		return true;
	}
	if (is_andclause(condition))
	{
		ListCell   *cell;

		foreach (cell, castNode(BoolExpr, condition)->args)
			if (names_of_condition(collecting, lfirst(cell), names))
				return true;
	}
	return false;
}

/* Which events an aggregate reads; '*' stands for any. */
static void
note_event_names(Collecting *collecting, const Aggref *aggregate)
{
	List	   *names;
	ListCell   *cell;

	if (aggregate->aggfilter == NULL || !names_of_condition(collecting, (Node *) aggregate->aggfilter, &names))
	{
		expression_fact(collecting->facts, "event_name", "*");
		return;
	}
	foreach (cell, names)
		expression_fact(collecting->facts, "event_name", lfirst(cell));
}

/* ---------- everything else ---------- */

static bool
note_function(Oid function, void *argument)
{
	Collecting *collecting = argument;

	if (get_func_namespace(function) != PG_CATALOG_NAMESPACE)
		expression_fact(collecting->facts, "function", format_procedure_qualified(function));
	return false;
}

static bool
facts_walker(Node *node, void *argument)
{
	Collecting *collecting = argument;

	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, note_function, argument);
	if (IsA(node, Aggref))
	{
		Aggref	   *aggregate = castNode(Aggref, node);

		(void) note_function(aggregate->aggfnoid, argument);
		if ((int) aggregate->agglevelsup == collecting->depth)
			note_event_names(collecting, aggregate);
	}
	if (IsA(node, Var) && (int) castNode(Var, node)->varlevelsup == collecting->depth + EVENT_LEVEL)
	{
		const char *name = get_attname(collecting->compilation->events, castNode(Var, node)->varattno, false);

		for (int i = 0; i < (int) lengthof(event_columns); i++)
			if (strcmp(name, event_columns[i]) == 0)
				return false;
		expression_fact(collecting->facts, "property", name);
		return false;
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = castNode(RangeTblEntry, node);

		if (entry->rtekind == RTE_RELATION)
			expression_fact(collecting->facts, "relation",
							quote_qualified_identifier(get_namespace_name(get_rel_namespace(entry->relid)), get_rel_name(entry->relid)));
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		collecting->depth++;
		result = query_tree_walker((Query *) node, facts_walker, argument, QTW_EXAMINE_RTES_BEFORE);
		collecting->depth--;
		return result;
	}
	return expression_tree_walker(node, facts_walker, argument);
}

/*
 * Adds what a tree reads of events, functions and relations, and when the clock
 * changes it.
 */
void
expression_collect_facts(const Compilation *compilation, Node *tree, ExpressionFacts *facts)
{
	Collecting	collecting = {.compilation = compilation, .facts = facts};
	List	   *windows = clock_windows(tree);
	ListCell   *cell;

	(void) facts_walker(tree, &collecting);
	foreach (cell, windows)
	{
		Window	   *window = lfirst(cell);

		switch (window->kind)
		{
			case WINDOW_CLOSES:
				expression_fact(facts, "window", DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(window->width))));
				break;
			case WINDOW_MIDNIGHT:
				expression_fact(facts, "window", "midnight");
				break;
			case WINDOW_ANY:
				expression_fact(facts, "window", "*");
				break;
		}
	}
}
