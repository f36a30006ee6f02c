/*
 * declaration.c
 *		cdp.create_source and cdp.alter_source: the checks of a declaration.
 *
 * The texts of a declaration are select lists and expressions over the rows of
 * one relation.  PostgreSQL's own parser and analyser read them, each by itself
 * and with the rights of the source's owner, so that an error shows its place in
 * the very text that the user wrote.  What passes is stored by
 * cdp.store_source, in SQL; cdp.source_query puts the texts together again.
 *
 * These functions are C because functions in SQL have a search_path of their
 * own, and that of the caller belongs to the declaration.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "pgtime.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "cdp.h"
#include "identity/settings.h"
#include "identity/stitch.h"
#include "source/owner.h"

/* Tables have at most 1,600 columns. */
#define MAX_LIST_COLUMNS	1500

/* The texts, in the order of the arguments of cdp.create_source from record_key on. */
typedef enum Part
{
	PART_RECORD_KEY,
	PART_OBSERVED_AT,
	PART_OCCURRED_AT,
	PART_EVENT_NAME,
	PART_IDENTIFIERS,
	PART_TRAITS,
	PART_PROPERTIES,
	PART_PROFILE_ID,
	PART_FILTER,
	PART_DELETED,
	PART_WATERMARK,
	PART_COUNT
} Part;

typedef enum Meaning
{
	MEANS_KEY,
	MEANS_TIME,
	MEANS_NAME,
	MEANS_CONDITION,
	MEANS_PROFILE,
	MEANS_WATERMARK,
	MEANS_IDENTIFIER,
	MEANS_TRAIT,
	MEANS_PROPERTY
} Meaning;

typedef struct PartRule
{
	const char *name;
	bool		is_list;
	Meaning		meaning;
	const char *kind;			/* of its columns in cdp_data.source_column, NULL: not stored */
} PartRule;

static const PartRule part_rules[PART_COUNT] = {
	[PART_RECORD_KEY] = {"record_key", true, MEANS_KEY, "key"},
	[PART_OBSERVED_AT] = {"observed_at", false, MEANS_TIME, NULL},
	[PART_OCCURRED_AT] = {"occurred_at", false, MEANS_TIME, NULL},
	[PART_EVENT_NAME] = {"event_name", false, MEANS_NAME, NULL},
	[PART_IDENTIFIERS] = {"identifiers", true, MEANS_IDENTIFIER, "identifier"},
	[PART_TRAITS] = {"traits", true, MEANS_TRAIT, "trait"},
	[PART_PROPERTIES] = {"properties", true, MEANS_PROPERTY, "property"},
	[PART_PROFILE_ID] = {"profile_id", false, MEANS_PROFILE, NULL},
	[PART_FILTER] = {"filter", false, MEANS_CONDITION, NULL},
	[PART_DELETED] = {"deleted", false, MEANS_CONDITION, NULL},
	[PART_WATERMARK] = {"watermark", false, MEANS_WATERMARK, "watermark"},
};

/* Columns that cdp.profiles and cdp.events have anyway, and those of every table. */
static const char *const profile_columns[] = {
	"profile_id", "is_known", "first_seen", "last_seen", "event_count", "record_count",
"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};
static const char *const event_columns[] = {
	"profile_id", "hub", "source", "record_key", "event_name", "occurred_at", "observed_at",
"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"};

typedef struct Declaration
{
	const char *function;		/* who is called, for messages */
	const char *name;
	char	   *relation;		/* as given, then qualified */
	char	   *texts[PART_COUNT];
	char	   *watermark_overlap;
	char	   *time_zone;
	char	   *capture;
	Oid			owner;
	char	   *owner_name;		/* as stored */
	char	   *search_path;
	RangeVar   *range;
	GraphSettings *settings;

	/* the columns that the select lists yield */
	int			column_count;
	Datum	   *column_kinds;
	Datum	   *column_numbers;
	Datum	   *column_names;
	Datum	   *column_types;
} Declaration;

/* A text that is being read. */
typedef struct Reading
{
	const Declaration *declaration;
	const PartRule *rule;
	const char *text;
	bool		is_bare_name;	/* nothing but a name: perhaps meant as a constant */
} Reading;

PG_FUNCTION_INFO_V1(cdp_create_source);
PG_FUNCTION_INFO_V1(cdp_alter_source);
PG_FUNCTION_INFO_V1(cdp_verify_source);

/* ---------- errors ---------- */

/*
 * Positions are those in the user's text, shown as that of an internal query.
 * The text itself is a declaration and holds nobody's values.
 */
static void
reading_error_callback(void *argument)
{
	Reading    *reading = argument;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(reading->text);
	}
	if (geterrcode() == ERRCODE_UNDEFINED_COLUMN && reading->is_bare_name)
		errhint("The arguments are SQL expressions over the rows of %s; a constant is written in quotes of its own: %s => $$'%s'$$.",
				reading->declaration->relation, reading->rule->name, reading->text);
	if (geterrcode() == ERRCODE_GROUPING_ERROR)
		errhint("An expression is evaluated for one row at a time.  Declare a view as the source where more is needed.");
	errcontext("argument \"%s\" of %s", reading->rule->name, reading->declaration->function);
}

