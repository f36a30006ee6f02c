/*
 * expression.c
 *		Analyses expressions over a profile and its events.
 *
 * PostgreSQL's own parser and analyser read the text, inside of
 *
 *		SELECT (SELECT <expression> FROM cdp.events AS event)
 *		FROM cdp.profiles AS profile, (...) AS segment
 *
 * so that aggregates are over the events of one person, columns of profile are
 * constants to them, and all errors are PostgreSQL's, with the place in the
 * user's text.  Then the tree is looked through for what an expression must not
 * hold, and references to other expressions of the same owner are replaced by
 * these.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "cdp.h"
#include "given_text.h"
#include "identity/settings.h"
#include "query.h"
#include "trait/expression_tree.h"

#define COLUMNS \
	"SELECT e.expression_id, e.name, e.kind, e.is_query, e.is_realtime, e.include_anonymous, e.definition, e.type, e.owner, e.time_zone, e.search_path " \
	"FROM cdp_data.expression AS e "

/* A text that is being read. */
typedef struct Reading
{
	const Expression *expression;
	Oid			profiles;
	List	   *literals;		/* of A_Const: its strings */
	List	   *segments;		/* of char: segments that it names */
	List	   *unqualified;	/* of ColumnRef: names without profile, event or segment */
	int			depth;			/* of subqueries */
	bool		is_in_aggregate;
} Reading;

/* ---------- definitions ---------- */

static char *
column_text(HeapTuple row, int number)
{
	return SPI_getvalue(row, SPI_tuptable->tupdesc, number);
}

/* The expression of a row that was read with COLUMNS, in the given context. */
static Expression *
expression_of_row(HeapTuple row, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Expression *expression = palloc0(sizeof(Expression));
	bool		is_null;

	expression->id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null));
	expression->name = column_text(row, 2);
	expression->is_segment = strcmp(column_text(row, 3), "segment") == 0;
	expression->is_query = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &is_null));
	expression->is_realtime = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 5, &is_null));
	expression->include_anonymous = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 6, &is_null));
	expression->definition = column_text(row, 7);
	expression->type_name = column_text(row, 8);
	expression->owner = column_text(row, 9);
	expression->time_zone = column_text(row, 10);
	expression->search_path = column_text(row, 11);
	MemoryContextSwitchTo(caller);
	return expression;
}

/*
 * The definitions with these ids, in that order, in the current memory
 * context.  Reads with the rights of the current user.
 *
 * Errors: there is none of an id.
 */
List *
expression_load(const int32 *ids, int count)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;

	SPI_connect();
	for (int i = 0; i < count; i++)
	{
		Oid			type = INT4OID;
		Datum		value = Int32GetDatum(ids[i]);
		Expression *expression;
		MemoryContext spi;

		if (SPI_execute_with_args(COLUMNS "WHERE e.expression_id OPERATOR(pg_catalog.=) $1", 1, &type, &value, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not read the definition of expression %d", ids[i]);
		if (SPI_processed == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("expression %d does not exist", ids[i])));
		expression = expression_of_row(SPI_tuptable->vals[0], context);
		spi = MemoryContextSwitchTo(context);
		result = lappend(result, expression);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return result;
}

/*
 * The definition of a computed trait or segment (kind "trait" or "segment") by
 * its name, in the current memory context; NULL when there is none and that
 * may be.
 */
Expression *
expression_find(const char *kind, const char *name, bool missing_ok)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(kind), CStringGetTextDatum(name)};
	Expression *result = NULL;

	SPI_connect();
	if (SPI_execute_with_args(COLUMNS "WHERE e.kind OPERATOR(pg_catalog.=) $1 AND e.name OPERATOR(pg_catalog.=) $2", 2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the definition of %s \"%s\"", kind, name);
	if (SPI_processed > 0)
		result = expression_of_row(SPI_tuptable->vals[0], context);
	SPI_finish();
	if (result == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" does not exist", strcmp(kind, "segment") == 0 ? "segment" : "computed trait", name),
				 errhint("The view %s lists them.", strcmp(kind, "segment") == 0 ? "cdp.segments" : "cdp.computed_traits")));
	return result;
}

/*
 * From here on the rights and settings of an expression's owner, until
 * source_owner_leave().  An error undoes it as well.
 */
