/*
 * document.c
 *		Models as jsonb documents: writing them as JSON text, reading and checking
 *		what comes from outside (see document.h).
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "nodes/primnodes.h"
#include "score/document.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* ---- writing ---- */

void
document_write_key(StringInfo text, const char *key)
{
	char		last = text->data[text->len - 1];

	if (last != '{' && last != '[')
		appendStringInfoChar(text, ',');
	escape_json(text, key);
	appendStringInfoChar(text, ':');
}

void
document_write_number(StringInfo text, const char *key, double value)
{
	document_write_key(text, key);
	appendStringInfoString(text, isfinite(value) ? float8out_internal(value) : "null");
}

void
document_write_integer(StringInfo text, const char *key, int64 value)
{
	document_write_key(text, key);
	appendStringInfo(text, INT64_FORMAT, value);
}

void
document_write_boolean(StringInfo text, const char *key, bool value)
{
	document_write_key(text, key);
	appendStringInfoString(text, value ? "true" : "false");
}

void
document_write_string(StringInfo text, const char *key, const char *value)
{
	document_write_key(text, key);
	escape_json(text, value);
}

/*
 * The text as a document.
 */
Jsonb *
document_finish(StringInfo text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text->data)));
}

/* ---- reading ---- */

/* What fn_extra holds of a document that is an argument */
typedef struct DocumentCache
{
	MemoryContext context;
	bool		is_constant;	/* is the argument written in the statement? */
	Size		size;
	void	   *bytes;			/* the argument as it came, maybe a TOAST pointer */
	void	   *content;		/* NULL: none yet */
} DocumentCache;

/*
 * A parameter is no constant: in PL/pgSQL its value may change while the state of
 * the call is kept.
 */
static bool
is_constant_argument(const FmgrInfo *function, int argument)
{
	Node	   *call = function->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(list_nth(castNode(FuncExpr, call)->args, argument), Const);
}

/*
 * The content of a document that is an argument of a function, and not NULL: read once
 * for all calls that get the same.  It lives until the next call.
 */
void *
document_argument(FunctionCallInfo fcinfo, int argument, DocumentReader read)
{
	DocumentCache *cache = (DocumentCache *) fcinfo->flinfo->fn_extra;
	struct varlena *value;
	Size		size;
	MemoryContext outer_context;

	if (cache != NULL && cache->content != NULL && cache->is_constant)
		return cache->content;
	value = (struct varlena *) DatumGetPointer(PG_GETARG_DATUM(argument));
	/* what other pointers point to may change */
	if (VARATT_IS_EXTERNAL(value) && !VARATT_IS_EXTERNAL_ONDISK(value))
		value = PG_DETOAST_DATUM(PointerGetDatum(value));
	size = VARSIZE_ANY(value);
	if (cache != NULL && cache->content != NULL && cache->size == size && memcmp(cache->bytes, value, size) == 0)
		return cache->content;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(DocumentCache));
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "cdp document", ALLOCSET_SMALL_SIZES);
		cache->is_constant = is_constant_argument(fcinfo->flinfo, argument);
		fcinfo->flinfo->fn_extra = cache;
	}
	cache->content = NULL;
	MemoryContextReset(cache->context);
	outer_context = MemoryContextSwitchTo(cache->context);
	cache->bytes = memcpy(palloc(size), value, size);
	cache->size = size;
	cache->content = read((Jsonb *) PG_DETOAST_DATUM(PointerGetDatum(value)));
	MemoryContextSwitchTo(outer_context);
	return cache->content;
}

/*
 * What is wrong with a document that came from outside.
 */
void
document_invalid(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid model: %s", problem),
			 errhint("Models come from the functions that fit them; docs/score.md specifies their documents.")));
}

JsonbValue *
document_read_key(JsonbContainer *object, const char *key, bool required)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	if (value == NULL && required)
		document_invalid(psprintf("\"%s\" is missing", key));
	return value;
}

/*
 * A number, or what stands for null; missing is null.
 */
double
document_read_number(JsonbContainer *object, const char *key, double null_value)
{
	JsonbValue *value = document_read_key(object, key, false);
	double		result;

	if (value == NULL || value->type == jbvNull)
		return null_value;
	if (value->type != jbvNumeric)
		document_invalid(psprintf("\"%s\" is not a number", key));
	result = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!isfinite(result))
		document_invalid(psprintf("\"%s\" is not finite", key));
	return result;
}

/*
 * The same, with bounds.
 */
double
document_read_number_between(JsonbContainer *object, const char *key, double null_value, double low, double high)
{
	double		value = document_read_number(object, key, null_value);

	if (!(value >= low && value <= high))
		document_invalid(psprintf("\"%s\" is out of range", key));
	return value;
}

bool
document_read_boolean(JsonbContainer *object, const char *key)
{
	JsonbValue *value = document_read_key(object, key, false);

	if (value == NULL || value->type == jbvNull)
		return false;
	if (value->type != jbvBool)
		document_invalid(psprintf("\"%s\" is not true or false", key));
	return value->val.boolean;
}

char *
document_value_string(JsonbValue *value, const char *key)
{
	if (value == NULL || value->type != jbvString)
		document_invalid(psprintf("\"%s\" is not a string", key));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

JsonbContainer *
document_read_array(JsonbContainer *object, const char *key, bool required)
{
	JsonbValue *value = document_read_key(object, key, required);

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		document_invalid(psprintf("\"%s\" is not an array", key));
	return value->val.binary.data;
}

JsonbContainer *
document_element_object(JsonbContainer *array, int place, const char *key)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array, place);

	if (value == NULL || value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		document_invalid(psprintf("an element of \"%s\" is not an object", key));
	return value->val.binary.data;
}

/*
 * An array of numbers, or of true and false as 1 and 0; its length is the result.
 */
int
document_read_numbers(JsonbContainer *object, const char *key, double **numbers)
{
	JsonbContainer *array = document_read_array(object, key, true);
	int			count = JsonContainerSize(array);
	JsonbIterator *iterator = JsonbIteratorInit(array);
	JsonbValue	value;
	JsonbIteratorToken token;
	int			place = 0;

	*numbers = cdp_palloc_array(double, add_size(count, 1));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		double		number;

		if (token != WJB_ELEM)
			continue;
		if (value.type == jbvBool)
			number = value.val.boolean ? 1 : 0;
		else if (value.type == jbvNumeric)
			number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
		else
			number = NAN;
		if (!isfinite(number) || place >= count)
			document_invalid(psprintf("an element of \"%s\" is not a finite number", key));
		(*numbers)[place++] = number;
	}
	if (place != count)
		document_invalid(psprintf("an element of \"%s\" is not a finite number", key));
	return count;
}

/*
 * A document must be an object that says which model it is, in the version
 * expected.
 */
void
document_check_header(Jsonb *document, const char *model, int version)
{
	char	   *name;

	if (!JB_ROOT_IS_OBJECT(document))
		document_invalid("it is not an object");
	name = document_value_string(document_read_key(&document->root, "model", true), "model");
	if (strcmp(name, model) != 0)
		document_invalid(psprintf("\"model\" is not \"%s\"", model));
	if (document_read_number(&document->root, "version", 0) != version)
		document_invalid(psprintf("its version is not %d", version));
}
