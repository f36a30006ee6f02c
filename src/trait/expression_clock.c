/*
 * expression_clock.c
 *		The clock in analysed expressions: where it is read, another clock in its
 *		place, and when it changes a result.
 *
 * A result changes by the clock alone only where a comparison with it changes
 * its outcome.  Where the comparison is of the form "a time < now() - interval",
 * that is at the time plus the interval.  The end of a calendar day is another
 * such time.  Everything else is taken to change always.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "pgtime.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "trait/expression_tree.h"

PG_FUNCTION_INFO_V1(cdp_window_closes);

/* So long, about 10,000 years, nobody waits; several times it still is a timestamp. */
#define FAR_AWAY ((int64) 10000 * 366 * USECS_PER_DAY)

#define TODAY		"(pg_catalog.now())::pg_catalog.date"
#define MIDNIGHT	"((" TODAY " OPERATOR(pg_catalog.+) 1)::pg_catalog.timestamptz)"
#define HOUR_BEFORE "(" MIDNIGHT " OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval)"
/*
 * When the next day begins.  Where clocks are changed at midnight, it may have
 * none, or two, of which the cast gives the second.
 */
#define NEXT_DAY	"SELECT CASE WHEN " HOUR_BEFORE "::pg_catalog.date OPERATOR(pg_catalog.>) " TODAY " THEN " HOUR_BEFORE " ELSE " MIDNIGHT " END"

/* ---------- where it is read ---------- */

static bool
is_clock_function(Oid function)
{
	return function == F_NOW || function == F_TRANSACTION_TIMESTAMP || function == F_STATEMENT_TIMESTAMP;
}

static bool
is_age_of_today(const Node *node)
{
	return IsA(node, FuncExpr) &&
		(((const FuncExpr *) node)->funcid == F_AGE_TIMESTAMPTZ || ((const FuncExpr *) node)->funcid == F_AGE_TIMESTAMP);
}

static bool
is_clock_value(const Node *node)
{
	if (!IsA(node, SQLValueFunction))
		return false;
	switch (((const SQLValueFunction *) node)->op)
	{
		case SVFOP_CURRENT_DATE:
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return true;
		default:
			return false;
	}
}

/* Does the node itself read the clock? */
static bool
is_clock(const Node *node)
{
	return (IsA(node, FuncExpr) && is_clock_function(((const FuncExpr *) node)->funcid)) || is_clock_value(node) || is_age_of_today(node);
}

static bool
clock_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (is_clock(node))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, clock_walker, context, 0);
	return expression_tree_walker(node, clock_walker, context);
}

static bool
clock_is_read(Node *tree)
{
	return clock_walker(tree, NULL);
}

/* ---------- another one in its place ---------- */

typedef struct Replacing
{
	Node	   *clock;			/* timestamptz, of the level of the whole tree */
	int			depth;
} Replacing;

static Node *
cast_to(Node *node, Oid type, int32 typmod)
{
	Node	   *result = coerce_to_target_type(NULL, node, exprType(node), type, typmod, COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);

	if (result == NULL)
		elog(ERROR, "could not cast the clock to %s", format_type_be(type));
	return result;
}

static Node *
replace_mutator(Node *node, void *argument)
{
	Replacing  *replacing = argument;
	Node	   *clock;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query	   *result;

		replacing->depth++;
		result = query_tree_mutator((Query *) node, replace_mutator, argument, 0);
		replacing->depth--;
		return (Node *) result;
	}
	if (!is_clock(node))
		return expression_tree_mutator(node, replace_mutator, argument);
	clock = copyObject(replacing->clock);
	if (replacing->depth > 0)
		IncrementVarSublevelsUp(clock, replacing->depth, 0);
	if (is_age_of_today(node))
	{
		/* age(x) is age(current_date, x), see pg_proc */
		FuncExpr   *age = castNode(FuncExpr, node);
		bool		is_zoned = age->funcid == F_AGE_TIMESTAMPTZ;
		Node	   *today = cast_to(cast_to(clock, DATEOID, -1), is_zoned ? TIMESTAMPTZOID : TIMESTAMPOID, -1);
		Node	   *other = replace_mutator(linitial(age->args), argument);

		return (Node *) makeFuncExpr(is_zoned ? F_AGE_TIMESTAMPTZ_TIMESTAMPTZ : F_AGE_TIMESTAMP_TIMESTAMP, INTERVALOID,
									 list_make2(today, other), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	}
	if (IsA(node, SQLValueFunction))
		return cast_to(clock, castNode(SQLValueFunction, node)->type, castNode(SQLValueFunction, node)->typmod);
	return clock;
}

