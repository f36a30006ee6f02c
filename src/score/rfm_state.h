/*
 * rfm_state.h
 *		The type cdp.rfm_state: a customer's transactions, merged by period.
 *
 * Its formats are specified in docs/score.md.
 */
#ifndef CDP_SCORE_RFM_STATE_H
#define CDP_SCORE_RFM_STATE_H

#include "datatype/timestamp.h"

#define RFM_STATE_VERSION	1
#define RFM_ZONE_LENGTH		40
#define RFM_MICROS			1000000 /* amounts are kept in millionths */
#define RFM_NO_END			PG_INT64_MIN

typedef enum RfmRefunds
{
	RFM_REFUNDS_SUBTRACT = 0,
	RFM_REFUNDS_IGNORE = 1
} RfmRefunds;

/* What decides how transactions are merged and counted. */
typedef struct RfmRules
{
	int64		merge;			/* microseconds of a period of merging */
	double		period_days;	/* the unit of recency and age */
	int64		observation_end;	/* wall clock; RFM_NO_END: the time of asking */
	uint8		refunds;
	char		zone[RFM_ZONE_LENGTH + 1];	/* padded with zeros */
} RfmRules;

/*
 * The purchases of one period of merging, or its refunds: the key is twice the
 * number of the period, counted from Monday 2000-01-03, plus 1 for refunds.
 */
typedef struct RfmEntry
{
	int64		key;
	int64		amount;			/* in millionths; not positive for refunds */
} RfmEntry;

/*
 * A value.  While an aggregate runs, entries are in any order, keys repeat, and
 * there is room for more behind them; a finished value is canonical: sorted,
 * keys distinct, and no room.
 */
typedef struct RfmState
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	uint8		version;
	uint8		canonical;
	uint8		unused[2];		/* 0 */
	int32		count;
	int32		unused_too;		/* 0 */
	RfmRules	rules;
	RfmEntry	entries[FLEXIBLE_ARRAY_MEMBER];
} RfmState;

#define RFM_STATE_SIZE(capacity) \
	add_size(offsetof(RfmState, entries), mul_size(sizeof(RfmEntry), (capacity)))

extern RfmState *rfm_state_create(const RfmRules *rules, int32 capacity);
extern RfmState *rfm_state_get(Datum value);
extern RfmState *rfm_state_add(RfmState *state, int64 key, int64 amount);
extern void rfm_state_normalize(RfmState *state);
extern RfmState *rfm_state_finish(RfmState *state);
extern void rfm_state_require_same(const RfmRules *a, const RfmRules *b);
extern void rfm_rules_check(const RfmRules *rules);

#endif							/* CDP_SCORE_RFM_STATE_H */
