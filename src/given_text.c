/*
 * given_text.c
 *		Texts of SQL that a user gives as an argument: parsing a select list or an
 *		expression, and the places of errors in it.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"

#include "cdp.h"
#include "given_text.h"

/*
 * For callbacks of errors: a position is one in the text, and shown as that of
 * an internal query, which is how psql and drivers come to show the place.
 */
void
given_text_show_position(const char *text)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(text);
	}
}

/* Where a byte of the text is, in characters from 1, as positions of errors are. */
int
given_text_character(const char *text, int location)
{
	return pg_mbstrlen_with_len(text, location) + 1;
}

/* For ereport: the place that is so many bytes into the text; negative: unknown. */
int
given_text_position(const char *text, int location)
{
	if (location < 0)
		return 0;
	return errposition(given_text_character(text, location));
}

/* Whether there is anything but a select list, and where; -1: it has no place of its own. */
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

/*
 * Parses what could stand between SELECT and FROM into a SELECT.  has_more:
 * whether it has other clauses as well, which the caller refuses; location:
 * where they begin, -1 when that is not known.
 *
 * Errors: those of the parser.
 */
RawStmt *
given_text_parse(const char *text, bool *has_more, int *location)
{
	List	   *statements = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);

	if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		elog(ERROR, "unexpected result of parsing an expression");
	*has_more = has_more_than_a_list(castNode(SelectStmt, linitial_node(RawStmt, statements)->stmt), location);
	return linitial_node(RawStmt, statements);
}

static bool
is_volatile(Oid function, void *context)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

/* Whether a node of an analysed tree calls a volatile function itself. */
bool
given_text_calls_volatile(Node *node)
{
	return check_functions_in_node(node, is_volatile, NULL);
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

/* Where an analysed tree calls a set-returning function; -1: nowhere, or that is not known. */
int
given_text_set_returning(Node *tree)
{
	int			location = -1;

	(void) find_set_returning(tree, &location);
	return location;
}