/* For ereport: the place of a node, given as a byte of the text. */
static int
position_of(const Reading *reading, int location)
{
	if (location < 0)
		return 0;
	return errposition(pg_mbstrlen_with_len(reading->text, location) + 1);
}

/* ---------- shape ---------- */

/* Is there anything but a select list, and where?  -1: it has no place of its own. */
static bool
has_more_than_a_list(const SelectStmt *statement, int *location)
{
	Node	   *clauses[] = {
		(Node *) statement->distinctClause, (Node *) statement->fromClause, statement->whereClause,
		(Node *) statement->groupClause, statement->havingClause, (Node *) statement->windowClause,
		(Node *) statement->sortClause, statement->limitOffset, statement->limitCount,
	(Node *) statement->lockingClause, (Node *) statement->withClause, (Node *) statement->intoClause};
	bool		found = statement->op != SETOP_NONE || statement->valuesLists != NIL;

	*location = -1;
	for (int i = 0; i < (int) lengthof(clauses); i++)
	{
		int			here;

		if (clauses[i] == NULL)
			continue;
		found = true;
		/* SELECT DISTINCT holds a list of one NULL */
		if (i == 0)
			continue;
		here = exprLocation(clauses[i]);
		if (here >= 0 && (*location < 0 || here < *location))
			*location = here;
	}
	return found;
}

static bool
is_star(Node *node)
{
	if (IsA(node, ColumnRef))
		return IsA(llast(castNode(ColumnRef, node)->fields), A_Star);
	if (IsA(node, A_Indirection))
		return IsA(llast(castNode(A_Indirection, node)->indirection), A_Star);
	return false;
}

/* Parses a text into a SELECT that has a select list and nothing else. */
static RawStmt *
parse_list(Reading *reading)
{
	List	   *statements = raw_parser(reading->text, RAW_PARSE_PLPGSQL_EXPR);
	RawStmt    *raw;
	SelectStmt *statement;
	ListCell   *cell;
	int			location;

	if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		elog(ERROR, "unexpected result of parsing an expression");
	raw = linitial_node(RawStmt, statements);
	statement = castNode(SelectStmt, raw->stmt);
	if (has_more_than_a_list(statement, &location))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 reading->rule->is_list ? errmsg("%s must be a select list and nothing more", reading->rule->name) : errmsg("%s must be an expression and nothing more", reading->rule->name),
				 errhint("Write what stands between SELECT and FROM.  The rows are those of %s; a condition on them goes to filter.",
						 reading->declaration->relation),
				 position_of(reading, location)));
	if (statement->targetList == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must not be empty", reading->rule->name),
				 errhint("Leave the argument out, or write what stands between SELECT and FROM.")));
	if (!reading->rule->is_list && list_length(statement->targetList) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression", reading->rule->name),
				 position_of(reading, exprLocation(lsecond(statement->targetList)))));
	if (list_length(statement->targetList) > MAX_LIST_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("%s must have at most %d columns", reading->rule->name, MAX_LIST_COLUMNS)));

	foreach (cell, statement->targetList)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);

		if (is_star(target->val))
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("%s must not contain *", reading->rule->name),
					 errhint("List the columns, so that a new column of the table does not come in unasked."),
					 position_of(reading, exprLocation(target->val))));
		if (reading->rule->is_list && reading->rule->meaning != MEANS_KEY && target->name == NULL && !IsA(target->val, ColumnRef))
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("column %d of %s has no name", foreach_current_index(cell) + 1, reading->rule->name),
					 reading->rule->meaning == MEANS_IDENTIFIER ? errhint("Name it after the namespace of the identifier, for example AS email.") : errhint("Add AS and a name."),
					 position_of(reading, exprLocation(target->val))));
		if (!reading->rule->is_list && target->name != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("%s must be an expression without a name", reading->rule->name),
					 errhint("Remove AS \"%s\".", target->name),
					 position_of(reading, target->location)));
		reading->is_bare_name = !reading->rule->is_list && IsA(target->val, ColumnRef) &&
			list_length(castNode(ColumnRef, target->val)->fields) == 1;
	}
	return raw;
}

/* ---------- what must not be in an expression ---------- */

