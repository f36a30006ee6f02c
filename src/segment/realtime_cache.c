/*
 * realtime_cache.c
 *		The expressions that are evaluated for given people, kept in every
 *		session: what each of them reads, so that an event leads to those that it
 *		can touch and to no others, and the statements that evaluate them.
 *
 * It is read again when a table that it follows from changes; their triggers
 * send a relation cache invalidation, which is transactional and reaches every
 * session.  What is read is read with the latest snapshot, as catalogs are.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "cdp.h"
#include "identity/settings.h"
#include "segment/realtime_cache.h"
#include "statement.h"

/*
 * What the expressions read, also through computed traits and segments.  A
 * computed trait that is read is no fact of its own here, what it reads is.
 */
#define TRANSITIVE_FACTS \
	"WITH RECURSIVE reach(root, id) AS (" \
	" SELECT e.expression_id, e.expression_id FROM cdp_data.expression AS e WHERE NOT e.is_query" \
	" UNION" \
	" SELECT r.root, d.expression_id FROM reach AS r" \
	" JOIN cdp_data.expression_fact AS f ON f.expression_id OPERATOR(pg_catalog.=) r.id" \
	" JOIN cdp_data.expression AS d ON d.kind OPERATOR(pg_catalog.=) f.kind AND d.name OPERATOR(pg_catalog.=) f.name" \
	")" \
	" SELECT DISTINCT r.root, f.kind, f.name," \
	"  (SELECT n.namespace_id FROM cdp_data.namespace AS n WHERE f.kind OPERATOR(pg_catalog.=) 'trait' AND n.name OPERATOR(pg_catalog.=) f.name)" \
	" FROM reach AS r JOIN cdp_data.expression_fact AS f ON f.expression_id OPERATOR(pg_catalog.=) r.id" \
	" WHERE f.kind OPERATOR(pg_catalog.=) ANY ('{trait,event_name,window}'::text[])" \
	" AND NOT EXISTS (SELECT FROM cdp_data.expression AS d WHERE d.kind OPERATOR(pg_catalog.=) f.kind AND d.name OPERATOR(pg_catalog.=) f.name)" \
	" ORDER BY 2, 3, 1"

/* Which expression reads which other one. */
#define DEPENDENCIES \
	"SELECT f.expression_id, d.expression_id FROM cdp_data.expression_fact AS f" \
	" JOIN cdp_data.expression AS d ON d.kind OPERATOR(pg_catalog.=) f.kind AND d.name OPERATOR(pg_catalog.=) f.name" \
	" ORDER BY 1, 2"

/* What the cache follows from. */
static const char *const followed[] = {
	"expression", "expression_fact", "expression_state", "option", "namespace", "storage", "profile_row"};

typedef struct EventEntry
{
	const char *name;			/* hash key: the string */
	int			count;			/* of expressions, sorted by id */
	LiveExpression **expressions;
	ExpressionSet *set;			/* made when first asked for */
} EventEntry;

typedef struct SetEntry
{
	const char *ids;			/* hash key: the string */
	ExpressionSet *set;
} SetEntry;

/* So many more sets than names of events, and all of them are forgotten. */
#define SETS_MAX	1000

static RealtimeCache *current = NULL;
static bool current_valid = false;
static List *outdated = NIL;	/* still in use when they became so */
static Oid	followed_relations[lengthof(followed)];

static void
relation_changed(Datum argument, Oid relation)
{
	if (relation == InvalidOid)
		current_valid = false;
	for (int i = 0; i < lengthof(followed); i++)
		if (relation == followed_relations[i])
			current_valid = false;
}

/* ---------- hash tables by string ---------- */

static uint32
string_key_hash(const void *key, Size size)
{
	const char *string = *(const char *const *) key;

	return hash_bytes((const unsigned char *) string, (int) strlen(string));
}

