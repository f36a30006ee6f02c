/*
 * parts.c
 *		Cuts a predicate into its parts, as pieces of the text that the user wrote.
 *
 * PostgreSQL's parser says what the parts are, but of each of them only where
 * something in it begins.  Its scanner gives the words of the text; between two
 * operands of AND or OR stands that word, and nothing but parentheses between it
 * and the beginning of the second one.
 *
 * Only the text is looked at.  So an expression that cannot be analysed any
 * more, because something that it needs is gone, can still be taken apart.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "common/keywords.h"
#include "miscadmin.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "cdp.h"
#include "given_text.h"
#include "segment/parts.h"

/* Codes of tokens that are no single character; keywords have their numbers from here on. */
#define FIRST_KEYWORD	10000

typedef struct Token
{
	int			code;
	int			start;			/* bytes of the text */
	int			end;
} Token;

typedef struct Words
{
	const char *text;
	Token	   *tokens;
	int			count;
} Words;

/* ---------- words ---------- */

static void
read_words(Words *words, const char *text)
{
	core_yy_extra_type extra;
	uint16	   *codes = cdp_palloc_array(uint16, ScanKeywords.num_keywords);
	core_yyscan_t scanner;
	int			limit = 64;

	for (int i = 0; i < ScanKeywords.num_keywords; i++)
		codes[i] = FIRST_KEYWORD + i;
	words->text = text;
	words->count = 0;
	words->tokens = cdp_palloc_array(Token, limit);
	scanner = scanner_init(text, &extra, &ScanKeywords, codes);
	extra.escape_string_warning = false;
	for (;;)
	{
		core_YYSTYPE value;
		YYLTYPE		location;
		int			code = core_yylex(&value, &location, scanner);

		if (code == 0)
			break;
		if (words->count == limit)
		{
			limit *= 2;
			words->tokens = repalloc(words->tokens, mul_size(sizeof(Token), limit));
		}
		/* the scanner ends its buffer where the token ends */
		words->tokens[words->count++] = (Token){code, location, location + (int) strlen(extra.scanbuf + location)};
	}
	scanner_finish(scanner);
}

static bool
is_word(const Words *words, int index, const char *keyword)
{
	int			code;

	if (index < 0 || index >= words->count)
		return false;
	code = words->tokens[index].code;
	return code >= FIRST_KEYWORD && strcmp(GetScanKeyword(code - FIRST_KEYWORD, &ScanKeywords), keyword) == 0;
}

static bool
is_sign(const Words *words, int index, char sign)
{
	return index >= 0 && index < words->count && words->tokens[index].code == sign;
}

