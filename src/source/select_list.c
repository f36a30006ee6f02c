/*
 * select_list.c
 *		Reads the select lists and expressions of a declaration.
 *
 * PostgreSQL's own parser and analyser read each text by itself.  Then the
 * analysed tree is looked through for what a source cannot have, and the types
 * of its columns are noted.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "cdp.h"
#include "given_text.h"
#include "query.h"
#include "identity/stitch.h"
#include "source/declaration.h"

const PartRule declaration_parts[PART_COUNT] = {
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

/* A text that is being read. */
typedef struct Reading
{
	const Declaration *declaration;
	const PartRule *rule;
	const char *text;
	bool		is_bare_name;	/* nothing but a name: perhaps meant as a constant */
} Reading;

/* ---------- errors ---------- */

/*
 * Positions are those in the user's text, shown as that of an internal query.
 * The text itself is a declaration and holds nobody's values.
 */
static void
reading_error_callback(void *argument)
{
	Reading	   *reading = argument;

	given_text_show_position(reading->text);
	if (geterrcode() == ERRCODE_UNDEFINED_COLUMN && reading->is_bare_name && !reading->declaration->is_stored)
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
	return given_text_position(reading->text, location);
}

/* ---------- shape ---------- */

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
	bool		has_more;
	int			location;
	RawStmt	   *raw = given_text_parse(reading->text, &has_more, &location);
	SelectStmt *statement = castNode(SelectStmt, raw->stmt);
	ListCell   *cell;

	if (has_more)
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

/* Refuses what would make the outcome depend on more than the row. */
static bool
refuse_walker(Node *node, void *argument)
{
	Reading	   *reading = argument;

	if (node == NULL)
		return false;
	if (given_text_calls_volatile(node))
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
		location = given_text_set_returning((Node *) query->targetList);
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
		case BITOID:			/* whose name without a length means a length of 1 */
			return VARBITOID;
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
			/* no time zone is needed for the text of a time; the text of a real is another number as float8 */
			if (type != TIMESTAMPOID && type != FLOAT4OID)
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

static void
note_column(Declaration *declaration, const char *kind, int number, const char *name, Oid type)
{
	int			i = declaration->column_count++;

	declaration->column_kinds[i] = CStringGetTextDatum(kind);
	declaration->column_numbers[i] = Int32GetDatum(number);
	declaration->column_names[i] = CStringGetTextDatum(name);
	declaration->column_types[i] = CStringGetTextDatum(cdp_type_name(type));
}

/* The rows of the relation as triggers have them: the columns, under its name without the schema. */
static Node *
changed_rows(const Declaration *declaration)
{
	SelectStmt *select = makeNode(SelectStmt);
	ResTarget  *star = makeNode(ResTarget);
	ColumnRef  *columns = makeNode(ColumnRef);
	RangeSubselect *rows = makeNode(RangeSubselect);

	columns->fields = list_make1(makeNode(A_Star));
	columns->location = -1;
	star->val = (Node *) columns;
	star->location = -1;
	select->targetList = list_make1(star);
	select->fromClause = list_make1(copyObject(declaration->range));
	rows->subquery = (Node *) select;
	rows->alias = makeAlias(declaration->range->relname, NIL);
	return (Node *) rows;
}

static void
changed_rows_error_callback(void *argument)
{
	errhint("Triggers see only the columns of the changed rows: write them without a schema, or leave capture at 'pull'.");
}

/*
 * Whether the key can be told of a row that a trigger sees, which has no system
 * columns; it is known to be right for rows of the relation.
 */
static void
check_captured_key(const Reading *reading, RawStmt *raw)
{
	ErrorContextCallback callback = {error_context_stack, changed_rows_error_callback, NULL};

	castNode(SelectStmt, raw->stmt)->fromClause = list_make1(changed_rows(reading->declaration));
	error_context_stack = &callback;
	(void) parse_analyze_fixedparams(raw, reading->text, NULL, 0, NULL);
	error_context_stack = callback.previous;
}

/*
 * Reads one text and notes its columns.  The rights of the source's owner and
 * its search_path must be in force.
 */
void
declaration_read_part(Declaration *declaration, Part part)
{
	Reading		reading = {declaration, &declaration_parts[part], declaration->texts[part], false};
	ErrorContextCallback error_context;
	RawStmt	   *raw;
	RawStmt	   *copy;
	Query	   *query;
	ListCell   *cell;
	int			number = 0;
	int			location;

	if (declaration->texts[part] == NULL)
		return;
	error_context.callback = reading_error_callback;
	error_context.arg = &reading;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	raw = parse_list(&reading);
	copy = copyObject(raw);
	castNode(SelectStmt, raw->stmt)->fromClause = list_make1(copyObject(declaration->range));
	query = parse_analyze_fixedparams(raw, reading.text, NULL, 0, NULL);
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		elog(ERROR, "unexpected result of analysing an expression");
	refuse_features(&reading, query);
	if (cdp_reads_temporary((Node *) query, &location))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not read temporary objects", reading.rule->name),
				 errhint("Other sessions, which evaluate it too, have others of that name or none."),
				 position_of(&reading, location)));
	/* the columns that are read, and the right to read them */
	cdp_check_permissions(query);
	if (reading.rule->meaning == MEANS_KEY && strcmp(declaration->capture, "pull") != 0)
		check_captured_key(&reading, copy);
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