static int
string_key_match(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static HTAB *
create_table(const char *name, Size entry, MemoryContext context)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(const char *);
	control.entrysize = entry;
	control.hash = string_key_hash;
	control.match = string_key_match;
	control.hcxt = context;
	return hash_create(name, 64, &control, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* ---------- reading ---------- */

static int
compare_ids(const void *left, const void *right)
{
	int32		a = (*(LiveExpression *const *) left)->definition->id;
	int32		b = (*(LiveExpression *const *) right)->definition->id;

	return (a > b) - (a < b);
}

/* The expression with this id, NULL when there is none that can be evaluated so. */
LiveExpression *
realtime_find(RealtimeCache *cache, int32 id)
{
	int			low = 0;
	int			high = cache->count - 1;

	while (low <= high)
	{
		int			middle = low + (high - low) / 2;
		int32		found = cache->expressions[middle].definition->id;

		if (found == id)
			return &cache->expressions[middle];
		if (found < id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

static void
query(const char *sql)
{
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the expressions");
}

static int32
int_column(uint64 row, int column)
{
	bool		is_null;

	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null));
}

static Expression *
copy_definition(const Expression *from)
{
	Expression *to = palloc(sizeof(Expression));

	*to = *from;
	to->name = pstrdup(from->name);
	to->definition = pstrdup(from->definition);
	to->type_name = pstrdup(from->type_name);
	to->owner = pstrdup(from->owner);
	to->time_zone = pstrdup(from->time_zone);
	to->search_path = pstrdup(from->search_path);
	return to;
}

/* All expressions but queries, without what they read. */
static void
read_expressions(RealtimeCache *cache)
{
	uint64		count;
	int32	   *ids;
	bool	   *failed;
	List	   *definitions;
	ListCell   *cell;
	int			position = 0;
	MemoryContext caller;

	query("SELECT e.expression_id, COALESCE(s.status OPERATOR(pg_catalog.=) 'failed', false) FROM cdp_data.expression AS e"
		  " LEFT JOIN cdp_data.expression_state AS s ON s.expression_id OPERATOR(pg_catalog.=) e.expression_id"
		  " WHERE NOT e.is_query ORDER BY e.expression_id");
	count = SPI_processed;
	ids = cdp_palloc_array(int32, count + 1);
	failed = cdp_palloc_array(bool, count + 1);
	for (uint64 i = 0; i < count; i++)
	{
		bool		is_null;

		ids[i] = int_column(i, 1);
		failed[i] = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));
	}
	definitions = expression_load(ids, (int) count);
	caller = MemoryContextSwitchTo(cache->context);
	cache->expressions = cdp_palloc0_array(LiveExpression, count + 1);
	foreach (cell, definitions)
	{
		LiveExpression *expression = &cache->expressions[cache->count++];

		expression->definition = copy_definition(lfirst(cell));
		expression->is_failed = failed[position++];
		cache->has_realtime |= expression->definition->is_realtime;
		if (!expression->definition->is_segment)
		{
			AttrNumber	column = get_attnum(cache->row, expression->definition->name);

			expression->column = column > 0 ? column : 0;
		}
		/* Being known is a matter of identifiers. */
		if (!expression->definition->include_anonymous)
			expression->reads_person = true;
	}
	MemoryContextSwitchTo(caller);
	/* Of one group are those that one statement can evaluate. */
	for (int i = 0; i < cache->count; i++)
	{
		LiveExpression *expression = &cache->expressions[i];

		expression->group = i;
		for (int k = 0; k < i; k++)
			if (expression_has_settings_of(expression->definition, cache->expressions[k].definition))
			{
				expression->group = cache->expressions[k].group;
				break;
			}
	}
}

/*
 * What an expression of another group, or a query, came to is read where it is
 * stored, so it has to be evaluated before; the text of one of the same group
 * is part of the statement.
 */
static void
find_levels(RealtimeCache *cache)
{
	uint64		count;
	bool		changed = true;

	query(DEPENDENCIES);
	count = SPI_processed;
	for (int round = 0; changed && round <= cache->count; round++)
	{
		changed = false;
		for (uint64 i = 0; i < count; i++)
		{
			LiveExpression *reader = realtime_find(cache, int_column(i, 1));
			LiveExpression *read = realtime_find(cache, int_column(i, 2));
			int			level;

			if (reader == NULL || read == NULL)
				continue;
			level = read->level + (reader->group != read->group);
			if (reader->level < level)
			{
				reader->level = level;
				changed = true;
			}
		}
	}
}

static void
add_to_event(RealtimeCache *cache, const char *name, LiveExpression *expression)
{
	EventEntry *entry;
	bool		found;

	entry = hash_search(cache->by_event, &name, HASH_ENTER, &found);
	if (!found)
	{
		entry->name = MemoryContextStrdup(cache->context, name);
		entry->count = 0;
		entry->expressions = NULL;
		entry->set = NULL;
	}
	entry->expressions = entry->expressions == NULL
		? MemoryContextAlloc(cache->context, sizeof(LiveExpression *))
		: repalloc(entry->expressions, mul_size(sizeof(LiveExpression *), entry->count + 1));
	entry->expressions[entry->count++] = expression;
}

static void
read_facts(RealtimeCache *cache)
{
	query(TRANSITIVE_FACTS);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		LiveExpression *expression = realtime_find(cache, int_column(i, 1));
		char	   *kind = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		bool		is_null;

		if (expression == NULL)
			continue;
		if (strcmp(kind, "window") == 0)
			expression->has_window = true;
		else if (strcmp(kind, "event_name") == 0)
		{
			if (expression->definition->is_realtime && !expression->is_failed)
				add_to_event(cache, name, expression);
		}
		else
		{
			expression->reads_person = true;
			if (strcmp(name, "first_seen") == 0 || strcmp(name, "last_seen") == 0 || strcmp(name, "event_count") == 0)
				expression->reads_counts = true;
			else
			{
				Datum		namespace_id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &is_null);

				if (!is_null)
					expression->namespaces |= NAMESPACE_BIT(DatumGetInt16(namespace_id));
				if (expression->definition->is_realtime)
					cache->namespaces |= expression->namespaces;
			}
		}
	}
}

