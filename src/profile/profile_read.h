/*
 * profile_read.h
 *		The value that wins for a trait, in the server.
 */
#ifndef CDP_PROFILE_READ_H
#define CDP_PROFILE_READ_H

#include "utils/jsonb.h"

#include "profile/profile.h"
#include "profile/survivorship.h"

extern void cdp_profile_open_at(ProfileServerHost *host, ProfileReader *reader, Datum datum,
								const char *trait, size_t length);
extern bool cdp_profile_pick(ProfileServerHost *host, Datum profile, const char *trait,
							 size_t length, const Survivorship *survivorship,
							 ProfileValue *value);
extern text *cdp_profile_value_to_text(ProfileServerHost *host, const ProfileValue *value);

#endif							/* CDP_PROFILE_READ_H */
