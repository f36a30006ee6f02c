/*
 * logit_core.h
 *		The arithmetic of logistic regression: sums over the rows at given
 *		coefficients, and the solver that goes from sums to better coefficients.
 *
 * Needs no server.  A fit is a loop:
 *
 *		moments of the rows -> logit_solver_start
 *		repeat: sums of the rows at solver->candidate -> logit_solver_advance
 *		until it says that it is done
 *
 * whoever owns the rows does the scans, in as many parts as it likes, and adds
 * the parts' sums with logit_sums_merge.
 *
 * A row is a vector of terms, the first of which is the intercept's 1.  Packed
 * matrices hold their lower triangle by rows: element (i, j), j <= i, is at
 * i * (i + 1) / 2 + j.
 */
#ifndef CDP_LOGIT_CORE_H
#define CDP_LOGIT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows that are added to the matrix together, for the sake of the cache */
#define LOGIT_BLOCK	4

/* More terms than this make matrices that no query should build */
#define LOGIT_MAX_TERMS	4000

#define LOGIT_MOST_ROWS (INT64_C(1) << 60)

#define LOGIT_STEP_VERSION	1	/* of the binary form of sums */

#define LOGIT_TRIANGLE(terms)	((size_t) (terms) * ((size_t) (terms) + 1) / 2)

/* Doubles behind a LogitSums: centre and vector, matrix, pending rows and their weights */
#define LOGIT_SUMS_DOUBLES(terms) \
	(2 * (size_t) (terms) + LOGIT_TRIANGLE(terms) + LOGIT_BLOCK * ((size_t) (terms) + 1))

typedef enum LogitSumsKind
{
	LOGIT_MOMENTS = 0,			/* before any coefficients: about a centre */
	LOGIT_STEP = 1				/* gradient and Hessian at coefficients */
} LogitSumsKind;

/*
 * The sums of the rows seen.  For LOGIT_MOMENTS the vector is the sum of
 * weight * label * (x - centre), the matrix that of weight * (x - centre)(x -
 * centre)'; row 0 of the matrix holds the sums of weight * (x - centre).  For
 * LOGIT_STEP they are gradient and negative Hessian of the log-likelihood.
 */
typedef struct LogitSums
{
	int32_t		kind;
	int32_t		terms;			/* the intercept among them */
	int32_t		pending;		/* rows not yet in the matrix */
	int32_t		unused;
	uint64_t	fingerprint;	/* of the coefficients and the coding of columns */
	int64_t		rows;
	int64_t		skipped;		/* rows left out because of a NULL */
	double		weight;
	double		positive;		/* sum of weight * label */
	double		positive_rows;	/* sum of labels, unweighted */
	double		log_likelihood;
	double		entropy;		/* log-likelihood of labels that predict themselves: 0 for labels 0 and 1 */
	double		largest;		/* the largest |linear predictor| */
	double		values[];		/* centre, vector, matrix, pending rows, their weights */
} LogitSums;

#define LOGIT_CENTRE(sums)	((sums)->values)
#define LOGIT_VECTOR(sums)	((sums)->values + (sums)->terms)
#define LOGIT_MATRIX(sums)	((sums)->values + 2 * (size_t) (sums)->terms)
#define LOGIT_PENDING(sums)	(LOGIT_MATRIX(sums) + LOGIT_TRIANGLE((sums)->terms))
#define LOGIT_PENDING_WEIGHTS(sums)	(LOGIT_PENDING(sums) + LOGIT_BLOCK * (size_t) (sums)->terms)

extern size_t logit_sums_size(int terms);
extern void logit_sums_init(LogitSums *sums, LogitSumsKind kind, int terms);
extern void logit_sums_add_moments(LogitSums *sums, const double *x, double label, double weight);
extern void logit_sums_add_step(LogitSums *sums, const double *x, const double *coefficients,
								double label, double weight);
extern void logit_scale_numbers(double *restrict terms, const double *restrict numbers, const double *restrict means,
								const double *restrict factors, int count);
extern void logit_sums_flush(LogitSums *sums);
extern bool logit_sums_merge(LogitSums *sums, LogitSums *other);
extern bool logit_sums_measure_wire(const uint8_t *bytes, size_t length, int *terms);
extern bool logit_sums_read_wire(const uint8_t *bytes, size_t length, LogitSums *sums);

/* Probability of a linear predictor, without overflow. */
extern double logit_probability(double eta);

/* log(1 + exp(eta)), without overflow. */
extern double logit_softplus(double eta);

typedef enum LogitOutcome
{
	LOGIT_SCAN,					/* sums at the new candidate are wanted */
	LOGIT_CONVERGED,
	LOGIT_SEPARATED,			/* some coefficients go to infinity */
	LOGIT_STOPPED				/* iterations used up, or no progress */
} LogitOutcome;

typedef struct LogitSolver
{
	/* set by the caller, before the start */
	int			terms;
	double		l1;				/* penalty on sum |coefficient * scale| */
	double		l2;				/* penalty on half the sum of their squares */
	bool		standardize;	/* are penalties on coefficient * standard deviation? */
	int			max_iterations;
	double		tolerance;		/* of the squared Newton decrement */
	bool		only_moments;	/* are the moments weighted otherwise than the steps? */

	/* arrays of the caller, of as many elements as terms */
	double	   *mean;
	double	   *deviation;		/* standard deviation, 0 for constant terms */
	double	   *scale;			/* what rows are divided by: 1 for indicators */
	const bool *indicator;		/* is the term 0 or 1 for a level of a category? */
	double	   *coefficients;	/* on scaled and centred terms */
	double	   *candidate;		/* where the next scan is wanted, likewise */
	double	   *step;
	double	   *standard_errors;	/* raw scale; NAN where there is none */
	double	   *work;			/* 2 * terms */
	bool	   *aliased;
	bool	   *separated;
	double	   *factor;			/* a triangle */
	double	   *curvature;		/* a triangle */

	/* results */
	int			iterations;		/* scans at coefficients */
	int			halvings;
	double		log_likelihood;
	double		null_log_likelihood;
	double		objective;		/* penalised log-likelihood */
	double		decrement;		/* squared Newton decrement of the last step */
	double		largest;
	bool		converged;
} LogitSolver;

extern LogitOutcome logit_solver_start(LogitSolver *solver, LogitSums *moments);
extern LogitOutcome logit_solver_advance(LogitSolver *solver, LogitSums *sums);

#endif							/* CDP_LOGIT_CORE_H */
