/*
 * lifetime_core.h
 *		Models of how long customers stay and what they spend: likelihoods,
 *		fitting and predictions, in C that needs no running server.
 *
 * These files include nothing of PostgreSQL and raise no errors.  The formulas
 * are those of docs/score.md, in forms that neither overflow nor cancel: in log
 * space, and with integrals or sums of positive terms where the literature has
 * hypergeometric functions.
 */
#ifndef CDP_SCORE_LIFETIME_CORE_H
#define CDP_SCORE_LIFETIME_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values are stored in models: they stay. */
typedef enum LifetimeFamily
{
	LIFETIME_BGNBD = 1,
	LIFETIME_MBGNBD = 2,
	LIFETIME_PARETO_NBD = 3,
	LIFETIME_GAMMA_GAMMA = 4,
	LIFETIME_BGBB = 5,
	LIFETIME_SBG = 6
} LifetimeFamily;

#define LIFETIME_FAMILY_COUNT	6
#define LIFETIME_PARAMETERS		4	/* the most that a family has */
#define LIFETIME_HESSIAN		10	/* lower triangle of 4 by 4 */

/* The place of (i, j), i >= j, in a packed lower triangle. */
#define LIFETIME_PACKED(i, j)	((i) * ((i) + 1) / 2 + (j))

/*
 * What is known of a family of models.
 */
typedef struct LifetimeFamilyInfo
{
	const char *name;			/* as in the text form of a model */
	const char *keys[LIFETIME_PARAMETERS];	/* names as in the literature */
	double		lower[LIFETIME_PARAMETERS]; /* parameters are greater than this */
	LifetimeFamily family;
	int			parameter_count;
} LifetimeFamilyInfo;

/*
 * One distinct observation and how many customers (or what weight) it stands
 * for.  What x, y and z are depends on the family:
 *		BG/NBD, MBG/NBD, Pareto/NBD		frequency, recency, age
 *		BG/BB							frequency, recency, opportunities
 *		Gamma-Gamma						frequency, monetary, 0
 *		sBG								periods, 1 if churned, 0
 */
typedef struct LifetimeRow
{
	double		x;
	double		y;
	double		z;
	double		weight;
} LifetimeRow;

/* Sums over all rows; gradient and Hessian are by the parameters themselves. */
typedef struct LifetimeSums
{
	double		value;
	double		gradient[LIFETIME_PARAMETERS];
	double		hessian[LIFETIME_HESSIAN];
} LifetimeSums;

/*
 * Gaussian prior on the logarithms of the parameters (of their distance to the
 * lower limit); none where deviation is 0.
 */
typedef struct LifetimePrior
{
	double		center[LIFETIME_PARAMETERS];
	double		deviation;
} LifetimePrior;

typedef struct LifetimeFit
{
	double		parameters[LIFETIME_PARAMETERS];
	double		standard_errors[LIFETIME_PARAMETERS];	/* NaN where unknown */
	double		log_likelihood; /* without the prior */
	double		weight;			/* the number of customers */
	double		gradient_norm;	/* largest component, per customer */
	int			iterations;
	bool		converged;
	bool		cancelled;		/* "interrupted" said so */
	bool		out_of_memory;
} LifetimeFit;

/* Asked now and then in long computations: whether to stop. */
typedef bool (*LifetimeInterrupted) (void);

/* lifetime_math.c */

/*
 * ln(Gamma(a + n) / Gamma(a)) and its first two derivatives by a.
 */
typedef struct LifetimeRising
{
	double		a;
	double		n;
	double		value;
	double		first;
	double		second;
} LifetimeRising;

/* A quadrature rule for expectations over a Beta or a Gamma distribution. */
#define LIFETIME_RULE_NODES 1024
typedef struct LifetimeRule
{
	int			count;
	double		node[LIFETIME_RULE_NODES];
	double		complement[LIFETIME_RULE_NODES];	/* 1 - node, for Beta */
	double		weight[LIFETIME_RULE_NODES];	/* their sum is 1 */
} LifetimeRule;

/* An integral by panels: nodes, logarithms of what they add, and their sum. */
#define LIFETIME_PANELS			64
#define LIFETIME_PANEL_NODES	16
typedef struct LifetimePowerIntegral
{
	int			count;
	double		log_first[LIFETIME_PANELS * LIFETIME_PANEL_NODES];
	double		log_second[LIFETIME_PANELS * LIFETIME_PANEL_NODES];
	double		share[LIFETIME_PANELS * LIFETIME_PANEL_NODES];	/* their sum is 1 */
	double		log_value;		/* -infinity where the range is empty */
} LifetimePowerIntegral;

extern double lifetime_log_add(double a, double b);
extern double lifetime_trigamma(double z);
extern double lifetime_rising(double a, double n);
extern void lifetime_rising_start(LifetimeRising *rising, double a);
extern void lifetime_rising_to(LifetimeRising *rising, double n);
extern void lifetime_beta_rule(double a, double b, double smallest, LifetimeRule *rule);
extern void lifetime_gamma_rule(double shape, double rate, LifetimeRule *rule);
extern void lifetime_power_integral(double first_power, double second_power,
									double first_offset, double second_offset,
									double low, double high,
									LifetimePowerIntegral *result);
extern double lifetime_discounted_power(double power, double offset, double rate);

/* lifetime_likelihood.c */
extern const LifetimeFamilyInfo *lifetime_family(LifetimeFamily family);
extern const LifetimeFamilyInfo *lifetime_family_by_name(const char *name);
extern const char *lifetime_check_row(LifetimeFamily family, const LifetimeRow *row);
extern bool lifetime_likelihood(LifetimeFamily family, const double *parameters,
								const LifetimeRow *rows, size_t count,
								bool with_hessian, LifetimeSums *sums,
								LifetimeInterrupted interrupted);

/* lifetime_bg.c */
extern bool lifetime_bg_rows(bool modified, const double *parameters,
							 const LifetimeRow *rows, size_t count,
							 LifetimeSums *sums, LifetimeInterrupted interrupted);

/* lifetime_fit.c */
extern void lifetime_start(LifetimeFamily family, const LifetimeRow *rows,
						   size_t count, double *parameters);
extern void lifetime_fit(LifetimeFamily family, const LifetimeRow *rows, size_t count,
						 const LifetimePrior *prior, LifetimeInterrupted interrupted,
						 LifetimeFit *fit);

/* lifetime_predict.c */
extern double lifetime_expected_purchases(LifetimeFamily family, const double *parameters,
										  double frequency, double recency,
										  double age, double horizon);
extern double lifetime_weighted_purchases(LifetimeFamily family, const double *parameters,
										  double frequency, double recency, double age,
										  const double *horizons, const double *weights,
										  int count);
extern double lifetime_alive(LifetimeFamily family, const double *parameters,
							 double frequency, double recency, double age,
							 double horizon);
extern double lifetime_no_purchase(LifetimeFamily family, const double *parameters,
								   double frequency, double recency, double age,
								   double horizon);
extern double lifetime_purchase_probability(LifetimeFamily family, const double *parameters,
											double purchases, double horizon);
extern double lifetime_residual_transactions(LifetimeFamily family, const double *parameters,
											 double frequency, double recency,
											 double age, double rate);
extern double lifetime_expected_spend(const double *parameters, double frequency,
									  double monetary);
extern double lifetime_survival(const double *parameters, double periods);
extern double lifetime_residual_life(const double *parameters, double periods,
									 double discount);

#endif							/* CDP_SCORE_LIFETIME_CORE_H */
