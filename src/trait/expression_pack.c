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
 *
 * A statement that is run at once and that nobody reads goes further: what is the
 * same for all events is a constant, since a subquery that runs once keeps
 * PostgreSQL before 17 from parallel plans, and the name of an event is looked up
 * once, so that filters compare numbers.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
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

static bool
is_foreign_function(Oid function, void *argument)
{
	return function >= FirstGenbkiObjectId;
}

static bool
calls_foreign_walker(Node *node, void *argument)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_foreign_function, NULL) || expression_tree_walker(node, calls_foreign_walker, argument);
}

/*
 * The value that a part has in this transaction, where it is of a type whose text
 * is the value and comes from functions of PostgreSQL's own; NULL otherwise.
 */
static Node *
value_now(Node *node)
{
	switch (exprType(node))
	{
		case BOOLOID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			break;
		default:
			return NULL;
	}
	if (calls_foreign_walker(node, NULL) || contain_volatile_functions(node))
		return NULL;
	return (Node *) evaluate_expr((Expr *) copyObject(node), exprType(node), exprTypmod(node), exprCollation(node));
}

/*
 * The tree with each part that is the same for all events, and more than a
 * constant, as a subquery.
 *
 * at_once: NULL, or anything: as a constant where possible.
 */
Node *
pack_constants(Node *node, void *at_once)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, OpExpr) || (IsA(node, FuncExpr) && castNode(FuncExpr, node)->args != NIL))
	{
		if (!varies_walker(node, NULL) && contain_mutable_functions(node) && !expression_returns_set(node))
		{
			Node	   *value = at_once != NULL ? value_now(node) : NULL;

			return value != NULL ? value : once(node);
		}
	}
	if (IsA(node, Query))
		return node;
	return expression_tree_mutator(node, pack_constants, at_once);
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

/* ---------- names as numbers ---------- */

typedef struct Numbering
{
	AttrNumber	event_name;
	AttrNumber	number;			/* the column that will hold it */
	List	   *names;			/* of Const */
} Numbering;

/* The number of a name, from 1. */
static int32
number_of(Numbering *numbering, Const *name)
{
	ListCell   *cell;

	foreach (cell, numbering->names)
		if (datumIsEqual(lfirst_node(Const, cell)->constvalue, name->constvalue, false, -1))
			return foreach_current_index(cell) + 1;
	numbering->names = lappend(numbering->names, name);
	return list_length(numbering->names);
}

static Var *
number_var(const Numbering *numbering)
{
	return makeVar(EVENT_RELATION, numbering->number, INT4OID, -1, InvalidOid, EVENT_LEVEL);
}

static Const *
int4_constant(int32 value)
{
	return makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false, true);
}

static bool
is_event_name(const Numbering *numbering, const Node *node)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varlevelsup == EVENT_LEVEL && var->varno == EVENT_RELATION && var->varattno == numbering->event_name;
}

/* Whether texts are equal by it when their bytes are, and only then. */
static bool
is_bytewise(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

static bool
is_name(const Node *node)
{
	return IsA(node, Const) && ((const Const *) node)->consttype == TEXTOID && !((const Const *) node)->constisnull;
}

/* A comparison of a column with something, like a given one. */
static Node *
compare_number(const Numbering *numbering, const char *operator, Node * other)
{
	OpExpr	   *comparison = makeNode(OpExpr);

	comparison->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString((char *) operator)), INT4OID, INT4OID);
	comparison->opfuncid = get_opcode(comparison->opno);
	comparison->opresulttype = BOOLOID;
	comparison->args = list_make2(number_var(numbering), other);
	comparison->location = -1;
	return (Node *) comparison;
}

/* event_name = ANY (ARRAY[names]) as a comparison of numbers; NULL: it is not that. */
static Node *
number_any(Numbering *numbering, const ScalarArrayOpExpr *given)
{
	ScalarArrayOpExpr *comparison;
	ArrayExpr  *elements = lsecond(given->args);
	Datum	   *numbers;
	ListCell   *cell;

	if (get_opcode(given->opno) != F_TEXTEQ || !given->useOr || !is_bytewise(given->inputcollid) ||
		!is_event_name(numbering, linitial(given->args)) || !IsA(elements, ArrayExpr) || elements->multidims || elements->elements == NIL)
		return NULL;
	foreach (cell, elements->elements)
		if (!is_name(lfirst(cell)))
			return NULL;
	numbers = cdp_palloc_array(Datum, list_length(elements->elements));
	foreach (cell, elements->elements)
		numbers[foreach_current_index(cell)] = Int32GetDatum(number_of(numbering, lfirst_node(Const, cell)));
	comparison = makeNode(ScalarArrayOpExpr);
	comparison->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("=")), INT4OID, INT4OID);
	comparison->opfuncid = get_opcode(comparison->opno);
	comparison->useOr = true;
	comparison->args = list_make2(number_var(numbering), makeConst(INT4ARRAYOID, -1, InvalidOid, -1, PointerGetDatum(construct_array(numbers, list_length(elements->elements), INT4OID, sizeof(int32), true, TYPALIGN_INT)), false, false));
	comparison->location = -1;
	return (Node *) comparison;
}

static Node *
number_mutator(Node *node, void *argument)
{
	Numbering  *numbering = argument;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return node;
	if (IsA(node, OpExpr))
	{
		const OpExpr *comparison = (const OpExpr *) node;
		Oid			function = get_opcode(comparison->opno);

		if ((function == F_TEXTEQ || function == F_TEXTNE) && is_bytewise(comparison->inputcollid) &&
			is_event_name(numbering, linitial(comparison->args)) && is_name(lsecond(comparison->args)))
			return compare_number(numbering, function == F_TEXTEQ ? "=" : "<>", (Node *) int4_constant(number_of(numbering, lsecond(comparison->args))));
	}
	if (IsA(node, ScalarArrayOpExpr))
	{
		Node	   *comparison = number_any(numbering, castNode(ScalarArrayOpExpr, node));

		if (comparison != NULL)
			return comparison;
	}
	return expression_tree_mutator(node, number_mutator, argument);
}

/*
 * The aggregates with comparisons of a number in the place of those of the name,
 * which mean the same.
 *
 * event_name, number: columns of the relation of events; the latter will hold
 * what packed_number gives.
 *
 * names: set to the names compared with (of Const); NIL: none.
 */
List *
pack_names(List *aggregates, AttrNumber event_name, AttrNumber number, List **names)
{
	Numbering	numbering = {event_name, number, NIL};
	List	   *result = (List *) number_mutator((Node *) aggregates, &numbering);

	*names = numbering.names;
	return result;
}

/* The number of an event's name among these: an expression of the analysed form. */
Node *
packed_number(List *names, AttrNumber event_name)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID};
	Oid			collation = linitial_node(Const, names)->constcollid;
	Datum	   *elements = cdp_palloc_array(Datum, list_length(names));
	ListCell   *cell;

	foreach (cell, names)
		elements[foreach_current_index(cell)] = lfirst_node(Const, cell)->constvalue;
	return (Node *) makeFuncExpr(LookupFuncName(list_make2(makeString("cdp"), makeString("name_number")), 2, types, false), INT4OID,
								 list_make2(makeVar(EVENT_RELATION, event_name, TEXTOID, -1, C_COLLATION_OID, EVENT_LEVEL),
											makeConst(TEXTARRAYOID, -1, collation, -1, PointerGetDatum(construct_array(elements, list_length(names), TEXTOID, -1, false, TYPALIGN_INT)), false, false)),
								 InvalidOid, C_COLLATION_OID, COERCE_EXPLICIT_CALL);
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
