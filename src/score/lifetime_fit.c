/*
 * lifetime_fit.c
 *		Maximum likelihood (or maximum a posteriori) for the lifetime models.
 *
 * L-BFGS on the logarithms of the parameters (on a part of the rows, where there
 * are many), then Newton steps with the analytic Hessian on all of them: these end where rounding does, so that the result hardly
 * depends on the way there, and the last Hessian gives the standard errors.
 */
#include <float.h>
#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/lifetime_core.h"

/*
 * No parameter goes beyond its start value by more than this factor (as a
 * logarithm): a likelihood that rises for ever, as with too few customers, ends
 * at a soft wall there, and the fit is reported as not converged.
 */
#define WALL			11.5
#define WALL_HARDNESS	4.0
#define NEWTON_STEPS	25
#define LAST_STEP		1e-7	/* Newton's error after it is the square of that */
#define PART			16384	/* rows with which a large fit begins */

typedef struct Problem
{
	const LifetimeFamilyInfo *family;
	const LifetimeRow *rows;
	size_t		count;
	double		weight;
	double		start[LIFETIME_PARAMETERS]; /* of the logarithms */
	const LifetimePrior *prior;
	LifetimeInterrupted interrupted;
	bool		cancelled;
	int			evaluations;
} Problem;

/*
 * lifetime_start gives the start values: the usual ones, with times in units of
 * a thirtieth of the mean age, so that the unit of the data does not matter.
 */
void
lifetime_start(LifetimeFamily family, const LifetimeRow *rows, size_t count,
			   double *parameters)
{
	double		weight = 0;
	double		sum = 0;
	double		unit;

	for (size_t i = 0; i < count; i++)
	{
		if (family == LIFETIME_GAMMA_GAMMA && rows[i].x == 0)
			continue;
		weight += rows[i].weight;
		sum += rows[i].weight * (family == LIFETIME_GAMMA_GAMMA ? rows[i].y : rows[i].z);
	}
	unit = weight > 0 && sum > 0 ? sum / weight : 1;

	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		parameters[i] = 1;
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
			parameters[1] = unit / 10;
			parameters[3] = 3;
			break;
		case LIFETIME_PARETO_NBD:
			parameters[1] = unit / 3;
			parameters[3] = unit / 3;
			break;
		case LIFETIME_GAMMA_GAMMA:
			parameters[0] = 3;
			parameters[1] = 3;
			parameters[2] = unit * 2 / 3;
			break;
		case LIFETIME_BGBB:
		case LIFETIME_SBG:
			break;
	}
}

/*
 * evaluate computes the mean log-likelihood per customer, with prior and wall,
 * and its derivatives by the logarithms theta of the parameters.
 */
static bool
evaluate(Problem *problem, const double *theta, double *value, double *gradient,
		 double *hessian)
{
	const LifetimeFamilyInfo *family = problem->family;
	int			count = family->parameter_count;
	double		parameters[LIFETIME_PARAMETERS];
	double		by_log[LIFETIME_PARAMETERS];
	LifetimeSums sums;

	for (int i = 0; i < count; i++)
	{
		double		limited = fmax(fmin(theta[i], problem->start[i] + WALL + 5), problem->start[i] - WALL - 5);

		by_log[i] = exp(limited);
		parameters[i] = family->lower[i] + by_log[i];
	}
	problem->evaluations++;
	if (!lifetime_likelihood(family->family, parameters, problem->rows, problem->count,
							 hessian != NULL, &sums, problem->interrupted))
	{
		problem->cancelled = true;
		return false;
	}

	*value = sums.value / problem->weight;
	for (int i = 0; i < count; i++)
	{
		gradient[i] = by_log[i] * sums.gradient[i] / problem->weight;
		if (hessian)
		{
			for (int j = 0; j <= i; j++)
				hessian[LIFETIME_PACKED(i, j)] = by_log[i] * by_log[j] * sums.hessian[LIFETIME_PACKED(i, j)] / problem->weight;
			hessian[LIFETIME_PACKED(i, i)] += gradient[i];
		}
	}
	for (int i = 0; i < count; i++)
	{
		double		away = theta[i] - problem->start[i];
		double		beyond = fabs(away) - WALL;

		if (beyond > 0)
		{
			*value -= 0.5 * WALL_HARDNESS * beyond * beyond;
			gradient[i] -= WALL_HARDNESS * copysign(beyond, away);
			if (hessian)
				hessian[LIFETIME_PACKED(i, i)] -= WALL_HARDNESS;
		}
		if (problem->prior && problem->prior->deviation > 0)
		{
			double		precision = 1 / (problem->prior->deviation * problem->prior->deviation * problem->weight);
			double		distance = theta[i] - problem->prior->center[i];

			*value -= 0.5 * precision * distance * distance;
			gradient[i] -= precision * distance;
			if (hessian)
				hessian[LIFETIME_PACKED(i, i)] -= precision;
		}
	}
	return isfinite(*value);
}

