/*
 * logit_step.h
 *		The value cdp.logit_step in C, and a row that its aggregates are given.
 */
#ifndef CDP_LOGIT_STEP_H
#define CDP_LOGIT_STEP_H

#include "fmgr.h"
#include "score/logit_model.h"

typedef struct LogitStep
{
	int32		vl_len_;
	uint8		version;
	uint8		unused[3];
	LogitSums	sums;			/* on a boundary of 8 bytes, as the type is aligned */
} LogitStep;

/* A row that was added to a step; one with a NULL is left out of it and has neither of these. */
typedef struct LogitStepRow
{
	int			count;
	const double *numbers;
	const int  *levels;			/* of the categories */
} LogitStepRow;

extern LogitStep *logit_step_get(Datum datum);
extern Size logit_step_size(int terms);
extern const LogitModel *logit_step_model(FunctionCallInfo fcinfo);
extern LogitStep *logit_step_add(FunctionCallInfo fcinfo, LogitStep *step, MemoryContext context, LogitStepRow *row);
extern LogitStep *logit_step_flushed_copy(LogitStep *step);
extern void logit_step_merge(LogitStep *step, LogitStep *other);

#endif							/* CDP_LOGIT_STEP_H */
