/*
 * survivorship.h
 *		The type cdp.survivorship in the server.
 */
#ifndef CDP_SURVIVORSHIP_H
#define CDP_SURVIVORSHIP_H

#include "profile/profile.h"
#include "profile/survivorship_core.h"

/* The rules where none are given: the newest value wins. */
extern const Survivorship cdp_survivorship_last;

extern const Survivorship *cdp_survivorship_argument(FunctionCallInfo fcinfo, int argument);

#endif							/* CDP_SURVIVORSHIP_H */
