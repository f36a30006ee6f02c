/*
 * declaration.c
 *		cdp.create_source and cdp.alter_source: the checks of a declaration.
 *
 * The texts of a declaration are select lists and expressions over the rows of
 * one relation.  PostgreSQL's own parser and analyser read them, each by itself
 * and with the rights of the source's owner, so that an error shows its place in
 * the very text that the user wrote.  What passes is stored by
 * cdp.store_source, in SQL; cdp.source_query puts the texts together again.
 *
 * These functions are C because functions in SQL have a search_path of their
 * own, and that of the caller belongs to the declaration.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "cdp.h"
#include "identity/stitch.h"
#include "source/declaration.h"
#include "source/owner.h"
#include "source/typed_value.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(cdp_create_source);
PG_FUNCTION_INFO_V1(cdp_alter_source);
PG_FUNCTION_INFO_V1(cdp_verify_source);

/* ---------- the declaration as a whole ---------- */

static void
refuse_null(const Declaration *declaration, const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s of %s must not be null", argument, declaration->function)));
}

static void
check_parts(const Declaration *declaration)
{
	char *const *texts = declaration->texts;
	bool		is_event = texts[PART_OCCURRED_AT] != NULL;

	if (texts[PART_RECORD_KEY] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source \"%s\" has no record_key", declaration->name),
				 errhint("Give the column, or the columns, that tell the rows apart: record_key => 'id'.")));
	if (is_event != (texts[PART_EVENT_NAME] != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has %s but no %s", declaration->name,
						is_event ? "occurred_at" : "event_name", is_event ? "event_name" : "occurred_at"),
				 errhint("A source of events has both: occurred_at => 'created_at', event_name => $$'purchase'$$.")));
	if (!is_event && texts[PART_PROPERTIES] != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has properties but no events", declaration->name),
				 errhint("A source of events has occurred_at and event_name; what a record says about its person goes to traits.")));
	if (is_event && texts[PART_TRAITS] != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has both events and traits", declaration->name),
				 errhint("Declare a second source over the same table for the traits.")));
	if ((texts[PART_IDENTIFIERS] == NULL) == (texts[PART_PROFILE_ID] == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" must have either identifiers or profile_id", declaration->name),
				 errhint("Say how a row is recognised: identifiers => 'mail AS email, id AS crm_id'.")));
	if (strcmp(declaration->capture, "pull") != 0 && strcmp(declaration->capture, "queue") != 0 && strcmp(declaration->capture, "immediate") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid capture \"%s\"", declaration->capture),
				 errhint("The ways of capture are pull, queue and immediate.")));
	if (declaration->time_zone != NULL)
		(void) typed_time_zone(declaration->time_zone);
}

static void
relation_error_callback(void *argument)
{
	errcontext("argument \"relation\" of %s", ((const Declaration *) argument)->function);
}

/* Finds the relation, and its qualified name. */
static void
find_relation(Declaration *declaration)
{
	Oid			relation;
	char		kind;
	RangeVar   *range;
	ErrorContextCallback error_context;

	error_context.callback = relation_error_callback;
	error_context.arg = declaration;
	error_context.previous = error_context_stack;
	error_context_stack = &error_context;

	declaration->range = range = makeRangeVarFromNameList(cdp_qualified_name_list(declaration->relation));
	relation = RangeVarGetRelid(range, AccessShareLock, false);
	kind = get_rel_relkind(relation);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
		kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table, view or foreign table", declaration->relation)));
	if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a temporary table", declaration->relation),
				 errhint("Other sessions cannot read it; copy it into an ordinary table.")));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && strcmp(declaration->capture, "pull") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("changes of \"%s\" cannot be captured, because it is not a table", declaration->relation),
				 errhint("Leave capture at 'pull'.")));
	range->catalogname = NULL;
	range->schemaname = get_namespace_name(get_rel_namespace(relation));
	declaration->relation = pstrdup(quote_qualified_identifier(range->schemaname, range->relname));
	error_context_stack = error_context.previous;
}

/*
 * The search_path in force, resolved: "$user" would be somebody else at run
 * time, and a temporary table of the session at hand must not come first.
 */
