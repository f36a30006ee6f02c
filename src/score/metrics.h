/*
 * metrics.h
 *		The value cdp.metrics in C, for what is computed from it.
 */
#ifndef CDP_METRICS_H
#define CDP_METRICS_H

#include "score/metrics_core.h"

/* The stored value */
typedef struct Metrics
{
	int32		vl_len_;
	uint8		version;
	bool		binned;
	uint8		unused[2];
	int64		rows;
	double		log_loss;		/* sum, of binned metrics only: exact ones have it from their groups */
	double		brier;
	int64		count;
	ScoreGroup	groups[FLEXIBLE_ARRAY_MEMBER];
} Metrics;

extern Metrics *metrics_get(Datum datum);
extern void metrics_refuse_scores(void) pg_attribute_noreturn();
extern ScoreReader metrics_reader(const Metrics *metrics);

#endif							/* CDP_METRICS_H */
