/*
 * query.c
 *		Reading the rows of a query that a caller gives as text (see query.h).
 *
 * The text is parsed, analysed, rewritten and planned with the server's own
 * functions, as COPY (query) TO does, so that names, row security and
 * privileges are those of the caller, and it runs on the snapshot of the calling
 * statement.  SPI is not used, because it would either materialise the result
 * or, with a cursor, give up parallel plans.
 *
 * What is read-only here is the statement: SELECT, VALUES, TABLE and WITH over
 * them, without INTO, data-modifying WITH or row locks.  A volatile function
 * that it calls may do what its caller may do.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "cdp.h"
#include "executor/executor.h"
#include "given_text.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/scansup.h"
#include "query.h"
#include "statement.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

struct CdpQuery
{
	const char *text;			/* what the caller wrote */
	const char *what;			/* for messages: who was given it */
	Query	   *query;			/* analysed and rewritten */
	TupleDesc	descriptor;		/* result columns before coercions */
	Oid		   *coercions;		/* wanted type of each column, or InvalidOid */
	bool		coerced;		/* is any of them set? */
	bool		was_run;
	ParamListInfo parameters;	/* NULL: none */
	Oid		   *parameter_types;
	int			parameter_count;
	PlannedStmt *plan;			/* NULL: it is made when the query runs */
	double		expected_rows;	/* the planner's estimate, once it runs */
	MemoryContext context;		/* holds all of this */
};

typedef struct QueryReceiver
{
	DestReceiver base;			/* must be first */
	CdpRowCallback callback;
	void	   *argument;
	MemoryContext row_context;
	ErrorContextCallback *outer_errors; /* error context outside of the query */
} QueryReceiver;

/*
 * The text is shown only with a place in it, not in the context of other errors:
 * it may hold personal values, and contexts go to the log.
 */
static void
query_error_callback(void *argument)
{
	CdpQuery   *prepared = (CdpQuery *) argument;

	given_text_show_position(prepared->text);
	errcontext("query given to %s", prepared->what);
}

/*
 * The position, in characters from 1, of the statement that starts at a byte of
 * the text or after the white space there.
 */
static int
character_position(const char *text, int location)
{
	while (scanner_isspace(text[location]))
		location++;
	return pg_mbstrlen_with_len(text, location) + 1;
}

/*
 * Analysis and execution need an active snapshot.  A function always has one,
 * that of the calling statement; a procedure may not.
 */
static void
push_snapshot(void)
{
	if (ActiveSnapshotSet())
		PushActiveSnapshot(GetActiveSnapshot());
	else
		PushActiveSnapshot(GetTransactionSnapshot());
}

static void
refuse_row_locks(bool has_row_locks)
{
	if (has_row_locks)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query must not lock rows"),
				 errhint("Remove FOR UPDATE, FOR SHARE and the like.")));
}

/*
 * Parse and analyse a query.
 *
 * query: the text, one statement, with or without a semicolon; NULL is an error.
 * what: who asks, for messages, such as "cdp.stitch"; must outlive the query.
 *
 * The result lives in a child of the current memory context.  Errors: NULL
 * (null_value_not_allowed), no or several statements (syntax_error), a statement
 * that is not a read-only query (feature_not_supported), and all that the
 * parser finds, with the position in the text.
 */
CdpQuery *
cdp_query_prepare(const char *query, const char *what)
{
	return cdp_query_prepare_parameters(query, what, NULL, 0);
}

/*
 * The same for a query with parameters $1, $2 ... of these types, whose values
 * cdp_query_bind gives before it runs.
 */