static bool
is_volatile(Oid function, void *context)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

/* Refuses what would make the outcome depend on more than the row. */
static bool
refuse_walker(Node *node, void *argument)
{
	Reading    *reading = argument;

	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_volatile, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not call a volatile function", reading->rule->name),
				 errhint("The same row must always give the same values."),
				 position_of(reading, exprLocation(node))));
	if (IsA(node, Var) && castNode(Var, node)->varlevelsup == 0 && castNode(Var, node)->varattno < 0 &&
		castNode(Var, node)->varattno != TableOidAttributeNumber && reading->rule->meaning == MEANS_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("record_key must not be a system column"),
				 errhint("Take a column that stays the same when the row changes."),
				 position_of(reading, exprLocation(node))));
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->rowMarks != NIL || query->hasModifyingCTE || query->commandType != CMD_SELECT)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a subquery of %s must only read", reading->rule->name)));
		return query_tree_walker(query, refuse_walker, argument, 0);
	}
	return expression_tree_walker(node, refuse_walker, argument);
}

static bool
find_set_returning(Node *node, void *argument)
{
	if (node == NULL)
		return false;
	if ((IsA(node, FuncExpr) && castNode(FuncExpr, node)->funcretset) ||
		(IsA(node, OpExpr) && castNode(OpExpr, node)->opretset))
	{
		*(int *) argument = exprLocation(node);
		return true;
	}
	return expression_tree_walker(node, find_set_returning, argument);
}

static void
refuse_features(Reading *reading, Query *query)
{
	const char *what = NULL;
	int			location = -1;

	if (query->hasAggs)
	{
		what = "an aggregate function";
		location = locate_agg_of_level((Node *) query->targetList, 0);
	}
	else if (query->hasWindowFuncs)
	{
		what = "a window function";
		location = locate_windowfunc((Node *) query->targetList);
	}
	else if (query->hasTargetSRFs)
	{
		what = "a set-returning function";
		(void) find_set_returning((Node *) query->targetList, &location);
	}
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not contain %s", reading->rule->name, what),
				 errhint("An expression is evaluated for one row at a time.  Declare a view as the source where more is needed."),
				 position_of(reading, location)));
	(void) refuse_walker((Node *) query, reading);
}

/* ---------- types ---------- */

static void
refuse_type(const Reading *reading, const char *subject, Oid type, const char *hint, int location)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s has type %s", subject, format_type_be(type)),
			 errhint("%s", hint),
			 position_of(reading, location)));
}

/* Times without zone mean something only with the source's time zone. */
static void
require_time_zone(const Reading *reading, const char *subject, Oid type, int location)
{
	if (reading->declaration->time_zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s has type %s, which has no time zone", subject, format_type_be(type)),
				 errhint("Say in which zone its times are: time_zone => 'UTC', for example."),
				 position_of(reading, location)));
}

static bool
has_equality(Oid type)
{
	return OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr);
}

/*
 * The type in which a property is kept: that of its expression, where there are
 * several that people take for one, the widest of them.
 */
static Oid
property_type(const Reading *reading, const char *subject, Oid given, int location)
{
	Oid			type = getBaseType(given);

	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return INT8OID;
		case FLOAT4OID:
		case FLOAT8OID:
			return FLOAT8OID;
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case UNKNOWNOID:
			return TEXTOID;
		case JSONOID:
			return JSONBOID;
		case TIMESTAMPOID:
			require_time_zone(reading, subject, given, location);
			return TIMESTAMPTZOID;
		default:
			break;
	}
	if (get_typtype(type) == TYPTYPE_PSEUDO || type_is_rowtype(type))
		refuse_type(reading, subject, given, "Cast it, for example with to_jsonb().", location);
	return type;
}

/* The type in which a trait is kept; see cdp.create_trait. */
static Oid
trait_type(const Reading *reading, const char *subject, Oid given, int location)
{
	Oid			type = getBaseType(given);

	switch (type)
	{
		case BOOLOID:
		case NUMERICOID:
		case TIMESTAMPTZOID:
		case JSONBOID:
			return type;
		case BYTEAOID:
		case MONEYOID:
		case XMLOID:
			refuse_type(reading, subject, given, "A trait is a boolean, a number, a text, a time or jsonb: cast it to one of these.", location);
			break;
		default:
			break;
	}
	if (OidIsValid(get_element_type(type)) || type_is_rowtype(type))
		return JSONBOID;
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case JSONOID:
		case TIMESTAMPOID:
			return property_type(reading, subject, given, location);
		default:
			break;
	}
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		return property_type(reading, subject, given, location);
	return TEXTOID;
}