/* The token at a byte of the text. */
static int
token_at(const Words *words, int location)
{
	int			low = 0;
	int			high = words->count - 1;

	while (low < high)
	{
		int			middle = (low + high + 1) / 2;

		if (words->tokens[middle].start <= location)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* The token after the parenthesis that closes the one at a token. */
static int
after_parentheses(const Words *words, int index, int end)
{
	int			depth = 0;

	for (; index < end; index++)
	{
		if (is_sign(words, index, '('))
			depth++;
		else if (is_sign(words, index, ')') && --depth == 0)
			return index + 1;
	}
	return end;
}

/* The text of some tokens, on one line and without comments. */
static char *
text_of(const Words *words, int start, int end)
{
	StringInfoData result;

	initStringInfo(&result);
	for (int i = start; i < end; i++)
	{
		const Token *token = &words->tokens[i];

		if (i > start && words->tokens[i - 1].end < token->start)
			appendStringInfoChar(&result, ' ');
		appendBinaryStringInfo(&result, words->text + token->start, token->end - token->start);
	}
	return result.data;
}

/* The token of the parenthesis that opens the one at a token; -1: it is not in the range. */
static int
opening_parenthesis(const Words *words, int index, int start)
{
	int			depth = 0;

	for (; index >= start; index--)
	{
		if (is_sign(words, index, ')'))
			depth++;
		else if (is_sign(words, index, '(') && --depth == 0)
			return index;
	}
	return -1;
}

/* Are these tokens, in parentheses, a sub-select? */
static bool
is_subselect(const Words *words, int index)
{
	return is_word(words, index, "select") || is_word(words, index, "with") || is_word(words, index, "values") || is_word(words, index, "table");
}

/*
 * Takes away parentheses around all of it, and those at the ends whose other
 * half is elsewhere: the parser makes one AND of (a AND b) AND c.
 */
static void
strip_parentheses(const Words *words, int *start, int *end)
{
	while (*start < *end)
	{
		if (is_sign(words, *start, '('))
		{
			int			after = after_parentheses(words, *start, *end);

			if (!is_sign(words, after - 1, ')') || opening_parenthesis(words, after - 1, *start) != *start)
			{
				(*start)++;
				continue;
			}
			if (after == *end && !is_subselect(words, *start + 1))
			{
				(*start)++;
				(*end)--;
				continue;
			}
		}
		if (is_sign(words, *end - 1, ')') && opening_parenthesis(words, *end - 1, *start) < 0)
		{
			(*end)--;
			continue;
		}
		break;
	}
}

/* ---------- the tree ---------- */

static bool
leftmost_walker(Node *node, void *argument)
{
	int		   *leftmost = argument;
	int			location;

	if (node == NULL)
		return false;
	check_stack_depth();
	location = exprLocation(node);
	if (location >= 0 && (*leftmost < 0 || location < *leftmost))
		*leftmost = location;
	return raw_expression_tree_walker(node, leftmost_walker, argument);
}

/* Where the text of a node begins, parentheses aside. */
static int
leftmost(Node *node)
{
	int			location = -1;

	(void) leftmost_walker(node, &location);
	return location;
}

/* ---------- what a condition reads ---------- */

typedef struct InputSearch
{
	const Words *words;
	List	   *inputs;
	int			subquery;		/* depth of sub-selects */
} InputSearch;

static void
add_input(InputSearch *search, InputKind kind, char *name, char *text)
{
	PartInput  *input;
	ListCell   *cell;

	foreach (cell, search->inputs)
	{
		PartInput  *known = lfirst(cell);

		if (known->kind == kind && strcmp(known->name, name) == 0)
			return;
	}
	input = palloc(sizeof(PartInput));
	*input = (PartInput){kind, name, text};
	search->inputs = lappend(search->inputs, input);
}

/*
 * Is there an aggregate of that name?  Rights on its schema do not matter: it is
 * not called here.
 */
static bool
is_aggregate(const FuncCall *call)
{
	CatCList   *functions;
	List	   *path;
	Oid			schema = InvalidOid;
	bool		result = false;

	if (call->agg_star || call->agg_filter != NULL || call->agg_distinct || call->agg_order != NIL || call->agg_within_group)
		return call->over == NULL;
	if (list_length(call->funcname) > 1)
		schema = get_namespace_oid(strVal(list_nth(call->funcname, list_length(call->funcname) - 2)), true);
	path = list_length(call->funcname) > 1 ? list_make1_oid(schema) : fetch_search_path(true);
	functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(strVal(llast(call->funcname))));
	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		result |= function->prokind == PROKIND_AGGREGATE && list_member_oid(path, function->pronamespace);
	}
	ReleaseSysCacheList(functions);
	return result;
}

/* The text of an aggregate: its name, what is in parentheses, WITHIN GROUP (...), FILTER (...). */
static char *
call_text(const Words *words, const FuncCall *call)
{
	int			start = token_at(words, call->location);
	int			end = start;

	while (end < words->count && !is_sign(words, end, '('))
		end++;
	end = after_parentheses(words, end, words->count);
	if (is_word(words, end, "within") && is_word(words, end + 1, "group"))
		end = after_parentheses(words, end + 2, words->count);
	if (is_word(words, end, "filter"))
		end = after_parentheses(words, end + 1, words->count);
	return text_of(words, start, end);
}

