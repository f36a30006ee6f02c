/*
 * expression_functions.c
 *		What SQL sees of the compiler of expressions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "cdp.h"
#include "query.h"
#include "trait/expression_tree.h"

PG_FUNCTION_INFO_V1(cdp_analyse_expression);
PG_FUNCTION_INFO_V1(cdp_compile_segment);
PG_FUNCTION_INFO_V1(cdp_segment_sql);
PG_FUNCTION_INFO_V1(cdp_trait_sql);
PG_FUNCTION_INFO_V1(cdp_expression_sql);

/* A statement for so many processes is as good to look at as one for more. */
#define SHARES_TO_SHOW	2

static Datum
text_array(List *strings)
{
	Datum	   *elements = cdp_palloc_array(Datum, list_length(strings) + 1);
	ListCell   *cell;

	foreach (cell, strings)
		elements[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, list_length(strings), TEXTOID, -1, false, TYPALIGN_INT));
}

/* The right to read what a query and those in it read. */
static bool
check_rights(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		cdp_check_permissions((Query *) node);
		return query_tree_walker((Query *) node, check_rights, context, 0);
	}
	return expression_tree_walker(node, check_rights, context);
}

/*
 * Checks the query of a segment and notes what it reads; the rights of its
 * owner must be in force.
 */
static void
check_query(const Expression *expression, ExpressionFacts *facts)
{
	CdpQuery   *query = cdp_query_prepare(expression->definition, "cdp.create_segment");
	TupleDesc	descriptor = cdp_query_descriptor(query);
	Query	   *tree;

	if (descriptor->natts != 1 || !cdp_query_coerce(query, 1, INT8OID))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query of a segment must have one column, the profile ids"),
				 errhint("Write SELECT profile_id FROM ...; ids are of type bigint.")));
	cdp_query_refuse_temporary(query);
	cdp_query_free(query);
	tree = parse_analyze_fixedparams(linitial_node(RawStmt, raw_parser(expression->definition, RAW_PARSE_DEFAULT)), expression->definition, NULL, 0, NULL);
	(void) check_rights((Node *) tree, NULL);
	expression_collect_facts(NULL, (Node *) tree, facts);
}

/*
 * cdp.analyse_expression(kind text, name text, definition text,
 *		is_query boolean, owner name, time_zone text, search_path text,
 *		is_realtime boolean, OUT type text, OUT fact_kinds text[],
 *		OUT fact_names text[])
 *
 * Checks a definition under the role of its owner and tells the type of its
 * value and what it reads.  The caller must be a member of the owner.
 *
 * Errors: NULL arguments; a caller without the owner's rights; what is wrong
 * with the text, with the place in it.
 */
Datum
cdp_analyse_expression(PG_FUNCTION_ARGS)
{
	Expression	expression = {0};
	ExpressionFacts facts = {0};
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	Oid			role;
	ErrorContextCallback *callers = error_context_stack;

	for (int i = 0; i < 8; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("arguments of cdp.analyse_expression must not be null")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	expression.is_segment = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(0)), "segment") == 0;
	expression.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	expression.definition = text_to_cstring(PG_GETARG_TEXT_PP(2));
	expression.is_query = PG_GETARG_BOOL(3);
	expression.include_anonymous = true;
	expression.owner = NameStr(*PG_GETARG_NAME(4));
	expression.time_zone = text_to_cstring(PG_GETARG_TEXT_PP(5));
	expression.search_path = text_to_cstring(PG_GETARG_TEXT_PP(6));
	role = get_role_oid(expression.owner, true);
	if (OidIsValid(role))
		check_can_set_role(GetUserId(), role);

	/* An error says what is wrong with the text; that functions of the extension asked for it, and in which lines, is noise. */
	error_context_stack = NULL;
	if (expression.is_query)
	{
		SourceOwner owner;

		expression_enter(&expression, &owner);
		check_query(&expression, &facts);
		source_owner_leave(&owner);
		values[0] = CStringGetTextDatum("boolean");
	}
	else
	{
		Compilation compilation;
		Node	   *tree;

		compilation_begin(&compilation, &expression);
		tree = expression_analyse(&compilation, &expression, &facts);
		expression_check_aggregates(&compilation, tree, PG_GETARG_BOOL(7));
		values[0] = CStringGetTextDatum(expression.is_segment ? "boolean" : cdp_type_name(exprType(tree)));
		compilation_end(&compilation);
	}
	error_context_stack = callers;
	values[1] = text_array(facts.kinds);
	values[2] = text_array(facts.names);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* The settings of a definition that would be declared here and now. */
