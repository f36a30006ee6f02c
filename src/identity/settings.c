/*
 * settings.c
 *		Namespaces, options and blocked identifiers, cached in every session.
 *
 * The cache is dropped when one of those tables changes: their trigger sends
 * a relation cache invalidation, which is transactional and reaches every
 * session.  The tables are read with the latest snapshot, as PostgreSQL reads
 * its catalogs, so that a long REPEATABLE READ transaction does not leave old
 * rules in the cache.  Writers hold a lock on cdp_data.namespace to their end,
 * which whoever changes the rules waits for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "cdp.h"
#include "catalog/pg_type.h"
#include "identity/settings.h"
#include "regex/regex.h"

#define CDP_STORAGE_VERSION 3

static GraphRelations relations;
static bool relations_valid = false;
static GraphSettings *cached_settings = NULL;
static bool settings_valid = false;
static TimestampTz settings_of_transaction = 0;
static bool callback_registered = false;

PG_FUNCTION_INFO_V1(cdp_invalidate_settings);
PG_FUNCTION_INFO_V1(cdp_require_storage);
PG_FUNCTION_INFO_V1(cdp_normalizer_version_text);
PG_FUNCTION_INFO_V1(cdp_normalize_identifier);

static void
relation_changed(Datum argument, Oid relation)
{
	if (relation == InvalidOid ||
		relation == relations.namespace ||
		relation == relations.option ||
		relation == relations.blocked_identifier ||
		relation == relations.storage)
	{
		relations_valid = false;
		settings_valid = false;
	}
	/* Their columns may have changed. */
	else if (relation == relations.identifier ||
			 relation == relations.record ||
			 relation == relations.link ||
			 relation == relations.label ||
			 relation == relations.profile)
		relations_valid = false;
}

/*
 * The latest snapshot can't be had while a parallel query runs.
 */
static Snapshot
settings_snapshot(void)
{
	return IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot();
}

static int
stored_version(Oid storage)
{
	Relation	relation = table_open(storage, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(settings_snapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	int			version = 0;

	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		is_null;

		version = DatumGetInt32(slot_getattr(slot, 1, &is_null));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
	return version;
}

/*
 * The relations of the storage.
 *
 * Errors: the storage is missing, or of another version.
 */
const GraphRelations *
graph_relations(void)
{
	Oid			schema;
	GraphRelations found;
	int			version;

	if (relations_valid)
		return &relations;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callback_registered = true;
	}

	schema = get_namespace_oid("cdp_data", true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("storage", schema)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the storage of cdp does not exist in this database"),
				 errhint("Run SELECT cdp.setup() first.")));

	storage_check_schema(schema);

	if (cdp_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the storage of cdp"),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'reader'), or 'writer', or 'admin'.",
						 cdp_quoted_caller())));

	/* Set before anything is read, so that an invalidation meanwhile counts. */
	relations.storage = found.storage = storage_relation(schema, "storage");
	relations_valid = true;
	version = stored_version(found.storage);
	if (version != CDP_STORAGE_VERSION)
	{
		relations_valid = false;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the storage of cdp has version %d, but this library needs version %d", version, CDP_STORAGE_VERSION),
				 version < CDP_STORAGE_VERSION ? errhint("Run SELECT cdp.setup() to migrate it.") : errhint("Install the newer package of cdp and run ALTER EXTENSION cdp UPDATE.")));
	}

	relations_valid = false;
	found.namespace = storage_relation(schema, "namespace");
	found.option = storage_relation(schema, "option");
	found.blocked_identifier = storage_relation(schema, "blocked_identifier");
	found.identifier = storage_relation(schema, "identifier");
	found.identifier_pkey = storage_relation(schema, "identifier_pkey");
	found.identifier_value_key = storage_relation(schema, "identifier_value_key");
	found.identifier_profile_id = storage_relation(schema, "identifier_profile_id");
	found.identifier_id_sequence = storage_relation(schema, "identifier_id");
	found.record = storage_relation(schema, "record");
	found.record_key = storage_relation(schema, "record_key");
	found.record_hub = storage_relation(schema, "record_hub");
	found.link = storage_relation(schema, "link");
	found.link_pkey = storage_relation(schema, "link_pkey");
	found.link_b = storage_relation(schema, "link_b");
	found.label = storage_relation(schema, "label");
	found.label_pair = storage_relation(schema, "label_pair");
	found.label_b = storage_relation(schema, "label_b");
	found.profile = storage_relation(schema, "profile");
	found.profile_pkey = storage_relation(schema, "profile_pkey");
	found.profile_retired_anchor = storage_relation(schema, "profile_retired_anchor");
	found.profile_queued = storage_relation(schema, "profile_queued");
	found.profile_id_sequence = storage_relation(schema, "profile_id");
	/* Only written by statements, which is where the rights of their owner would matter. */
	found.rejected_record = storage_relation(schema, "rejected_record");
	found.changed_profile = storage_relation(schema, "changed_profile");
	found.contribution = storage_relation(schema, "contribution");
	found.contribution_history = storage_relation(schema, "contribution_history");
	found.event = storage_relation(schema, "event");
	relations = found;
	relations_valid = true;
	return &relations;
}

