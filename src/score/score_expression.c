/*
 * score_expression.c
 *		The expression of a score: the word model in it is the model.
 *
 * The server's parser reads the text, so that the word in a string, in a comment
 * or as the name of something else is left alone.
 */
#include "postgres.h"

#include "cdp.h"
#include "given_text.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cdp_put_model);

#define WORD "model"

static void
parse_error_callback(void *argument)
{
	given_text_show_position(argument);
}

static bool
find_word(Node *node, void *context)
{
	List	  **places = (List **) context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		ColumnRef  *reference = castNode(ColumnRef, node);

		if (list_length(reference->fields) == 1 && IsA(linitial(reference->fields), String) &&
			strcmp(strVal(linitial(reference->fields)), WORD) == 0)
			*places = lappend_int(*places, reference->location);
		return false;
	}
	return raw_expression_tree_walker(node, find_word, context);
}

static int
compare_places(const ListCell *a, const ListCell *b)
{
	return lfirst_int(a) - lfirst_int(b);
}

/*
 * cdp.put_model(expression text, replacement text) returns text
 *
 * The expression with another one in place of each reference to model.  Strict.
 * An error where there is none, or the text is not an expression.
 */
Datum
cdp_put_model(PG_FUNCTION_ARGS)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *replacement = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ErrorContextCallback callback = {error_context_stack, parse_error_callback, given};
	List	   *statements;
	List	   *places = NIL;
	ListCell   *cell;
	StringInfoData result;
	int			done = 0;

	error_context_stack = &callback;
	statements = raw_parser(given, RAW_PARSE_PLPGSQL_EXPR);
	error_context_stack = callback.previous;
	foreach (cell, statements)
		find_word(lfirst_node(RawStmt, cell)->stmt, &places);
	if (places == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expression does not use the model"),
				 errhint("The word model stands for it: cdp.predict(model, ARRAY[profile.orders, profile.visits]).")));

	list_sort(places, compare_places);
	initStringInfo(&result);
	foreach (cell, places)
	{
		int			place = lfirst_int(cell);

		appendBinaryStringInfo(&result, given + done, place - done);
		appendStringInfoString(&result, replacement);
		done = place + (int) strlen(WORD) + (given[place] == '"' ? 2 : 0);
	}
	appendStringInfoString(&result, given + done);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result.data, result.len));
}