void
expression_enter(const Expression *expression, SourceOwner *owner)
{
	memset(owner, 0, sizeof(SourceOwner));
	owner->time_zone = expression->time_zone;
	owner->search_path = expression->search_path;
	if (expression->is_own)
		owner->role = GetUserId();
	else
		source_owner_find_for(owner, expression->is_segment ? "segment" : "computed trait", expression->name, expression->owner);
	source_owner_enter(owner);
}

/*
 * Runs a query of an expression's text, as its owner, for a caller who asks about
 * it.  Who is no member of the owner learns of an error of the text only that
 * there is one, since its message may hold what the owner alone may read.
 */
void
expression_run(const Expression *expression, const SourceOwner *owner, CdpQuery *query, int flags,
			   CdpRowCallback callback, void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	bool		may_see = has_privs_of_role(owner->caller, owner->role);
	const char *role = GetUserNameFromId(owner->role, false);

	PG_TRY();
	{
		(void) cdp_query_run(query, flags, callback, argument);
	}
	PG_CATCH();
	{
		if (!may_see)
		{
			MemoryContext error_context = MemoryContextSwitchTo(context);
			ErrorData  *error = CopyErrorData();

			if (cdp_is_about_text(error))
			{
				FlushErrorState();
				ereport(ERROR,
						(errcode(error->sqlerrcode),
						 errmsg("the text of %s \"%s\" fails", expression->is_segment ? "segment" : "computed trait", expression->name),
						 errhint("The message may hold what only its owner may read: a member of role %s sees it.", quote_identifier(role))));
			}
			MemoryContextSwitchTo(error_context);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* ---------- errors ---------- */

/* Whether the error that is being raised has a hint, such as PostgreSQL's about a name that is much alike. */
static bool
has_hint(void)
{
	MemoryContext context = MemoryContextSwitchTo(CurTransactionContext);
	ErrorData  *error = CopyErrorData();
	bool		result = error->hint != NULL;

	FreeErrorData(error);
	MemoryContextSwitchTo(context);
	return result;
}

/* Whether a text is a query by its first word, which is at the position of the error. */
static bool
begins_as_query(const char *text, int position)
{
	const char *start = text + strspn(text, " \t\r\n");

	return position == (int) (start - text) + 1 &&
		(pg_strncasecmp(start, "select", 6) == 0 || pg_strncasecmp(start, "with", 4) == 0 || pg_strncasecmp(start, "values", 6) == 0);
}

/* Positions are those in the user's text, shown as that of an internal query. */
static void
reading_error_callback(void *argument)
{
	Reading	   *reading = argument;
	ListCell   *cell;

	if (geterrcode() == ERRCODE_UNDEFINED_COLUMN && !has_hint())
		foreach (cell, reading->unqualified)
		{
			ColumnRef  *column = lfirst_node(ColumnRef, cell);
			const char *written = reading->expression->definition + column->location;

			/* as it was written, before it was folded to lower case */
			if (given_text_character(reading->expression->definition, column->location) == geterrposition())
				errhint("A column is one of profile, event or segment, such as profile.country; a constant is written in quotes of its own: '%.*s'.",
						(int) strlen(strVal(linitial(column->fields))), written + (*written == '"' ? 1 : 0));
		}
	if (geterrcode() == ERRCODE_SYNTAX_ERROR && reading->expression->is_segment && begins_as_query(reading->expression->definition, geterrposition()))
		errhint("A predicate is an expression; what begins with SELECT, WITH or VALUES is for the argument query.");
	given_text_show_position(reading->expression->definition);
	if (geterrcode() == ERRCODE_GROUPING_ERROR)
		errhint("Columns of event stand inside aggregates, such as count(*) FILTER (WHERE event.event_name = 'purchase'); columns of profile stand outside, or inside beside those of event.");
	if (geterrcode() == ERRCODE_UNDEFINED_COLUMN && reading->segments != NIL)
		errhint("The views cdp.segments, cdp.profiles and cdp.events tell the columns of segment, profile and event.");
	if (geterrcode() == ERRCODE_UNDEFINED_TABLE)
		errhint("An expression is about profile (columns of cdp.profiles), event (columns of cdp.events, inside aggregates) and segment (one boolean for each segment).");
	errcontext("%s%s%s%s", reading->expression->is_segment ? "segment" : "computed trait",
			   reading->expression->name[0] == '\0' ? " predicate" : " \"", reading->expression->name, reading->expression->name[0] == '\0' ? "" : "\"");
}

/* For ereport: the place of a byte of the text. */
static int
position_of(const Reading *reading, int location)
{
	return given_text_position(reading->expression->definition, location);
}

static void
refuse(const Reading *reading, const char *what, const char *hint, int location)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must not %s", reading->expression->is_segment ? "a segment predicate" : "the expression of a computed trait", what),
			 errhint("%s", hint),
			 position_of(reading, location)));
}