static char *
resolved_search_path(void)
{
	StringInfoData path;
	List	   *schemas = fetch_search_path(false);
	ListCell   *cell;

	initStringInfo(&path);
	foreach (cell, schemas)
	{
		char	   *name = get_namespace_name(lfirst_oid(cell));

		if (name == NULL || isAnyTempNamespace(lfirst_oid(cell)))
			continue;
		appendStringInfo(&path, "%s, ", quote_identifier(name));
	}
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

/* Who may declare a source for a role, and for which roles sources run. */
static void
check_owner(const Declaration *declaration)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("cdp_data"));
	Oid			storage_owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema \"cdp_data\"");
	storage_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (!has_privs_of_role(GetUserId(), declaration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to declare a source that runs as role \"%s\"", GetUserNameFromId(declaration->owner, false)),
				 errhint("A member of that role may do so.")));
	if (!has_privs_of_role(storage_owner, declaration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a source cannot run as role \"%s\", of which the owner of the storage is no member", GetUserNameFromId(declaration->owner, false)),
				 errhint("Run GRANT %s TO %s, or give the source to another role with owner =>.",
						 quote_identifier(GetUserNameFromId(declaration->owner, false)),
						 quote_identifier(GetUserNameFromId(storage_owner, false)))));
}

/* Checks everything that can be checked, with the rights of the source's owner. */
static void
analyze_declaration(Declaration *declaration)
{
	Oid			user;
	int			security_context;
	int			guc_level;
	int			limit = PART_COUNT * MAX_LIST_COLUMNS;

	declaration->settings = graph_settings_load(CurrentMemoryContext);
	declaration->column_kinds = cdp_palloc_array(Datum, limit);
	declaration->column_numbers = cdp_palloc_array(Datum, limit);
	declaration->column_names = cdp_palloc_array(Datum, limit);
	declaration->column_types = cdp_palloc_array(Datum, limit);

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(declaration->owner,
						   security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	guc_level = NewGUCNestLevel();
	find_relation(declaration);
	check_parts(declaration);
	source_owner_settings(NULL, declaration->search_path);
	for (int part = 0; part < PART_COUNT; part++)
		declaration_read_part(declaration, (Part) part);
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, security_context);
}

static Datum
text_or_null(const char *string, char *null)
{
	*null = string == NULL ? 'n' : ' ';
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/* Stores what was checked; see cdp.store_source. */
static void
store_declaration(const Declaration *declaration, bool replace, bool is_new)
{
#define STORE_ARGUMENTS (2 + PART_COUNT + 5 + 4 + 2)
	Oid			types[STORE_ARGUMENTS];
	Datum		values[STORE_ARGUMENTS];
	char		nulls[STORE_ARGUMENTS + 1];
	StringInfoData sql;
	int			n = 0;
	int			count = declaration->column_count;

	memset(nulls, ' ', sizeof(nulls));
	for (int i = 0; i < STORE_ARGUMENTS; i++)
		types[i] = TEXTOID;
	values[n++] = CStringGetTextDatum(declaration->name);
	values[n++] = CStringGetTextDatum(declaration->relation);
	for (int part = 0; part < PART_COUNT; part++, n++)
		values[n] = text_or_null(declaration->texts[part], &nulls[n]);
	values[n] = text_or_null(declaration->watermark_overlap, &nulls[n]);
	n++;
	values[n] = text_or_null(declaration->time_zone, &nulls[n]);
	n++;
	values[n++] = CStringGetTextDatum(declaration->capture);
	values[n++] = CStringGetTextDatum(GetUserNameFromId(declaration->owner, false));
	values[n++] = CStringGetTextDatum(declaration->search_path);
	types[n] = types[n + 2] = types[n + 3] = TEXTARRAYOID;
	types[n + 1] = INT4ARRAYOID;
	values[n++] = PointerGetDatum(construct_array(declaration->column_kinds, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_numbers, count, INT4OID, 4, true, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_names, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[n++] = PointerGetDatum(construct_array(declaration->column_types, count, TEXTOID, -1, false, TYPALIGN_INT));
	types[n] = types[n + 1] = BOOLOID;
	values[n++] = BoolGetDatum(replace);
	values[n++] = BoolGetDatum(is_new);
	Assert(n == STORE_ARGUMENTS);

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT cdp.store_source(");
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, "%s$%d", i == 0 ? "" : ", ", i + 1);
	appendStringInfoChar(&sql, ')');
	SPI_connect();
	if (cdp_execute_plainly(sql.data, n, types, values, nulls) != SPI_OK_SELECT)
		elog(ERROR, "could not store the declaration");
	SPI_finish();
}

static char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * Asks whether the storage is there and belongs to the caller: a declaration
 * may add columns to it.
 */
static void
require_admin(void)
{
	SPI_connect();
	if (cdp_execute_plainly("SELECT cdp.require_admin(), cdp.require_owner()", 0, NULL, NULL, NULL) != SPI_OK_SELECT)
		elog(ERROR, "could not check the rights of the caller");
	SPI_finish();
}

/* Arguments of both functions by position. */
#define ARG_PARTS		2
#define ARG_OVERLAP		(ARG_PARTS + PART_COUNT)
#define ARG_TIME_ZONE	(ARG_OVERLAP + 1)
#define ARG_CAPTURE		(ARG_TIME_ZONE + 1)
#define ARG_OWNER		(ARG_TIME_ZONE + 2)
#define ARG_LAST		(ARG_TIME_ZONE + 3)	/* replace, or reset */

/*
 * cdp.create_source(name text, relation text, record_key text, observed_at text,
 *		occurred_at text, event_name text, identifiers text, traits text,
 *		properties text, profile_id text, filter text, deleted text,
 *		watermark text, watermark_overlap text, time_zone text, capture text, owner regrole,
 *		replace boolean)
 *
 * See its comment in sql/source.sql.  NULL: not given; name and relation must
 * be.
 *
 * Errors: whatever is wrong with the declaration, with the place in its text.
 */
Datum
cdp_create_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};

	declaration.function = "cdp.create_source";
	require_admin();
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "name");
	if (PG_ARGISNULL(1))
		refuse_null(&declaration, "relation");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	declaration.relation = text_argument(fcinfo, 1);
	for (int part = 0; part < PART_COUNT; part++)
		declaration.texts[part] = text_argument(fcinfo, ARG_PARTS + part);
	declaration.watermark_overlap = text_argument(fcinfo, ARG_OVERLAP);
	declaration.time_zone = text_argument(fcinfo, ARG_TIME_ZONE);
	declaration.capture = PG_ARGISNULL(ARG_CAPTURE) ? pstrdup("pull") : text_argument(fcinfo, ARG_CAPTURE);
	declaration.owner = PG_ARGISNULL(ARG_OWNER) ? GetUserId() : PG_GETARG_OID(ARG_OWNER);
	declaration.search_path = resolved_search_path();
	check_owner(&declaration);
	analyze_declaration(&declaration);
	store_declaration(&declaration, !PG_ARGISNULL(ARG_LAST) && PG_GETARG_BOOL(ARG_LAST), true);
	PG_RETURN_VOID();
}