/*
 * The tree with the clock (timestamptz) in the place of now() and its kin.
 */
Node *
clock_replace(Node *tree, Node *clock)
{
	Replacing	replacing = {.clock = clock};

	return replace_mutator(tree, &replacing);
}

/* ---------- when it changes a result ---------- */

typedef struct Finding
{
	List	   *windows;
	bool		is_inner;		/* in an aggregate */
	List	   *filter;			/* of the aggregate, without what reads the clock */
	List	   *guards;			/* conditions without which this place is not evaluated */
	bool		is_hidden;		/* or not all of them can be told */
	int			depth;			/* of subqueries */
} Finding;

/*
 * Can the evaluation raise an error for some values?  Arithmetic of times is taken
 * not to; results of aggregates are there anyway.
 */
static bool
may_fail_walker(Node *node, void *context)
{
	List	   *args;
	Oid			function;
	ListCell   *cell;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
		case T_Aggref:
		case T_SQLValueFunction:
			return false;
		case T_List:
		case T_RelabelType:
		case T_CollateExpr:
		case T_MinMaxExpr:
		case T_CoalesceExpr:
			return expression_tree_walker(node, may_fail_walker, context);
		case T_FuncExpr:
			args = castNode(FuncExpr, node)->args;
			function = castNode(FuncExpr, node)->funcid;
			break;
		case T_OpExpr:
			args = castNode(OpExpr, node)->args;
			function = castNode(OpExpr, node)->opfuncid;
			break;
		default:
			return true;
	}
	if (function >= FirstGenbkiObjectId)
		return true;
	foreach (cell, args)
	{
		TYPCATEGORY category = TypeCategory(exprType(lfirst(cell)));

		if (!IsA(lfirst(cell), Const) && category != TYPCATEGORY_DATETIME && category != TYPCATEGORY_TIMESPAN)
			return true;
	}
	return expression_tree_walker(node, may_fail_walker, context);
}

/* Are columns of event read, otherwise than by an aggregate? */
static bool
event_walker(Node *node, void *argument)
{
	int		   *depth = argument;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return (int) castNode(Var, node)->varlevelsup == *depth + EVENT_LEVEL;
	if (IsA(node, Aggref) && (int) castNode(Aggref, node)->agglevelsup == *depth)
		return false;
	if (IsA(node, Query))
	{
		bool		result;

		(*depth)++;
		result = query_tree_walker((Query *) node, event_walker, argument, 0);
		(*depth)--;
		return result;
	}
	return expression_tree_walker(node, event_walker, argument);
}

/*
 * A time that is evaluated under no other conditions than where it stands: NULL
 * elsewhere.
 */
static Node *
guarded(const Finding *finding, Node *at)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	if (finding->guards == NIL || !may_fail_walker(at, NULL))
		return at;
	when->expr = (Expr *) make_ands_explicit(copyObject(finding->guards));
	when->result = (Expr *) at;
	when->location = -1;
	choice->casetype = TIMESTAMPTZOID;
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(TIMESTAMPTZOID, -1, InvalidOid);
	choice->location = -1;
	return (Node *) choice;
}

static void
add_window(Finding *finding, WindowKind kind, Node *at, Interval *width)
{
	Window	   *window = palloc0(sizeof(Window));
	int			depth = 0;

	if (kind == WINDOW_CLOSES && finding->is_hidden && may_fail_walker(at, NULL))
		kind = WINDOW_ANY;
	if (kind == WINDOW_CLOSES)
		at = guarded(finding, at);
	window->kind = kind;
	window->at = at;
	window->width = width;
	/* a time of the profile is one for all events, and min() of it would be over people */
	window->is_inner = finding->is_inner && kind == WINDOW_CLOSES && event_walker(at, &depth);
	window->filter = finding->filter;
	finding->windows = lappend(finding->windows, window);
}