/* ---------- the text ---------- */

/* Notes what the analysed tree does not tell any more: literals as written, and names of segments. */
static bool
raw_walker(Node *node, void *argument)
{
	Reading	   *reading = argument;

	if (node == NULL)
		return false;
	if (IsA(node, A_Const) && !castNode(A_Const, node)->isnull && IsA(&castNode(A_Const, node)->val, String))
		reading->literals = lappend(reading->literals, node);
	if (IsA(node, ColumnRef))
	{
		List	   *fields = castNode(ColumnRef, node)->fields;

		if (list_length(fields) == 2 && IsA(linitial(fields), String) && IsA(lsecond(fields), String) &&
			strcmp(strVal(linitial(fields)), "segment") == 0)
			reading->segments = list_append_unique(reading->segments, lsecond(fields));
		if (list_length(fields) == 1 && IsA(linitial(fields), String) && strcmp(strVal(linitial(fields)), "segment") != 0)
			reading->unqualified = lappend(reading->unqualified, node);
		if (IsA(llast(fields), A_Star) && list_length(fields) > 1)
			refuse(reading, "contain *", "Name the columns.", castNode(ColumnRef, node)->location);
	}
	return raw_expression_tree_walker(node, raw_walker, argument);
}

/* One expression, and nothing after it. */
static RawStmt *
parse_expression(Reading *reading)
{
	bool		has_more;
	int			location;
	RawStmt	   *raw = given_text_parse(reading->expression->definition, &has_more, &location);
	SelectStmt *statement = castNode(SelectStmt, raw->stmt);
	ResTarget  *target;

	if (has_more)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression and nothing more", reading->expression->is_segment ? "a segment predicate" : "a computed trait"),
				 errhint("Write what would stand in a select list, for example count(*) FILTER (WHERE event.event_name = 'login') > 3."),
				 position_of(reading, location)));
	if (statement->targetList == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must not be empty", reading->expression->is_segment ? "a segment predicate" : "the expression of a computed trait")));
	if (list_length(statement->targetList) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression", reading->expression->is_segment ? "a segment predicate" : "a computed trait"),
				 position_of(reading, exprLocation(lsecond(statement->targetList)))));
	target = linitial_node(ResTarget, statement->targetList);
	if (IsA(target->val, ColumnRef) && IsA(llast(castNode(ColumnRef, target->val)->fields), A_Star))
		refuse(reading, "be *", "Name the columns.", castNode(ColumnRef, target->val)->location);
	if (target->name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be an expression without a name", reading->expression->is_segment ? "a segment predicate" : "a computed trait"),
				 errhint("Remove AS \"%s\".", target->name),
				 position_of(reading, target->location)));
	(void) raw_walker((Node *) statement, reading);
	return raw;
}

/* cdp.<view> AS alias */
static Node *
range_of(const char *view, const char *alias)
{
	RangeVar   *range = makeRangeVar(pstrdup("cdp"), pstrdup(view), -1);

	range->alias = makeAlias(alias, NIL);
	return (Node *) range;
}

/* (SELECT NULL::boolean AS a, ...) AS segment */
static Node *
segment_range(List *names)
{
	SelectStmt *statement = makeNode(SelectStmt);
	RangeSubselect *range = makeNode(RangeSubselect);
	ListCell   *cell;

	foreach (cell, names)
	{
		A_Const	   *null = makeNode(A_Const);
		TypeCast   *cast = makeNode(TypeCast);
		ResTarget  *target = makeNode(ResTarget);

		null->isnull = true;
		null->location = -1;
		cast->arg = (Node *) null;
		cast->typeName = SystemTypeName("bool");
		cast->location = -1;
		target->name = pstrdup(lfirst(cell));
		target->val = (Node *) cast;
		target->location = -1;
		statement->targetList = lappend(statement->targetList, target);
	}
	range->subquery = (Node *) statement;
	range->alias = makeAlias("segment", NIL);
	return (Node *) range;
}

