/*
 * audience.h
 *		The type cdp.audience in the server.
 *
 * A value is a varlena whose bytes are those of audience_core.h.
 */
#ifndef CDP_SEGMENT_AUDIENCE_H
#define CDP_SEGMENT_AUDIENCE_H

#include "fmgr.h"

#include "segment/audience_core.h"

/* Buffers in a memory context: the owner, or without one the current one. */
extern const AudienceHost cdp_audience_host;

extern void cdp_audience_error(AudienceStatus status, const char *problem) __attribute__((noreturn));
extern uint64 cdp_audience_id(int64 id);

/*
 * cdp_audience_bytes gives the bytes of a detoasted value.
 */
static inline AudienceBytes
cdp_audience_bytes(struct varlena *value)
{
	return (AudienceBytes){(const uint8_t *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

/*
 * What can go wrong with an audience is raised as an error.
 */
static inline void
cdp_audience_check(AudienceStatus status, const char *problem)
{
	if (unlikely(status != AUDIENCE_OK))
		cdp_audience_error(status, problem);
}

#endif							/* CDP_SEGMENT_AUDIENCE_H */
