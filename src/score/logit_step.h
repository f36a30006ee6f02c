/*
 * logit_step.h
 *		The value cdp.logit_step in C.
 */
#ifndef CDP_LOGIT_STEP_H
#define CDP_LOGIT_STEP_H

#include "score/logit_core.h"

typedef struct LogitStep
{
	int32		vl_len_;
	uint8		version;
	uint8		unused[3];
	LogitSums	sums;			/* on a boundary of 8 bytes, as the type is aligned */
} LogitStep;

extern LogitStep *logit_step_get(Datum datum);

#endif							/* CDP_LOGIT_STEP_H */