CdpQuery *
cdp_query_prepare_parameters(const char *query, const char *what, const Oid *types, int count)
{
	CdpQuery   *prepared;
	MemoryContext context;
	MemoryContext outer_context;
	ErrorContextCallback error_context;
	List	   *statements;
	List	   *queries;
	RawStmt	   *statement;

	if (query == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("query given to %s must not be null", what),
				 errhint("Pass one SELECT as text.")));

	context = AllocSetContextCreate(CurrentMemoryContext, "cdp query",
									ALLOCSET_DEFAULT_SIZES);
	outer_context = MemoryContextSwitchTo(context);

	prepared = palloc0(sizeof(CdpQuery));
	prepared->text = pstrdup(query);
	prepared->what = what;
	prepared->context = context;
	prepared->parameter_count = count;
	prepared->parameter_types = cdp_palloc_array(Oid, count + 1);
	if (count > 0)
		memcpy(prepared->parameter_types, types, sizeof(Oid) * count);

	error_context.callback = query_error_callback;
	error_context.arg = prepared;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	statements = pg_parse_query(prepared->text);
	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("query must not be empty"),
				 errhint("Pass one SELECT as text.")));
	if (list_length(statements) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("query must be a single statement"),
				 errhint("Pass one SELECT as text."),
				 errposition(character_position(prepared->text,
												lsecond_node(RawStmt, statements)->stmt_location))));

	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query must be a SELECT, not %s",
						GetCommandTagName(CreateCommandTag((Node *) statement))),
				 errhint("Pass one SELECT, VALUES, TABLE or WITH ... SELECT that only reads.")));

	push_snapshot();
	queries = pg_analyze_and_rewrite_fixedparams(statement, prepared->text,
												 prepared->parameter_types, count, NULL);
	PopActiveSnapshot();

	if (list_length(queries) != 1)
		elog(ERROR, "unexpected rewrite of a SELECT into %d queries",
			 list_length(queries));
	prepared->query = linitial_node(Query, queries);

	/* SELECT INTO comes out of analysis as a utility statement */
	if (prepared->query->commandType != CMD_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query must not be SELECT INTO"),
				 errhint("Remove the INTO clause.")));
	if (prepared->query->hasModifyingCTE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query must not contain data-modifying statements in WITH"),
				 errhint("Run the changes first, as a statement of their own.")));
	refuse_row_locks(prepared->query->rowMarks != NIL);

	prepared->descriptor = ExecCleanTypeFromTL(prepared->query->targetList);
	prepared->coercions = cdp_palloc0_array(Oid, prepared->descriptor->natts + 1);

	error_context_stack = error_context.previous;
	MemoryContextSwitchTo(outer_context);
	return prepared;
}

/*
 * Whether an error that came up while a text ran is the doing of that text.
 * Otherwise it is about the session or the server (a deadlock, a cancel, a
 * shutdown, memory or disk that is used up): the caller has to know it, and the
 * same text may do well a moment later.  What RAISE in a PL/pgSQL function
 * raises is the text's, whatever SQLSTATE it was given, and so is a limit
 * that it exceeds, as of temporary files.
 */