static void
read_cache(RealtimeCache *cache)
{
	SPI_connect();
	read_expressions(cache);
	if (cache->has_realtime)
		find_levels(cache);
	read_facts(cache);
	cache->max_events = 10000;
	query("SELECT o.value FROM cdp_data.option AS o WHERE o.name OPERATOR(pg_catalog.=) 'realtime_max_events'");
	if (SPI_processed > 0)
		cache->max_events = atoi(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
}

static void
free_cache(RealtimeCache *cache)
{
	HASH_SEQ_STATUS status;
	SetEntry   *entry;

	hash_seq_init(&status, cache->sets);
	while ((entry = hash_seq_search(&status)) != NULL)
		for (int i = 0; i < entry->set->part_count; i++)
		{
			if (entry->set->parts[i].plan != NULL)
				SPI_freeplan(entry->set->parts[i].plan);
			if (entry->set->parts[i].store != NULL)
				SPI_freeplan(entry->set->parts[i].store);
		}
	MemoryContextDelete(cache->context);
}

/*
 * The expressions as they are now.  What is returned stays while it is held;
 * realtime_cache_release ends that.
 *
 * Errors: the storage lacks something.
 */
RealtimeCache *
realtime_cache(void)
{
	static bool registered = false;
	MemoryContext context;
	RealtimeCache *cache;
	ListCell   *cell;
	Oid			schema;
	int			guc_level;

	(void) graph_relations();
	if (current_valid && current != NULL && hash_get_num_entries(current->sets) <= SETS_MAX + hash_get_num_entries(current->by_event))
		return current;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		registered = true;
	}
	foreach (cell, outdated)
		if (((RealtimeCache *) lfirst(cell))->user_count == 0)
		{
			cache = lfirst(cell);
			outdated = foreach_delete_current (outdated, cell);
			free_cache(cache);
		}
	if (current != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(CacheMemoryContext);

		cache = current;
		current = NULL;
		if (cache->user_count == 0)
			free_cache(cache);
		else
			outdated = lappend(outdated, cache);
		MemoryContextSwitchTo(caller);
	}

	schema = get_namespace_oid("cdp_data", false);
	for (int i = 0; i < lengthof(followed); i++)
		followed_relations[i] = get_relname_relid(followed[i], schema);
	/* Set before anything is read, so that an invalidation meanwhile counts. */
	current_valid = true;
	context = AllocSetContextCreate(CurrentMemoryContext, "cdp expressions", ALLOCSET_DEFAULT_SIZES);
	cache = MemoryContextAllocZero(context, sizeof(RealtimeCache));
	cache->context = context;
	cache->member = storage_relation(schema, "segment_member");
	cache->member_key = storage_relation(schema, "segment_member_pkey");
	cache->due = storage_relation(schema, "expression_due");
	cache->due_key = storage_relation(schema, "expression_due_pkey");
	cache->profile = storage_relation(schema, "profile");
	cache->profile_key = storage_relation(schema, "profile_pkey");
	cache->row = storage_relation(schema, "profile_row");
	cache->row_key = storage_relation(schema, "profile_row_pkey");
	cache->by_event = create_table("cdp expressions by event", sizeof(EventEntry), context);
	cache->sets = create_table("cdp sets of expressions", sizeof(SetEntry), context);

	guc_level = NewGUCNestLevel();
	cdp_set_option("search_path", "pg_catalog, pg_temp");
	PushActiveSnapshot(GetLatestSnapshot());
	read_cache(cache);
	PopActiveSnapshot();
	AtEOXact_GUC(true, guc_level);
	MemoryContextSetParent(context, CacheMemoryContext);
	current = cache;
	return cache;
}