/* The clock as timestamptz, and nothing more. */
static bool
is_bare_clock(Node *node)
{
	return (IsA(node, FuncExpr) && is_clock_function(castNode(FuncExpr, node)->funcid)) ||
		(IsA(node, SQLValueFunction) && castNode(SQLValueFunction, node)->op == SVFOP_CURRENT_TIMESTAMP);
}

/* An interval that is always the same, such as '30 days' or 30 * interval '1 day'. */
static Interval *
interval_constant(Node *node)
{
	if (exprType(node) != INTERVALOID)
		return NULL;
	if (!IsA(node, Const))
		node = eval_const_expressions(NULL, node);
	if (IsA(node, Const) && !castNode(Const, node)->constisnull)
		return DatumGetIntervalP(castNode(Const, node)->constvalue);
	return NULL;
}

/* The length of an interval in microseconds, about; too long ones do not overflow. */
static double
length_of(const Interval *interval)
{
	return (double) interval->time + ((double) interval->day + (double) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
}

static Interval *
negated(const Interval *interval)
{
	return DatumGetIntervalP(DirectFunctionCall1(interval_um, IntervalPGetDatum(interval)));
}

/*
 * now(), now() - interval, now() + interval: what must be added to a time to
 * get the moment at which the clock has come so far.  NULL: of another form.
 */
static Interval *
distance_from_clock(Node *node)
{
	OpExpr	   *operation;
	Interval   *interval;

	if (is_bare_clock(node))
		return palloc0(sizeof(Interval));
	if (!IsA(node, OpExpr) || list_length(castNode(OpExpr, node)->args) != 2)
		return NULL;
	operation = castNode(OpExpr, node);
	if (!is_bare_clock(linitial(operation->args)) || (interval = interval_constant(lsecond(operation->args))) == NULL)
		return NULL;
	if (operation->opfuncid == F_TIMESTAMPTZ_MI_INTERVAL)
		return interval;
	if (operation->opfuncid == F_TIMESTAMPTZ_PL_INTERVAL)
		return negated(interval);
	return NULL;
}

/* now() - a time: the time. */
static Node *
time_since(Node *node)
{
	if (IsA(node, OpExpr) && castNode(OpExpr, node)->opfuncid == F_TIMESTAMPTZ_MI &&
		is_bare_clock(linitial(castNode(OpExpr, node)->args)))
		return lsecond(castNode(OpExpr, node)->args);
	return NULL;
}

static bool
is_time(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* One of <, <=, >=, >. */
static bool
is_order(const OpExpr *operation)
{
	List	   *interpretations = cdp_operator_interpretations(operation->opno);
	ListCell   *cell;

	foreach (cell, interpretations)
	{
		CdpOperatorInterpretation *one = lfirst(cell);

		if (cdp_is_order(one))
			return true;
	}
	return false;
}

/*
 * As timestamptz.  The widest types are cut off where nobody waits any more, since
 * they hold times which that has not.
 */
static Node *
as_moment(Node *node)
{
	Node	   *cut;

	if (exprType(node) == TIMESTAMPTZOID)
		return node;
	cut = expression_single(exprType(node) == DATEOID ? "SELECT LEAST(GREATEST(NULL::pg_catalog.date, '4000-01-01 BC'::pg_catalog.date), '20000-01-01'::pg_catalog.date)" : "SELECT LEAST(GREATEST(NULL::pg_catalog.timestamp, '4000-01-01 BC'::pg_catalog.timestamp), '20000-01-01'::pg_catalog.timestamp)");
	lfirst(list_head(linitial_node(MinMaxExpr, castNode(MinMaxExpr, cut)->args)->args)) = node;
	return cast_to(cut, TIMESTAMPTZOID, -1);
}

static bool window_walker(Node *node, void *argument);

/*
 * A comparison of a known form: notes when it changes.  The other side may read
 * the clock for its part: until that changes it, it is a time like others.
 */
static bool
find_comparison(Finding *finding, OpExpr *operation)
{
	if (list_length(operation->args) != 2 || !is_order(operation))
		return false;
	for (int i = 0; i < 2; i++)
	{
		Node	   *side = list_nth(operation->args, i);
		Node	   *other = list_nth(operation->args, 1 - i);
		Interval   *width;
		Node	   *at;

		if (!clock_is_read(side))
			continue;
		if (is_time(exprType(other)) && (width = distance_from_clock(side)) != NULL)
		{
			add_window(finding, WINDOW_CLOSES, as_moment(copyObject(other)), width);
			(void) window_walker(other, finding);
			return true;
		}
		if ((width = interval_constant(other)) != NULL && (at = time_since(side)) != NULL)
		{
			(void) window_walker(at, finding);
			/* intervals are compared with days of 24 hours and months of 30 days */
			if (fabs(length_of(width)) <= (double) FAR_AWAY)
			{
				Interval   *exact = palloc0(sizeof(Interval));

				exact->time = width->time + (width->day + (int64) width->month * DAYS_PER_MONTH) * USECS_PER_DAY;
				add_window(finding, WINDOW_CLOSES, copyObject(at), exact);
			}
			return true;
		}
	}
	return false;
}

/* The clock, or so many whole days or months before or after. */
static bool
is_clock_by_days(Node *node)
{
	Interval   *distance = distance_from_clock(node);

	return distance != NULL && distance->time == 0;
}

/* Something that changes with the calendar day at most. */
static bool
is_of_day(Node *node)
{
	static const char *const units[] = {"day", "dow", "isodow", "doy", "week", "month", "quarter", "year", "isoyear", "decade", "century", "millennium"};

	if (is_age_of_today(node))
		return !clock_is_read(linitial(castNode(FuncExpr, node)->args));
	if (IsA(node, SQLValueFunction))
		return castNode(SQLValueFunction, node)->op == SVFOP_CURRENT_DATE;
	if (!IsA(node, FuncExpr))
		return false;
	switch (castNode(FuncExpr, node)->funcid)
	{
		case F_DATE_TIMESTAMPTZ:
			return is_clock_by_days(linitial(castNode(FuncExpr, node)->args));
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
		case F_DATE_PART_TEXT_TIMESTAMPTZ:
		{
			Node	   *unit = linitial(castNode(FuncExpr, node)->args);

			if (!IsA(unit, Const) || castNode(Const, unit)->constisnull || !is_clock_by_days(lsecond(castNode(FuncExpr, node)->args)))
				return false;
			for (int i = 0; i < (int) lengthof(units); i++)
				if (pg_strcasecmp(TextDatumGetCString(castNode(Const, unit)->constvalue), units[i]) == 0)
					return true;
			return false;
		}
		default:
			return false;
	}
}

static Node *
is_test(Node *condition, BoolTestType type)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = (Expr *) condition;
	test->booltesttype = type;
	test->location = -1;
	return (Node *) test;
}

/* Of what follows in the same place. */
static void
add_guard(Finding *finding, Node *condition)
{
	finding->guards = lappend(list_copy(finding->guards), condition);
}

/* Each of the conditions, where those before it do not decide. */
static void
walk_conditions(Finding *finding, List *conditions, BoolTestType goes_on)
{
	List	   *guards = finding->guards;
	ListCell   *cell;

	foreach (cell, conditions)
	{
		(void) window_walker(lfirst(cell), finding);
		add_guard(finding, is_test(lfirst(cell), goes_on));
	}
	finding->guards = guards;
}

static void
walk_case(Finding *finding, const CaseExpr *choice)
{
	List	   *guards = finding->guards;
	bool		is_hidden = finding->is_hidden;
	ListCell   *cell;

	(void) window_walker((Node *) choice->arg, finding);
	/* CASE x WHEN ...: the conditions have a stand-in for x */
	finding->is_hidden |= choice->arg != NULL;
	foreach (cell, choice->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, cell);
		List	   *before = finding->guards;

		(void) window_walker((Node *) when->expr, finding);
		if (choice->arg == NULL)
			add_guard(finding, is_test((Node *) when->expr, IS_TRUE));
		(void) window_walker((Node *) when->result, finding);
		finding->guards = before;
		if (choice->arg == NULL)
			add_guard(finding, is_test((Node *) when->expr, IS_NOT_TRUE));
	}
	(void) window_walker((Node *) choice->defresult, finding);
	finding->guards = guards;
	finding->is_hidden = is_hidden;
}

