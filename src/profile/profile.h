/*
 * profile.h
 *		The type cdp.profile in the server: arguments, results, errors.
 */
#ifndef CDP_PROFILE_H
#define CDP_PROFILE_H

#include "fmgr.h"

#include "cdp.h"
#include "profile/profile_core.h"

/* A profile as it is passed around: packed bytes behind a varlena header. */
typedef struct varlena Profile;

#define DatumGetProfile(datum)	((Profile *) PG_DETOAST_DATUM_PACKED(datum))
#define PG_GETARG_PROFILE(n)	DatumGetProfile(PG_GETARG_DATUM(n))
#define PG_RETURN_PROFILE(p)	PG_RETURN_POINTER(p)

/* The host of the core that is the server. */
typedef struct ProfileServerHost
{
	ProfileHost host;
	struct Node *escontext;		/* where soft errors are noted, or NULL */
} ProfileServerHost;

extern void cdp_profile_host_init(ProfileServerHost *host);
extern void cdp_profile_host_error(ProfileServerHost *host, const char *type_name,
								   const char *input, size_t length);
extern void cdp_profile_fail(ProfileServerHost *host) pg_attribute_noreturn();
extern Profile *cdp_profile_from_builder(ProfileBuilder *builder);
extern void cdp_profile_open(ProfileServerHost *host, ProfileReader *reader,
							 const Profile *profile);
extern text *cdp_profile_buffer_to_text(const ProfileBuffer *buffer);

#endif							/* CDP_PROFILE_H */