/*
 * Puts the expression into the two queries.  A name that is no segment is left
 * to PostgreSQL, which says that there is no such column.
 */
static RawStmt *
put_into_host(RawStmt *raw, bool has_segments, List *segments)
{
	SelectStmt *inner = castNode(SelectStmt, raw->stmt);
	SelectStmt *outer = makeNode(SelectStmt);
	SubLink	   *link = makeNode(SubLink);
	ResTarget  *target = makeNode(ResTarget);
	RawStmt	   *result = makeNode(RawStmt);

	inner->fromClause = list_make1(range_of("events", "event"));
	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) inner;
	link->location = -1;
	target->val = (Node *) link;
	target->location = -1;
	outer->targetList = list_make1(target);
	outer->fromClause = list_make1(range_of("profiles", "profile"));
	if (has_segments)
		outer->fromClause = lappend(outer->fromClause, segment_range(segments));
	result->stmt = (Node *) outer;
	result->stmt_location = raw->stmt_location;
	result->stmt_len = raw->stmt_len;
	return result;
}

/* ---------- what must not be in an expression ---------- */

/* Does a string hold one of the words that mean the moment when it is read? */
static bool
is_moment(const char *string)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (const char *c = string; *c != '\0';)
	{
		size_t		length = 0;

		while (isalpha((unsigned char) c[length]))
			length++;
		for (int i = 0; i < (int) lengthof(words); i++)
			if (strlen(words[i]) == length && pg_strncasecmp(c, words[i], length) == 0)
				return true;
		c += Max(length, 1);
	}
	return false;
}

static bool
is_about_time(Oid type)
{
	char		category;
	bool		is_preferred;
	Oid			element = get_element_type(getBaseType(type));

	if (!OidIsValid(element))
		element = get_range_subtype(getBaseType(type));
	get_type_category_preferred(OidIsValid(element) ? element : getBaseType(type), &category, &is_preferred);
	return category == TYPCATEGORY_DATETIME;
}

/* now, today and so on in a literal would stay at the moment of the declaration. */
static void
refuse_moment(const Reading *reading, const Node *node, int location)
{
	ListCell   *cell;

	foreach (cell, reading->literals)
	{
		A_Const	   *literal = lfirst_node(A_Const, cell);

		if (literal->location == location && is_moment(strVal(&literal->val)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("literal '%s' would stay at the moment at which the expression is read", strVal(&literal->val)),
					 errhint("Write now(), current_date, current_date - 1 and so on, which are evaluated each time."),
					 position_of(reading, location)));
	}
}

static bool
check_walker(Node *node, void *argument)
{
	Reading	   *reading = argument;

	if (node == NULL)
		return false;
	if (given_text_calls_volatile(node))
		refuse(reading, "call a volatile function", "The same person and events must always give the same value, until something changes.", exprLocation(node));
	switch (nodeTag(node))
	{
		case T_Var:
		{
			Var		   *var = (Var *) node;

			if ((int) var->varlevelsup < reading->depth)
				return false;
			if (var->varattno == 0)
				refuse(reading, "read a whole row", "Name the columns.", var->location);
			if ((int) var->varlevelsup == reading->depth && !reading->is_in_aggregate)
				ereport(ERROR,
						(errcode(ERRCODE_GROUPING_ERROR),
						 errmsg("column \"%s\" of event must be used in an aggregate function",
								get_attname(get_relname_relid("events", get_namespace_oid("cdp", false)), var->varattno, false)),
						 position_of(reading, var->location)));
			return false;
		}
		case T_Const:
			if (is_about_time(castNode(Const, node)->consttype))
				refuse_moment(reading, node, castNode(Const, node)->location);
			return false;
		case T_CoerceViaIO:
			if (is_about_time(castNode(CoerceViaIO, node)->resulttype) && IsA(castNode(CoerceViaIO, node)->arg, Const))
				refuse_moment(reading, node, castNode(Const, castNode(CoerceViaIO, node)->arg)->location);
			break;
		case T_Aggref:
			if ((int) castNode(Aggref, node)->agglevelsup == reading->depth)
			{
				bool		result;

				reading->is_in_aggregate = true;
				result = expression_tree_walker(node, check_walker, argument);
				reading->is_in_aggregate = false;
				return result;
			}
			if ((int) castNode(Aggref, node)->agglevelsup > reading->depth)
				refuse(reading, "aggregate over people", "An aggregate is over the events of one person and reads columns of event.", castNode(Aggref, node)->location);
			break;
		case T_Query:
		{
			Query	   *query = (Query *) node;
			ListCell   *cell;
			bool		result;

			if (query->rowMarks != NIL || query->hasModifyingCTE || query->commandType != CMD_SELECT)
				refuse(reading, "write or lock rows", "A subquery only reads.", -1);
			foreach (cell, query->rtable)
			{
				TableSampleClause *sample = lfirst_node(RangeTblEntry, cell)->tablesample;

				if (sample != NULL && sample->repeatable == NULL)
					refuse(reading, "read a random sample", "Add REPEATABLE (1), which gives the same one each time.", -1);
			}
			cdp_check_permissions(query);
			reading->depth++;
			result = query_tree_walker(query, check_walker, argument, 0);
			reading->depth--;
			return result;
		}
		default:
			break;
	}
	return expression_tree_walker(node, check_walker, argument);
}

