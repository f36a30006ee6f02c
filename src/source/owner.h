/*
 * owner.h
 *		Running the text of a source with the rights of the source's owner.
 */
#ifndef CDP_SOURCE_OWNER_H
#define CDP_SOURCE_OWNER_H

#include "query.h"

typedef struct SourceOwner
{
	Oid			role;
	char	   *time_zone;
	char	   *search_path;

	/* What to go back to. */
	Oid			caller;
	int			caller_context;
	int			guc_level;
} SourceOwner;

extern void source_owner_find_for(SourceOwner *owner, const char *kind, const char *name, const char *role);
extern void source_owner_find(SourceOwner *owner, const char *source, const char *role);
extern void source_owner_settings(const char *time_zone, const char *search_path);
extern void source_owner_enter(SourceOwner *owner);
extern void source_owner_leave(SourceOwner *owner);
extern void source_owner_suspend(const SourceOwner *owner);
extern void source_owner_resume(const SourceOwner *owner);
extern void source_owner_run(CdpQuery *query, int flags, CdpRowCallback callback, void *argument, const bool *is_suspended);

#endif							/* CDP_SOURCE_OWNER_H */
