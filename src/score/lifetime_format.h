/*
 * lifetime_format.h
 *		A fitted model as it is stored and sent, in C that needs no running server.
 *
 * docs/score.md specifies both forms.
 */
#ifndef CDP_SCORE_LIFETIME_FORMAT_H
#define CDP_SCORE_LIFETIME_FORMAT_H

#include "score/lifetime_core.h"

#define LIFETIME_MODEL_VERSION	1

#define LIFETIME_MODEL_FITTED		0x01	/* what follows the parameters is known */
#define LIFETIME_MODEL_CONVERGED	0x02
#define LIFETIME_MODEL_PRIOR		0x04	/* a prior took part */
#define LIFETIME_MODEL_FLAGS		0x07

/* Parameters that are read from users stay within these limits. */
#define LIFETIME_MODEL_SMALLEST 1e-9
#define LIFETIME_MODEL_LARGEST	1e12

/*
 * A stored value.  Storage is plain, so that it is aligned and never short.
 */
typedef struct LifetimeModel
{
	int32_t		vl_len_;		/* varlena header (do not touch directly!) */
	uint8_t		version;
	uint8_t		family;
	uint8_t		flags;
	uint8_t		unused;			/* 0 */
	int32_t		iterations;
	int32_t		unused_too;		/* 0 */
	double		period_days;	/* the unit of time; 0 where unknown */
	double		parameters[LIFETIME_PARAMETERS];	/* 1 where the family has none */
	double		standard_errors[LIFETIME_PARAMETERS];	/* NaN where unknown */
	double		log_likelihood;
	double		weight;
	double		gradient_norm;
	double		correlation;	/* Gamma-Gamma: of frequency and monetary; NaN */
} LifetimeModel;

/* What may be wrong with a model. */
typedef enum LifetimeModelFault
{
	LIFETIME_MODEL_SOUND,
	LIFETIME_MODEL_UNKNOWN_VERSION,
	LIFETIME_MODEL_INVALID,
	LIFETIME_MODEL_OUT_OF_RANGE /* a parameter is */
} LifetimeModelFault;

extern LifetimeModelFault lifetime_model_check(const LifetimeModel *model, int *parameter);
extern LifetimeModelFault lifetime_model_read_wire(const uint8_t *bytes, size_t length, LifetimeModel *model);

#endif							/* CDP_SCORE_LIFETIME_FORMAT_H */