/*
 * What is registered is evaluated in other sessions too: what is called so
 * there is somebody else's, who must not come to run with the owner's rights.
 */
static void
refuse_temporary(const Reading *reading, Node *tree)
{
	int			location;

	if (!reading->expression->is_own && cdp_reads_temporary(tree, &location))
		refuse(reading, "read temporary objects", "Other sessions, which evaluate it too, have others of that name or none.", location);
}

/* The type of the value is one that can be kept. */
static void
check_type(const Reading *reading, Node *tree)
{
	Oid			type = exprType(tree);

	if (reading->expression->is_segment)
	{
		if (getBaseType(type) != BOOLOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a segment predicate must be of type boolean, not type %s", format_type_be(type)),
					 errhint("Write a condition, such as profile.country = 'FR'."),
					 position_of(reading, exprLocation(tree))));
	}
	else if (get_typtype(type) == TYPTYPE_PSEUDO || type_is_rowtype(type) || !OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a computed trait cannot be of type %s", format_type_be(type)),
				 errhint("Cast it to a type with equality, for example to text or jsonb."),
				 position_of(reading, exprLocation(tree))));
}

/* ---------- other expressions ---------- */

/*
 * Whether two definitions belong to one role and have the same settings, so that
 * one statement can evaluate both.
 */
bool
expression_has_settings_of(const Expression *a, const Expression *b)
{
	return strcmp(a->owner, b->owner) == 0 && strcmp(a->time_zone, b->time_zone) == 0 && strcmp(a->search_path, b->search_path) == 0;
}

/* The definition that a name leads to, read with the rights of the caller; NULL: none. */
static Expression *
find_as_caller(const Compilation *compilation, const char *kind, const char *name)
{
	Expression *found;

	source_owner_suspend(&compilation->owner);
	found = expression_find(kind, name, true);
	source_owner_resume(&compilation->owner);
	return found;
}

/* An expression that is built on itself. */
static void
refuse_cycle(const Compilation *compilation, const Expression *again)
{
	StringInfoData path;
	ListCell   *cell;
	bool		is_inside = false;

	initStringInfo(&path);
	foreach (cell, compilation->path)
	{
		Expression *one = lfirst(cell);

		is_inside |= one->is_segment == again->is_segment && strcmp(one->name, again->name) == 0;
		if (is_inside)
			appendStringInfo(&path, "%s -> ", one->name);
	}
	appendStringInfoString(&path, again->name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s \"%s\" would depend on itself: %s", again->is_segment ? "segment" : "computed trait", again->name, path.data),
			 errhint("Take one of these references out.")));
}

static void
check_cycle(const Compilation *compilation, const Expression *next)
{
	ListCell   *cell;

	foreach (cell, compilation->path)
	{
		Expression *one = lfirst(cell);

		if (one->name[0] != '\0' && one->is_segment == next->is_segment && strcmp(one->name, next->name) == 0)
			refuse_cycle(compilation, next);
	}
}

