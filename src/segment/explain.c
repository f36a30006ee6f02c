/*
 * explain.c
 *		Why somebody is in a segment, or why not.
 *
 * The predicate is cut into its parts (parts.c).  Each part, and each column,
 * aggregate and segment that a condition reads, is an expression of its own, and
 * all of them are evaluated for the one person by the compiler's statement, with
 * the rights of the segment's owner.  Where that fails, the statement is split,
 * so that an error is shown at the part that raises it and the others have their
 * values all the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "query.h"
#include "segment/parts.h"
#include "segment/people.h"
#include "trait/expression_as_of.h"

PG_FUNCTION_INFO_V1(cdp_explain_segment);

#define EXPLAIN_COLUMNS	8

/* A statement has at most 1,664 columns. */
#define MAX_TOGETHER	300

/* Something that has a value for the person. */
typedef struct Evaluated
{
	char	   *definition;
	bool		is_boolean;		/* otherwise jsonb */
	Datum		value;
	bool		is_null;
	char	   *error;			/* NULL: none */
} Evaluated;

/* A line of the explanation. */
typedef struct Line
{
	int			depth;
	const char *kind;
	char	   *text;
	PartKind	part;
	Evaluated  *result;			/* NULL: none */
	List	   *inputs;			/* of PartInput */
	List	   *items;			/* the values of these */
	List	   *children;		/* of Line: operands */
	bool		is_decisive;
	char	   *note;
} Line;

typedef struct Explanation
{
	const Expression *segment;
	int64		person;
	bool		is_as_of;
	TimestampTz at;
	List	   *items;			/* all of Evaluated, each definition once */
	List	   *lines;			/* of Line, in reading order */
	List	   *shown;			/* of char: segments and traits that were taken apart already */
	MemoryContext context;
} Explanation;

/* ---------- what is evaluated ---------- */

static Evaluated *
add_item(Explanation *explanation, bool is_boolean, const char *text)
{
	char	   *definition = psprintf(is_boolean ? "CAST((%s) AS pg_catalog.bool)" : "pg_catalog.to_jsonb(%s)", text);
	Evaluated  *item;
	ListCell   *cell;

	foreach (cell, explanation->items)
	{
		item = lfirst(cell);
		if (strcmp(item->definition, definition) == 0)
			return item;
	}
	item = palloc0(sizeof(Evaluated));
	item->definition = definition;
	item->is_boolean = is_boolean;
	item->is_null = true;
	explanation->items = lappend(explanation->items, item);
	return item;
}

typedef struct Receiving
{
	List	   *items;
	MemoryContext context;
	bool		found;
} Receiving;

static void
receive_values(void *argument, TupleTableSlot *slot)
{
	Receiving  *receiving = argument;
	MemoryContext caller = MemoryContextSwitchTo(receiving->context);
	ListCell   *cell;

	receiving->found = true;
	foreach (cell, receiving->items)
	{
		Evaluated  *item = lfirst(cell);
		Datum		value = slot_getattr(slot, foreach_current_index(cell) + 2, &item->is_null);

		if (item->is_null)
			continue;
		if (item->is_boolean)
			item->value = value;
		else
			item->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	}
	MemoryContextSwitchTo(caller);
}