static bool
is_listed(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Checks a trait's or property's name. */
static void
check_column_name(const Declaration *declaration, const Reading *reading, const char *name, Oid type, int location)
{
	bool		is_trait = reading->rule->meaning == MEANS_TRAIT;

	if (is_trait ? is_listed(profile_columns, lengthof(profile_columns), name) : is_listed(event_columns, lengthof(event_columns), name))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("\"%s\" is a column of %s already", name, is_trait ? "cdp.profiles" : "cdp.events"),
				 errhint("Choose another name after AS."),
				 position_of(reading, location)));
	if (!is_trait && strcmp(name, "properties") == 0 && type != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"properties\" has type %s, not jsonb", format_type_be(type)),
				 errhint("The name stands for the properties without a column of their own, one jsonb object."),
				 position_of(reading, location)));
	for (int i = 0; i < declaration->column_count; i++)
	{
		if (strcmp(TextDatumGetCString(declaration->column_kinds[i]), reading->rule->kind) == 0 &&
			strcmp(TextDatumGetCString(declaration->column_names[i]), name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("%s has two columns \"%s\"", reading->rule->name, name),
					 errhint("Only identifiers may repeat a name."),
					 position_of(reading, location)));
	}
}

/* Names of the namespaces, for a hint. */
static char *
namespace_names(const GraphSettings *settings)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < settings->namespace_count; i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ", settings->namespaces[i].name);
	return names.data;
}

static void
check_identifier(const Declaration *declaration, const Reading *reading, const char *name, Oid given, int location)
{
	Oid			element = get_element_type(getBaseType(given));

	if (graph_namespace_index(declaration->settings, name) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("column \"%s\" of identifiers is not a namespace", name),
				 errhint("Each column is named after the namespace of its identifiers (AS email, for example).  The view cdp.namespaces lists them: %s; cdp.create_namespace adds one.",
						 namespace_names(declaration->settings)),
				 position_of(reading, location)));
	if (!stitch_holds_identifier(OidIsValid(element) ? element : getBaseType(given)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of identifiers has type %s, which holds no identifier", name, format_type_be(given)),
				 errhint("Take the value out as text (properties->>'email', for example), or give an array of several."),
				 position_of(reading, location)));
}

/* Checks one column and returns the type to note for it. */
static Oid
check_column(const Declaration *declaration, const Reading *reading, const TargetEntry *target)
{
	Oid			given = exprType((Node *) target->expr);
	Oid			type = getBaseType(given);
	int			location = exprLocation((Node *) target->expr);
	const char *name = target->resname;
	char	   *subject = reading->rule->is_list && reading->rule->meaning != MEANS_KEY ? psprintf("column \"%s\" of %s", name, reading->rule->name) : pstrdup(reading->rule->name);
	char		category;
	bool		is_preferred;

	get_type_category_preferred(type, &category, &is_preferred);
	switch (reading->rule->meaning)
	{
		case MEANS_KEY:
			if (type_is_rowtype(type) || OidIsValid(get_element_type(type)) || type == JSONOID || !has_equality(type))
				refuse_type(reading, subject, given, "A key is a text, a number, a UUID or the like; several columns make a key, too: record_key => 'a, b'.", location);
			/* no time zone is needed for the text of a time */
			if (type != TIMESTAMPOID)
				return property_type(reading, subject, given, location);
			break;
		case MEANS_TIME:
			if (type == TIMESTAMPOID || type == DATEOID)
				require_time_zone(reading, subject, given, location);
			else if (type != TIMESTAMPTZOID)
				refuse_type(reading, subject, given, "Make it a timestamp: cast it with ::timestamptz, or use to_timestamp() for seconds since 1970.", location);
			break;
		case MEANS_NAME:
			if (category != TYPCATEGORY_STRING && category != TYPCATEGORY_ENUM)
				refuse_type(reading, subject, given, "Cast it to text.", location);
			break;
		case MEANS_CONDITION:
			if (type != BOOLOID)
				refuse_type(reading, subject, given, "Write a condition, for example deleted_at IS NOT NULL.", location);
			break;
		case MEANS_PROFILE:
			if (type != INT2OID && type != INT4OID && type != INT8OID)
				refuse_type(reading, subject, given, "Profile ids are of type bigint.", location);
			break;
		case MEANS_WATERMARK:
			if (type == TIMESTAMPOID || type == DATEOID)
				require_time_zone(reading, subject, given, location);
			else if (type != TIMESTAMPTZOID && type != INT2OID && type != INT4OID && type != INT8OID && type != NUMERICOID && type != TEXTOID && type != VARCHAROID)
				refuse_type(reading, subject, given, "A watermark is a time, a whole number or a text that grows with every change.", location);
			if (type == TIMESTAMPOID || type == DATEOID)
				return TIMESTAMPTZOID;
			return property_type(reading, subject, given, location);
		case MEANS_IDENTIFIER:
			check_identifier(declaration, reading, name, given, location);
			break;
		case MEANS_TRAIT:
			check_column_name(declaration, reading, name, type, location);
			return trait_type(reading, subject, given, location);
		case MEANS_PROPERTY:
			check_column_name(declaration, reading, name, type, location);
			return property_type(reading, subject, given, location);
	}
	return type;
}