/* Do the expressions that another one needs lead back here, by stored values? */
static void
check_stored_cycle(Compilation *compilation, const Expression *next)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(next->id)};
	List	   *needed = NIL;
	ListCell   *cell;
	MemoryContext context = CurrentMemoryContext;

	check_cycle(compilation, next);
	compilation->path = lappend(compilation->path, (void *) next);
	source_owner_suspend(&compilation->owner);
	SPI_connect();
	if (SPI_execute_with_args(COLUMNS "JOIN cdp_data.expression_fact AS f ON f.kind OPERATOR(pg_catalog.=) e.kind AND f.name OPERATOR(pg_catalog.=) e.name "
									  "WHERE f.expression_id OPERATOR(pg_catalog.=) $1 ORDER BY e.expression_id",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what \"%s\" depends on", next->name);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi;
		Expression *one = expression_of_row(SPI_tuptable->vals[i], context);

		spi = MemoryContextSwitchTo(context);
		needed = lappend(needed, one);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	source_owner_resume(&compilation->owner);
	foreach (cell, needed)
		check_stored_cycle(compilation, lfirst(cell));
	compilation->path = list_delete_last(compilation->path);
}

typedef struct Inlining
{
	Compilation *compilation;
	const Expression *expression;
	List	   *segments;		/* names of the columns of "segment" here */
	ExpressionFacts *facts;		/* NULL: not wanted */
	int			depth;
} Inlining;

static int
stored_segment(Compilation *compilation, const char *name)
{
	ListCell   *cell;

	foreach (cell, compilation->stored_segments)
		if (strcmp(lfirst(cell), name) == 0)
			return foreach_current_index(cell) + 1;
	compilation->stored_segments = lappend(compilation->stored_segments, pstrdup(name));
	return list_length(compilation->stored_segments);
}

/* The tree of another expression in the place of a reference to it. */
static Node *
inline_reference(Inlining *inlining, const Expression *other, const Var *var)
{
	Node	   *tree = other->is_segment ? expression_condition(inlining->compilation, other) : expression_analyse(inlining->compilation, other, NULL);

	if (inlining->depth > 0)
		IncrementVarSublevelsUp(tree, inlining->depth, 0);
	/* the column of a domain is of the type that the domain is of */
	if (exprType(tree) != var->vartype && getBaseType(exprType(tree)) == var->vartype)
		tree = coerce_to_target_type(NULL, tree, exprType(tree), var->vartype, -1, COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	if (exprType(tree) != var->vartype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the expression of computed trait \"%s\" is %s now, and its column %s", other->name, format_type_be(exprType(tree)), format_type_be(var->vartype)),
				 errhint("Declare it again with cdp.create_computed_trait(..., replace => true).")));
	if (OidIsValid(var->varcollid) && exprCollation(tree) != var->varcollid)
	{
		CollateExpr *collate = makeNode(CollateExpr);

		collate->arg = (Expr *) tree;
		collate->collOid = var->varcollid;
		collate->location = -1;
		tree = (Node *) collate;
	}
	return tree;
}

/* Computed traits and segments give way to what they stand for. */
static Node *
inline_mutator(Node *node, void *argument)
{
	Inlining   *inlining = argument;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query	   *result;

		inlining->depth++;
		result = query_tree_mutator((Query *) node, inline_mutator, argument, 0);
		inlining->depth--;
		return (Node *) result;
	}
	if (IsA(node, Var) && (int) castNode(Var, node)->varlevelsup == inlining->depth + OUTER_LEVEL)
	{
		Var		   *var = castNode(Var, node);
		bool		is_segment = var->varno == SEGMENT_RELATION;
		const char *name = is_segment ? list_nth(inlining->segments, var->varattno - 1) : get_attname(inlining->compilation->profiles, var->varattno, false);
		Expression *other = find_as_caller(inlining->compilation, is_segment ? "segment" : "trait", name);

		if (inlining->facts != NULL)
			expression_fact(inlining->facts, is_segment ? "segment" : "trait", name);
		if (other != NULL && !other->is_query && expression_has_settings_of(other, inlining->expression))
			return inline_reference(inlining, other, var);
		if (other != NULL)
			check_stored_cycle(inlining->compilation, other);
		var = copyObject(var);
		if (is_segment)
			var->varattno = stored_segment(inlining->compilation, name);
		return (Node *) var;
	}
	return expression_tree_mutator(node, inline_mutator, argument);
}

