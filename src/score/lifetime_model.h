/*
 * lifetime_model.h
 *		The type cdp.lifetime_model: a fitted model as a value.
 *
 * Its formats are specified in docs/score.md.
 */
#ifndef CDP_SCORE_LIFETIME_MODEL_H
#define CDP_SCORE_LIFETIME_MODEL_H

#include "score/lifetime_format.h"
#include "utils/timestamp.h"

#define LIFETIME_DAYS_PER_YEAR	365.25
#define LIFETIME_DAYS_PER_MONTH (LIFETIME_DAYS_PER_YEAR / 12)

extern LifetimeModel *lifetime_model_create(LifetimeFamily family);
extern LifetimeModel *lifetime_model_get(Datum value);
extern double lifetime_interval_days(const Interval *interval);
extern Interval *lifetime_days_interval(double days);

#define PG_GETARG_LIFETIME_MODEL(n) lifetime_model_get(PG_GETARG_DATUM(n))

#endif							/* CDP_SCORE_LIFETIME_MODEL_H */