static void
walk_coalesce(Finding *finding, const CoalesceExpr *coalesce)
{
	List	   *guards = finding->guards;
	ListCell   *cell;

	foreach (cell, coalesce->args)
	{
		NullTest   *test = makeNode(NullTest);

		(void) window_walker(lfirst(cell), finding);
		test->arg = lfirst(cell);
		test->nulltesttype = IS_NULL;
		test->location = -1;
		add_guard(finding, (Node *) test);
	}
	finding->guards = guards;
}

/* Of an aggregate's filter, what does not read the clock is that of its windows too. */
static void
walk_aggregate(Finding *finding, const Aggref *aggregate)
{
	Finding		around = *finding;
	Aggref		bare = *aggregate;
	List	   *conditions = make_ands_implicit(aggregate->aggfilter);
	ListCell   *cell;

	finding->is_inner = true;
	finding->filter = NIL;
	finding->guards = NIL;
	finding->is_hidden = false;
	foreach (cell, conditions)
		if (!clock_is_read(lfirst(cell)))
			finding->filter = lappend(finding->filter, lfirst(cell));
	bare.aggfilter = NULL;
	(void) expression_tree_walker((Node *) &bare, window_walker, finding);
	foreach (cell, conditions)
		(void) window_walker(lfirst(cell), finding);
	around.windows = finding->windows;
	*finding = around;
}

