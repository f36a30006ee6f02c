/*
 * logit_model.h
 *		The value cdp.logit_model in C: what is in it, reading and writing.
 *
 * Stored, a model is a jsonb document (docs/score.md specifies it), so that its
 * text, its binary form and its cast to jsonb are PostgreSQL's own.
 */
#ifndef CDP_LOGIT_MODEL_H
#define CDP_LOGIT_MODEL_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "score/logit_core.h"
#include "utils/jsonb.h"

#define LOGIT_MODEL_VERSION	1

typedef enum LogitFeatureKind
{
	LOGIT_NUMBER,				/* a number, or false and true as 0 and 1 */
	LOGIT_VECTOR,				/* an array of numbers, of the same length in each row */
	LOGIT_CATEGORY				/* text: an indicator for each level but the first */
} LogitFeatureKind;

/* How an input was distributed at training: see inputs.h */
typedef struct LogitBins
{
	int			bound_count;	/* of a number */
	double	   *bounds;			/* ascending */
	int			share_count;
	double	   *shares;			/* of each bin, or level; then of others (levels), then of NULL */
} LogitBins;

typedef struct LogitFeature
{
	char	   *name;
	LogitFeatureKind kind;
	int			length;			/* terms that it has; 0: not known yet */
	int			first_term;
	int			input;			/* where its values begin among the numbers, or its place among the categories */
	int			level_count;
	char	  **levels;			/* in bytewise order; the first is the reference */
	int			bins_count;		/* 0: not known; otherwise one for each number, or one for levels */
	LogitBins  *bins;
} LogitFeature;

typedef struct LogitModel
{
	int			feature_count;
	LogitFeature *features;
	int			numbers;		/* values of number and vector features */
	int			categories;
	int			terms;			/* with the intercept; 0: not known yet */

	/* for each term */
	double	   *coefficients;	/* raw scale; 0 where aliased */
	double	   *standard_errors;	/* NAN: none */
	double	   *means;
	double	   *deviations;
	double	   *scales;			/* of scans: 1 for indicators and constants, else the deviation */
	bool	   *indicator;
	bool	   *aliased;
	bool	   *separated;

	double		center;			/* linear predictor where numbers are at their mean and categories at the reference */
	double		class_weights[2];
	double		l1;
	double		l2;
	bool		standardize;
	bool		null_error;		/* is a NULL feature an error when fitting? */
	const char *label;			/* may be NULL */
	int64		rows;
	int64		skipped;
	double		weight;
	double		positive;		/* weighted */
	double		log_likelihood;
	double		null_log_likelihood;
	double		decrement;
	int			iterations;
	bool		converged;
	bool		fitted;			/* are there coefficients? */
} LogitModel;

#define PG_GETARG_LOGIT_MODEL_P(n)	((Jsonb *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

extern void logit_features_write(StringInfo text, const LogitModel *model);
extern void logit_features_read(JsonbContainer *root, LogitModel *model);
extern Jsonb *logit_model_write(const LogitModel *model);
extern LogitModel *logit_model_read(Jsonb *document);
extern LogitModel *logit_model_argument(FunctionCallInfo fcinfo, int argument);
extern void logit_model_number_inputs(LogitModel *model);
extern void logit_model_allocate_terms(LogitModel *model);
extern char *logit_term_name(const LogitModel *model, int term);
extern int	logit_level(const LogitFeature *feature, const char *value, size_t length);
extern double logit_linear_predictor(const LogitModel *model, const double *numbers, const int *levels);

#endif							/* CDP_LOGIT_MODEL_H */
