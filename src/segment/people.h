/*
 * people.h
 *		What previews, explanations and segments as of a time have in common.
 */
#ifndef CDP_SEGMENT_PEOPLE_H
#define CDP_SEGMENT_PEOPLE_H

#include "trait/expression.h"

extern void require_reader(void);

#endif							/* CDP_SEGMENT_PEOPLE_H */