/* Reads the stored declaration. */
static void
load_declaration(Declaration *declaration)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(declaration->name)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;

	SPI_connect();
	if (SPI_execute_with_args("SELECT s.relation, s.record_key, s.observed_at, s.occurred_at, s.event_name, s.identifiers, s.traits, s.properties,"
							  " s.profile_id, s.filter, s.deleted, s.watermark, s.watermark_overlap, s.time_zone, s.capture, s.owner, s.search_path"
							  " FROM cdp_data.source AS s WHERE s.name OPERATOR(pg_catalog.=) $1 AND s.relation IS NOT NULL",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the declaration");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source \"%s\" does not exist", declaration->name),
				 errhint("The view cdp.sources lists the sources.")));
	spi = MemoryContextSwitchTo(caller);
	declaration->relation = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	for (int part = 0; part < PART_COUNT; part++)
		declaration->texts[part] = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2 + part);
	declaration->watermark_overlap = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2 + PART_COUNT);
	declaration->time_zone = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3 + PART_COUNT);
	declaration->capture = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4 + PART_COUNT);
	/* a role that is gone: whoever takes the source over becomes its owner */
	declaration->owner_name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5 + PART_COUNT);
	declaration->owner = get_role_oid(declaration->owner_name, true);
	declaration->search_path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6 + PART_COUNT);
	MemoryContextSwitchTo(spi);
	SPI_finish();
}

/* Takes away the parts named in reset. */
static void
reset_parts(Declaration *declaration, ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
		bool		found = false;

		for (int part = 0; part < PART_COUNT; part++)
		{
			if (strcmp(declaration_parts[part].name, name) == 0)
			{
				declaration->texts[part] = NULL;
				found = true;
			}
		}
		if (strcmp(name, "watermark") == 0 || strcmp(name, "watermark_overlap") == 0)
		{
			declaration->watermark_overlap = NULL;
			found = true;
		}
		if (strcmp(name, "time_zone") == 0)
		{
			declaration->time_zone = NULL;
			found = true;
		}
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" cannot be reset", name),
					 errhint("reset takes names of arguments that hold expressions, watermark_overlap and time_zone: reset => ARRAY['filter'].")));
	}
}

