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

void
source_owner_find(SourceOwner *owner, const char *source, const char *role)
{
	source_owner_find_for(owner, "source", source, role);
}

/*
 * From here on the rights of the source's owner; an error undoes it as well.
 * What the session has already is not set again, which takes longer than to see.
 */
void
source_owner_enter(SourceOwner *owner)
{
	GetUserIdAndSecContext(&owner->caller, &owner->caller_context);
	source_owner_resume(owner);
	owner->guc_level = NewGUCNestLevel();
	if (strcmp(pg_get_timezone_name(session_timezone), owner->time_zone) != 0)
		cdp_set_option("TimeZone", owner->time_zone);
	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_MDY)
		cdp_set_option("DateStyle", "ISO, MDY");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		cdp_set_option("IntervalStyle", "postgres");
	if (strcmp(namespace_search_path, owner->search_path) != 0)
		cdp_set_option("search_path", owner->search_path);
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
