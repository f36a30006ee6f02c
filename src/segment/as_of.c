/*
 * as_of.c
 *		Segments as of an earlier time, and training sets.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "query.h"
#include "segment/people.h"
#include "statement.h"
#include "trait/expression_as_of.h"

PG_FUNCTION_INFO_V1(cdp_segment_at);
PG_FUNCTION_INFO_V1(cdp_training_sql);

/*
 * What an evaluation tells of people comes from these views, and whoever may not
 * read them must not learn it by way of the rights of a segment's owner.
 *
 * Errors: no right to read cdp.profiles or cdp.events.
 */
void
require_reader(void)
{
	static const char *const views[] = {"profiles", "events"};
	Oid			schema = get_namespace_oid("cdp", false);

	for (int i = 0; i < (int) lengthof(views); i++)
	{
		Oid			view = get_relname_relid(views[i], schema);

		if (!OidIsValid(view))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the views of cdp are missing"),
					 errhint("The owner of the storage calls SELECT cdp.setup();")));
		if (pg_class_aclcheck(view, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for view cdp.%s", views[i]),
					 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'reader').",
							 cdp_quoted_caller())));
	}
}

/* ---------- who was in ---------- */

static void
store_id(void *argument, TupleTableSlot *slot)
{
	ReturnSetInfo *result = argument;
	bool		is_null;
	Datum		id = slot_getattr(slot, 1, &is_null);

	tuplestore_putvalues(result->setResult, result->setDesc, &id, &is_null);
}

/*
 * cdp.segment_at(name text, at timestamptz) returns setof bigint
 *
 * Who was in a segment at a time.  People are those of today, as far as they
 * had been seen by then; a time that lies ahead is possible.
 *
 * Errors: NULL; no such segment; a segment by a query; what is not known of an
 * earlier time, by name; no right to read cdp.profiles and cdp.events.
 */
Datum
cdp_segment_at(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = TIMESTAMPTZOID;
	Datum		clock;
	Expression *segment;
	SourceOwner owner;
	CdpQuery   *query;
	char	   *sql;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "name" : "at")));
	clock = PG_GETARG_DATUM(1);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	require_reader();
	segment = expression_find("segment", text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	expression_refuse_query(segment);
	sql = expression_statement(list_make1(segment), EXPRESSION_MEMBERS, EXPRESSION_AS_OF);

	expression_enter(segment, &owner);
	/* what tells who had been seen costs far less than the planner thinks, and compiling it more */
	cdp_set_option("jit", "off");
	query = cdp_query_prepare_parameters(sql, "cdp.segment_at", &type, 1);
	cdp_query_bind(query, &clock);
	expression_run(segment, &owner, query, CDP_QUERY_PARALLEL, store_id, result);
	cdp_query_free(query);
	source_owner_leave(&owner);
	return (Datum) 0;
}

/* ---------- training sets ---------- */

/* The query of the population, analysed with the caller's rights. */
static Query *
analyse_population(const char *text)
{
	static const char *const names[] = {"profile_id", "as_of", "label"};
	CdpQuery   *checked = cdp_query_prepare(text, "cdp.training_sql");
	TupleDesc	descriptor = cdp_query_descriptor(checked);
	Query	   *query;

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		int			found = 0;

		for (int column = 0; column < descriptor->natts; column++)
			if (strcmp(NameStr(TupleDescAttr(descriptor, column)->attname), names[i]) == 0)
				found++;
		if (found != 1 || descriptor->natts != (int) lengthof(names))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the population must have three columns, profile_id, as_of and label"),
					 errhint("Write SELECT profile_id, ... AS as_of, ... AS label FROM ...; as_of is the time as of which a row is evaluated.")));
	}
	for (int column = 0; column < descriptor->natts; column++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, column);
		const char *name = NameStr(attribute->attname);
		Oid			type = getBaseType(attribute->atttypid);

		if (strcmp(name, "profile_id") == 0 && type != INT2OID && type != INT4OID && type != INT8OID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column profile_id of the population has type %s", format_type_be(attribute->atttypid)),
					 errhint("Profile ids are of type bigint; cdp.resolve(namespace, value) finds them.")));
		if (strcmp(name, "as_of") == 0 && type != TIMESTAMPTZOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column as_of of the population has type %s", format_type_be(attribute->atttypid)),
					 errhint("Cast it to timestamptz; of a time without zone, say in which zone it is: ... AT TIME ZONE 'UTC'.")));
	}
	cdp_query_free(checked);

	query = parse_analyze_fixedparams(linitial_node(RawStmt, pg_parse_query(text)), text, NULL, 0, NULL);
	return query;
}