/* Notes the times at which the clock changes the outcome of what is below. */
static bool
window_walker(Node *node, void *argument)
{
	Finding	   *finding = argument;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && finding->depth > 0 && (int) castNode(Aggref, node)->agglevelsup == finding->depth)
	{
		/* it reads nothing of the subqueries that it stands in */
		Node	   *aggregate = copyObject(node);
		int			depth = finding->depth;

		IncrementVarSublevelsUp(aggregate, -depth, depth);
		finding->depth = 0;
		(void) window_walker(aggregate, argument);
		finding->depth = depth;
		return false;
	}
	if (finding->depth == 0)
	{
		if (IsA(node, OpExpr) && find_comparison(finding, castNode(OpExpr, node)))
			return false;
		if (is_of_day(node))
		{
			add_window(finding, WINDOW_MIDNIGHT, NULL, NULL);
			return false;
		}
	}
	if (is_clock(node))
	{
		add_window(finding, WINDOW_ANY, NULL, NULL);
		return false;
	}
	if (finding->depth == 0)
		switch (nodeTag(node))
		{
			case T_Aggref:
				if (castNode(Aggref, node)->agglevelsup > 0)
					break;
				walk_aggregate(finding, castNode(Aggref, node));
				return false;
			case T_BoolExpr:
				if (castNode(BoolExpr, node)->boolop == NOT_EXPR)
					break;
				walk_conditions(finding, castNode(BoolExpr, node)->args, is_andclause(node) ? IS_NOT_FALSE : IS_NOT_TRUE);
				return false;
			case T_CaseExpr:
				walk_case(finding, castNode(CaseExpr, node));
				return false;
			case T_CoalesceExpr:
				walk_coalesce(finding, castNode(CoalesceExpr, node));
				return false;
			default:
				break;
		}
	if (IsA(node, Query))
	{
		finding->depth++;
		(void) query_tree_walker((Query *) node, window_walker, argument, 0);
		finding->depth--;
		return false;
	}
	return expression_tree_walker(node, window_walker, argument);
}

/*
 * The times at which the clock changes a result: a list of Window.
 */
List *
clock_windows(Node *tree)
{
	Finding		finding = {0};

	(void) window_walker(tree, &finding);
	return finding.windows;
}

/*
 * How far off "at plus width" may be from the moment at which "now() - width"
 * passes it: months differ in length, and days where clocks are changed.
 */