/* The name of a type, with its schema unless it is PostgreSQL's own. */
static const char *
type_name(Oid type)
{
	const char *name = format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);

	return strncmp(name, "pg_catalog.", 11) == 0 ? name + 11 : name;
}

static void
note_column(Declaration *declaration, const char *kind, int number, const char *name, Oid type)
{
	int			i = declaration->column_count++;

	declaration->column_kinds[i] = CStringGetTextDatum(kind);
	declaration->column_numbers[i] = Int32GetDatum(number);
	declaration->column_names[i] = CStringGetTextDatum(name);
	declaration->column_types[i] = CStringGetTextDatum(type_name(type));
}

/* Reads one text and notes its columns. */
static void
read_part(Declaration *declaration, Part part)
{
	Reading		reading = {declaration, &part_rules[part], declaration->texts[part], false};
	ErrorContextCallback error_context;
	RawStmt    *raw;
	Query	   *query;
	ListCell   *cell;
	int			number = 0;

	if (declaration->texts[part] == NULL)
		return;
	error_context.callback = reading_error_callback;
	error_context.arg = &reading;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	raw = parse_list(&reading);
	castNode(SelectStmt, raw->stmt)->fromClause = list_make1(copyObject(declaration->range));
	query = parse_analyze_fixedparams(raw, reading.text, NULL, 0, NULL);
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		elog(ERROR, "unexpected result of analysing an expression");
	refuse_features(&reading, query);
	/* the columns that are read, and the right to read them */
	cdp_check_permissions(query);
	foreach (cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);
		Oid			type;

		if (target->resjunk)
			continue;
		type = check_column(declaration, &reading, target);
		number++;
		if (reading.rule->kind != NULL)
			note_column(declaration, reading.rule->kind, number, target->resname, type);
	}
	error_context_stack = error_context.previous;
}

/* ---------- the declaration as a whole ---------- */

static void
refuse_null(const Declaration *declaration, const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s of %s must not be null", argument, declaration->function)));
}

static void
check_parts(const Declaration *declaration)
{
	char	  *const *texts = declaration->texts;
	bool		is_event = texts[PART_OCCURRED_AT] != NULL;

	if (texts[PART_RECORD_KEY] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source \"%s\" has no record_key", declaration->name),
				 errhint("Give the column, or the columns, that tell the rows apart: record_key => 'id'.")));
	if (is_event != (texts[PART_EVENT_NAME] != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has %s but no %s", declaration->name,
						is_event ? "occurred_at" : "event_name", is_event ? "event_name" : "occurred_at"),
				 errhint("A source of events has both: occurred_at => 'created_at', event_name => $$'purchase'$$.")));
	if (!is_event && texts[PART_PROPERTIES] != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has properties but no events", declaration->name),
				 errhint("A source of events has occurred_at and event_name; what a record says about its person goes to traits.")));
	if (is_event && texts[PART_TRAITS] != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has both events and traits", declaration->name),
				 errhint("Declare a second source over the same table for the traits.")));
	if ((texts[PART_IDENTIFIERS] == NULL) == (texts[PART_PROFILE_ID] == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" must have either identifiers or profile_id", declaration->name),
				 errhint("Say how a row is recognised: identifiers => 'mail AS email, id AS crm_id'.")));
	if (strcmp(declaration->capture, "pull") != 0 && strcmp(declaration->capture, "queue") != 0 && strcmp(declaration->capture, "immediate") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid capture \"%s\"", declaration->capture),
				 errhint("The ways of capture are pull, queue and immediate.")));
	if (declaration->time_zone != NULL && pg_tzset(declaration->time_zone) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" does not exist", declaration->time_zone),
				 errhint("The view pg_timezone_names lists the time zones.")));
}

static void
relation_error_callback(void *argument)
{
	errcontext("argument \"relation\" of %s", ((const Declaration *) argument)->function);
}

