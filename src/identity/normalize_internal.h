/*
 * normalize_internal.h
 *		What the server's files of the normalisers share.
 */
#ifndef CDP_IDENTITY_NORMALIZE_INTERNAL_H
#define CDP_IDENTITY_NORMALIZE_INTERNAL_H

#include "identity/normalize_core.h"

extern NormalizeStatus normalize_phone(const char *input, size_t length,
									   const char *region,
									   NormalizeBuffer *output);
extern void normalize_phone_check_region(const char *region);
extern const char *normalize_phone_version(void);

#endif							/* CDP_IDENTITY_NORMALIZE_INTERNAL_H */
