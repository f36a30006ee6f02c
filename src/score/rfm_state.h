/*
 * rfm_state.h
 *		The type cdp.rfm_state: a customer's transactions, merged by period.
 *
 * Its formats are specified in docs/score.md.
 */
#ifndef CDP_SCORE_RFM_STATE_H
#define CDP_SCORE_RFM_STATE_H

#include "datatype/timestamp.h"
#include "score/rfm_core.h"

#define RFM_STATE_SIZE(capacity) \
	add_size(offsetof(RfmState, entries), mul_size(sizeof(RfmEntry), (capacity)))

extern RfmState *rfm_state_create(const RfmRules *rules, int32 capacity);
extern RfmState *rfm_state_get(Datum value);
extern RfmState *rfm_state_add(RfmState *state, int64 key, int64 amount);
extern void rfm_state_normalize(RfmState *state);
extern RfmState *rfm_state_finish(RfmState *state);
extern void rfm_state_require_same(const RfmRules *a, const RfmRules *b);

#endif							/* CDP_SCORE_RFM_STATE_H */
