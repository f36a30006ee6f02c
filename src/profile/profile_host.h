/*
 * profile_host.h
 *		Values of the server's types as values of a profile, and back.
 */
#ifndef CDP_PROFILE_HOST_H
#define CDP_PROFILE_HOST_H

#include "utils/jsonb.h"

#include "profile/profile.h"

extern void cdp_profile_pack_integer(ProfileHost *host, ProfileType type, int64 number,
									 ProfileValue *value);
extern void cdp_profile_pack_double(ProfileHost *host, double number, ProfileValue *value);
extern void cdp_profile_pack_float4(ProfileHost *host, float4 number, ProfileValue *value);
extern void cdp_profile_pack_numeric(ProfileHost *host, Datum numeric, bool as_integer,
									 ProfileValue *value);
extern void cdp_profile_pack_text(ProfileHost *host, const char *string, size_t length,
								  ProfileValue *value);
extern void cdp_profile_pack_jsonb(ProfileHost *host, Datum datum, ProfileValue *value);
extern void cdp_profile_pack_scalar(ProfileHost *host, const JsonbValue *scalar,
									ProfileValue *value);
extern Datum cdp_profile_value_to_numeric(ProfileHost *host, const ProfileValue *value);
extern void cdp_profile_value_to_jsonb_value(ProfileHost *host, const ProfileValue *value,
											 JsonbValue *scalar);
extern Datum cdp_profile_value_to_jsonb(ProfileHost *host, const ProfileValue *value);

#endif							/* CDP_PROFILE_HOST_H */