void
realtime_cache_hold(RealtimeCache *cache)
{
	cache->user_count++;
}

void
realtime_cache_release(RealtimeCache *cache)
{
	cache->user_count--;
}

/* ---------- sets ---------- */

static int
compare_places(const void *left, const void *right)
{
	const LiveExpression *a = *(LiveExpression *const *) left;
	const LiveExpression *b = *(LiveExpression *const *) right;

	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if (a->definition->is_realtime != b->definition->is_realtime)
		return a->definition->is_realtime ? -1 : 1;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return (a->definition->id > b->definition->id) - (a->definition->id < b->definition->id);
}

/* A statement has a limited number of columns, and long ones take long to plan. */
#define PART_MAX	200

static void
make_parts(ExpressionSet *set)
{
	set->parts = cdp_palloc0_array(SetPart, set->count + 1);
	for (int i = 0; i < set->count; i++)
	{
		const LiveExpression *expression = set->expressions[i];
		SetPart	   *part = set->part_count == 0 ? NULL : &set->parts[set->part_count - 1];

		if (part != NULL && part->count < PART_MAX)
		{
			const LiveExpression *first = set->expressions[part->first];

			if (first->level == expression->level && first->group == expression->group && part->is_due == expression->definition->is_realtime)
			{
				part->count++;
				continue;
			}
		}
		part = &set->parts[set->part_count++];
		part->first = i;
		part->count = 1;
		/* Batch ones are looked at by refreshes, whatever the clock says. */
		part->is_due = expression->definition->is_realtime;
	}
}

/*
 * The set of these expressions, which are sorted by id here and may name one
 * twice.  Failed ones are left out.
 */
