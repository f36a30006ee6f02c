/*
 * source_texts.c
 *		The statements that follow from the declaration of a source, as
 *		cdp.source_query writes them.
 *
 * Those for single keys, which triggers ask for with each row that somebody
 * writes, are kept until a declaration changes: the tables that they follow from
 * have triggers that send a relation cache invalidation, which is transactional
 * and reaches every session.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "cdp.h"
#include "source/source_texts.h"

/* A name has fewer bytes, see intake_check_source. */
#define SOURCE_NAME_SIZE	129

typedef struct KeptTexts
{
	char		source[SOURCE_NAME_SIZE];	/* hash key */
	SourceTexts texts;
	char	   *role;
} KeptTexts;

/* What the texts follow from. */
static const char *const followed[] = {"source", "source_column", "trait", "option", "storage"};

static MemoryContext kept_context = NULL;
static HTAB *kept = NULL;
static bool kept_is_valid = false;
static Oid	followed_relations[lengthof(followed)];

static void
relation_changed(Datum argument, Oid relation)
{
	if (relation == InvalidOid)
		kept_is_valid = false;
	for (int i = 0; i < lengthof(followed); i++)
		if (relation == followed_relations[i])
			kept_is_valid = false;
}

/* The texts that are kept, none of them outdated. */
static HTAB *
kept_texts(void)
{
	static bool registered = false;
	Oid			schema;
	HASHCTL		control = {0};

	if (kept_is_valid)
		return kept;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		registered = true;
	}
	if (kept_context != NULL)
		MemoryContextDelete(kept_context);
	kept_context = AllocSetContextCreate(CacheMemoryContext, "cdp source texts", ALLOCSET_SMALL_SIZES);
	control.keysize = SOURCE_NAME_SIZE;
	control.entrysize = sizeof(KeptTexts);
	control.hcxt = kept_context;
	kept = hash_create("cdp source texts", 16, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	schema = get_namespace_oid("cdp_data", false);
	for (int i = 0; i < lengthof(followed); i++)
		followed_relations[i] = get_relname_relid(followed[i], schema);
	/* Set before anything is read, so that an invalidation meanwhile counts. */
	kept_is_valid = true;
	return kept;
}

static char *
copy_text(const char *value, MemoryContext context)
{
	return value == NULL ? NULL : MemoryContextStrdup(context, value);
}

static void
copy_texts(SourceTexts *to, const SourceTexts *from, MemoryContext context)
{
	*to = *from;
	to->query = copy_text(from->query, context);
	to->write = copy_text(from->write, context);
	to->missing = copy_text(from->missing, context);
	to->owner.time_zone = copy_text(from->owner.time_zone, context);
	to->owner.search_path = copy_text(from->owner.search_path, context);
}

static char *
text_column(int column, MemoryContext context)
{
	return copy_text(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column), context);
}

/* Asks cdp.source_query; returns the name of the owner. */
static char *
ask(SourceTexts *texts, const char *source, const char *selection, const char *since)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		arguments[] = {CStringGetTextDatum(source), CStringGetTextDatum(selection),
						 since == NULL ? (Datum) 0 : CStringGetTextDatum(since)};
	char		nulls[] = {' ', ' ', since == NULL ? 'n' : ' ', '\0'};
	bool		is_null;
	char	   *role;

	memset(texts, 0, sizeof(*texts));
	SPI_connect();
	if (SPI_execute_with_args("SELECT q.query, q.identifier_columns, q.is_event, q.owner, q.time_zone, q.search_path, q.write, q.missing"
							  " FROM cdp.source_query($1, $2, $3) AS q",
							  3, types, arguments, nulls, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read the definition of source \"%s\"", source);
	texts->query = text_column(1, context);
	texts->identifier_columns = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null));
	texts->is_event = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &is_null));
	role = text_column(4, context);
	texts->owner.time_zone = text_column(5, context);
	texts->owner.search_path = text_column(6, context);
	texts->write = text_column(7, context);
	texts->missing = text_column(8, context);
	SPI_finish();
	return role;
}

/*
 * The texts for a selection of rows (see sql/source_take_in.sql), in the current
 * memory context, and the role under which they run.  NULL since: none.
 *
 * Errors: an unknown source or selection; an owner that is gone or beyond the
 * rights of the storage's owner.
 */
void
source_texts_read(SourceTexts *texts, const char *source, const char *selection, const char *since)
{
	bool		is_kept = strcmp(selection, "keys") == 0 && since == NULL;
	KeptTexts  *found = NULL;
	char	   *role;

	/* A name that is too long has no entry. */
	if (is_kept && strlen(source) < SOURCE_NAME_SIZE)
		found = hash_search(kept_texts(), source, HASH_FIND, NULL);
	else
		is_kept = false;
	if (found != NULL)
	{
		copy_texts(texts, &found->texts, CurrentMemoryContext);
		role = pstrdup(found->role);
	}
	else
	{
		/* With the latest snapshot, as catalogs are read, so that no old transaction leaves old texts behind. */
		if (is_kept)
			PushActiveSnapshot(GetLatestSnapshot());
		role = ask(texts, source, selection, since);
		if (is_kept)
			PopActiveSnapshot();
		/* What was read may be outdated already. */
		if (is_kept && kept_is_valid)
		{
			KeptTexts	keep;

			copy_texts(&keep.texts, texts, kept_context);
			keep.role = copy_text(role, kept_context);
			found = hash_search(kept, source, HASH_ENTER, NULL);
			found->texts = keep.texts;
			found->role = keep.role;
		}
	}
	source_owner_find(&texts->owner, source, role);
}
