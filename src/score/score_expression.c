/*
 * score_expression.c
 *		The expression of a score: the word model in it is the model, and calls of
 *		cdp.predict with the model tell what its inputs are.
 *
 * The server's parser reads the text, so that the word in a string, in a comment
 * or as the name of something else is left alone.
 */
#include "postgres.h"

#include "cdp.h"
#include "common/keywords.h"
#include "given_text.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "score/score_expression.h"
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

		if (pg_tolower((unsigned char) given[place]) == 'u')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the word model is written with Unicode escapes"),
					 errhint("Write it as it is: model.")));
		appendBinaryStringInfo(&result, given + done, place - done);
		appendStringInfoString(&result, replacement);
		done = place + (int) strlen(WORD) + (given[place] == '"' ? 2 : 0);
	}
	appendStringInfoString(&result, given + done);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result.data, result.len));
}

/* ---- inputs ---- */

/* What its definition ends with, as cdp.declare_score writes it. */
#define CAST "::pg_catalog.float8"
#define BINS "cdp.input_bins"
#define WORD_CODE 10000
#define SOME_SCORE "(0.5" CAST ")"

typedef struct Calls
{
	const char *definition;
	const char *look_up;		/* of the model */
	List	   *places;			/* of calls that take it */
	bool		has_extremes;	/* GREATEST or LEAST, which would compare bins */
} Calls;

static bool
is_prediction(const FuncCall *call)
{
	const char *name = strVal(llast(call->funcname));

	if (list_length(call->funcname) > 2 ||
		(list_length(call->funcname) == 2 && strcmp(strVal(linitial(call->funcname)), "cdp") != 0))
		return false;
	return strcmp(name, "predict") == 0 || strcmp(name, "predict_row") == 0;
}

static bool
find_calls(Node *node, void *context)
{
	Calls	   *calls = (Calls *) context;

	if (node == NULL)
		return false;
	if (IsA(node, MinMaxExpr))
		calls->has_extremes = true;
	if (IsA(node, FuncCall) && is_prediction(castNode(FuncCall, node)))
	{
		ListCell   *cell;

		foreach (cell, castNode(FuncCall, node)->args)
		{
			Node	   *argument = lfirst(cell);

			if (IsA(argument, NamedArgExpr))
				argument = (Node *) castNode(NamedArgExpr, argument)->arg;
			if (IsA(argument, SubLink) && castNode(SubLink, argument)->location >= 0 &&
				strncmp(calls->definition + castNode(SubLink, argument)->location, calls->look_up, strlen(calls->look_up)) == 0)
			{
				calls->places = lappend_int(calls->places, castNode(FuncCall, node)->location);
				return false;
			}
		}
	}
	return raw_expression_tree_walker(node, find_calls, context);
}

/*
 * Where the arguments of the call at a place begin and end, parentheses included.
 */
static bool
find_arguments(const char *text, int place, int *start, int *end)
{
	core_yy_extra_type extra;
	uint16	   *codes = cdp_palloc_array(uint16, ScanKeywords.num_keywords);
	core_yyscan_t scanner;
	int			depth = 0;

	/* all keywords are alike here, and none is the end */
	for (int i = 0; i < ScanKeywords.num_keywords; i++)
		codes[i] = WORD_CODE;
	scanner = scanner_init(text, &extra, &ScanKeywords, codes);
	extra.escape_string_warning = false;
	*start = *end = -1;
	while (*end < 0)
	{
		core_YYSTYPE value;
		YYLTYPE		location = -1;
		int			code = core_yylex(&value, &location, scanner);

		if (code == 0)
			break;
		if (location < place)
			continue;
		if (code == '(' && depth++ == 0)
			*start = location;
		else if (code == ')' && --depth == 0)
			*end = location + 1;
	}
	scanner_finish(scanner);
	return *end >= 0;
}

/*
 * What a definition says of the inputs of its model.
 *
 * look_up: what stands for the model in it.  False where no call of cdp.predict or
 * cdp.predict_row takes the model.  inputs: the bins of the inputs of whoever is
 * scored, by the same expression, which need not be one of such a type (NULL: it
 * does not give them); call: the bins by the first call alone; scored: whether there is a score, NULL if not.
 */
bool
score_expression_inputs(const char *definition, const char *look_up, ScoreInputs *result)
{
	Calls		calls = {definition, look_up, NIL, false};
	StringInfoData inputs;
	StringInfoData scored;
	int			done = 0;
	ListCell   *cell;

	foreach (cell, raw_parser(definition, RAW_PARSE_PLPGSQL_EXPR))
		find_calls(lfirst_node(RawStmt, cell)->stmt, &calls);
	list_sort(calls.places, compare_places);
	initStringInfo(&inputs);
	initStringInfo(&scored);
	result->call = NULL;
	foreach (cell, calls.places)
	{
		int			place = lfirst_int(cell);
		int			start;
		int			end;

		if (place < done || !find_arguments(definition, place, &start, &end))
			continue;
		appendBinaryStringInfo(&inputs, definition + done, place - done);
		appendBinaryStringInfo(&scored, definition + done, place - done);
		appendStringInfo(&inputs, "%s%s", BINS, pnstrdup(definition + start, end - start));
		appendStringInfoString(&scored, SOME_SCORE);
		if (result->call == NULL)
			result->call = psprintf("%s%s", BINS, pnstrdup(definition + start, end - start));
		done = end;
	}
	if (result->call == NULL)
		return false;
	appendStringInfoString(&inputs, definition + done);
	appendStringInfoString(&scored, definition + done);
	if (inputs.len > (int) strlen(CAST) && strcmp(inputs.data + inputs.len - strlen(CAST), CAST) == 0)
	{
		inputs.len -= (int) strlen(CAST);
		inputs.data[inputs.len] = '\0';
	}
	result->inputs = calls.has_extremes ? NULL : inputs.data;
	result->scored = scored.data;
	return true;
}
