/*
 * expression_pack.c
 *		Many aggregates over events in one statement, made cheaper.
 *
 * Each aggregate of a grouped query tests its filter on every event, and with a
 * hundred segments that is most of the work.  Two things help.  What is the
 * same for all events, "now() - interval" above all, is taken out as a
 * subquery that runs once.  And counts that are about one event name each
 * become one aggregate, cdp.count_bits: a CASE on the name gives a number with a
 * bit for each count that the event belongs to, so that the conditions of other
 * names are not looked at.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "cdp.h"
#include "trait/expression_tree.h"

/* Fewer counts than that are as well on their own. */
#define MIN_COUNTS	8
/* The sign is left alone. */
#define MAX_BITS	63

/* The counts about one event name. */
typedef struct NameCounts
{
	Const	   *name;
	Node	   *test;			/* event_name = name */
	List	   *conditions;		/* what remains of each filter, NULL: nothing */
	List	   *places;			/* of int: among all aggregates, from 0 */
} NameCounts;

/* ---------- what is the same for all events ---------- */

static bool
varies_walker(Node *node, void *argument)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, Aggref) || IsA(node, SubLink) || IsA(node, Query) || IsA(node, CaseTestExpr))
		return true;
	return expression_tree_walker(node, varies_walker, argument);
}

/* SELECT of the expression, as one that runs once. */
static Node *
once(Node *node)
{
	SubLink	   *link = makeNode(SubLink);
	Query	   *query = makeNode(Query);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, NULL);
	query->targetList = list_make1(makeTargetEntry((Expr *) copyObject(node), 1, pstrdup("once"), false));
	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) query;
	link->location = -1;
	return (Node *) link;
}

/*
 * The tree with each part that is the same for all events, and more than a
 * constant, as a subquery.
 */
Node *
pack_constants(Node *node, void *argument)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, OpExpr) || (IsA(node, FuncExpr) && castNode(FuncExpr, node)->args != NIL))
	{
		if (!varies_walker(node, NULL) && contain_mutable_functions(node) && !expression_returns_set(node))
			return once(node);
	}
	if (IsA(node, Query))
		return node;
	return expression_tree_mutator(node, pack_constants, argument);
}

/* ---------- counts ---------- */

static bool
is_name_test(const Node *node, AttrNumber event_name)
{
	const OpExpr *comparison = (const OpExpr *) node;

	if (!IsA(node, OpExpr) || get_opcode(comparison->opno) != F_TEXTEQ || list_length(comparison->args) != 2)
		return false;
	return IsA(linitial(comparison->args), Var) && IsA(lsecond(comparison->args), Const) &&
		linitial_node(Var, comparison->args)->varlevelsup == EVENT_LEVEL && linitial_node(Var, comparison->args)->varattno == event_name &&
		!lsecond_node(Const, comparison->args)->constisnull;
}

/* Is it count(*) with a filter that demands one event name?  Gives the test and what else the filter demands. */
static bool
is_count_of_name(const Aggref *aggregate, AttrNumber event_name, Node **test, Node **condition)
{
	List	   *parts;
	ListCell   *cell;

	if (aggregate->aggfnoid != F_COUNT_ || aggregate->aggfilter == NULL)
		return false;
	parts = make_ands_implicit(aggregate->aggfilter);
	foreach (cell, parts)
	{
		if (!is_name_test(lfirst(cell), event_name))
			continue;
		*test = lfirst(cell);
		parts = list_delete_nth_cell(list_copy(parts), foreach_current_index(cell));
		*condition = parts == NIL ? NULL : (Node *) make_ands_explicit(parts);
		return true;
	}
	return false;
}

static NameCounts *
counts_of(List **names, Node *test)
{
	Const	   *name = lsecond_node(Const, castNode(OpExpr, test)->args);
	NameCounts *result;
	ListCell   *cell;

	foreach (cell, *names)
	{
		result = lfirst(cell);
		if (list_length(result->places) < MAX_BITS && equal(result->name, name))
			return result;
	}
	result = palloc0(sizeof(NameCounts));
	result->name = name;
	result->test = test;
	*names = lappend(*names, result);
	return result;
}

static Node *
bits_constant(int64 bits)
{
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(bits), false, FLOAT8PASSBYVAL);
}

static Node *
choose(List *whens, Node *otherwise)
{
	CaseExpr   *choice = makeNode(CaseExpr);

	choice->casetype = INT8OID;
	choice->args = whens;
	choice->defresult = (Expr *) otherwise;
	choice->location = -1;
	return (Node *) choice;
}

static CaseWhen *
when(Node *condition, Node *result)
{
	CaseWhen   *arm = makeNode(CaseWhen);

	arm->expr = (Expr *) copyObject(condition);
	arm->result = (Expr *) result;
	arm->location = -1;
	return arm;
}