/* ---------- analysis ---------- */

/* Those of the names that are segments, as char. */
static List *
known_segments(const Compilation *compilation, List *names)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach (cell, names)
		if (find_as_caller(compilation, "segment", strVal(lfirst(cell))) != NULL)
			result = lappend(result, strVal(lfirst(cell)));
	return result;
}

/*
 * Begins to compile expressions of one owner and settings: takes on its rights.
 */
void
compilation_begin(Compilation *compilation, const Expression *expression)
{
	Oid			schema = get_namespace_oid("cdp", false);

	memset(compilation, 0, sizeof(Compilation));
	compilation->events = get_relname_relid("events", schema);
	compilation->profiles = get_relname_relid("profiles", schema);
	if (!OidIsValid(compilation->events) || !OidIsValid(compilation->profiles))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the views of cdp are missing"),
				 errhint("The owner of the storage calls SELECT cdp.setup();")));
	expression_enter(expression, &compilation->owner);
}

void
compilation_end(Compilation *compilation)
{
	source_owner_leave(&compilation->owner);
}

/*
 * The tree of an expression, with other expressions of its owner put in, and
 * (unless NULL) what it reads.  Between compilation_begin and compilation_end,
 * for an expression of the same owner and settings.
 *
 * Errors: PostgreSQL's own about the text; what an expression must not hold;
 * cycles.
 */
Node *
expression_analyse(Compilation *compilation, const Expression *expression, ExpressionFacts *facts)
{
	Reading		reading = {.expression = expression, .profiles = compilation->profiles};
	Inlining	inlining = {.compilation = compilation, .expression = expression, .facts = facts};
	ErrorContextCallback error_context;
	RawStmt	   *raw;
	Query	   *outer;
	Query	   *inner;
	Node	   *tree;

	check_stack_depth();
	check_cycle(compilation, expression);
	error_context.callback = reading_error_callback;
	error_context.arg = &reading;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	raw = parse_expression(&reading);
	inlining.segments = known_segments(compilation, reading.segments);
	raw = put_into_host(raw, reading.segments != NIL, inlining.segments);
	outer = parse_analyze_fixedparams(raw, expression->definition, NULL, 0, NULL);
	inner = castNode(Query, castNode(SubLink, linitial_node(TargetEntry, outer->targetList)->expr)->subselect);
	tree = (Node *) linitial_node(TargetEntry, inner->targetList)->expr;
	if (inner->hasWindowFuncs)
		refuse(&reading, "contain a window function", "An expression gives one value for each person.", locate_windowfunc(tree));
	if (inner->hasTargetSRFs)
		refuse(&reading, "contain a set-returning function", "An expression gives one value for each person.", given_text_set_returning(tree));
	(void) check_walker(tree, &reading);
	refuse_temporary(&reading, tree);
	check_type(&reading, tree);
	/* the columns that are read, and the right to read them */
	cdp_check_permissions(outer);
	cdp_check_permissions(inner);
	error_context_stack = error_context.previous;

	compilation->path = lappend(compilation->path, (void *) expression);
	tree = inline_mutator(tree, &inlining);
	compilation->path = list_delete_last(compilation->path);
	if (facts != NULL)
		expression_collect_facts(compilation, tree, facts);
	return tree;
}

/*
 * The condition for being in a segment: true or false, never NULL.
 */
Node *
expression_condition(Compilation *compilation, const Expression *expression)
{
	Node	   *tree = expression_analyse(compilation, expression, NULL);
	BooleanTest *test = makeNode(BooleanTest);

	if (!expression->include_anonymous)
	{
		AttrNumber	number = get_attnum(compilation->profiles, "is_known");

		if (number == InvalidAttrNumber)
			elog(ERROR, "view cdp.profiles has no column is_known");
		tree = (Node *) makeBoolExpr(AND_EXPR,
									 list_make2(makeVar(PROFILE_RELATION, number, BOOLOID, -1, InvalidOid, OUTER_LEVEL), tree), -1);
	}
	test->arg = (Expr *) tree;
	test->booltesttype = IS_TRUE;
	test->location = -1;
	return (Node *) test;
}
