/*
 * training.c
 *		What cdp.train_logit and cdp.train_gbt have in common (see training.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "cdp.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "query.h"
#include "score/training.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* More levels than this are no category but a name. */
#define MAX_LEVELS	1000

/* What a column is used as, and what it has to be for that. */
typedef struct ColumnRole
{
	const char *name;
	const char *hint;
} ColumnRole;

static const ColumnRole label_role = {"the label", "The label is what happened: a boolean, or a number from 0 for no to 1 for yes."};
static const ColumnRole weight_role = {"the weight", "A weight is a number that is not negative."};
static const ColumnRole feature_role = {"a feature", "Features are numbers, booleans, text and arrays of double precision; make a number of a time, such as the days since."};

static void
wrong_column(const char *name, Oid type, const ColumnRole *role)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of type %s cannot be %s", name, format_type_be(type), role->name),
			 errhint("%s", role->hint)));
}

/*
 * The number of a column of the query, from 1.
 */
static int
find_column(TupleDesc descriptor, const char *name)
{
	int			found = 0;

	for (int i = 0; i < descriptor->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(descriptor, i)->attname), name) == 0)
		{
			if (found > 0)
				ereport(ERROR,
						(errcode(ERRCODE_AMBIGUOUS_COLUMN),
						 errmsg("query yields two columns called \"%s\"", name)));
			found = i + 1;
		}
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("query yields no column \"%s\"", name)));
	return found;
}

static bool
is_number(Oid type)
{
	return type == FLOAT8OID || type == FLOAT4OID || type == INT2OID || type == INT4OID ||
		type == INT8OID || type == NUMERICOID;
}

/*
 * A column as an expression of type float8.
 */
static char *
number_expression(TupleDesc descriptor, const char *name, const ColumnRole *role)
{
	Oid			declared = TupleDescAttr(descriptor, find_column(descriptor, name) - 1)->atttypid;
	Oid			type = getBaseType(declared);
	const char *quoted = quote_identifier(name);

	if (type == BOOLOID)
		return psprintf("(given.%s)::pg_catalog.int4::pg_catalog.float8", quoted);
	if (!is_number(type))
		wrong_column(name, declared, role);
	return psprintf("(given.%s)::pg_catalog.float8", quoted);
}

static void
add_feature(Training *training, TupleDesc descriptor, const char *name, StringInfo numbers, StringInfo categories,
			bool *open)
{
	LogitFeature *feature = &training->model->features[training->model->feature_count++];
	Oid			declared = TupleDescAttr(descriptor, find_column(descriptor, name) - 1)->atttypid;
	Oid			type = getBaseType(declared);
	const char *quoted = quote_identifier(name);
	char		category;
	bool		preferred;

	feature->name = pstrdup(name);
	get_type_category_preferred(type, &category, &preferred);
	if (type == FLOAT8ARRAYOID)
	{
		for (int i = 0; i < training->model->feature_count - 1; i++)
			if (training->model->features[i].kind == LOGIT_VECTOR)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("only one of the features can be an array"),
						 errhint("Join the arrays in the query: a || b AS features.")));
		feature->kind = LOGIT_VECTOR;
		if (*open)
			appendStringInfoString(numbers, "] || ");
		else if (numbers->len > 0)
			appendStringInfoString(numbers, " || ");
		*open = false;
		appendStringInfo(numbers, "(given.%s)", quoted);
	}
	else if (is_number(type) || type == BOOLOID)
	{
		feature->kind = LOGIT_NUMBER;
		feature->length = 1;
		if (*open)
			appendStringInfoString(numbers, ", ");
		else
			appendStringInfoString(numbers, numbers->len > 0 ? " || ARRAY[" : "ARRAY[");
		*open = true;
		appendStringInfoString(numbers, number_expression(descriptor, name, &feature_role));
	}
	else if (category == TYPCATEGORY_STRING || category == TYPCATEGORY_ENUM || type == CHAROID)
	{
		feature->kind = LOGIT_CATEGORY;
		appendStringInfo(categories, "%s(given.%s)::pg_catalog.text", categories->len > 0 ? ", " : "", quoted);
	}
	else
		wrong_column(name, declared, &feature_role);
}

/*
 * Which features there are, and how they are read from a row.
 */
static void
find_features(Training *training, TupleDesc descriptor, ArrayType *names, const char *label, const char *weight)
{
	StringInfoData numbers;
	StringInfoData categories;
	bool		open = false;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	initStringInfo(&numbers);
	initStringInfo(&categories);
	if (names != NULL)
	{
		deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
		training->model->features = cdp_palloc0_array(LogitFeature, add_size(count, 1));
		for (int i = 0; i < count; i++)
		{
			char	   *name;

			if (nulls[i])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("names of features must not be null")));
			name = TextDatumGetCString(elements[i]);
			for (int j = 0; j < i; j++)
				if (strcmp(training->model->features[j].name, name) == 0)
					ereport(ERROR,
							(errcode(ERRCODE_DUPLICATE_COLUMN),
							 errmsg("feature \"%s\" is named twice", name)));
			if (strcmp(name, label) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("column \"%s\" is the label and cannot be a feature", name)));
			add_feature(training, descriptor, name, &numbers, &categories, &open);
		}
	}
	else
	{
		training->model->features = cdp_palloc0_array(LogitFeature, descriptor->natts + 1);
		for (int i = 0; i < descriptor->natts; i++)
		{
			const char *name = NameStr(TupleDescAttr(descriptor, i)->attname);

			if (strcmp(name, label) != 0 && (weight == NULL || strcmp(name, weight) != 0))
				add_feature(training, descriptor, name, &numbers, &categories, &open);
		}
	}
	if (training->model->feature_count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no features"),
				 errhint("The query yields the label and at least one more column.")));
	if (open)
		appendStringInfoChar(&numbers, ']');
	/* an array that is NULL would vanish between the others */
	for (int i = 0; i < training->model->feature_count; i++)
		if (training->model->features[i].kind == LOGIT_VECTOR)
		{
			char	   *joined = pstrdup(numbers.data);

			resetStringInfo(&numbers);
			appendStringInfo(&numbers, "CASE WHEN (given.%s) IS NOT NULL THEN %s END",
							 quote_identifier(training->model->features[i].name), joined);
		}
	training->numbers = numbers.len > 0 ? numbers.data : "'{}'::pg_catalog.float8[]";
	training->categories = categories.len > 0 ? psprintf("ARRAY[%s]", categories.data) : NULL;
}

