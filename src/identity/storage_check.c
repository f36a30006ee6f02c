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
 * right to, must be one role; and the columns must be of the types known here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
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

/*
 * Whether a relation of the storage belongs to the owner of the schema, and
 * where it is a table, is one with the columns that C code relies on.
 *
 * Errors: it is not.
 */
void
storage_check_relation(Oid schema, Oid relation_id, const char *name)
{
	Relation	relation;

	if (owner_of_relation(relation_id) != owner_of_schema(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"cdp_data.%s\" does not belong to the owner of its schema", name),
				 errhint("Give the schema, the relations in it and the views in schema cdp to one role.")));

	for (int i = 0; i < (int) lengthof(storage_columns); i++)
	{
		const StorageColumns *expected = &storage_columns[i];
		int			count = (int) strlen(expected->not_null);
		bool		matches;

		if (strcmp(expected->name, name) != 0)
			continue;
		relation = relation_open(relation_id, AccessShareLock);
		matches = relation->rd_rel->relkind == RELKIND_RELATION &&
			RelationGetNumberOfAttributes(relation) >= count;
		for (int k = 0; matches && k < count; k++)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), k);

			matches = !attribute->attisdropped && attribute->atttypid == expected->types[k] &&
				(attribute->attnotnull || expected->not_null[k] != 'n');
		}
		relation_close(relation, AccessShareLock);
		if (!matches)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"cdp_data.%s\" does not have the columns that cdp.setup() gave it", name),
					 errhint("Restore its columns, or start anew with SELECT cdp.teardown(false) and SELECT cdp.setup().")));
	}
}