/* Evaluates some items by one statement; raises what goes wrong. */
static void
run_statement(const Explanation *explanation, List *items)
{
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		person = Int64GetDatum(explanation->person);
	Datum		values[2];
	List	   *expressions = NIL;
	ListCell   *cell;
	SourceOwner owner;
	CdpQuery   *query;
	Receiving	receiving = {.items = items, .context = explanation->context};
	char	   *sql;

	foreach (cell, items)
	{
		Expression *expression = palloc(sizeof(Expression));

		*expression = *explanation->segment;
		expression->id = 0;
		/* no computed trait can have this name, so it depends on none of it */
		expression->name = pstrdup("profile_id");
		expression->is_segment = false;
		expression->definition = ((Evaluated *) lfirst(cell))->definition;
		expressions = lappend(expressions, expression);
	}
	values[0] = PointerGetDatum(construct_array(&person, 1, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = TimestampTzGetDatum(explanation->at);
	sql = expression_statement(expressions, EXPRESSION_GIVEN, explanation->is_as_of ? EXPRESSION_AS_OF : 0);
	expression_enter(explanation->segment, &owner);
	query = cdp_query_prepare_parameters(sql, "cdp.explain_segment", types, explanation->is_as_of ? 2 : 1);
	cdp_query_bind(query, values);
	(void) cdp_query_run(query, 0, receive_values, &receiving);
	cdp_query_free(query);
	source_owner_leave(&owner);
	if (!receiving.found)
		elog(ERROR, "profile " INT64_FORMAT " was in cdp.profiles a moment ago", explanation->person);
}

/*
 * The message of an error, for whoever asks: a value that it quotes may be one
 * that only the owner may read.
 */
static char *
message_for_caller(const Explanation *explanation, const ErrorData *error)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)), CStringGetTextDatum(error->message)};
	Oid			owner = get_role_oid(explanation->segment->owner, true);
	MemoryContext context = CurrentMemoryContext;
	char	   *message;

	if (OidIsValid(owner) && has_privs_of_role(GetUserId(), owner))
		return pstrdup(error->message);
	SPI_connect();
	if (SPI_execute_with_args("SELECT cdp.without_values($1, $2)", 2, types, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not prepare the message of an error");
	message = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return message;
}

/* Evaluates items together, or, where that fails, in halves. */
static void
evaluate(Explanation *explanation, List *items)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner resources = CurrentResourceOwner;
	ErrorData *volatile error = NULL;
	List	   *halves[2] = {NIL, NIL};
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		run_statement(explanation, items);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (!cdp_is_about_text(error) || error->sqlerrcode == ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = resources;
	if (error == NULL)
		return;
	if (list_length(items) == 1)
	{
		Evaluated  *item = linitial(items);
		char	   *message = message_for_caller(explanation, error);

		item->is_null = true;
		/* where something is not known of an earlier time, the hint says what to do; it may quote values as the message does */
		item->error = error->hint == NULL || !explanation->is_as_of || strcmp(message, error->message) != 0
			? message
			: psprintf("%s (%s)", message, error->hint);
		return;
	}
	foreach (cell, items)
	{
		int			half = foreach_current_index(cell) < list_length(items) / 2 ? 0 : 1;

		halves[half] = lappend(halves[half], lfirst(cell));
	}
	evaluate(explanation, halves[0]);
	evaluate(explanation, halves[1]);
}

static void
evaluate_all(Explanation *explanation)
{
	List	   *together = NIL;
	ListCell   *cell;

	foreach (cell, explanation->items)
	{
		together = lappend(together, lfirst(cell));
		if (list_length(together) == MAX_TOGETHER)
		{
			evaluate(explanation, together);
			together = NIL;
		}
	}
	if (together != NIL)
		evaluate(explanation, together);
}

/* ---------- the lines ---------- */

/* The parts of a segment, or what a computed trait reads; names mean what they mean to the owner. */
static PredicatePart *
parts_of(const Expression *segment)
{
	SourceOwner owner;
	PredicatePart *result;

	expression_enter(segment, &owner);
	result = predicate_parts(segment->definition);
	source_owner_leave(&owner);
	return result;
}

static List *
inputs_of(const Expression *trait)
{
	SourceOwner owner;
	List	   *result;

	expression_enter(trait, &owner);
	result = expression_inputs(trait->definition);
	source_owner_leave(&owner);
	return result;
}

static Line *add_part(Explanation *explanation, const PredicatePart *part, int depth);

static Line *
add_line(Explanation *explanation, int depth, const char *kind, char *text, Evaluated *result)
{
	Line	   *line = palloc0(sizeof(Line));

	line->depth = depth;
	line->kind = kind;
	line->text = text;
	line->part = PART_CONDITION;
	line->result = result;
	explanation->lines = lappend(explanation->lines, line);
	return line;
}

static void
add_inputs(Explanation *explanation, Line *line, List *inputs)
{
	ListCell   *cell;

	line->inputs = inputs;
	foreach (cell, inputs)
		line->items = lappend(line->items, add_item(explanation, false, ((PartInput *) lfirst(cell))->text));
}

/*
 * The lines of a segment or computed trait that a condition reads, beneath that
 * condition: its value, and where it is evaluated along with this segment, its
 * own parts.
 */
static void
add_reference(Explanation *explanation, Line *condition, const PartInput *input)
{
	bool		is_segment = input->kind == INPUT_SEGMENT;
	bool		is_all = is_segment && strcmp(condition->text, input->text) == 0;
	Expression *other = expression_find(is_segment ? "segment" : "trait", input->name, true);
	const Expression *segment = explanation->segment;
	Line	   *line;
	ListCell   *cell;

	if (other == NULL)
		return;
	if (is_all)
	{
		/* the condition is that segment and nothing more */
		line = condition;
		line->kind = "segment";
	}
	else
	{
		line = add_line(explanation, condition->depth + 1, is_segment ? "segment" : "trait", input->text, NULL);
		condition->children = lappend(condition->children, line);
		if (is_segment)
			line->result = add_item(explanation, true, input->text);
		else
			add_inputs(explanation, line, list_make1((void *) input));
	}
	foreach (cell, explanation->shown)
		if (strcmp(lfirst(cell), input->text) == 0)
		{
			line->note = pstrdup("its parts are shown above");
			return;
		}
	explanation->shown = lappend(explanation->shown, input->text);
	if (other->is_query || !expression_has_settings_of(other, segment))
	{
		line->note = other->is_query ? pstrdup("given by a query: the stored membership counts") : psprintf("of role %s with settings of its own: the stored value counts", other->owner);
		return;
	}
	if (is_segment)
	{
		if (!other->include_anonymous)
			line->children = lappend(line->children, add_line(explanation, line->depth + 1, "condition", pstrdup("profile.is_known"), add_item(explanation, true, "profile.is_known")));
		line->children = lappend(line->children, add_part(explanation, parts_of(other), line->depth + 1));
	}
	else
	{
		Line	   *expression = add_line(explanation, line->depth + 1, "expression", expression_text(other->definition), NULL);

		add_inputs(explanation, expression, inputs_of(other));
		line->children = lappend(line->children, expression);
		foreach (cell, expression->inputs)
			if (((PartInput *) lfirst(cell))->kind != INPUT_AGGREGATE)
				add_reference(explanation, expression, lfirst(cell));
	}
}

static Line *
add_part(Explanation *explanation, const PredicatePart *part, int depth)
{
	static const char *const kinds[] = {"and", "or", "not", "condition"};
	Line	   *line = add_line(explanation, depth, kinds[part->kind], part->text, add_item(explanation, true, part->text));
	ListCell   *cell;

	check_stack_depth();
	line->part = part->kind;
	foreach (cell, part->children)
		line->children = lappend(line->children, add_part(explanation, lfirst(cell), depth + 1));
	add_inputs(explanation, line, part->inputs);
	foreach (cell, part->inputs)
		if (((PartInput *) lfirst(cell))->kind != INPUT_AGGREGATE)
			add_reference(explanation, line, lfirst(cell));
	return line;
}

/* ---------- what decides, and why ---------- */

/* 1: true, 0: false, -1: NULL, -2: an error. */
static int
outcome(const Line *line)
{
	if (line->result == NULL || line->result->error != NULL)
		return -2;
	return line->result->is_null ? -1 : DatumGetBool(line->result->value) ? 1
																		  : 0;
}

/*
 * Marks the parts that the outcome goes by.  wanted: the outcome by which the
 * person would be in; false below NOT.
 */
static void
mark_decisive(Line *line, bool wanted)
{
	ListCell   *cell;
	int			result = outcome(line);

	line->is_decisive = true;
	foreach (cell, line->children)
	{
		Line	   *child = lfirst(cell);
		int			part = outcome(child);
		bool		decides;

		switch (line->part)
		{
			case PART_AND:
				/* without error or NULL all are true; otherwise whatever keeps it from that */
				decides = result == 1 || (wanted || result != 0 ? part != 1 : part == 0);
				break;
			case PART_OR:
				decides = result == 1 ? part == 1 : (!wanted && result == -1 ? part == -1 : true);
				break;
			default:
				decides = true;
				break;
		}
		if (decides)
			mark_decisive(child, line->part == PART_NOT ? !wanted : wanted);
	}
}

/* The names of inputs without a value. */
static char *
unknown_inputs(const Line *line)
{
	StringInfoData names;
	ListCell   *input;
	ListCell   *item;

	initStringInfo(&names);
	forboth (input, line->inputs, item, line->items)
		if (((Evaluated *) lfirst(item))->is_null)
			appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ", ((PartInput *) lfirst(input))->text);
	return names.data;
}

/* How many parts have an outcome. */
static int
count_parts(const Line *line, int result)
{
	int			count = 0;
	ListCell   *cell;

	foreach (cell, line->children)
		if (outcome(lfirst(cell)) == result)
			count++;
	return count;
}

/* What the values say, in words. */
static char *
note_of(const Line *line)
{
	int			result = outcome(line);
	int			parts = list_length(line->children);
	int			held = count_parts(line, 1);
	int			missing = parts - held;
	int			open = count_parts(line, -1);
	char	   *unknown;
	ListCell   *cell;

	if (line->result != NULL && line->result->error != NULL)
		return psprintf("error: %s", line->result->error);
	foreach (cell, line->items)
		if (((Evaluated *) lfirst(cell))->error != NULL)
			return psprintf("error: %s", ((Evaluated *) lfirst(cell))->error);
	if (line->note != NULL)
		return line->note;
	switch (line->part)
	{
		case PART_AND:
			if (result == -1)
				return psprintf("unknown (NULL): of %d, %d %s unknown", parts, open, open == 1 ? "is" : "are");
			return result == 1 ? psprintf("all %d hold", parts) : psprintf("%d of %d %s not hold", missing, parts, missing == 1 ? "does" : "do");
		case PART_OR:
			if (result == -1)
				return psprintf("unknown (NULL): none of %d holds, %d %s unknown", parts, open, open == 1 ? "is" : "are");
			return result == 1 ? psprintf("%d of %d %s", held, parts, held == 1 ? "holds" : "hold") : psprintf("none of %d holds", parts);
		case PART_NOT:
			return result == -1 ? pstrdup("unknown (NULL), as what it negates") : NULL;
		case PART_CONDITION:
			break;
	}
	if (result != -1)
		return NULL;
	unknown = unknown_inputs(line);
	return unknown[0] == '\0' ? pstrdup("unknown (NULL)") : psprintf("unknown (NULL): %s has no value", unknown);
}

/* ---------- the person ---------- */

typedef struct Person
{
	int64		id;
	bool		is_member;		/* as it is stored */
	char	   *entered_at;
	bool		is_seen;		/* by the time asked for */
	char	   *first_seen;
	char	   *failure;		/* of the latest evaluation of the segment; NULL: it went well */
} Person;

/*
 * Whom an id stands for today, and what is stored; with the caller's rights.
 *
 * Errors: an id that was never given, or of no person.
 */
static Person
find_person(int64 profile_id, const Expression *segment, Datum at, bool is_as_of)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {INT8OID, INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(profile_id), Int32GetDatum(segment->id), at};
	char		nulls[] = {' ', ' ', is_as_of ? ' ' : 'n'};
	Person		person = {0};
	bool		is_null;
	bool		is_in_view;
	char	   *entered_at;
	char	   *first_seen;
	char	   *failure;

	SPI_connect();
	if (SPI_execute_with_args(psprintf("SELECT c.person, p.profile_id IS NOT NULL, m.entered_at, p.first_seen, $3 IS NULL OR COALESCE(%s, false),"
									   " (SELECT s.error FROM cdp_data.expression_state AS s WHERE s.expression_id OPERATOR(pg_catalog.=) $2 AND s.status OPERATOR(pg_catalog.=) 'failed')"
									   " FROM (SELECT cdp.canonical_id($1) AS person) AS c"
									   " LEFT JOIN cdp.profiles AS p ON p.profile_id OPERATOR(pg_catalog.=) c.person"
									   " LEFT JOIN cdp_data.segment_member AS m ON m.segment_id OPERATOR(pg_catalog.=) $2 AND m.profile_id OPERATOR(pg_catalog.=) c.person",
									   expression_was_seen("p", "$3")),
							  3, types, values, nulls, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look up profile " INT64_FORMAT, profile_id);
	person.id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("profile " INT64_FORMAT " does not exist", profile_id),
				 errhint("cdp.resolve(namespace, value) finds the profile of an identifier.")));
	is_in_view = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
	if (!is_in_view)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("profile " INT64_FORMAT " is not in cdp.profiles", person.id),
				 errhint("It is that of a shared or blocked identifier, or came since the last refresh: CALL cdp.refresh() brings cdp.profiles up to date.")));
	entered_at = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	first_seen = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4);
	person.is_member = entered_at != NULL;
	if (entered_at != NULL)
		person.entered_at = MemoryContextStrdup(context, entered_at);
	if (first_seen != NULL)
		person.first_seen = MemoryContextStrdup(context, first_seen);
	failure = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6);
	if (failure != NULL)
		person.failure = MemoryContextStrdup(context, failure);
	person.is_seen = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5, &is_null));
	SPI_finish();
	return person;
}