static void
settings_of_caller(Expression *expression)
{
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	if (SPI_execute("SELECT o.value, cdp.current_search_path() FROM cdp.options AS o WHERE o.name OPERATOR(pg_catalog.=) 'time_zone'", true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read option time_zone");
	expression->time_zone = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	expression->search_path = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	SPI_finish();
}

/*
 * A predicate that is not registered, to be run with the rights of the caller.
 */
Expression *
expression_of_caller(text *predicate)
{
	Expression *expression = palloc0(sizeof(Expression));

	expression->name = pstrdup("");
	expression->is_own = true;
	expression->is_segment = true;
	expression->include_anonymous = true;
	expression->definition = text_to_cstring(predicate);
	expression->type_name = pstrdup("boolean");
	expression->owner = GetUserNameFromId(GetUserId(), false);
	settings_of_caller(expression);
	return expression;
}

/*
 * cdp.compile_segment(predicate text) returns text
 *
 * The statement that yields the profile_id of everybody for whom a predicate
 * holds, as SQL.  Nothing is registered; the caller's rights count.
 *
 * Errors: NULL; what is wrong with the text, with the place in it.
 */
Datum
cdp_compile_segment(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("predicate must not be null")));
	PG_RETURN_TEXT_P(cstring_to_text(expression_statement(list_make1(expression_of_caller(PG_GETARG_TEXT_PP(0))), EXPRESSION_MEMBERS, 0)));
}

/*
 * The statement that yields the people behind the ids that the query of a
 * segment gives, as an evaluation finds them: a retired id leads to its
 * successor, an unknown one to nobody.
 */
char *
expression_query_statement(const char *query, bool include_anonymous)
{
	return psprintf("SELECT DISTINCT p.profile_id FROM (%s\n) AS q(profile_id)\n"
					"LEFT JOIN cdp_data.profile AS r ON r.profile_id OPERATOR(pg_catalog.=) q.profile_id::pg_catalog.int8 AND r.state OPERATOR(pg_catalog.=) 'r'\n"
					"LEFT JOIN cdp_data.identifier AS i ON i.id OPERATOR(pg_catalog.=) r.anchor\n"
					"JOIN cdp.profiles AS p ON p.profile_id OPERATOR(pg_catalog.=) CASE WHEN r.profile_id IS NULL THEN q.profile_id::pg_catalog.int8 ELSE i.profile_id END%s",
					cdp_query_bare(query), include_anonymous ? "" : "\nWHERE p.is_known");
}

/*
 * cdp.segment_sql(name text) returns text
 *
 * The statement that yields the profile_id of the members of a segment, as SQL.
 * It means what the segment means under the segment's time zone.
 *
 * Errors: there is no such segment; its definition does not hold any more.
 */
Datum
cdp_segment_sql(PG_FUNCTION_ARGS)
{
	Expression *expression = expression_find("segment", text_to_cstring(PG_GETARG_TEXT_PP(0)), false);

	if (expression->is_query)
		PG_RETURN_TEXT_P(cstring_to_text(expression_query_statement(expression->definition, expression->include_anonymous)));
	PG_RETURN_TEXT_P(cstring_to_text(expression_statement(list_make1(expression), EXPRESSION_MEMBERS, 0)));
}

/*
 * cdp.trait_sql(name text) returns text
 *
 * The statement that yields profile_id and the value of a computed trait for
 * everybody, as SQL.
 *
 * Errors: there is no such computed trait; its definition does not hold any
 * more.
 */
Datum
cdp_trait_sql(PG_FUNCTION_ARGS)
{
	Expression *expression = expression_find("trait", text_to_cstring(PG_GETARG_TEXT_PP(0)), false);

	PG_RETURN_TEXT_P(cstring_to_text(expression_statement(list_make1(expression), EXPRESSION_EVERYBODY, 0)));
}

/*
 * cdp.expression_sql(expression_ids integer[], shape text, flags integer)
 * returns text
 *
 * The statement by which expressions of one owner are evaluated together, to
 * be looked at.  shape: everybody (one pass over all events), given (people
 * whose ids are $1) or shared (everybody, in two shares; NULL for expressions
 * that read no events).
 *
 * Errors: unknown ids or shape; expressions that do not go together.
 */
Datum
cdp_expression_sql(PG_FUNCTION_ARGS)
{
	char	   *shape = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int32	   *ids;
	List	   *expressions;
	Expression *first;
	ListCell   *cell;
	char	   *sql;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls, &count);
	if (count == 0 || (strcmp(shape, "everybody") != 0 && strcmp(shape, "given") != 0 && strcmp(shape, "shared") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cdp.expression_sql needs expressions and a shape"),
				 errhint("The shapes are everybody, given and shared.")));
	ids = cdp_palloc_array(int32, count);
	for (int i = 0; i < count; i++)
		ids[i] = nulls[i] ? 0 : DatumGetInt32(elements[i]);
	expressions = expression_load(ids, count);
	first = linitial(expressions);
	foreach (cell, expressions)
	{
		Expression *one = lfirst(cell);

		if (one->is_query || !expression_has_settings_of(one, first))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" and \"%s\" are not evaluated by one statement", first->name, one->name),
					 errhint("Expressions of one owner, time zone and search_path are, and none that is a query.")));
	}
	if (strcmp(shape, "shared") == 0)
		sql = expression_shared_statement(expressions, PG_GETARG_INT32(2), SHARES_TO_SHOW);
	else
		sql = expression_statement(expressions, strcmp(shape, "given") == 0 ? EXPRESSION_GIVEN : EXPRESSION_EVERYBODY, PG_GETARG_INT32(2));
	if (sql == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(sql));
}