/* Finds the relation, and its qualified name. */
static void
find_relation(Declaration *declaration)
{
	Oid			relation;
	char		kind;
	RangeVar   *range;
	ErrorContextCallback error_context;

	error_context.callback = relation_error_callback;
	error_context.arg = declaration;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	declaration->range = range = makeRangeVarFromNameList(cdp_qualified_name_list(declaration->relation));
	relation = RangeVarGetRelid(range, AccessShareLock, false);
	kind = get_rel_relkind(relation);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
		kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table, view or foreign table", declaration->relation)));
	if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a temporary table", declaration->relation),
				 errhint("Other sessions cannot read it; copy it into an ordinary table.")));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && strcmp(declaration->capture, "pull") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("changes of \"%s\" cannot be captured, because it is not a table", declaration->relation),
				 errhint("Leave capture at 'pull'.")));
	range->catalogname = NULL;
	range->schemaname = get_namespace_name(get_rel_namespace(relation));
	declaration->relation = pstrdup(quote_qualified_identifier(range->schemaname, range->relname));
	error_context_stack = error_context.previous;
}

/*
 * The search_path in force, resolved: "$user" would be somebody else at run
 * time, and a temporary table of the session at hand must not come first.
 */
static char *
resolved_search_path(void)
{
	StringInfoData path;
	List	   *schemas = fetch_search_path(false);
	ListCell   *cell;

	initStringInfo(&path);
	foreach (cell, schemas)
	{
		char	   *name = get_namespace_name(lfirst_oid(cell));

		if (name == NULL || isAnyTempNamespace(lfirst_oid(cell)))
			continue;
		appendStringInfo(&path, "%s, ", quote_identifier(name));
	}
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

/* Who may declare a source for a role, and for which roles sources run. */
static void
check_owner(const Declaration *declaration)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("cdp_data"));
	Oid			storage_owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema \"cdp_data\"");
	storage_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (!has_privs_of_role(GetUserId(), declaration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to declare a source that runs as role \"%s\"", GetUserNameFromId(declaration->owner, false)),
				 errhint("A member of that role may do so.")));
	if (!has_privs_of_role(storage_owner, declaration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a source cannot run as role \"%s\", of which the owner of the storage is no member", GetUserNameFromId(declaration->owner, false)),
				 errhint("Run GRANT %s TO %s, or give the source to another role with owner =>.",
						 quote_identifier(GetUserNameFromId(declaration->owner, false)),
						 quote_identifier(GetUserNameFromId(storage_owner, false)))));
}

static void
set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Checks everything that can be checked, with the rights of the source's owner. */
static void
analyze_declaration(Declaration *declaration)
{
	Oid			user;
	int			security_context;
	int			guc_level;
	int			limit = PART_COUNT * MAX_LIST_COLUMNS;

	check_parts(declaration);
	declaration->settings = graph_settings_load(CurrentMemoryContext);
	declaration->column_kinds = cdp_palloc_array(Datum, limit);
	declaration->column_numbers = cdp_palloc_array(Datum, limit);
	declaration->column_names = cdp_palloc_array(Datum, limit);
	declaration->column_types = cdp_palloc_array(Datum, limit);

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(declaration->owner,
						   security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	guc_level = NewGUCNestLevel();
	find_relation(declaration);
	set_option("search_path", declaration->search_path);
	for (int part = 0; part < PART_COUNT; part++)
		read_part(declaration, (Part) part);
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, security_context);
}

