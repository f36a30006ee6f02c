/*
 * lifetime_model.h
 *		The type cdp.lifetime_model: a fitted model as a value.
 *
 * Its formats are specified in docs/score.md.
 */
#ifndef CDP_SCORE_LIFETIME_MODEL_H
#define CDP_SCORE_LIFETIME_MODEL_H

#include "score/lifetime_core.h"
#include "utils/timestamp.h"

#define LIFETIME_MODEL_VERSION	1

#define LIFETIME_MODEL_FITTED		0x01	/* what follows the parameters is known */
#define LIFETIME_MODEL_CONVERGED	0x02
#define LIFETIME_MODEL_PRIOR		0x04	/* a prior took part */
#define LIFETIME_MODEL_FLAGS		0x07

/* Parameters that are read from users stay within these limits. */
#define LIFETIME_MODEL_SMALLEST 1e-9
#define LIFETIME_MODEL_LARGEST	1e12

#define LIFETIME_DAYS_PER_YEAR	365.25
#define LIFETIME_DAYS_PER_MONTH (LIFETIME_DAYS_PER_YEAR / 12)

/*
 * A stored value.  Storage is plain, so that it is aligned and never short.
 */
typedef struct LifetimeModel
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	uint8		version;
	uint8		family;
	uint8		flags;
	uint8		unused;			/* 0 */
	int32		iterations;
	int32		unused_too;		/* 0 */
	double		period_days;	/* the unit of time; 0 where unknown */
	double		parameters[LIFETIME_PARAMETERS];	/* 1 where the family has none */
	double		standard_errors[LIFETIME_PARAMETERS];	/* NaN where unknown */
	double		log_likelihood;
	double		weight;
	double		gradient_norm;
	double		correlation;	/* Gamma-Gamma: of frequency and monetary; NaN */
} LifetimeModel;

extern LifetimeModel *lifetime_model_create(LifetimeFamily family);
extern LifetimeModel *lifetime_model_get(Datum value);
extern double lifetime_interval_days(const Interval *interval);
extern Interval *lifetime_days_interval(double days);

#define PG_GETARG_LIFETIME_MODEL(n) lifetime_model_get(PG_GETARG_DATUM(n))

#endif							/* CDP_SCORE_LIFETIME_MODEL_H */
