/*
 * rfm_core.h
 *		A customer's transactions, merged by period, as they are stored and sent, in
 *		C that needs no running server.
 *
 * docs/score.md specifies the forms.
 */
#ifndef CDP_SCORE_RFM_CORE_H
#define CDP_SCORE_RFM_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RFM_STATE_VERSION	1
#define RFM_ZONE_LENGTH		40
#define RFM_MICROS			1000000 /* amounts are kept in millionths */
#define RFM_NO_END			INT64_MIN

typedef enum RfmRefunds
{
	RFM_REFUNDS_SUBTRACT = 0,
	RFM_REFUNDS_IGNORE = 1
} RfmRefunds;

/* What decides how transactions are merged and counted. */
typedef struct RfmRules
{
	int64_t		merge;			/* microseconds of a period of merging */
	double		period_days;	/* the unit of recency and age */
	int64_t		observation_end;	/* wall clock; RFM_NO_END: the time of asking */
	uint8_t		refunds;
	char		zone[RFM_ZONE_LENGTH + 1];	/* padded with zeros */
} RfmRules;

/*
 * The purchases of one period of merging, or its refunds: the key is twice the
 * number of the period, counted from Monday 2000-01-03, plus 1 for refunds.
 */
typedef struct RfmEntry
{
	int64_t		key;
	int64_t		amount;			/* in millionths; not positive for refunds */
} RfmEntry;

/*
 * A value.  While an aggregate runs, entries are in any order, keys repeat, and
 * there is room for more behind them; a finished value is canonical: sorted,
 * keys distinct, and no room.
 */
typedef struct RfmState
{
	int32_t		vl_len_;		/* varlena header (do not touch directly!) */
	uint8_t		version;
	uint8_t		canonical;
	uint8_t		unused[2];		/* 0 */
	int32_t		count;
	int32_t		unused_too;		/* 0 */
	RfmRules	rules;
	RfmEntry	entries[];
} RfmState;

extern bool rfm_rules_valid(const RfmRules *rules);
extern bool rfm_state_valid(const RfmState *state, size_t size);
extern bool rfm_state_measure_wire(const uint8_t *bytes, size_t length, uint32_t *count);
extern void rfm_state_read_wire(const uint8_t *bytes, size_t length, RfmState *state);

#endif							/* CDP_SCORE_RFM_CORE_H */