static Datum
text_or_null(const char *string, char *null)
{
	*null = string == NULL ? 'n' : ' ';
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/* Stores what was checked; see cdp.store_source. */
static void
store_declaration(const Declaration *declaration, bool replace, bool is_new)
{
#define STORE_ARGUMENTS (2 + PART_COUNT + 5 + 4 + 2)
	Oid			types[STORE_ARGUMENTS];
	Datum		values[STORE_ARGUMENTS];
	char		nulls[STORE_ARGUMENTS + 1];
	StringInfoData sql;
	int			n = 0;
	int			count = declaration->column_count;

	memset(nulls, ' ', sizeof(nulls));
	for (int i = 0; i < STORE_ARGUMENTS; i++)
		types[i] = TEXTOID;
	values[n++] = CStringGetTextDatum(declaration->name);
	values[n++] = CStringGetTextDatum(declaration->relation);
	for (int part = 0; part < PART_COUNT; part++, n++)
		values[n] = text_or_null(declaration->texts[part], &nulls[n]);
	values[n] = text_or_null(declaration->watermark_overlap, &nulls[n]);
	n++;
	values[n] = text_or_null(declaration->time_zone, &nulls[n]);
	n++;
	values[n++] = CStringGetTextDatum(declaration->capture);
	values[n++] = CStringGetTextDatum(GetUserNameFromId(declaration->owner, false));
	values[n++] = CStringGetTextDatum(declaration->search_path);
	types[n] = types[n + 2] = types[n + 3] = TEXTARRAYOID;
	types[n + 1] = INT4ARRAYOID;
	values[n++] = PointerGetDatum(construct_array(declaration->column_kinds, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_numbers, count, INT4OID, 4, true, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_names, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_types, count, TEXTOID, -1, false, TYPALIGN_INT));
	types[n] = types[n + 1] = BOOLOID;
	values[n++] = BoolGetDatum(replace);
	values[n++] = BoolGetDatum(is_new);
	Assert(n == STORE_ARGUMENTS);

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT cdp.store_source(");
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, "%s$%d", i == 0 ? "" : ", ", i + 1);
	appendStringInfoChar(&sql, ')');
	SPI_connect();
	if (SPI_execute_with_args(sql.data, n, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not store the declaration");
	SPI_finish();
}

static char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * Asks whether the storage is there and belongs to the caller: a declaration
 * may add columns to it.
 */
static void
require_admin(void)
{
	SPI_connect();
	if (SPI_execute("SELECT cdp.require_admin(), cdp.require_owner()", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not check the rights of the caller");
	SPI_finish();
}

/* Arguments of both functions by position. */
#define ARG_PARTS		2
#define ARG_OVERLAP		(ARG_PARTS + PART_COUNT)
#define ARG_TIME_ZONE	(ARG_OVERLAP + 1)
#define ARG_CAPTURE		(ARG_TIME_ZONE + 1)
#define ARG_OWNER		(ARG_TIME_ZONE + 2)
#define ARG_LAST		(ARG_TIME_ZONE + 3)	/* replace, or reset */

/*
 * cdp.create_source(name text, relation text, record_key text, observed_at text,
 *		occurred_at text, event_name text, identifiers text, traits text,
 *		properties text, profile_id text, filter text, deleted text,
 *		watermark text, watermark_overlap text, time_zone text, capture text, owner regrole,
 *		replace boolean)
 *
 * See its comment in sql/source.sql.  NULL: not given; name and relation must
 * be.
 *
 * Errors: whatever is wrong with the declaration, with the place in its text.
 */
Datum
cdp_create_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};

	declaration.function = "cdp.create_source";
	require_admin();
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "name");
	if (PG_ARGISNULL(1))
		refuse_null(&declaration, "relation");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	declaration.relation = text_argument(fcinfo, 1);
	for (int part = 0; part < PART_COUNT; part++)
		declaration.texts[part] = text_argument(fcinfo, ARG_PARTS + part);
	declaration.watermark_overlap = text_argument(fcinfo, ARG_OVERLAP);
	declaration.time_zone = text_argument(fcinfo, ARG_TIME_ZONE);
	declaration.capture = PG_ARGISNULL(ARG_CAPTURE) ? pstrdup("pull") : text_argument(fcinfo, ARG_CAPTURE);
	declaration.owner = PG_ARGISNULL(ARG_OWNER) ? GetUserId() : PG_GETARG_OID(ARG_OWNER);
	declaration.search_path = resolved_search_path();
	check_owner(&declaration);
	analyze_declaration(&declaration);
	store_declaration(&declaration, !PG_ARGISNULL(ARG_LAST) && PG_GETARG_BOOL(ARG_LAST), true);
	PG_RETURN_VOID();
}

/* Reads the stored declaration. */
static void
load_declaration(Declaration *declaration)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(declaration->name)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;

	SPI_connect();
	if (SPI_execute_with_args("SELECT s.relation, s.record_key, s.observed_at, s.occurred_at, s.event_name, s.identifiers, s.traits, s.properties,"
							  " s.profile_id, s.filter, s.deleted, s.watermark, s.watermark_overlap, s.time_zone, s.capture, s.owner, s.search_path"
							  " FROM cdp_data.source AS s WHERE s.name OPERATOR(pg_catalog.=) $1 AND s.relation IS NOT NULL",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the declaration");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source \"%s\" does not exist", declaration->name),
				 errhint("The view cdp.sources lists the sources.")));
	spi = MemoryContextSwitchTo(caller);
	declaration->relation = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	for (int part = 0; part < PART_COUNT; part++)
		declaration->texts[part] = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2 + part);
	declaration->watermark_overlap = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2 + PART_COUNT);
	declaration->time_zone = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3 + PART_COUNT);
	declaration->capture = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4 + PART_COUNT);
	/* a role that is gone: whoever takes the source over becomes its owner */
	declaration->owner_name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5 + PART_COUNT);
	declaration->owner = get_role_oid(declaration->owner_name, true);
	declaration->search_path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6 + PART_COUNT);
	MemoryContextSwitchTo(spi);
	SPI_finish();
}