static double
evaluate_negative(void *instance, const double *theta, double *gradient, const int count,
				  const double step)
{
	Problem	   *problem = instance;
	double		value;

	(void) step;
	if (problem->cancelled || !evaluate(problem, theta, &value, gradient, NULL))
	{
		/* ends the search, since no step is good enough any more */
		for (int i = 0; i < count; i++)
			gradient[i] = 0;
		return 1e300;
	}
	for (int i = 0; i < count; i++)
		gradient[i] = -gradient[i];
	return -value;
}

static int
progress(void *instance, const double *theta, const double *gradient, const double value,
		 const double norm, const double gradient_norm, const double step, int count,
		 int iteration, int evaluations)
{
	Problem	   *problem = instance;

	(void) theta;
	(void) gradient;
	(void) value;
	(void) norm;
	(void) gradient_norm;
	(void) step;
	(void) count;
	(void) iteration;
	(void) evaluations;
	return problem->cancelled ? 1 : 0;
}

/*
 * factorize makes the Cholesky factor of the negative of a packed symmetric
 * matrix, and returns false where that is not positive definite.
 */
static bool
factorize(const double *matrix, int count, double *factor)
{
	for (int i = 0; i < count; i++)
		for (int j = 0; j <= i; j++)
		{
			double		sum = -matrix[LIFETIME_PACKED(i, j)];

			for (int k = 0; k < j; k++)
				sum -= factor[LIFETIME_PACKED(i, k)] * factor[LIFETIME_PACKED(j, k)];
			if (i != j)
				factor[LIFETIME_PACKED(i, j)] = sum / factor[LIFETIME_PACKED(j, j)];
			else if (sum > 1e-13 * -matrix[LIFETIME_PACKED(i, i)] && sum > 0)
				factor[LIFETIME_PACKED(i, i)] = sqrt(sum);
			else
				return false;
		}
	return true;
}

static void
solve(const double *factor, int count, const double *right, double *solution)
{
	for (int i = 0; i < count; i++)
	{
		solution[i] = right[i];
		for (int k = 0; k < i; k++)
			solution[i] -= factor[LIFETIME_PACKED(i, k)] * solution[k];
		solution[i] /= factor[LIFETIME_PACKED(i, i)];
	}
	for (int i = count - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < count; k++)
			solution[i] -= factor[LIFETIME_PACKED(k, i)] * solution[k];
		solution[i] /= factor[LIFETIME_PACKED(i, i)];
	}
}

static double
largest(const double *values, int count)
{
	double		result = 0;

	for (int i = 0; i < count; i++)
		result = fmax(result, fabs(values[i]));
	return result;
}

/*
 * lifetime_fit finds the parameters.  Rows have passed lifetime_check_row, are
 * distinct and sorted, and their weights are positive.
 */