/*
 * cdp.alter_source(name text, relation text, ... as cdp.create_source,
 *		reset text[])
 *
 * NULL keeps what is declared; reset names what is taken away.
 *
 * Errors: NULL or unknown name, and as cdp.create_source.
 */
Datum
cdp_alter_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};

	declaration.function = "cdp.alter_source";
	require_admin();
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "name");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	load_declaration(&declaration);
	/* what is not given anew goes on to mean what it meant */
	if (!PG_ARGISNULL(1))
		declaration.search_path = resolved_search_path();
	for (int part = 0; part < PART_COUNT; part++)
		if (!PG_ARGISNULL(ARG_PARTS + part))
			declaration.search_path = resolved_search_path();
	if (!PG_ARGISNULL(ARG_LAST))
		reset_parts(&declaration, PG_GETARG_ARRAYTYPE_P(ARG_LAST));
	if (!PG_ARGISNULL(1))
		declaration.relation = text_argument(fcinfo, 1);
	for (int part = 0; part < PART_COUNT; part++)
		if (!PG_ARGISNULL(ARG_PARTS + part))
			declaration.texts[part] = text_argument(fcinfo, ARG_PARTS + part);
	if (!PG_ARGISNULL(ARG_OVERLAP))
		declaration.watermark_overlap = text_argument(fcinfo, ARG_OVERLAP);
	if (!PG_ARGISNULL(ARG_TIME_ZONE))
		declaration.time_zone = text_argument(fcinfo, ARG_TIME_ZONE);
	if (!PG_ARGISNULL(ARG_CAPTURE))
		declaration.capture = text_argument(fcinfo, ARG_CAPTURE);
	if (!PG_ARGISNULL(ARG_OWNER))
		declaration.owner = PG_GETARG_OID(ARG_OWNER);
	else if (!OidIsValid(declaration.owner))
		declaration.owner = GetUserId();
	check_owner(&declaration);
	analyze_declaration(&declaration);
	store_declaration(&declaration, true, false);
	PG_RETURN_VOID();
}

/*
 * The columns as they were declared, against those of today.  Identifiers are
 * kept as text, whatever their type.
 */
static void
compare_columns(const Declaration *declaration)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID};
	Datum		values[4];
	int			count = declaration->column_count;

	values[0] = CStringGetTextDatum(declaration->name);
	values[1] = PointerGetDatum(construct_array(declaration->column_kinds, count, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(declaration->column_numbers, count, INT4OID, 4, true, TYPALIGN_INT));
	values[3] = PointerGetDatum(construct_array(declaration->column_types, count, TEXTOID, -1, false, TYPALIGN_INT));
	SPI_connect();
	if (SPI_execute_with_args("SELECT c.kind, c.name, c.type, n.type FROM cdp_data.source_column AS c"
							  " JOIN ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS n(kind, number, type)"
							  " ON n.kind OPERATOR(pg_catalog.=) c.kind AND n.number OPERATOR(pg_catalog.=) c.number"
							  " WHERE c.source OPERATOR(pg_catalog.=) $1 AND c.kind OPERATOR(pg_catalog.<>) 'identifier'"
							  " AND c.type OPERATOR(pg_catalog.<>) n.type ORDER BY c.kind, c.number",
							  4, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not compare the columns of source \"%s\"", declaration->name);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;

		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s \"%s\" of source \"%s\" had type %s when it was declared and has type %s now",
						SPI_getvalue(row, descriptor, 1), SPI_getvalue(row, descriptor, 2), declaration->name,
						SPI_getvalue(row, descriptor, 3), SPI_getvalue(row, descriptor, 4)),
				 errhint("Cast it to the former type with cdp.alter_source, or give the column of the table its type back.")));
	}
	SPI_finish();
}

/*
 * cdp.verify_source(source text)
 *
 * Reads a stored declaration against the relation as it is now, with the rights
 * of the source's owner.
 *
 * Errors: NULL or unknown source; an owner that is gone; what no longer fits.
 */
Datum
cdp_verify_source(PG_FUNCTION_ARGS)
{
	Declaration declaration = {0};
	SourceOwner owner = {0};

	declaration.function = "cdp.create_source";
	declaration.is_stored = true;
	if (PG_ARGISNULL(0))
		refuse_null(&declaration, "source");
	declaration.name = intake_check_source(PG_GETARG_TEXT_PP(0));
	load_declaration(&declaration);
	source_owner_find(&owner, declaration.name, declaration.owner_name);
	analyze_declaration(&declaration);
	compare_columns(&declaration);
	PG_RETURN_VOID();
}
