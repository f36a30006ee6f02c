/*
 * training_sums.h
 *		What cdp.training_sums_agg makes of the rows of the first pass of cdp.train_logit.
 */
#ifndef CDP_TRAINING_SUMS_H
#define CDP_TRAINING_SUMS_H

#include "score/inputs.h"
#include "score/logit_step.h"

extern void training_sums_read(MemoryContext context, bytea *bytes, LogitStep **step, InputSums **inputs);

#endif							/* CDP_TRAINING_SUMS_H */
