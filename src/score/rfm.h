/*
 * rfm.h
 *		The type cdp.rfm_summary, as C sees it: what a customer's transactions
 *		come to.
 */
#ifndef CDP_SCORE_RFM_H
#define CDP_SCORE_RFM_H

#include "access/htup.h"

typedef struct RfmSummary
{
	double		frequency;		/* purchases after the first */
	double		recency;		/* from the first to the last, in periods */
	double		age;			/* from the first to the end of observation */
	double		monetary;		/* mean of purchases after the first; NaN: none */
	double		purchases;
	double		total;
	double		period_days;	/* the unit of recency and age */
} RfmSummary;

/* The columns of cdp.rfm_summary. */
enum
{
	RFM_FREQUENCY = 1,
	RFM_RECENCY,
	RFM_AGE,
	RFM_MONETARY,
	RFM_FIRST_AT,
	RFM_LAST_AT,
	RFM_PURCHASES,
	RFM_TOTAL,
	RFM_PERIOD
};
#define RFM_COLUMNS RFM_PERIOD

extern bool rfm_summary_read(HeapTupleHeader header, RfmSummary *summary);

#endif							/* CDP_SCORE_RFM_H */
