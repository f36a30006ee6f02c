/*
 * owner.c
 *		Running the text of a definition with the rights of the definition's owner,
 *		as a security-restricted operation with settings of its own, so that it
 *		means the same whoever makes it run.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "cdp.h"
#include "identity/settings.h"
#include "source/owner.h"
#include "statement.h"

/*
 * Looks the role of a definition up: kind is "source", "segment" or "computed
 * trait".  A definition is a row, which the owner of the storage can write: so
 * its text runs only with rights that the owner of the storage has anyway.
 *
 * Errors: there is no such role; the owner of the storage is no member of it.
 */
void
source_owner_find_for(SourceOwner *owner, const char *kind, const char *name, const char *role)
{
	const char *alter = strcmp(kind, "computed trait") == 0 ? "computed_trait" : kind;

	owner->role = get_role_oid(role, true);
	if (!OidIsValid(owner->role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of %s \"%s\", role \"%s\", does not exist", kind, name, role),
				 errhint("A role that may read what it reads runs SELECT cdp.alter_%s('%s', owner => current_user).", alter, name)));
	if (!has_privs_of_role(storage_owner(), owner->role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%s \"%s\" belongs to role \"%s\", of which the owner of the storage is no member", kind, name, role),
				 errhint("Run GRANT %s TO %s, or give the %s to another role with cdp.alter_%s.",
						 quote_identifier(role),
						 quote_identifier(GetUserNameFromId(storage_owner(), false)), kind, alter)));
}

/*
 * The same for a source.  What its text yields is for the storage: so the
 * caller must be able to write it, or else a reader would see rows of tables that
 * only the owner may read.
 */
void
source_owner_find(SourceOwner *owner, const char *source, const char *role)
{
	Oid			state = get_relname_relid("source_state", get_namespace_oid("cdp_data", false));

	if (pg_class_aclcheck(state, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read source \"%s\"", source),
				 errhint("The owner of the storage runs SELECT cdp.grant_access(%s, 'writer').",
						 cdp_quoted_caller())));
	source_owner_find_for(owner, "source", source, role);
}

/*
 * The settings of a session, beside the time zone and search_path, that change
 * how a text is parsed or what it results in.  Their values are PostgreSQL's own
 * defaults and no locale's, whatever the server's configuration says.
 */
static const struct
{
	const char *name;
	const char *value;			/* as GetConfigOption shows it */
} pinned_settings[] = {
	/* how a text is parsed */
	{"backslash_quote", "safe_encoding"},
	{"standard_conforming_strings", "on"},
	{"transform_null_equals", "off"},
	/* what values look like as text, and texts mean as values */
	{"array_nulls", "on"},
	{"bytea_output", "hex"},
	{"DateStyle", "ISO, MDY"},
	{"extra_float_digits", "1"},
	{"IntervalStyle", "postgres"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"quote_all_identifiers", "off"},
	{"timezone_abbreviations", "Default"},
	{"xmlbinary", "base64"},
	{"xmloption", "content"},
	/* what functions and subqueries find */
	{"default_text_search_config", "pg_catalog.simple"},
	{"gin_fuzzy_search_limit", "0"},
	{"row_security", "on"},
};

/*
 * Until the caller's AtEOXact_GUC, the settings under which the text of a
 * definition is parsed and run; time_zone may be NULL where nothing runs.
 * What the session has already is not set again, which takes longer than to see.
 */
void
source_owner_settings(const char *time_zone, const char *search_path)
{
	for (int i = 0; i < lengthof(pinned_settings); i++)
		if (strcmp(GetConfigOption(pinned_settings[i].name, false, false), pinned_settings[i].value) != 0)
			cdp_set_option(pinned_settings[i].name, pinned_settings[i].value);
	if (time_zone != NULL && strcmp(pg_get_timezone_name(session_timezone), time_zone) != 0)
		cdp_set_option("TimeZone", time_zone);
	if (strcmp(namespace_search_path, search_path) != 0)
		cdp_set_option("search_path", search_path);
}

/* From here on the rights and settings of the source's owner; an error undoes it as well. */
void
source_owner_enter(SourceOwner *owner)
{
	GetUserIdAndSecContext(&owner->caller, &owner->caller_context);
	source_owner_resume(owner);
	owner->guc_level = NewGUCNestLevel();
	source_owner_settings(owner->time_zone, owner->search_path);
}

void
source_owner_leave(SourceOwner *owner)
{
	AtEOXact_GUC(false, owner->guc_level);
	source_owner_suspend(owner);
}

/* The rights of the caller for a moment, in the middle of the text. */
void
source_owner_suspend(const SourceOwner *owner)
{
	SetUserIdAndSecContext(owner->caller, owner->caller_context);
}

void
source_owner_resume(const SourceOwner *owner)
{
	SetUserIdAndSecContext(owner->role, owner->caller_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

/*
 * Runs a query of the text, between source_owner_enter and source_owner_leave.
 * What the text raises goes through cdp_rethrow_of_text, and what the
 * callback raises, where it says so in is_suspended (NULL: it raises none of its
 * own), does not.
 */
void
source_owner_run(CdpQuery *query, int flags, CdpRowCallback callback, void *argument, const bool *is_suspended)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		(void) cdp_query_run(query, flags, callback, argument);
	}
	PG_CATCH();
	{
		if (is_suspended == NULL || !*is_suspended)
			cdp_rethrow_of_text(context);
		PG_RE_THROW();
	}
	PG_END_TRY();
}