uint32
graph_value_hash(const char *value, uint32 length)
{
	return hash_bytes((const unsigned char *) value, (int) length);
}

static int
compare_namespaces(const void *left, const void *right)
{
	const GraphNamespace *a = left;
	const GraphNamespace *b = right;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int
compare_blocked(const void *left, const void *right)
{
	const BlockedIdentifier *a = left;
	const BlockedIdentifier *b = right;

	return compare_bytes(a->value, a->length, b->value, b->length);
}

/* Reads one of the small tables and calls back for each row. */
static void
read_table(Oid relation_id, GraphSettings *settings,
		   void (*callback) (GraphSettings *, Datum *, bool *))
{
	Relation	relation = table_open(relation_id, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(settings_snapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		slot_getallattrs(slot);
		callback(settings, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
}

static void
read_namespace(GraphSettings *settings, Datum *values, bool *nulls)
{
	GraphNamespace *ns;
	char	   *normalizer = TextDatumGetCString(values[2]);

	settings->namespaces = repalloc(settings->namespaces,
									mul_size(sizeof(GraphNamespace), settings->namespace_count + 1));
	ns = &settings->namespaces[settings->namespace_count++];
	memset(ns, 0, sizeof(*ns));
	ns->namespace_id = DatumGetInt16(values[0]);
	strlcpy(ns->name, TextDatumGetCString(values[1]), NAMEDATALEN);
	if (!cdp_normalizer_from_name(normalizer, &ns->normalizer.kind))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("normalizer \"%s\" of namespace \"%s\" does not exist", normalizer, ns->name),
				 errhint("Set one of exact, lower, digits, uuid, email and phone by cdp.alter_namespace.")));
	if (!nulls[4])
		strlcpy(ns->normalizer.default_region, TextDatumGetCString(values[4]),
				sizeof(ns->normalizer.default_region));
	ns->normalizer.provider_rules = DatumGetBool(values[5]);
	if (!nulls[6])
		ns->pattern = DatumGetTextPCopy(values[6]);
	ns->priority = DatumGetInt32(values[7]);
	ns->max_per_profile = nulls[9] ? 0 : DatumGetInt32(values[9]);
	ns->max_links = nulls[10] ? 0 : DatumGetInt32(values[10]);
}

static void
read_option(GraphSettings *settings, Datum *values, bool *nulls)
{
	char	   *name = TextDatumGetCString(values[0]);
	char	   *value = TextDatumGetCString(values[1]);

	if (strcmp(name, "conflict_policy") == 0)
		settings->drop_older = strcmp(value, "drop_older") == 0;
	else if (strcmp(name, "max_profile_size") == 0)
		settings->max_profile_size = atoi(value);
	else if (strcmp(name, "max_replay") == 0)
		settings->max_replay = atoi(value);
}

static void
read_blocked(GraphSettings *settings, Datum *values, bool *nulls)
{
	BlockedIdentifier *blocked;
	int			namespace_index = -1;

	if (!nulls[1])
	{
		namespace_index = graph_namespace_index(settings, TextDatumGetCString(values[1]));
		if (namespace_index < 0)
			return;				/* of a namespace that was dropped */
	}
	if (!nulls[2])
	{
		text	   *value = DatumGetTextPCopy(values[2]);
		uint32		bit;

		settings->blocked_values = repalloc(settings->blocked_values,
											mul_size(sizeof(BlockedIdentifier), settings->blocked_value_count + 1));
		blocked = &settings->blocked_values[settings->blocked_value_count++];
		blocked->value = VARDATA(value);
		blocked->length = VARSIZE(value) - VARHDRSZ;
		blocked->pattern = NULL;
		bit = graph_value_hash(blocked->value, blocked->length) % BLOCKED_FILTER_BITS;
		settings->blocked_filter[bit / 8] |= 1 << (bit % 8);
	}
	else if (!nulls[3])
	{
		settings->blocked_patterns = repalloc(settings->blocked_patterns,
											  mul_size(sizeof(BlockedIdentifier), settings->blocked_pattern_count + 1));
		blocked = &settings->blocked_patterns[settings->blocked_pattern_count++];
		blocked->value = NULL;
		blocked->length = 0;
		blocked->pattern = DatumGetTextPCopy(values[3]);
	}
	else
		return;					/* a constraint forbids this, unless it was dropped */
	blocked->namespace_index = namespace_index;
}

/*
 * Loads the settings into a child of the given context, which is the only
 * thing to delete.
 */
GraphSettings *
graph_settings_load(MemoryContext parent)
{
	const GraphRelations *names = graph_relations();
	MemoryContext context = AllocSetContextCreate(parent, "cdp settings", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	GraphSettings *settings = palloc0(sizeof(GraphSettings));

	settings->context = context;
	settings->max_profile_size = 10000;
	settings->max_replay = 100000;
	settings->namespaces = palloc(sizeof(GraphNamespace));
	settings->blocked_values = palloc(sizeof(BlockedIdentifier));
	settings->blocked_patterns = palloc(sizeof(BlockedIdentifier));

	read_table(names->namespace, settings, read_namespace);
	qsort(settings->namespaces, settings->namespace_count, sizeof(GraphNamespace), compare_namespaces);
	read_table(names->option, settings, read_option);
	read_table(names->blocked_identifier, settings, read_blocked);
	qsort(settings->blocked_values, settings->blocked_value_count, sizeof(BlockedIdentifier), compare_blocked);

	MemoryContextSwitchTo(caller);
	return settings;
}

/*
 * The settings as cached.  They stay valid until the next call, those of a graph
 * as long as it lives; the query of a stitch may change the rules, so a
 * stitch loads settings of its own.
 */
const GraphSettings *
graph_settings(void)
{
	GraphSettings *fresh;

	(void) graph_relations();
	if (settings_valid && cached_settings != NULL &&
		(settings_of_transaction == 0 ||
		 (IsInParallelMode() && settings_of_transaction == GetCurrentTransactionStartTimestamp())))
		return cached_settings;
	/* What an older snapshot showed is good for parallel queries of that transaction only. */
	settings_of_transaction = IsInParallelMode() ? GetCurrentTransactionStartTimestamp() : 0;

	/*
	 * Opening the tables may process invalidations; those that arrive while
	 * the tables are read make the copy invalid again.
	 */
	settings_valid = true;
	PG_TRY();
	{
		fresh = graph_settings_load(CurrentMemoryContext);
	}
	PG_CATCH();
	{
		settings_valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSetParent(fresh->context, CacheMemoryContext);
	/* A trigger on the storage may get here inside of an operation, which goes on with its own. */
	if (cached_settings != NULL && cached_settings->user_count > 0)
		MemoryContextSetParent(cached_settings->context, TopTransactionContext);
	else if (cached_settings != NULL)
		MemoryContextDelete(cached_settings->context);
	cached_settings = fresh;
	return cached_settings;
}

/* Index of a namespace, or -1. */
int
graph_namespace_index(const GraphSettings *settings, const char *name)
{
	for (int i = 0; i < settings->namespace_count; i++)
		if (strcmp(settings->namespaces[i].name, name) == 0)
			return i;
	return -1;
}

/* Index of a namespace that the caller named, or an error. */
int
graph_namespace_required(const GraphSettings *settings, const char *name)
{
	int			namespace_index = graph_namespace_index(settings, name);

	if (namespace_index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("namespace \"%s\" does not exist", name),
				 errhint("The view cdp.namespaces lists the namespaces; cdp.create_namespace adds one.")));
	return namespace_index;
}

static bool
matches_pattern(text *pattern, const char *value, uint32 length)
{
	return RE_compile_and_execute(pattern, (char *) value, (int) length, REG_ADVANCED,
								  C_COLLATION_OID, 0, NULL);
}

/* Whether a normalised value never links anybody; hash is graph_value_hash's. */
bool
graph_is_blocked(const GraphSettings *settings, int namespace_index,
				 const char *value, uint32 length, uint32 hash)
{
	uint32		bit = hash % BLOCKED_FILTER_BITS;

	if (settings->blocked_filter[bit / 8] & (1 << (bit % 8)))
	{
		BlockedIdentifier key = {.value = value, .length = length};
		int			low = 0;
		int			high = settings->blocked_value_count;

		while (low < high)
		{
			int			middle = low + (high - low) / 2;

			if (compare_blocked(&settings->blocked_values[middle], &key) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < settings->blocked_value_count; low++)
		{
			const BlockedIdentifier *blocked = &settings->blocked_values[low];

			if (compare_blocked(blocked, &key) != 0)
				break;
			if (blocked->namespace_index < 0 || blocked->namespace_index == namespace_index)
				return true;
		}
	}
	for (int i = 0; i < settings->blocked_pattern_count; i++)
	{
		const BlockedIdentifier *blocked = &settings->blocked_patterns[i];

		if ((blocked->namespace_index < 0 || blocked->namespace_index == namespace_index) &&
			matches_pattern(blocked->pattern, value, length))
			return true;
	}
	return false;
}

/* Whether a normalised value may be an identifier of the namespace at all. */
bool
graph_value_is_valid(const GraphSettings *settings, int namespace_index,
					 const char *value, uint32 length)
{
	const GraphNamespace *ns = &settings->namespaces[namespace_index];

	if (length == 0 || length > IDENTIFIER_MAX_LENGTH)
		return false;
	return ns->pattern == NULL || matches_pattern(ns->pattern, value, length);
}

/*
 * cdp.invalidate_settings() returns trigger
 *
 * Statement trigger of the tables that the cache is read from.
 */
Datum
cdp_invalidate_settings(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger", "cdp.invalidate_settings")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/*
 * cdp.require_storage() returns void
 *
 * Errors: the storage is missing, or of another version; no right to read it.
 */
Datum
cdp_require_storage(PG_FUNCTION_ARGS)
{
	const GraphRelations *storage = graph_relations();

	if (pg_class_aclcheck(storage->identifier, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the storage of cdp"),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'reader').",
						 cdp_quoted_caller())));
	PG_RETURN_VOID();
}

/*
 * cdp.normalizer_version(normalizer text) returns text
 *
 * NULL for an unknown normaliser.
 */
Datum
cdp_normalizer_version_text(PG_FUNCTION_ARGS)
{
	NormalizerKind kind;

	if (!cdp_normalizer_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), &kind))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(cdp_normalizer_version(kind)));
}

/*
 * cdp.normalize_identifier(namespace text, value text) returns text
 *
 * The value as the namespace stores it, NULL when it is not valid there.
 *
 * Errors: the namespace does not exist.
 */
Datum
cdp_normalize_identifier(PG_FUNCTION_ARGS)
{
	const GraphSettings *settings = graph_settings();
	int			namespace_index = graph_namespace_required(settings, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	text	   *value = PG_GETARG_TEXT_PP(1);
	StringInfoData normalized;

	initStringInfo(&normalized);
	if (!cdp_normalize(&settings->namespaces[namespace_index].normalizer,
					   VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &normalized) ||
		!graph_value_is_valid(settings, namespace_index, normalized.data, normalized.len))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(normalized.data, normalized.len));
}