/* Is the person among those that the query of a segment yields? */
static void
receive_membership(void *argument, TupleTableSlot *slot)
{
	Evaluated  *item = argument;

	item->value = slot_getattr(slot, 1, &item->is_null);
}

/* The ids that a query may call a person by: those that retired lead there. */
static Datum
ids_of_person(int64 person)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(person)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext caller;
	bool		is_null;
	Datum		result;

	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.array_append(ARRAY(SELECT r.profile_id FROM cdp_data.identifier AS i"
							  " JOIN cdp_data.profile AS r ON r.anchor OPERATOR(pg_catalog.=) i.id AND r.state OPERATOR(pg_catalog.=) 'r'"
							  " WHERE i.profile_id OPERATOR(pg_catalog.=) $1), $1)",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look up the retired ids of profile " INT64_FORMAT, person);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	caller = MemoryContextSwitchTo(context);
	result = PointerGetDatum(DatumGetArrayTypePCopy(result));
	MemoryContextSwitchTo(caller);
	SPI_finish();
	return result;
}

static void
explain_query(Explanation *explanation)
{
	const Expression *segment = explanation->segment;
	Oid			type = INT8ARRAYOID;
	Datum		ids;
	Evaluated  *item = palloc0(sizeof(Evaluated));
	SourceOwner owner;
	CdpQuery   *query;

	if (explanation->is_as_of)
		expression_refuse_query(segment);
	ids = ids_of_person(explanation->person);
	expression_enter(segment, &owner);
	query = cdp_query_prepare_parameters(psprintf("SELECT EXISTS (SELECT FROM (%s\n) AS q(profile_id) WHERE q.profile_id::pg_catalog.int8 OPERATOR(pg_catalog.=) ANY ($1))", cdp_query_bare(segment->definition)),
										 "cdp.explain_segment", &type, 1);
	cdp_query_refuse_temporary(query);
	cdp_query_bind(query, &ids);
	expression_run(segment, &owner, query, 0, receive_membership, item);
	cdp_query_free(query);
	source_owner_leave(&owner);
	add_line(explanation, 0, "query", pstrdup(segment->definition), item)->is_decisive = true;
}

/* ---------- output ---------- */

static Datum
inputs_json(const Line *line, bool *is_null)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;
	ListCell   *input;
	ListCell   *item;

	*is_null = line->inputs == NIL;
	if (*is_null)
		return (Datum) 0;
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	forboth (input, line->inputs, item, line->items)
	{
		const Evaluated *one = lfirst(item);

		value.type = jbvString;
		value.val.string.val = ((PartInput *) lfirst(input))->text;
		value.val.string.len = strlen(value.val.string.val);
		(void) pushJsonbValue(&state, WJB_KEY, &value);
		if (one->is_null)
		{
			value.type = jbvNull;
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
		}
		else if (JB_ROOT_IS_SCALAR(DatumGetJsonbP(one->value)))
		{
			(void) JsonbExtractScalar(&DatumGetJsonbP(one->value)->root, &value);
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
		}
		else
		{
			value.type = jbvBinary;
			value.val.binary.data = &DatumGetJsonbP(one->value)->root;
			value.val.binary.len = VARSIZE(DatumGetPointer(one->value)) - VARHDRSZ;
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
		}
	}
	return PointerGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

static void
put_lines(const Explanation *explanation, ReturnSetInfo *result)
{
	ListCell   *cell;

	foreach (cell, explanation->lines)
	{
		const Line *line = lfirst(cell);
		char	   *note = note_of(line);
		Datum		values[EXPLAIN_COLUMNS] = {0};
		bool		nulls[EXPLAIN_COLUMNS] = {false};

		values[0] = Int32GetDatum(foreach_current_index(cell) + 1);
		values[1] = Int32GetDatum(line->depth);
		values[2] = CStringGetTextDatum(line->kind);
		values[3] = CStringGetTextDatum(line->text);
		nulls[4] = line->result == NULL || line->result->is_null;
		if (!nulls[4])
			values[4] = line->result->value;
		values[5] = inputs_json(line, &nulls[5]);
		values[6] = BoolGetDatum(line->is_decisive);
		nulls[7] = note == NULL;
		if (note != NULL)
			values[7] = CStringGetTextDatum(note);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* What the first line says besides the outcome. */
static char *
note_of_person(const Person *person, int64 asked, bool is_in, bool is_unknown, bool is_as_of)
{
	StringInfoData note;

	initStringInfo(&note);
	if (person->id != asked)
		appendStringInfo(&note, "profile " INT64_FORMAT " leads to " INT64_FORMAT " now; ", asked, person->id);
	if (is_as_of && !person->is_seen)
	{
		appendStringInfoString(&note, "not in: first seen later");
		if (person->first_seen != NULL)
			appendStringInfo(&note, ", at %s", person->first_seen);
	}
	else if (is_as_of)
		appendStringInfoString(&note, is_in ? "was in" : "was not in");
	else if (is_in == person->is_member)
		appendStringInfo(&note, is_in ? "in, since %s" : "not in", person->entered_at);
	else
		appendStringInfoString(&note, is_in ? "in from the next evaluation on, not yet stored" : "not in from the next evaluation on, still stored as a member");
	if (is_unknown)
		appendStringInfoString(&note, "; the predicate is unknown (NULL), which counts as not in");
	if (!is_as_of && person->failure != NULL)
		appendStringInfo(&note, "; the latest evaluation of the segment failed: %s", person->failure);
	return note.data;
}

/*
 * cdp.explain_segment(name text, profile_id bigint, at timestamptz,
 *		OUT place integer, OUT depth integer, OUT kind text, OUT part text,
 *		OUT result boolean, OUT inputs jsonb, OUT is_decisive boolean,
 *		OUT note text) returns setof record
 *
 * The parts of a segment's predicate with their values for one person, now
 * (at NULL) or as of a time.
 *
 * Errors: NULL name or profile_id; no such segment or profile; no right to read
 * cdp.profiles and cdp.events; a query as of an earlier time.  Errors of parts
 * are in their notes.
 */
Datum
cdp_explain_segment(PG_FUNCTION_ARGS)
{
	Explanation explanation = {.context = CurrentMemoryContext};
	Person		person;
	Line	   *top;
	Evaluated  *whole;
	Evaluated  *known = NULL;
	SourceOwner owner;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "name" : "profile_id")));
	InitMaterializedSRF(fcinfo, 0);
	require_reader();
	explanation.segment = expression_find("segment", text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	explanation.is_as_of = !PG_ARGISNULL(2);
	if (explanation.is_as_of)
		explanation.at = PG_GETARG_TIMESTAMPTZ(2);
	person = find_person(PG_GETARG_INT64(1), explanation.segment, TimestampTzGetDatum(explanation.at), explanation.is_as_of);
	explanation.person = person.id;

	/* an owner that is gone is an error of the whole, not of the parts */
	expression_enter(explanation.segment, &owner);
	source_owner_leave(&owner);
	if (explanation.segment->is_query)
	{
		explain_query(&explanation);
		top = linitial(explanation.lines);
		if (!explanation.segment->include_anonymous)
		{
			known = add_item(&explanation, true, "profile.is_known");
			evaluate_all(&explanation);
			if (known->error == NULL && !known->is_null && !DatumGetBool(known->value))
			{
				Line	   *condition = add_line(&explanation, 1, "condition", pstrdup("profile.is_known"), known);

				condition->note = pstrdup("people without an identifier of a person are left out");
				condition->is_decisive = true;
				top->result->value = BoolGetDatum(false);
				top->result->is_null = false;
			}
		}
		top->note = note_of_person(&person, PG_GETARG_INT64(1), outcome(top) == 1, false, false);
		put_lines(&explanation, (ReturnSetInfo *) fcinfo->resultinfo);
		return (Datum) 0;
	}

	top = add_line(&explanation, 0, "segment", psprintf("segment.%s", quote_identifier(explanation.segment->name)), palloc0(sizeof(Evaluated)));
	explanation.shown = lappend(explanation.shown, top->text);
	whole = add_item(&explanation, true, expression_text(explanation.segment->definition));
	if (!explanation.segment->include_anonymous)
	{
		known = add_item(&explanation, true, "profile.is_known");
		top->children = lappend(top->children, add_line(&explanation, 1, "condition", pstrdup("profile.is_known"), known));
		((Line *) linitial(top->children))->note = pstrdup("people without an identifier of a person are left out");
	}
	top->children = lappend(top->children, add_part(&explanation, parts_of(explanation.segment), 1));
	evaluate_all(&explanation);

	top->part = known == NULL ? PART_CONDITION : PART_AND;
	*top->result = *whole;
	if (whole->error == NULL)
	{
		top->result->is_null = false;
		top->result->value = BoolGetDatum(!whole->is_null && DatumGetBool(whole->value) && (known == NULL || DatumGetBool(known->value)) && (!explanation.is_as_of || person.is_seen));
		mark_decisive(top, true);
		top->part = PART_CONDITION;
		top->note = note_of_person(&person, PG_GETARG_INT64(1), DatumGetBool(top->result->value), whole->is_null, explanation.is_as_of);
	}
	else
	{
		ListCell   *cell;

		top->part = PART_CONDITION;
		foreach (cell, explanation.lines)
			if (((Line *) lfirst(cell))->result != NULL && ((Line *) lfirst(cell))->result->error != NULL)
				((Line *) lfirst(cell))->is_decisive = true;
	}
	put_lines(&explanation, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