/* The bits of the counts of one name, from the given one on. */
static Node *
bits_of_name(const NameCounts *counts, int first)
{
	int64		always = 0;
	Node	   *result = NULL;
	ListCell   *cell;

	foreach (cell, counts->conditions)
	{
		int64		bit = (int64) 1 << (first + foreach_current_index(cell));
		Node	   *part;

		if (lfirst(cell) == NULL)
		{
			always |= bit;
			continue;
		}
		part = choose(list_make1(when(lfirst(cell), bits_constant(bit))), bits_constant(0));
		if (result != NULL)
		{
			OpExpr	   *both = makeNode(OpExpr);

			both->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("|")), INT8OID, INT8OID);
			both->opfuncid = F_INT8OR;
			both->opresulttype = INT8OID;
			both->args = list_make2(result, part);
			both->location = -1;
			part = (Node *) both;
		}
		result = part;
	}
	if (result == NULL)
		return bits_constant(always);
	if (always != 0)
	{
		OpExpr	   *both = makeNode(OpExpr);

		both->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("|")), INT8OID, INT8OID);
		both->opfuncid = F_INT8OR;
		both->opresulttype = INT8OID;
		both->args = list_make2(bits_constant(always), result);
		both->location = -1;
		return (Node *) both;
	}
	return result;
}

static Node *
count_bits(List *whens)
{
	static const Oid argument[] = {INT8OID};
	Aggref	   *aggregate = makeNode(Aggref);

	aggregate->aggfnoid = LookupFuncName(list_make2(makeString("cdp"), makeString("count_bits")), 1, argument, false);
	aggregate->aggtype = INT8ARRAYOID;
	aggregate->aggargtypes = list_make1_oid(INT8OID);
	aggregate->args = list_make1(makeTargetEntry((Expr *) choose(whens, bits_constant(0)), 1, NULL, false));
	aggregate->aggkind = AGGKIND_NORMAL;
	aggregate->aggsplit = AGGSPLIT_SIMPLE;
	aggregate->aggno = aggregate->aggtransno = -1;
	aggregate->location = -1;
	return (Node *) aggregate;
}

/*
 * Packs the counts among aggregates over events (of the analysed form).
 *
 * event_name: number of that column of the relation of events.
 *
 * Returns the aggregates to be evaluated in their place, and for each of the
 * given ones where its result is found: the number of the aggregate, from 1,
 * and the element of its result, 0 where that is the result itself.  NIL: it is
 * not worth it.
 */
List *
pack_counts(List *aggregates, AttrNumber event_name, PackedPlace **places)
{
	List	   *names = NIL;
	List	   *whens = NIL;
	List	   *result = NIL;
	ListCell   *cell;
	int			count = 0;
	int			bits = 0;

	*places = cdp_palloc0_array(PackedPlace, list_length(aggregates) + 1);
	foreach (cell, aggregates)
	{
		Node	   *test;
		Node	   *condition;

		if (is_count_of_name(lfirst_node(Aggref, cell), event_name, &test, &condition))
		{
			NameCounts *counts = counts_of(&names, test);

			counts->conditions = lappend(counts->conditions, condition);
			counts->places = lappend_int(counts->places, foreach_current_index(cell));
			count++;
			continue;
		}
		result = lappend(result, lfirst(cell));
		(*places)[foreach_current_index(cell)].aggregate = list_length(result);
	}
	if (count < MIN_COUNTS)
		return NIL;

	foreach (cell, names)
	{
		const NameCounts *counts = lfirst(cell);
		ListCell   *place;

		if (bits + list_length(counts->places) > MAX_BITS)
		{
			result = lappend(result, count_bits(whens));
			whens = NIL;
			bits = 0;
		}
		whens = lappend(whens, when(counts->test, bits_of_name(counts, bits)));
		foreach (place, counts->places)
		{
			/* the aggregate that is still being put together */
			(*places)[lfirst_int(place)].aggregate = list_length(result) + 1;
			(*places)[lfirst_int(place)].element = ++bits;
		}
	}
	return lappend(result, count_bits(whens));
}

/*
 * The result of an aggregate, from the relation of that number in which the
 * first one has that column.
 */
Node *
packed_result(List *aggregates, PackedPlace place, int relation, int first)
{
	Node	   *aggregate = list_nth(aggregates, place.aggregate - 1);
	Var		   *var = makeVar(relation, first + place.aggregate - 1, exprType(aggregate), -1, exprCollation(aggregate), 0);
	SubscriptingRef *element;

	if (place.element == 0)
		return (Node *) var;
	element = makeNode(SubscriptingRef);
	element->refcontainertype = INT8ARRAYOID;
	element->refelemtype = INT8OID;
	element->refrestype = INT8OID;
	element->reftypmod = -1;
	element->refupperindexpr = list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(place.element), false, true));
	element->refexpr = (Expr *) var;
	return (Node *) element;
}