/* Takes away the parts named in reset. */
static void
reset_parts(Declaration *declaration, ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
		bool		found = false;

		for (int part = 0; part < PART_COUNT; part++)
		{
			if (strcmp(part_rules[part].name, name) == 0)
			{
				declaration->texts[part] = NULL;
				found = true;
			}
		}
		if (strcmp(name, "watermark") == 0 || strcmp(name, "watermark_overlap") == 0)
		{
			declaration->watermark_overlap = NULL;
			found = true;
		}
		if (strcmp(name, "time_zone") == 0)
		{
			declaration->time_zone = NULL;
			found = true;
		}
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" cannot be reset", name),
					 errhint("reset takes names of arguments that hold expressions, watermark_overlap and time_zone: reset => ARRAY['filter'].")));
	}
}

/*
 * cdp.alter_source(name text, relation text, ... as cdp.create_source,
 *		reset text[])
 *
 * NULL keeps what is declared; reset names what is taken away.
 *
 * Errors: NULL or unknown name, and as cdp.create_source.
 */
Datum
cdp_alter_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};

	declaration.function = "cdp.alter_source";
	require_admin();
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "name");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	load_declaration(&declaration);
	if (!PG_ARGISNULL(ARG_LAST))
		reset_parts(&declaration, PG_GETARG_ARRAYTYPE_P(ARG_LAST));
	if (!PG_ARGISNULL(1))
		declaration.relation = text_argument(fcinfo, 1);
	for (int part = 0; part < PART_COUNT; part++)
		if (!PG_ARGISNULL(ARG_PARTS + part))
			declaration.texts[part] = text_argument(fcinfo, ARG_PARTS + part);
	if (!PG_ARGISNULL(ARG_OVERLAP))
		declaration.watermark_overlap = text_argument(fcinfo, ARG_OVERLAP);
	if (!PG_ARGISNULL(ARG_TIME_ZONE))
		declaration.time_zone = text_argument(fcinfo, ARG_TIME_ZONE);
	if (!PG_ARGISNULL(ARG_CAPTURE))
		declaration.capture = text_argument(fcinfo, ARG_CAPTURE);
	if (!PG_ARGISNULL(ARG_OWNER))
		declaration.owner = PG_GETARG_OID(ARG_OWNER);
	else if (!OidIsValid(declaration.owner))
		declaration.owner = GetUserId();
	declaration.search_path = resolved_search_path();
	check_owner(&declaration);
	analyze_declaration(&declaration);
	store_declaration(&declaration, true, false);
	PG_RETURN_VOID();
}

/*
 * The columns as they were declared, against those of today.  Identifiers are
 * kept as text, whatever their type.
 */
static void
compare_columns(const Declaration *declaration)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID};
	Datum		values[4];
	int			count = declaration->column_count;

	values[0] = CStringGetTextDatum(declaration->name);
	values[1] = PointerGetDatum(construct_array(declaration->column_kinds, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(declaration->column_numbers, count, INT4OID, 4, true, TYPALIGN_INT));
	values[3] = PointerGetDatum(construct_array(declaration->column_types, count, TEXTOID, -1, false, TYPALIGN_INT));
	SPI_connect();
	if (SPI_execute_with_args("SELECT c.kind, c.name, c.type, n.type FROM cdp_data.source_column AS c"
							  " JOIN ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS n(kind, number, type)"
							  " ON n.kind OPERATOR(pg_catalog.=) c.kind AND n.number OPERATOR(pg_catalog.=) c.number"
							  " WHERE c.source OPERATOR(pg_catalog.=) $1 AND c.kind OPERATOR(pg_catalog.<>) 'identifier'"
							  " AND c.type OPERATOR(pg_catalog.<>) n.type ORDER BY c.kind, c.number",
							  4, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not compare the columns of source \"%s\"", declaration->name);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;

		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s \"%s\" of source \"%s\" had type %s when it was declared and has type %s now",
						SPI_getvalue(row, descriptor, 1), SPI_getvalue(row, descriptor, 2), declaration->name,
						SPI_getvalue(row, descriptor, 3), SPI_getvalue(row, descriptor, 4)),
				 errhint("Cast it to the former type with cdp.alter_source, or give the column of the table its type back.")));
	}
	SPI_finish();
}

/*
 * cdp.verify_source(source text)
 *
 * Reads a stored declaration against the relation as it is now, with the rights
 * of the source's owner.
 *
 * Errors: NULL or unknown source; an owner that is gone; what no longer fits.
 */
Datum
cdp_verify_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};
	SourceOwner owner = {0};

	declaration.function = "cdp.create_source";
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "source");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	load_declaration(&declaration);
	source_owner_find(&owner, declaration.name, declaration.owner_name);
	analyze_declaration(&declaration);
	compare_columns(&declaration);
	PG_RETURN_VOID();
}