bool
cdp_is_about_text(const ErrorData *error)
{
	if (error->funcname != NULL && strcmp(error->funcname, "exec_stmt_raise") == 0)
		return true;
	if (error->sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
		return true;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return false;
		default:
			return error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/*
 * In PG_CATCH: raises an error again that a text raised which runs on behalf of
 * somebody else, with the memory context of before.
 *
 * What RAISE and ASSERT in a PL/pgSQL function raise is about a value, whatever
 * SQLSTATE they were given.  With that of a cancel, a deadlock or a missing
 * right it would be taken for what the caller has to know: it would end the
 * statement of somebody who writes a table, and tell the value.
 */
void
cdp_rethrow_of_text(MemoryContext context)
{
	MemoryContext error_context = MemoryContextSwitchTo(context);
	ErrorData  *error = CopyErrorData();
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (error->funcname != NULL && (strcmp(error->funcname, "exec_stmt_raise") == 0 || strcmp(error->funcname, "exec_stmt_assert") == 0) &&
		category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
		(category != ERRCODE_PLPGSQL_ERROR || error->sqlerrcode == ERRCODE_ASSERT_FAILURE))
	{
		FlushErrorState();
		error->sqlerrcode = ERRCODE_RAISE_EXCEPTION;
		ReThrowError(error);
	}
	MemoryContextSwitchTo(error_context);
	PG_RE_THROW();
}

/*
 * The statement of a text that cdp_query_prepare took, without a semicolon and
 * what comes after it, so that it can stand in parentheses before a new line.
 */
char *
cdp_query_bare(const char *query)
{
	const RawStmt *statement = linitial_node(RawStmt, pg_parse_query(query));
	const char *start = query + Max(statement->stmt_location, 0);

	return statement->stmt_len > 0 ? pnstrdup(start, statement->stmt_len) : pstrdup(start);
}

/* ---------- temporary objects ---------- */

static bool
is_temporary_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = isAnyTempNamespace(((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
	ReleaseSysCache(tuple);
	return result;
}

static bool
is_temporary_function(Oid function, void *context)
{
	return isAnyTempNamespace(get_func_namespace(function));
}

static bool
temporary_walker(Node *node, void *argument)
{
	bool		found;

	if (node == NULL)
		return false;
	found = check_functions_in_node(node, is_temporary_function, NULL);
	switch (nodeTag(node))
	{
		case T_RangeTblEntry:
			/* also a view that the rewriter has put its query in the place of; the walker of queries looks into that afterwards */
			return OidIsValid(castNode(RangeTblEntry, node)->relid) &&
				isAnyTempNamespace(get_rel_namespace(castNode(RangeTblEntry, node)->relid));
		case T_Query:
			return query_tree_walker((Query *) node, temporary_walker, argument, QTW_EXAMINE_RTES_BEFORE);
		case T_Const:
		case T_FuncExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CoerceToDomain:
		case T_RowExpr:
			found = found || is_temporary_type(exprType(node));
			break;
		default:
			break;
	}
	if (found)
	{
		*(int *) argument = exprLocation(node);
		return true;
	}
	return expression_tree_walker(node, temporary_walker, argument);
}

/*
 * Whether an analysed tree reads relations of a session, or calls functions or
 * casts to types of one; location: where, -1 when that is not known.
 */
bool
cdp_reads_temporary(Node *tree, int *location)
{
	*location = -1;
	return temporary_walker(tree, location);
}

/*
 * Raises an error when an analysed tree does so, for a text that other sessions
 * run too, with the rights of whoever gave it.
 */
void
cdp_refuse_temporary(Node *tree, const char *what)
{
	int			location;

	if (cdp_reads_temporary(tree, &location))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("query given to %s must not read temporary objects", what),
				 errhint("Other sessions, which run it too, have others of that name or none.")));
}

void
cdp_query_refuse_temporary(const CdpQuery *prepared)
{
	cdp_refuse_temporary((Node *) prepared->query, prepared->what);
}

/*
 * Gives the values of the parameters, none of them NULL, which must live until the query ran.
 */
void
cdp_query_bind(CdpQuery *prepared, const Datum *values)
{
	MemoryContext outer_context = MemoryContextSwitchTo(prepared->context);

	Assert(!prepared->was_run);
	prepared->parameters = makeParamList(prepared->parameter_count);
	for (int i = 0; i < prepared->parameter_count; i++)
	{
		ParamExternData *parameter = &prepared->parameters->params[i];

		parameter->value = values[i];
		parameter->isnull = false;
		parameter->pflags = PARAM_FLAG_CONST;
		parameter->ptype = prepared->parameter_types[i];
	}
	MemoryContextSwitchTo(outer_context);
}

/*
 * The columns that the query yields, before coercions: names, types, type
 * modifiers and collations.  Belongs to the query.
 */
TupleDesc
cdp_query_descriptor(CdpQuery *prepared)
{
	return prepared->descriptor;
}

/*
 * Is a column the word NULL?  Its type is text then, for want of another.
 */
static bool
column_is_null_constant(const Query *query, int attribute_number)
{
	ListCell   *cell;
	int			number = 0;

	if (query->setOperations != NULL)
		return false;			/* the targets are those of the first arm */

	foreach (cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk && ++number == attribute_number)
			return IsA(target->expr, Const) &&
				castNode(Const, target->expr)->constisnull;
	}
	return false;
}

/*
 * Ask for a column (counted from 1) as a value of another type.
 *
 * False, and no change, if there is no implicit cast and the column is not the
 * constant NULL.  Types that are binary compatible need no coercion and cost
 * nothing.
 */
bool
cdp_query_coerce(CdpQuery *prepared, int attribute_number, Oid type)
{
	Form_pg_attribute attribute;

	Assert(attribute_number >= 1 &&
		   attribute_number <= prepared->descriptor->natts);
	Assert(!prepared->was_run);

	attribute = TupleDescAttr(prepared->descriptor, attribute_number - 1);
	if (IsBinaryCoercible(attribute->atttypid, type))
		return true;
	if (!can_coerce_type(1, &attribute->atttypid, &type, COERCION_IMPLICIT) &&
		!column_is_null_constant(prepared->query, attribute_number))
		return false;

	prepared->coercions[attribute_number - 1] = type;
	prepared->coerced = true;
	return true;
}

/*
 * SELECT the columns, cast as wanted, FROM (the query).  The planner pulls the
 * subquery up where it can.
 */
static Query *
wrap_with_coercions(CdpQuery *prepared)
{
	Query	   *outer = makeNode(Query);
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	RangeTblRef *reference = makeNode(RangeTblRef);
	List	   *names = NIL;
	List	   *targets = NIL;

	for (int i = 0; i < prepared->descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(prepared->descriptor, i);
		char	   *name = pstrdup(NameStr(attribute->attname));
		Node	   *expression;

		expression = (Node *) makeVar(1, i + 1, attribute->atttypid,
									  attribute->atttypmod,
									  attribute->attcollation, 0);
		if (OidIsValid(prepared->coercions[i]) &&
			column_is_null_constant(prepared->query, i + 1))
			expression = (Node *) makeNullConst(prepared->coercions[i], -1,
												get_typcollation(prepared->coercions[i]));
		else if (OidIsValid(prepared->coercions[i]))
		{
			expression = coerce_to_target_type(NULL, expression,
											   attribute->atttypid,
											   prepared->coercions[i], -1,
											   COERCION_IMPLICIT,
											   COERCE_IMPLICIT_CAST, -1);
			if (expression == NULL)
				elog(ERROR, "could not coerce column %d", i + 1);
		}

		names = lappend(names, makeString(name));
		targets = lappend(targets,
						  makeTargetEntry((Expr *) expression, i + 1, name, false));
	}

	entry->rtekind = RTE_SUBQUERY;
	entry->subquery = prepared->query;
	entry->alias = entry->eref = makeAlias("given", names);
	entry->inFromCl = true;
	reference->rtindex = 1;

	outer->commandType = CMD_SELECT;
	outer->querySource = prepared->query->querySource;
	outer->canSetTag = true;
	outer->rtable = list_make1(entry);
	outer->jointree = makeFromExpr(list_make1(reference), NULL);
	outer->targetList = targets;
	outer->hasRowSecurity = prepared->query->hasRowSecurity;
	outer->stmt_location = prepared->query->stmt_location;
	outer->stmt_len = prepared->query->stmt_len;

	return outer;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc descriptor)
{
}

static bool
receiver_receive(TupleTableSlot *slot, DestReceiver *self)
{
	QueryReceiver *receiver = (QueryReceiver *) self;
	MemoryContext outer_context;
	ErrorContextCallback *query_errors = error_context_stack;

	MemoryContextReset(receiver->row_context);
	outer_context = MemoryContextSwitchTo(receiver->row_context);

	/* what the callback finds wrong is not an error of the query */
	error_context_stack = receiver->outer_errors;
	receiver->callback(receiver->argument, slot);
	error_context_stack = query_errors;

	MemoryContextSwitchTo(outer_context);
	return true;
}

static void
receiver_shutdown(DestReceiver *self)
{
}

static void
receiver_destroy(DestReceiver *self)
{
}

static PlannedStmt *
make_plan(CdpQuery *prepared, bool is_parallel)
{
	return pg_plan_query(prepared->coerced ? wrap_with_coercions(prepared) : prepared->query,
						 prepared->text,
						 is_parallel ? CURSOR_OPT_PARALLEL_OK : 0,
						 prepared->parameters);
}

/*
 * Plans a UNION ALL so that each of its queries is evaluated by one process, and
 * several of them side by side.  False: the planner has another opinion, or
 * something in them cannot run in another process; the query was not planned
 * in a way that is worth running.
 */
bool
cdp_query_plan_apart(CdpQuery *prepared)
{
	MemoryContext outer_context = MemoryContextSwitchTo(prepared->context);
	ErrorContextCallback error_context;
	char	   *most_blocks = psprintf("%d", INT_MAX / 3);	/* the largest value that the server takes, whatever the size of a block */
	int			level;

	error_context.callback = query_error_callback;
	error_context.arg = prepared;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	push_snapshot();
	/* several processes within one query would each do nearly all of its work */
	level = NewGUCNestLevel();
	cdp_set_option("min_parallel_table_scan_size", most_blocks);
	cdp_set_option("min_parallel_index_scan_size", most_blocks);
	prepared->plan = make_plan(prepared, true);
	AtEOXact_GUC(true, level);
	PopActiveSnapshot();

	error_context_stack = error_context.previous;
	MemoryContextSwitchTo(outer_context);
	return prepared->plan->parallelModeNeeded;
}

/*
 * Plan the query, run it and hand each row to the callback.
 *
 * flags: CDP_QUERY_PARALLEL or 0.  Returns the number of rows.  A query runs
 * once; it sees what the calling statement sees.
 */
uint64
cdp_query_run(CdpQuery *prepared, int flags, CdpRowCallback callback,
			  void *argument)
{
	QueryReceiver receiver = {0};
	QueryDesc  *description;
	PlannedStmt *plan;
	MemoryContext outer_context;
	ErrorContextCallback error_context;
	uint64		rows;

	Assert(!prepared->was_run);
	prepared->was_run = true;

	outer_context = MemoryContextSwitchTo(prepared->context);

	error_context.callback = query_error_callback;
	error_context.arg = prepared;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	push_snapshot();

	plan = prepared->plan != NULL ? prepared->plan : make_plan(prepared, (flags & CDP_QUERY_PARALLEL) != 0);
	prepared->expected_rows = plan->planTree->plan_rows;
	/* row locks of subqueries show only now */
	refuse_row_locks(plan->rowMarks != NIL);

	receiver.base.receiveSlot = receiver_receive;
	receiver.base.rStartup = receiver_startup;
	receiver.base.rShutdown = receiver_shutdown;
	receiver.base.rDestroy = receiver_destroy;
	receiver.base.mydest = DestNone;
	receiver.callback = callback;
	receiver.argument = argument;
	receiver.outer_errors = error_context.previous;
	receiver.row_context = AllocSetContextCreate(prepared->context,
												 "cdp query row",
												 ALLOCSET_DEFAULT_SIZES);

	description = CreateQueryDesc(plan, prepared->text, GetActiveSnapshot(),
								  InvalidSnapshot, &receiver.base, prepared->parameters, NULL, 0);
	ExecutorStart(description, 0);
	cdp_executor_run(description, ForwardScanDirection, 0);
	ExecutorFinish(description);
	rows = description->estate->es_processed;
	ExecutorEnd(description);
	FreeQueryDesc(description);

	PopActiveSnapshot();
	MemoryContextDelete(receiver.row_context);

	error_context_stack = error_context.previous;
	MemoryContextSwitchTo(outer_context);
	return rows;
}

/*
 * How many rows the planner expects.  For callbacks: it plans when the query
 * runs.
 */
double
cdp_query_expected_rows(const CdpQuery *prepared)
{
	return prepared->expected_rows;
}

/*
 * Free the query and all that belongs to it, its descriptor included.
 */
void
cdp_query_free(CdpQuery *prepared)
{
	MemoryContextDelete(prepared->context);
}