static bool
input_walker(Node *node, void *argument)
{
	InputSearch *search = argument;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, ColumnRef))
	{
		List	   *fields = castNode(ColumnRef, node)->fields;
		char	   *first;

		if (!IsA(linitial(fields), String))
			return false;
		first = strVal(linitial(fields));
		if (list_length(fields) >= 2 && IsA(lsecond(fields), String))
		{
			char	   *column = strVal(lsecond(fields));

			if (strcmp(first, "profile") == 0)
				add_input(search, INPUT_PROFILE, column, psprintf("profile.%s", quote_identifier(column)));
			else if (strcmp(first, "segment") == 0)
				add_input(search, INPUT_SEGMENT, column, psprintf("segment.%s", quote_identifier(column)));
		}
		else if (list_length(fields) == 1 && search->subquery == 0)
		{
			/* a name alone is a column of whichever has it */
			Oid			schema = get_namespace_oid("cdp", true);
			Oid			profiles = OidIsValid(schema) ? get_relname_relid("profiles", schema) : InvalidOid;
			Oid			events = OidIsValid(schema) ? get_relname_relid("events", schema) : InvalidOid;

			if (OidIsValid(profiles) && get_attnum(profiles, first) > 0)
				add_input(search, INPUT_PROFILE, first, psprintf("profile.%s", quote_identifier(first)));
			else if (OidIsValid(events) && get_attnum(events, first) == InvalidAttrNumber)
				add_input(search, INPUT_SEGMENT, first, psprintf("segment.%s", quote_identifier(first)));
		}
		return false;
	}
	if (IsA(node, FuncCall) && search->subquery == 0 && castNode(FuncCall, node)->location >= 0 && is_aggregate(castNode(FuncCall, node)))
	{
		char	   *text = call_text(search->words, castNode(FuncCall, node));

		add_input(search, INPUT_AGGREGATE, text, text);
		return false;
	}
	if (IsA(node, SelectStmt))
	{
		bool		found;

		search->subquery++;
		found = raw_expression_tree_walker(node, input_walker, argument);
		search->subquery--;
		return found;
	}
	return raw_expression_tree_walker(node, input_walker, argument);
}

static List *
inputs_of(const Words *words, Node *node)
{
	InputSearch search = {words, NIL, 0};

	(void) input_walker(node, &search);
	return search.inputs;
}

/* ---------- parts ---------- */

static PredicatePart *
cut(const Words *words, Node *node, int start, int end)
{
	PredicatePart *part = palloc0(sizeof(PredicatePart));
	BoolExpr   *expression;
	ListCell   *cell;
	int		   *ends;
	int			from;

	check_stack_depth();
	strip_parentheses(words, &start, &end);
	part->kind = PART_CONDITION;
	part->text = text_of(words, start, end);
	from = start;
	if (IsA(node, BoolExpr))
	{
		expression = castNode(BoolExpr, node);
		if (expression->boolop == NOT_EXPR)
		{
			/* "a NOT IN (SELECT ...)" is one, too, in the eyes of the parser */
			if (is_word(words, start, "not") && leftmost(node) == words->tokens[start].start)
			{
				part->kind = PART_NOT;
				part->children = list_make1(cut(words, linitial(expression->args), start + 1, end));
				return part;
			}
		}
		else
		{
			const char *word = expression->boolop == AND_EXPR ? "and" : "or";
			bool		is_clear = true;

			/* where each operand ends: at the word before the next one */
			ends = cdp_palloc_array(int, list_length(expression->args));
			for (int i = 1; i < list_length(expression->args); i++)
			{
				int			separator = token_at(words, leftmost(list_nth(expression->args, i))) - 1;

				while (is_sign(words, separator, '('))
					separator--;
				if (!is_word(words, separator, word))
					is_clear = false;
				ends[i - 1] = separator;
			}
			ends[list_length(expression->args) - 1] = end;
			if (is_clear)
			{
				part->kind = expression->boolop == AND_EXPR ? PART_AND : PART_OR;
				foreach (cell, expression->args)
				{
					int			to = ends[foreach_current_index(cell)];

					part->children = lappend(part->children, cut(words, lfirst(cell), from, to));
					from = to + 1;
				}
				return part;
			}
		}
	}
	part->inputs = inputs_of(words, node);
	return part;
}

/* The tree of a text that is one expression. */
static Node *
parse(const char *text)
{
	bool		has_more;
	int			location;
	SelectStmt *statement = castNode(SelectStmt, given_text_parse(text, &has_more, &location)->stmt);

	if (has_more || list_length(statement->targetList) != 1 || !IsA(linitial(statement->targetList), ResTarget))
		elog(ERROR, "definition is not one expression");
	return linitial_node(ResTarget, statement->targetList)->val;
}

/*
 * The parts of a predicate, which must be one that was declared, in the order
 * of the text.  Names of aggregates are looked up by the search_path in force.
 */
PredicatePart *
predicate_parts(const char *text)
{
	Words		words;
	Node	   *node = parse(text);

	read_words(&words, text);
	return cut(&words, node, 0, words.count);
}

/* What an expression reads, as a whole: of PartInput. */
List *
expression_inputs(const char *text)
{
	Words		words;
	Node	   *node = parse(text);

	read_words(&words, text);
	return inputs_of(&words, node);
}

/* An expression on one line and without comments. */
char *
expression_text(const char *text)
{
	Words		words;

	read_words(&words, text);
	return text_of(&words, 0, words.count);
}