static const char *
slack_of(const Interval *width, const char *time_zone)
{
	pg_tz	   *zone = pg_tzset(time_zone);
	long		offset;

	if (width->month != 0)
		return "4 days";
	if (width->day != 0 && (zone == NULL || !pg_get_timezone_offset(zone, &offset)))
		return "3 hours";
	return "0";
}

/* cdp.window_closes(at, width, slack, clock), within min() for events. */
static Node *
window_closes(const Window *window, Node *clock, const char *time_zone)
{
	char	   *width = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(window->width)));
	char	   *sql = psprintf(window->is_inner ? "SELECT pg_catalog.min(cdp.window_closes(NULL::pg_catalog.timestamptz, %s::pg_catalog.interval, '%s'::pg_catalog.interval, NULL::pg_catalog.timestamptz))" : "SELECT cdp.window_closes(NULL::pg_catalog.timestamptz, %s::pg_catalog.interval, '%s'::pg_catalog.interval, NULL::pg_catalog.timestamptz)",
						 quote_literal_cstr(width), slack_of(window->width, time_zone));
	Node	   *result = expression_single(sql);
	FuncExpr   *call;

	if (window->is_inner)
	{
		Aggref	   *aggregate = castNode(Aggref, result);

		call = castNode(FuncExpr, linitial_node(TargetEntry, aggregate->args)->expr);
		if (window->filter != NIL)
			aggregate->aggfilter = make_ands_explicit(copyObject(window->filter));
	}
	else
		call = castNode(FuncExpr, result);
	lfirst(list_nth_cell(call->args, 0)) = copyObject(window->at);
	lfirst(list_nth_cell(call->args, 3)) = copyObject(clock);
	return result;
}

/*
 * The least of the times that come, of the analysed form, as timestamptz; NULL
 * where there is none.
 */
Node *
clock_due(List *windows, Node *clock, const char *time_zone)
{
	List	   *times = NIL;
	bool		is_any = false;
	bool		is_midnight = false;
	MinMaxExpr *least = makeNode(MinMaxExpr);
	ListCell   *cell;

	foreach (cell, windows)
	{
		Window	   *window = lfirst(cell);

		is_any |= window->kind == WINDOW_ANY;
		is_midnight |= window->kind == WINDOW_MIDNIGHT;
		if (window->kind == WINDOW_CLOSES)
			times = list_append_unique(times, window_closes(window, clock, time_zone));
	}
	if (is_any)
		return copyObject(clock);
	if (is_midnight)
	{
		times = lappend(times, clock_replace(expression_single(NEXT_DAY), clock));
	}
	if (times == NIL)
		return NULL;
	least->minmaxtype = TIMESTAMPTZOID;
	least->op = IS_LEAST;
	least->args = times;
	least->location = -1;
	return (Node *) least;
}

/*
 * cdp.window_closes(at timestamptz, width interval, slack interval,
 *		clock timestamptz) returns timestamptz
 *
 * The time before which "now() - width" does not pass "at", seen from the
 * clock: at + width, less the slack.  NULL when that is over, slack included,
 * or never; also for infinite times.
 */
Datum
cdp_window_closes(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(0);
	Datum		width = PG_GETARG_DATUM(1);
	Datum		slack = PG_GETARG_DATUM(2);
	TimestampTz clock = PG_GETARG_TIMESTAMPTZ(3);
	double		approximate;
	Datum		closes;

	/* adding the interval must not overflow; what is so long ago is over */
	if (TIMESTAMP_NOT_FINITE(at) || at > FAR_AWAY || at < -FAR_AWAY / 2)
		PG_RETURN_NULL();
	approximate = (double) at + length_of(DatumGetIntervalP(width));
	if (approximate > (double) FAR_AWAY || approximate < -(double) FAR_AWAY / 2)
		PG_RETURN_NULL();
	/* Most events are long past, which is seen without a calendar: it differs by less than 3 days for each month. */
	if (approximate + length_of(DatumGetIntervalP(slack)) +
			(2.0 + 3.0 * fabs((double) DatumGetIntervalP(width)->month)) * USECS_PER_DAY <
		(double) clock)
		PG_RETURN_NULL();
	closes = DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(at), width);
	if (DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, closes, slack)) < clock)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall2(timestamptz_mi_interval, closes, slack));
}