/* Is it a column of cdp.profiles? */
static bool
is_profile_column(const char *name)
{
	Oid			profiles = get_relname_relid("profiles", get_namespace_oid("cdp", false));

	return OidIsValid(profiles) && get_attnum(profiles, name) > 0;
}

/*
 * What a name in the list stands for: a computed trait, a column of
 * cdp.profiles or a segment, in that order; profile. or segment. before it say
 * which.
 */
static Expression *
find_trait(const char *given)
{
	const char *name = given;
	bool		is_segment = false;
	Expression *expression = NULL;

	if (strncmp(given, "segment.", 8) == 0)
	{
		name += 8;
		is_segment = true;
	}
	else if (strncmp(given, "profile.", 8) == 0)
		name += 8;
	if (!is_segment)
	{
		expression = expression_find("trait", name, true);
		if (expression == NULL && is_profile_column(name))
		{
			expression = palloc0(sizeof(Expression));
			expression->name = pstrdup(name);
			expression->definition = psprintf("profile.%s", quote_identifier(name));
			expression->include_anonymous = true;
		}
	}
	if (expression == NULL && (is_segment || name == given))
		expression = expression_find("segment", name, true);
	if (expression == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" is neither a trait nor a segment", given),
				 errhint("The columns of cdp.profiles are the traits; the view cdp.segments lists the segments.")));
	expression_refuse_query(expression);
	return expression;
}

/* All of them are analysed and run under one role and its settings. */
static void
settle_owner(List *expressions)
{
	Expression *first = NULL;
	Expression *own;
	ListCell   *cell;

	foreach (cell, expressions)
	{
		Expression *one = lfirst(cell);

		if (one->id == 0)
			continue;
		if (first == NULL)
			first = one;
		else if (!expression_has_settings_of(one, first))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" and \"%s\" cannot be in one training set", first->name, one->name),
					 errdetail("They differ in their owner, time zone or search_path."),
					 errhint("Make a training set of each and join them.")));
	}
	own = expression_of_caller(cstring_to_text(""));
	foreach (cell, expressions)
	{
		Expression *one = lfirst(cell);

		if (one->id != 0)
			continue;
		one->is_own = first == NULL;
		one->owner = first == NULL ? own->owner : first->owner;
		one->time_zone = first == NULL ? own->time_zone : first->time_zone;
		one->search_path = first == NULL ? own->search_path : first->search_path;
	}
}

/*
 * cdp.training_sql(traits text[], population text) returns text
 *
 * A query that yields the population (profile_id, as_of, label) and a column
 * for each trait and segment, as of the row's own time.
 *
 * Errors: NULL; what is wrong with the population, with the place in it; names
 * that are neither trait nor segment; what is not known of an earlier time, by
 * name.
 */
Datum
cdp_training_sql(PG_FUNCTION_ARGS)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *expressions = NIL;
	List	   *names = list_make3("profile_id", "as_of", "label");
	Query	   *population;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "traits" : "population")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("traits must not be empty"),
				 errhint("Name traits and segments: ARRAY['country', 'lifetime_value', 'segment.employee'].")));
	require_reader();
	population = analyse_population(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	for (int i = 0; i < count; i++)
	{
		Expression *expression;
		ListCell   *cell;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("traits must not contain null")));
		expression = find_trait(TextDatumGetCString(elements[i]));
		foreach (cell, names)
			if (strcmp(lfirst(cell), expression->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the training set has a column \"%s\" already", expression->name),
						 errhint("Each trait and segment is listed once, and none of them can be called profile_id, as_of or label.")));
		names = lappend(names, expression->name);
		expressions = lappend(expressions, expression);
	}
	settle_owner(expressions);
	PG_RETURN_TEXT_P(cstring_to_text(expression_training_statement(expressions, population)));
}