/* ---- the pass for the levels of categories ---- */

typedef struct LevelList
{
	MemoryContext context;
	LogitModel *model;
	LogitFeature **categories;	/* by their input */
	int		   *room;
} LevelList;

static void
take_level(void *argument, TupleTableSlot *slot)
{
	LevelList  *list = (LevelList *) argument;
	MemoryContext outer_context;
	bool		isnull;
	int64		place = DatumGetInt64(slot_getattr(slot, 1, &isnull));
	Datum		value = slot_getattr(slot, 2, &isnull);
	LogitFeature *feature = list->categories[place - 1];

	if (isnull)
		return;
	if (feature->level_count >= MAX_LEVELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("feature \"%s\" has more than %d levels", feature->name, MAX_LEVELS),
				 errhint("Group rare levels, or leave the column out if it is an identifier.")));
	outer_context = MemoryContextSwitchTo(list->context);
	if (feature->level_count == list->room[place - 1])
	{
		list->room[place - 1] = Max(16, list->room[place - 1] * 2);
		feature->levels = feature->levels == NULL ? cdp_palloc_array(char *, list->room[place - 1]) : repalloc(feature->levels, mul_size(sizeof(char *), list->room[place - 1]));
	}
	feature->levels[feature->level_count++] = TextDatumGetCString(value);
	MemoryContextSwitchTo(outer_context);
}

static int
compare_levels(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * The levels of each category, in bytewise order; without keep_nulls only those
 * of rows without a NULL.
 */
void
training_find_levels(Training *training, bool keep_nulls)
{
	LogitModel *model = training->model;
	LevelList	list;
	CdpQuery   *query;
	const char *complete = "";

	list.context = CurrentMemoryContext;
	list.model = model;
	list.categories = cdp_palloc0_array(LogitFeature *, model->feature_count + 1);
	list.room = cdp_palloc0_array(int, model->feature_count + 1);
	for (int i = 0; i < model->feature_count; i++)
		if (model->features[i].kind == LOGIT_CATEGORY)
			list.categories[model->features[i].input] = &model->features[i];
	if (!keep_nulls)
		complete = psprintf("AND pg_catalog.array_position(%s, NULL) IS NULL AND pg_catalog.array_position(%s, NULL) IS NULL AND %s IS NOT NULL",
							training->categories, training->numbers, training->numbers);
	query = cdp_query_prepare(psprintf("SELECT level.place, level.value COLLATE \"C\" FROM (%s\n) AS given, "
									   "pg_catalog.unnest(%s) WITH ORDINALITY AS level (value, place) "
									   "WHERE %s IS NOT NULL AND %s IS NOT NULL %s GROUP BY 1, 2",
									   training->query, training->categories, training->label, training->weight, complete),
							  training->function);
	cdp_query_run(query, CDP_QUERY_PARALLEL, take_level, &list);
	cdp_query_free(query);

	for (int i = 0; i < model->feature_count; i++)
	{
		LogitFeature *feature = &model->features[i];

		if (feature->kind != LOGIT_CATEGORY)
			continue;
		if (feature->level_count == 0 && !keep_nulls)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no rows to fit a model to"),
					 errdetail("Each row has a NULL, or there are none.")));
		qsort(feature->levels, feature->level_count, sizeof(char *), compare_levels);
		if (feature->level_count == 0)
		{
			/* all NULL: one level, so that the model says what it was */
			feature->levels = cdp_palloc_array(char *, 1);
			feature->levels[feature->level_count++] = pstrdup("");
		}
		feature->length = feature->level_count - 1;
	}
}

/*
 * Check the query and its columns, and find the features.
 *
 * query, label: NULL is an error.  features: NULL is all columns but label and
 * weight.  weight: NULL is 1 for each row.  function: for messages.
 */
void
training_prepare(Training *training, const char *query, char *label, ArrayType *features, char *weight, const char *function)
{
	CdpQuery   *prepared = cdp_query_prepare(query, function);
	TupleDesc	descriptor = cdp_query_descriptor(prepared);

	if (label == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("label must not be null"),
				 errhint("Pass the name of the column that says what happened.")));
	training->function = function;
	training->query = cdp_query_bare(query);
	training->model = palloc0(sizeof(LogitModel));
	training->model->label = label;
	training->label = number_expression(descriptor, label, &label_role);
	training->weight = weight == NULL ? "1" : number_expression(descriptor, weight, &weight_role);
	find_features(training, descriptor, features, label, weight);
	logit_model_number_inputs(training->model);
	cdp_query_free(prepared);
}