ExpressionSet *
realtime_set(RealtimeCache *cache, LiveExpression **expressions, int count)
{
	StringInfoData ids;
	int			kept = 0;
	const char *key;
	SetEntry   *entry;
	bool		found;
	ExpressionSet *set;
	MemoryContext caller;

	if (count > 1)
		qsort(expressions, count, sizeof(LiveExpression *), compare_ids);
	initStringInfo(&ids);
	for (int i = 0; i < count; i++)
	{
		if (expressions[i]->is_failed || (kept > 0 && expressions[kept - 1] == expressions[i]))
			continue;
		expressions[kept++] = expressions[i];
		appendStringInfo(&ids, "%d ", expressions[i]->definition->id);
	}
	key = ids.data;
	entry = hash_search(cache->sets, &key, HASH_FIND, NULL);
	if (entry != NULL)
	{
		pfree(ids.data);
		return entry->set;
	}

	caller = MemoryContextSwitchTo(cache->context);
	set = palloc0(sizeof(ExpressionSet));
	set->count = kept;
	set->expressions = cdp_palloc_array(LiveExpression *, kept + 1);
	for (int i = 0; i < kept; i++)
	{
		set->expressions[i] = expressions[i];
		set->reads_counts |= expressions[i]->reads_counts;
	}
	if (kept > 1)
		qsort(set->expressions, kept, sizeof(LiveExpression *), compare_places);
	make_parts(set);
	key = pstrdup(ids.data);
	entry = hash_search(cache->sets, &key, HASH_ENTER, &found);
	entry->ids = key;
	entry->set = set;
	MemoryContextSwitchTo(caller);
	pfree(ids.data);
	return set;
}

ExpressionSet *
realtime_set_of_scope(RealtimeCache *cache, RealtimeScope scope)
{
	LiveExpression **chosen;
	int			count = 0;

	if (cache->scopes[scope] != NULL)
		return cache->scopes[scope];
	chosen = cdp_palloc_array(LiveExpression *, cache->count + 1);
	for (int i = 0; i < cache->count; i++)
	{
		LiveExpression *expression = &cache->expressions[i];

		if (expression->definition->is_realtime &&
			(scope == SCOPE_ALL || (scope == SCOPE_PERSON ? expression->reads_person : expression->has_window)))
			chosen[count++] = expression;
	}
	cache->scopes[scope] = realtime_set(cache, chosen, count);
	pfree(chosen);
	return cache->scopes[scope];
}

/* Adds the expressions that events of this very name concern. */
static int
collect_event(RealtimeCache *cache, const char *name, LiveExpression **chosen, int count)
{
	EventEntry *entry = hash_search(cache->by_event, &name, HASH_FIND, NULL);

	if (entry != NULL)
		for (int i = 0; i < entry->count; i++)
			chosen[count++] = entry->expressions[i];
	return count;
}

/* Those that any event concerns: by facts, or because every event moves the counts. */
static int
collect_any(RealtimeCache *cache, LiveExpression **chosen, int count, bool with_identifiers)
{
	count = collect_event(cache, "*", chosen, count);
	for (int i = 0; i < cache->count; i++)
	{
		LiveExpression *expression = &cache->expressions[i];

		if (expression->definition->is_realtime && (expression->reads_counts || (with_identifiers && expression->namespaces != 0)))
			chosen[count++] = expression;
	}
	return count;
}

/*
 * The expressions that an event of this name concerns; with another name (NULL:
 * none) also those that one concerns, when a version of an event takes the
 * place of one that was called otherwise; with identifiers those that read
 * columns of namespaces.
 */
ExpressionSet *
realtime_set_of_event(RealtimeCache *cache, const char *name, const char *other_name, bool with_identifiers)
{
	EventEntry *entry = hash_search(cache->by_event, &name, HASH_FIND, NULL);
	bool		is_one = (other_name == NULL || strcmp(name, other_name) == 0) && !with_identifiers;
	LiveExpression **chosen;
	ExpressionSet *set;
	int			count;

	if (is_one && entry != NULL && entry->set != NULL)
		return entry->set;
	if (is_one && entry == NULL && cache->any_event != NULL)
		return cache->any_event;
	chosen = palloc(mul_size(sizeof(LiveExpression *), add_size(mul_size(4, cache->count), 1)));
	count = collect_any(cache, chosen, 0, with_identifiers);
	count = collect_event(cache, name, chosen, count);
	if (other_name != NULL)
		count = collect_event(cache, other_name, chosen, count);
	set = realtime_set(cache, chosen, count);
	pfree(chosen);
	if (is_one && entry != NULL)
		entry->set = set;
	else if (is_one)
		cache->any_event = set;
	return set;
}