void
lifetime_fit(LifetimeFamily family, const LifetimeRow *rows, size_t count,
			 const LifetimePrior *prior, LifetimeInterrupted interrupted,
			 LifetimeFit *fit)
{
	Problem		problem = {0};
	lbfgs_parameter_t settings;
	int			dimension;
	int			status;
	double		theta[LIFETIME_PARAMETERS] = {0};
	double		value = 0;
	double		gradient[LIFETIME_PARAMETERS] = {0};
	double		hessian[LIFETIME_HESSIAN];
	double		factor[LIFETIME_HESSIAN] = {0};
	bool		definite = false;
	bool		settled = false;
	bool		at_wall = false;
	LifetimeSums sums;
	double	   *vector;
	LifetimeRow *part = NULL;

	memset(fit, 0, sizeof(*fit));
	problem.family = lifetime_family(family);
	problem.rows = rows;
	problem.count = count;
	problem.prior = prior;
	problem.interrupted = interrupted;
	for (size_t i = 0; i < count; i++)
		if (family != LIFETIME_GAMMA_GAMMA || rows[i].x > 0)
			problem.weight += rows[i].weight;
	fit->weight = problem.weight;
	dimension = problem.family->parameter_count;

	lifetime_start(family, rows, count, fit->parameters);
	for (int i = 0; i < dimension; i++)
		problem.start[i] = theta[i] = log(fit->parameters[i] - problem.family->lower[i]);
	/* the wall is around where the prior is */
	if (prior && prior->deviation > 0)
		for (int i = 0; i < dimension; i++)
			problem.start[i] = theta[i] = prior->center[i];

	/* the library wants its own alignment */
	vector = lbfgs_malloc(dimension);
	if (vector == NULL)
	{
		fit->out_of_memory = true;
		return;
	}
	memcpy(vector, theta, sizeof(double) * dimension);
	if (count >= 2 * PART)
	{
		/* of many rows, an even part leads near the optimum */
		part = calloc(PART, sizeof(LifetimeRow));
		if (part == NULL)
		{
			lbfgs_free(vector);
			fit->out_of_memory = true;
			return;
		}
		problem.weight = 0;
		for (size_t i = 0; i < PART; i++)
		{
			part[i] = rows[(size_t) ((double) i * (double) count / PART)];
			if (family != LIFETIME_GAMMA_GAMMA || part[i].x > 0)
				problem.weight += part[i].weight;
		}
		problem.rows = part;
		problem.count = PART;
	}
	lbfgs_parameter_init(&settings);
	settings.m = 6;
	settings.epsilon = 1e-7;
	settings.max_iterations = 500;
	settings.max_step = 1e3;
	status = lbfgs(dimension, vector, NULL, evaluate_negative, progress, &problem, &settings);
	for (int i = 0; i < dimension; i++)
		if (isfinite(vector[i]))
			theta[i] = vector[i];
	lbfgs_free(vector);
	free(part);
	problem.rows = rows;
	problem.count = count;
	problem.weight = fit->weight;
	if (status == LBFGSERR_OUTOFMEMORY)
	{
		fit->out_of_memory = true;
		return;
	}

	for (int step = 0; step < NEWTON_STEPS && !problem.cancelled; step++)
	{
		double		direction[LIFETIME_PARAMETERS];
		double		tried[LIFETIME_PARAMETERS];
		double		tried_gradient[LIFETIME_PARAMETERS];
		double		tried_value;
		double		tried_hessian[LIFETIME_HESSIAN];
		double		length = 1;
		bool		better = false;

		if (step == 0 && !evaluate(&problem, theta, &value, gradient, hessian))
			break;
		definite = factorize(hessian, dimension, factor);
		if (!definite || settled)
			break;
		solve(factor, dimension, gradient, direction);
		if (largest(direction, dimension) < LAST_STEP)
		{
			/* of the last step it is known where it leads */
			for (int i = 0; i < dimension; i++)
			{
				theta[i] += direction[i];
				value += 0.5 * gradient[i] * direction[i];
			}
			settled = true;
			break;
		}
		if (largest(direction, dimension) > 2)
			length = 2 / largest(direction, dimension);
		for (int halving = 0; halving < 12 && !better; halving++, length /= 2)
		{
			for (int i = 0; i < dimension; i++)
				tried[i] = theta[i] + length * direction[i];
			if (!evaluate(&problem, tried, &tried_value, tried_gradient, tried_hessian))
			{
				if (problem.cancelled)
					break;
				continue;
			}
			better = tried_value > value ||
				(tried_value > value - 1e-13 * fabs(value) && largest(tried_gradient, dimension) < largest(gradient, dimension));
		}
		if (!better)
		{
			/* rounding hides what is left to gain */
			settled = true;
			break;
		}
		memcpy(theta, tried, sizeof(theta));
		memcpy(gradient, tried_gradient, sizeof(gradient));
		memcpy(hessian, tried_hessian, sizeof(hessian));
		value = tried_value;
	}
	fit->iterations = problem.evaluations;
	fit->cancelled = problem.cancelled;
	if (problem.cancelled)
		return;

	for (int i = 0; i < dimension; i++)
	{
		double		limited = fmax(fmin(theta[i], problem.start[i] + WALL + 5), problem.start[i] - WALL - 5);

		at_wall |= fabs(theta[i] - problem.start[i]) > WALL;
		fit->parameters[i] = problem.family->lower[i] + exp(limited);
	}
	for (int i = 0; i < dimension; i++)
	{
		double		unit[LIFETIME_PARAMETERS] = {0};
		double		column[LIFETIME_PARAMETERS];

		fit->standard_errors[i] = NAN;
		if (!definite || at_wall)
			continue;
		unit[i] = 1;
		solve(factor, dimension, unit, column);
		fit->standard_errors[i] = (fit->parameters[i] - problem.family->lower[i]) * sqrt(column[i] / problem.weight);
	}
	fit->gradient_norm = largest(gradient, dimension);
	fit->converged = definite && !at_wall && (settled || fit->gradient_norm < 1e-8);
	if (!at_wall && (prior == NULL || !(prior->deviation > 0)))
		fit->log_likelihood = value * problem.weight;
	else if (lifetime_likelihood(family, fit->parameters, rows, count, false, &sums, interrupted))
		fit->log_likelihood = sums.value;
	else
		fit->cancelled = true;
}
