/*
 * storage_check.c
 *		Whether the tables in cdp_data are those that cdp.setup() made.
 *
 * They are ordinary tables, and C code reads their rows without the checks that
 * SQL would bring: a table of the same name with other columns would be read as
 * what it is not.  And whoever may create schemas in the database could plant a
 * schema cdp_data beforehand, with triggers that run with the rights of whoever
 * calls a function of the platform.  So the owner of the schema, of the tables
 * and of the views in schema cdp, where only those may create who were given the
 * right to, must be one role; and the columns, of tables and of indexes, must be
 * those known here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "cdp.h"
#include "identity/settings.h"

#define MAX_COLUMNS 12

typedef struct
{
	const char *name;
	const char *not_null;		/* for each column, n if it is never null */
	Oid			types[MAX_COLUMNS];
} StorageColumns;

/* The leading columns on which C code relies; later ones may follow. */
static const StorageColumns storage_columns[] = {
	{"storage", "n", {INT4OID}},
	{"option", "nn", {TEXTOID, TEXTOID}},
	{"namespace", "nnnn-n-nn--n", {INT2OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, INT4OID, TEXTOID, INT4OID, INT4OID, TEXTOID}},
	{"blocked_identifier", "n---", {INT8OID, TEXTOID, TEXTOID, TEXTOID}},
	{"identifier", "nnnnnn", {INT8OID, INT8OID, TIMESTAMPTZOID, INT2OID, CHAROID, TEXTOID}},
	{"record", "nnnnn-", {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, INT8ARRAYOID}},
	{"link", "nnnnnnn", {INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, CHAROID}},
	{"label", "nnnn", {INT8OID, TEXTOID, INT8OID, INT8OID}},
	{"profile", "nnnn", {INT8OID, INT8OID, TIMESTAMPTZOID, CHAROID}},
	{"profile_row", "n--nnn", {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, BOOLOID}},
	{"segment_member", "nnn", {INT4OID, INT8OID, TIMESTAMPTZOID}},
	{"segment_key", "n", {UUIDOID}},
	{"expression_due", "nn", {INT8OID, TIMESTAMPTZOID}},
};

typedef struct
{
	const char *name;
	const char *table;
	int			count;
	AttrNumber	columns[2];
} StorageIndex;

/* The indexes that C code scans, and their key columns by number. */
static const StorageIndex storage_indexes[] = {
	{"identifier_pkey", "identifier", 1, {1}},
	{"identifier_value_key", "identifier", 2, {6, 4}},
	{"identifier_profile_id", "identifier", 1, {2}},
	{"record_key", "record", 2, {4, 5}},
	{"record_hub", "record", 1, {3}},
	{"link_pkey", "link", 2, {1, 2}},
	{"link_b", "link", 1, {2}},
	{"label_pair", "label", 2, {3, 4}},
	{"label_b", "label", 1, {4}},
	{"profile_pkey", "profile", 1, {1}},
	{"profile_retired_anchor", "profile", 1, {2}},
	{"profile_queued", "profile", 1, {1}},
	{"profile_row_pkey", "profile_row", 1, {1}},
	{"segment_member_pkey", "segment_member", 2, {1, 2}},
	{"expression_due_pkey", "expression_due", 1, {1}},
};

static Oid
owner_of_schema(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The role that set the platform up. */
Oid
storage_owner(void)
{
	return owner_of_schema(get_namespace_oid("cdp_data", false));
}

static Oid
owner_of_relation(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Whether the schema cdp_data belongs to the role that owns the views in schema
 * cdp.
 *
 * Errors: it does not, or there are no such views.
 */
void
storage_check_schema(Oid schema)
{
	Oid			views = get_namespace_oid("cdp", true);
	Oid			view = OidIsValid(views) ? get_relname_relid("options", views) : InvalidOid;

	if (!OidIsValid(view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the storage of cdp is not set up in this database"),
				 errhint("Run SELECT cdp.setup() first.")));
	if (owner_of_relation(view) != owner_of_schema(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"cdp_data\" does not belong to the owner of the views of cdp"),
				 errdetail("The schema belongs to \"%s\", the views belong to \"%s\".",
						   GetUserNameFromId(owner_of_schema(schema), false),
						   GetUserNameFromId(owner_of_relation(view), false)),
				 errhint("Give the schema, the relations in it and the views in schema cdp to one role.")));
}

static bool
columns_match(Relation relation, const StorageColumns *expected)
{
	int			count = (int) strlen(expected->not_null);

	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		RelationGetNumberOfAttributes(relation) < count)
		return false;
	for (int k = 0; k < count; k++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), k);

		if (attribute->attisdropped || attribute->atttypid != expected->types[k])
			return false;
		if (expected->not_null[k] == 'n' && !attribute->attnotnull)
			return false;
	}
	return true;
}

static bool
index_matches(Relation relation, Oid schema, const StorageIndex *expected)
{
	if (relation->rd_rel->relkind != RELKIND_INDEX ||
		relation->rd_rel->relam != BTREE_AM_OID ||
		relation->rd_index->indrelid != get_relname_relid(expected->table, schema) ||
		!relation->rd_index->indisvalid ||
		relation->rd_index->indnkeyatts != expected->count)
		return false;
	for (int k = 0; k < expected->count; k++)
	{
		if (relation->rd_index->indkey.values[k] != expected->columns[k])
			return false;
		if (OidIsValid(relation->rd_indcollation[k]) && relation->rd_indcollation[k] != C_COLLATION_OID)
			return false;
	}
	return true;
}

static void
check_relation(Oid schema, Oid relation_id, const char *name)
{
	Relation	relation;
	bool		matches = true;

	if (owner_of_relation(relation_id) != owner_of_schema(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"cdp_data.%s\" does not belong to the owner of its schema", name),
				 errhint("Give the schema, the relations in it and the views in schema cdp to one role.")));

	relation = relation_open(relation_id, AccessShareLock);
	for (int i = 0; i < (int) lengthof(storage_columns); i++)
	{
		if (strcmp(storage_columns[i].name, name) == 0)
			matches = columns_match(relation, &storage_columns[i]);
	}
	for (int i = 0; i < (int) lengthof(storage_indexes); i++)
	{
		if (strcmp(storage_indexes[i].name, name) == 0)
			matches = index_matches(relation, schema, &storage_indexes[i]);
	}
	relation_close(relation, AccessShareLock);
	if (!matches)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"cdp_data.%s\" does not have the columns that cdp.setup() gave it", name),
				 errhint("Restore its columns, or start anew with SELECT cdp.teardown(false) and SELECT cdp.setup().")));
}

/*
 * A table or index of the storage.
 *
 * Errors: there is none of that name; it does not belong to the owner of the
 * schema; a table lacks columns, or an index the key, that C code relies on.
 */
Oid
storage_relation(Oid schema, const char *name)
{
	Oid			relation = get_relname_relid(name, schema);

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the storage of cdp lacks \"cdp_data.%s\"", name),
				 errhint("Restore that object, or start anew with SELECT cdp.teardown(false) and SELECT cdp.setup().")));
	check_relation(schema, relation, name);
	return relation;
}
