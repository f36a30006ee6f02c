/*
 * logit_core.c
 *		The arithmetic of logistic regression (see logit_core.h).
 *
 * Newton's method on the log-likelihood sum w (y log p + (1 - y) log(1 - p)),
 * p = 1 / (1 + exp(-eta)) (McCullagh and Nelder, Generalized Linear Models,
 * section 4.4), with step halving.  An L1 penalty is handled as in glmnet
 * (Friedman, Hastie and Tibshirani 2010): coordinate descent on the quadratic
 * that gradient and Hessian describe, so that it needs no scan of its own.
 *
 * The factorization is Cholesky's in the order of the columns, because that is
 * what makes a column aliased that the ones before it explain, as in R; LAPACK's
 * pivoted factorization (dpstrf) takes columns by size and would drop others.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "score/logit_core.h"
#include "score/vector.h"
#include "score/wire.h"

/* A column is aliased when less than this share of its variance is left. */
#define ALIAS_TOLERANCE	1e-10

/* In later factorizations, a pivot below this share of the diagonal is noise. */
#define PIVOT_TOLERANCE	1e-14

double
logit_probability(double eta)
{
	if (eta >= 0)
		return 1 / (1 + exp(-eta));
	else
	{
		double		odds = exp(eta);

		return odds / (1 + odds);
	}
}

double
logit_softplus(double eta)
{
	return (eta > 0 ? eta : 0) + log1p(exp(-fabs(eta)));
}

/*
 * Bytes of a LogitSums; the caller sees to it that terms is at most
 * LOGIT_MAX_TERMS.
 */
size_t
logit_sums_size(int terms)
{
	return offsetof(LogitSums, values) + LOGIT_SUMS_DOUBLES(terms) * sizeof(double);
}

void
logit_sums_init(LogitSums *sums, LogitSumsKind kind, int terms)
{
	memset(sums, 0, logit_sums_size(terms));
	sums->kind = kind;
	sums->terms = terms;
}

/*
 * matrix[j] += the four products; restrict is what lets the loop be vectorized.
 */
VECTOR_CLONES static void
add_block(double *restrict matrix, const double *restrict rows, const double *weights, int terms)
{
	const double *a = rows;
	const double *b = a + terms;
	const double *c = b + terms;
	const double *d = c + terms;

	for (int i = 0; i < terms; i++)
	{
		double		wa = weights[0] * a[i];
		double		wb = weights[1] * b[i];
		double		wc = weights[2] * c[i];
		double		wd = weights[3] * d[i];

		if (wa != 0 || wb != 0 || wc != 0 || wd != 0)
			for (int j = 0; j <= i; j++)
				matrix[j] += (wa * a[j] + wb * b[j]) + (wc * c[j] + wd * d[j]);
		matrix += i + 1;
	}
}

/*
 * Add the pending rows to the matrix, four at a time: each element is read and
 * written once for the four.
 */
void
logit_sums_flush(LogitSums *sums)
{
	int			terms = sums->terms;

	if (sums->pending == 0)
		return;
	for (int row = sums->pending; row < LOGIT_BLOCK; row++)
	{
		LOGIT_PENDING_WEIGHTS(sums)
		[row] = 0;
		memset(LOGIT_PENDING(sums) + (size_t) row * terms, 0, sizeof(double) * terms);
	}
	add_block(LOGIT_MATRIX(sums), LOGIT_PENDING(sums), LOGIT_PENDING_WEIGHTS(sums), terms);
	/* what is stored must not depend on what once was pending */
	memset(LOGIT_PENDING(sums), 0, sizeof(double) * LOGIT_BLOCK * ((size_t) terms + 1));
	sums->pending = 0;
}

/*
 * Room for the terms of the next row.
 */
static inline double *
pending_row(LogitSums *sums, double weight)
{
	if (sums->pending == LOGIT_BLOCK)
		logit_sums_flush(sums);
	LOGIT_PENDING_WEIGHTS(sums)
	[sums->pending] = weight;
	return LOGIT_PENDING(sums) + (size_t) sums->pending++ * sums->terms;
}

/*
 * Add a row to the moments.  The first one is the centre, so that values far
 * from zero keep their digits.
 */
void
logit_sums_add_moments(LogitSums *sums, const double *x, double label, double weight)
{
	double	   *centre = LOGIT_CENTRE(sums);
	double	   *vector = LOGIT_VECTOR(sums);
	double	   *row;

	if (sums->rows == 0)
	{
		memcpy(centre, x, sizeof(double) * sums->terms);
		centre[0] = 0;
	}
	row = pending_row(sums, weight);
	for (int i = 0; i < sums->terms; i++)
	{
		row[i] = x[i] - centre[i];
		vector[i] += weight * label * row[i];
	}
	sums->rows++;
	sums->weight += weight;
	sums->positive += weight * label;
	sums->positive_rows += label;
	if (label > 0 && label < 1)
		sums->entropy += weight * (label * log(label) + (1 - label) * log1p(-label));
}

/*
 * The terms of numbers: centred, and multiplied by the reciprocal scales.
 */
VECTOR_CLONES void
logit_scale_numbers(double *restrict terms, const double *restrict numbers, const double *restrict means,
					const double *restrict factors, int count)
{
	for (int i = 0; i < count; i++)
		terms[i] = (numbers[i] - means[i]) * factors[i];
}

/*
 * Add a row to the gradient and the Hessian at the coefficients.
 */
void
logit_sums_add_step(LogitSums *sums, const double *x, const double *coefficients,
					double label, double weight)
{
	int			terms = sums->terms;
	double	   *vector = LOGIT_VECTOR(sums);
	double		sum[4] = {0, 0, 0, 0};	/* apart, so that none waits for the one before */
	double		eta;
	double		odds;
	double		probability;
	double		rest;
	double		softplus;
	double		residual;

	for (int i = 0; i < terms - 3; i += 4)
		for (int j = 0; j < 4; j++)
			sum[j] += coefficients[i + j] * x[i + j];
	for (int i = terms & ~3; i < terms; i++)
		sum[0] += coefficients[i] * x[i];
	eta = (sum[0] + sum[1]) + (sum[2] + sum[3]);

	/* one exponential serves probability and likelihood */
	odds = exp(-fabs(eta));
	probability = 1 / (1 + odds);
	rest = odds * probability;
	softplus = log1p(odds);
	if (eta < 0)
	{
		double		swap = probability;

		probability = rest;
		rest = swap;
	}
	/* y (1 - p) - (1 - y) p keeps the digits of small residuals */
	residual = weight * (label * rest - (1 - label) * probability);
	for (int i = 0; i < terms; i++)
		vector[i] += residual * x[i];
	memcpy(pending_row(sums, weight * probability * rest), x, sizeof(double) * terms);

	sums->log_likelihood -= weight * (softplus + (eta > 0 ? (1 - label) * eta : -label * eta));
	if (fabs(eta) > sums->largest)
		sums->largest = fabs(eta);
	sums->rows++;
	sums->weight += weight;
	sums->positive += weight * label;
	sums->positive_rows += label;
}

/*
 * Add the sums of other rows.  False, and no change, if they do not belong
 * together.
 */
bool
logit_sums_merge(LogitSums *sums, LogitSums *other)
{
	int			terms = sums->terms;
	double	   *matrix = LOGIT_MATRIX(sums);
	double	   *vector = LOGIT_VECTOR(sums);
	const double *add;
	const double *add_vector;
	const double *centre;
	const double *other_centre;

	if (sums->kind != other->kind || terms != other->terms || sums->fingerprint != other->fingerprint)
		return false;
	if (other->rows == 0)
	{
		sums->skipped += other->skipped;
		return true;
	}
	if (sums->rows == 0)
	{
		int64_t		skipped = sums->skipped;

		memcpy(sums, other, logit_sums_size(terms));
		sums->skipped += skipped;
		return true;
	}
	logit_sums_flush(sums);
	logit_sums_flush(other);

	add = LOGIT_MATRIX(other);
	add_vector = LOGIT_VECTOR(other);
	centre = LOGIT_CENTRE(sums);
	other_centre = LOGIT_CENTRE(other);
	if (sums->kind == LOGIT_STEP)
	{
		for (size_t i = 0; i < LOGIT_TRIANGLE(terms); i++)
			matrix[i] += add[i];
		for (int i = 0; i < terms; i++)
			vector[i] += add_vector[i];
	}
	else
	{
		/*
		 * About the centre of these sums, x - centre = (x - other) + (other -
		 * centre); column 0 holds the sums of the first summand.
		 */
		for (int i = 0; i < terms; i++)
		{
			double		move = other_centre[i] - centre[i];
			double		sum_i = i == 0 ? 0 : add[LOGIT_TRIANGLE(i)];

			for (int j = 0; j <= i; j++)
			{
				double		move_j = other_centre[j] - centre[j];
				double		sum_j = j == 0 ? other->weight : add[LOGIT_TRIANGLE(j)];

				if (j == 0)
					matrix[LOGIT_TRIANGLE(i)] += add[LOGIT_TRIANGLE(i)] + move * other->weight;
				else
					matrix[LOGIT_TRIANGLE(i) + j] += add[LOGIT_TRIANGLE(i) + j] + sum_i * move_j + move * sum_j +
						other->weight * move * move_j;
			}
			vector[i] += add_vector[i] + move * other->positive;
		}
	}
	/* neither overflows: both are at most LOGIT_MOST_ROWS */
	sums->rows += other->rows;
	sums->skipped += other->skipped;
	if (sums->rows > LOGIT_MOST_ROWS)
		sums->rows = LOGIT_MOST_ROWS;
	if (sums->skipped > LOGIT_MOST_ROWS)
		sums->skipped = LOGIT_MOST_ROWS;
	sums->weight += other->weight;
	sums->positive += other->positive;
	sums->positive_rows += other->positive_rows;
	sums->log_likelihood += other->log_likelihood;
	sums->entropy += other->entropy;
	if (other->largest > sums->largest)
		sums->largest = other->largest;
	return true;
}

/*
 * Whether sums that came from outside can be calculated with: the header is in
 * its bounds and no number is infinite or NaN.  The caller has compared the
 * size.
 */
static bool
logit_sums_valid(const LogitSums *sums)
{
	if ((sums->kind != LOGIT_MOMENTS && sums->kind != LOGIT_STEP) ||
		sums->terms < 1 || sums->terms > LOGIT_MAX_TERMS ||
		sums->pending < 0 || sums->pending > LOGIT_BLOCK ||
		sums->rows < 0 || sums->rows > LOGIT_MOST_ROWS ||
		sums->skipped < 0 || sums->skipped > LOGIT_MOST_ROWS || sums->unused != 0 ||
		!isfinite(sums->weight) || sums->weight < 0 ||
		!isfinite(sums->positive) || sums->positive < 0 ||
		!isfinite(sums->positive_rows) || sums->positive_rows < 0 ||
		!isfinite(sums->log_likelihood) || sums->log_likelihood > 0 ||
		!isfinite(sums->entropy) || sums->entropy > 0 ||
		!isfinite(sums->largest) || sums->largest < 0)
		return false;
	for (size_t i = 0; i < LOGIT_SUMS_DOUBLES(sums->terms); i++)
		if (!isfinite(sums->values[i]))
			return false;
	return true;
}

/*
 * logit_sums_measure_wire reads the number of terms of a binary form, and returns
 * false where the form is not of the size that it then has.
 */
bool
logit_sums_measure_wire(const uint8_t *bytes, size_t length, int *terms)
{
	WireReader	reader = {bytes, length, false};
	uint64_t	version = wire_integer(&reader, 1);
	uint64_t	kind = wire_integer(&reader, 1);
	uint64_t	count = wire_integer(&reader, 4);

	if (reader.failed || version != LOGIT_STEP_VERSION || kind > LOGIT_STEP || count < 1 || count > LOGIT_MAX_TERMS)
		return false;
	*terms = (int) count;
	return reader.left == (9 + 2 * count + LOGIT_TRIANGLE(count)) * 8;
}

/*
 * logit_sums_read_wire fills sums of as many terms as logit_sums_measure_wire said,
 * and returns false where they are not sound.
 */
bool
logit_sums_read_wire(const uint8_t *bytes, size_t length, LogitSums *sums)
{
	WireReader	reader = {bytes, length, false};
	int			kind;
	int			terms;

	wire_integer(&reader, 1);
	kind = (int) wire_integer(&reader, 1);
	terms = (int) wire_integer(&reader, 4);
	logit_sums_init(sums, (LogitSumsKind) kind, terms);
	sums->fingerprint = wire_integer(&reader, 8);
	sums->rows = (int64_t) wire_integer(&reader, 8);
	sums->skipped = (int64_t) wire_integer(&reader, 8);
	sums->weight = wire_double(&reader);
	sums->positive = wire_double(&reader);
	sums->positive_rows = wire_double(&reader);
	sums->log_likelihood = wire_double(&reader);
	sums->entropy = wire_double(&reader);
	sums->largest = wire_double(&reader);
	for (size_t i = 0; i < 2 * (size_t) terms + LOGIT_TRIANGLE(terms); i++)
		sums->values[i] = wire_double(&reader);
	return wire_done(&reader) && logit_sums_valid(sums);
}

/*
 * Cholesky's factorization in the order of the columns, in place.
 *
 * reference: what a pivot is compared with, for each column.  With find, columns
 * whose pivot is not above tolerance * reference are marked aliased; without, the
 * marks are taken as they are and such pivots count.  Rows and columns of aliased
 * terms are zero in the factor.  Returns the number of pivots that were too small
 * and not marked before.
 */
static int
logit_factorize(double *matrix, int terms, const double *reference, double tolerance, bool *aliased, bool find)
{
	int			small = 0;

	for (int i = 0; i < terms; i++)
	{
		double	   *row = matrix + LOGIT_TRIANGLE(i);
		double		pivot;

		if (aliased[i])
		{
			memset(row, 0, sizeof(double) * (i + 1));
			continue;
		}
		for (int j = 0; j < i; j++)
		{
			const double *other = matrix + LOGIT_TRIANGLE(j);
			double		sum = row[j];

			if (other[j] == 0)
			{
				row[j] = 0;
				continue;
			}
			for (int k = 0; k < j; k++)
				sum -= row[k] * other[k];
			row[j] = sum / other[j];
		}
		pivot = row[i];
		for (int k = 0; k < i; k++)
			pivot -= row[k] * row[k];
		if (!(pivot > tolerance * reference[i]))
		{
			small++;
			if (find)
				aliased[i] = true;
			memset(row, 0, sizeof(double) * (i + 1));
		}
		else
			row[i] = sqrt(pivot);
	}
	return small;
}

/*
 * Solve factor * factor' * x = vector, in place; x is 0 where there is no pivot.
 */
static void
logit_solve(const double *factor, int terms, double *vector)
{
	for (int i = 0; i < terms; i++)
	{
		const double *row = factor + LOGIT_TRIANGLE(i);
		double		sum = vector[i];

		if (row[i] == 0)
		{
			vector[i] = 0;
			continue;
		}
		for (int k = 0; k < i; k++)
			sum -= row[k] * vector[k];
		vector[i] = sum / row[i];
	}
	for (int i = terms - 1; i >= 0; i--)
	{
		const double *row = factor + LOGIT_TRIANGLE(i);

		if (row[i] == 0)
			continue;
		vector[i] /= row[i];
		for (int k = 0; k < i; k++)
			vector[k] -= row[k] * vector[i];
	}
}

/* The factor by which a scaled coefficient becomes what is penalised. */
static double
penalty_scale(const LogitSolver *solver, int term)
{
	if (term == 0)
		return 0;
	return (solver->standardize ? solver->deviation[term] : 1) / solver->scale[term];
}

static double
penalty(const LogitSolver *solver, const double *coefficients)
{
	double		sum = 0;

	for (int i = 1; i < solver->terms; i++)
	{
		double		value = coefficients[i] * penalty_scale(solver, i);

		sum += solver->l1 * fabs(value) + solver->l2 * value * value / 2;
	}
	return sum;
}

/*
 * The minimum of half step' H step - gradient' step + penalties, by coordinate
 * descent; H without penalties is in curvature.
 */
static void
coordinate_descent(LogitSolver *solver, const double *gradient)
{
	int			terms = solver->terms;
	double	   *slope = solver->work;	/* gradient - H step */

	memcpy(slope, gradient, sizeof(double) * terms);
	memset(solver->step, 0, sizeof(double) * terms);
	for (int round = 0; round < 10000; round++)
	{
		double		progress = 0;

		for (int i = 0; i < terms; i++)
		{
			double		diagonal = solver->curvature[LOGIT_TRIANGLE(i) + i];
			double		scale = penalty_scale(solver, i);
			double		old = solver->coefficients[i] + solver->step[i];
			double		ridge = solver->l2 * scale * scale;
			double		threshold = solver->l1 * scale;
			double		target = slope[i] + diagonal * old;
			double		value;
			double		move;

			if (solver->aliased[i] || diagonal + ridge <= 0)
				continue;
			if (target > threshold)
				value = (target - threshold) / (diagonal + ridge);
			else if (target < -threshold)
				value = (target + threshold) / (diagonal + ridge);
			else
				value = 0;
			move = value - old;
			if (move == 0)
				continue;
			solver->step[i] += move;
			for (int j = 0; j < terms; j++)
				slope[j] -= move * (j <= i ? solver->curvature[LOGIT_TRIANGLE(i) + j] : solver->curvature[LOGIT_TRIANGLE(j) + i]);
			progress = fmax(progress, move * move * (diagonal + ridge));
		}
		if (progress <= solver->tolerance * 1e-4)
			break;
	}
}

/*
 * From gradient and curvature at the coefficients, the step and its squared
 * decrement; the candidate is where it leads.
 */
static void
newton_step(LogitSolver *solver, const double *gradient)
{
	int			terms = solver->terms;

	memcpy(solver->factor, solver->curvature, sizeof(double) * LOGIT_TRIANGLE(terms));
	if (solver->l1 > 0)
	{
		coordinate_descent(solver, gradient);
		solver->decrement = 0;
		for (int i = 0; i < terms; i++)
		{
			double		sum = 0;

			for (int j = 0; j < terms; j++)
				sum += solver->step[j] * (j <= i ? solver->curvature[LOGIT_TRIANGLE(i) + j] : solver->curvature[LOGIT_TRIANGLE(j) + i]);
			solver->decrement += solver->step[i] * sum;
		}
	}
	else
	{
		double	   *reference = solver->work;

		for (int i = 0; i < terms; i++)
		{
			double		scale = penalty_scale(solver, i);

			solver->factor[LOGIT_TRIANGLE(i) + i] += solver->l2 * scale * scale;
			reference[i] = solver->factor[LOGIT_TRIANGLE(i) + i];
			solver->step[i] = gradient[i] - solver->l2 * scale * scale * solver->coefficients[i];
			solver->work[terms + i] = solver->step[i];
		}
		logit_factorize(solver->factor, terms, reference, PIVOT_TOLERANCE, solver->aliased, false);
		logit_solve(solver->factor, terms, solver->step);
		solver->decrement = 0;
		for (int i = 0; i < terms; i++)
			solver->decrement += solver->step[i] * solver->work[terms + i];
	}
	for (int i = 0; i < terms; i++)
		solver->candidate[i] = solver->coefficients[i] + solver->step[i];
}

/*
 * From the moments: means, deviations, aliased terms, and the first step, which
 * starts from the model that has an intercept only, whose Hessian is known.
 *
 * LOGIT_STOPPED if the labels are all the same: no model.
 */
LogitOutcome
logit_solver_start(LogitSolver *solver, LogitSums *moments)
{
	int			terms = solver->terms;
	double		weight = moments->weight;
	double		mean_label = weight > 0 ? moments->positive / weight : 0;
	const double *centre = LOGIT_CENTRE(moments);
	const double *matrix;
	double	   *curvature = solver->curvature;
	double		spread;

	logit_sums_flush(moments);
	matrix = LOGIT_MATRIX(moments);

	solver->iterations = 0;
	solver->halvings = 0;
	solver->converged = false;
	if (!(mean_label > 0 && mean_label < 1))
		return LOGIT_STOPPED;

	solver->null_log_likelihood = weight * (mean_label * log(mean_label) + (1 - mean_label) * log1p(-mean_label));
	spread = mean_label * (1 - mean_label);
	for (int i = 0; i < terms; i++)
	{
		double		shift = matrix[LOGIT_TRIANGLE(i)] / weight;
		double		square = matrix[LOGIT_TRIANGLE(i) + i] / weight;
		double		variance = square - shift * shift;

		solver->aliased[i] = false;
		solver->separated[i] = false;
		solver->standard_errors[i] = NAN;
		solver->mean[i] = i == 0 ? 0 : centre[i] + shift;
		solver->deviation[i] = i == 0 || variance <= 1e-14 * square ? 0 : sqrt(variance);
		solver->scale[i] = solver->indicator[i] || solver->deviation[i] == 0 ? 1 : solver->deviation[i];
		solver->coefficients[i] = 0;
	}

	/* the correlations say what is aliased */
	for (int i = 0; i < terms; i++)
		for (int j = 0; j <= i; j++)
		{
			double		mean_i = matrix[LOGIT_TRIANGLE(i)] / weight;
			double		mean_j = matrix[LOGIT_TRIANGLE(j)] / weight;
			double		covariance = i == 0 ? 1 : j == 0 ? 0
													: matrix[LOGIT_TRIANGLE(i) + j] / weight - mean_i * mean_j;

			curvature[LOGIT_TRIANGLE(i) + j] = covariance;
		}
	memcpy(solver->factor, curvature, sizeof(double) * LOGIT_TRIANGLE(terms));
	for (int i = 0; i < terms; i++)
	{
		double		deviation_i = solver->deviation[i] > 0 ? solver->deviation[i] : 1;

		for (int j = 0; j <= i; j++)
			solver->factor[LOGIT_TRIANGLE(i) + j] /= deviation_i * (solver->deviation[j] > 0 ? solver->deviation[j] : 1);
		solver->work[i] = 1;
		solver->aliased[i] = i > 0 && solver->deviation[i] == 0;
	}
	/* a penalty chooses among columns that say the same */
	if (solver->l1 == 0 && solver->l2 == 0)
		logit_factorize(solver->factor, terms, solver->work, ALIAS_TOLERANCE, solver->aliased, true);

	/*
	 * The rows of scans are centred, but those of indicators are not: they stay 0
	 * and 1, which keeps them sparse.  So the Hessian of indicators is about 0.
	 */
	solver->coefficients[0] = log(mean_label) - log1p(-mean_label);
	solver->log_likelihood = solver->null_log_likelihood;
	solver->objective = solver->log_likelihood - penalty(solver, solver->coefficients);
	memcpy(solver->candidate, solver->coefficients, sizeof(double) * terms);
	if (solver->only_moments)
	{
		solver->objective = -DBL_MAX;
		solver->decrement = 0;
		return LOGIT_SCAN;
	}
	for (int i = 0; i < terms; i++)
	{
		double		offset_i = solver->indicator[i] ? solver->mean[i] : i == 0 ? 1
																		  : 0;

		for (int j = 0; j <= i; j++)
		{
			double		offset_j = solver->indicator[j] ? solver->mean[j] : j == 0 ? 1
																			  : 0;
			double		covariance = j == 0 ? 0 : curvature[LOGIT_TRIANGLE(i) + j];

			curvature[LOGIT_TRIANGLE(i) + j] = weight * spread * (covariance + offset_i * offset_j) /
				(solver->scale[i] * solver->scale[j]);
		}
		/* sum w (y - mean) (x - mean), which is the gradient for indicators too */
		solver->work[terms + i] = i == 0 ? 0 : (LOGIT_VECTOR(moments)[i] - mean_label * matrix[LOGIT_TRIANGLE(i)]) / solver->scale[i];
	}
	{
		/* newton_step uses the work area itself */
		double	   *gradient = LOGIT_PENDING(moments);

		memcpy(gradient, solver->work + terms, sizeof(double) * terms);
		newton_step(solver, gradient);
		memset(gradient, 0, sizeof(double) * terms);
	}
	return LOGIT_SCAN;
}

static void logit_solver_finish(LogitSolver *solver);

/*
 * From the sums at the candidate: accept it or go back half the way, then take
 * the next step.
 *
 * Converged is when the squared decrement, twice what the log-likelihood could
 * still gain, is below the tolerance; the last step is taken all the same, and
 * as Newton's method converges quadratically it is then exact for all purposes.
 */
LogitOutcome
logit_solver_advance(LogitSolver *solver, LogitSums *sums)
{
	int			terms = solver->terms;
	double		objective = sums->log_likelihood - penalty(solver, solver->candidate);
	double		last_decrement = solver->decrement;
	double		noise;

	logit_sums_flush(sums);
	solver->iterations++;
	noise = 1e-11 * (1 + fabs(solver->objective));
	if (solver->objective > -DBL_MAX && (!isfinite(objective) || objective < solver->objective - noise))
	{
		if (solver->iterations >= solver->max_iterations || solver->halvings >= 40)
		{
			logit_solver_finish(solver);
			return LOGIT_STOPPED;
		}
		solver->halvings++;
		for (int i = 0; i < terms; i++)
			solver->candidate[i] = solver->coefficients[i] + (solver->candidate[i] - solver->coefficients[i]) / 2;
		return LOGIT_SCAN;
	}

	memcpy(solver->coefficients, solver->candidate, sizeof(double) * terms);
	memcpy(solver->curvature, LOGIT_MATRIX(sums), sizeof(double) * LOGIT_TRIANGLE(terms));
	solver->log_likelihood = sums->log_likelihood;
	solver->objective = objective;
	solver->largest = sums->largest;
	newton_step(solver, LOGIT_VECTOR(sums));

	if (!isfinite(solver->decrement))
		solver->decrement = 0;
	if (solver->decrement <= solver->tolerance)
	{
		solver->converged = true;
		memcpy(solver->coefficients, solver->candidate, sizeof(double) * terms);
		solver->log_likelihood += solver->l1 > 0 || solver->l2 > 0 ? 0 : solver->decrement / 2;
		logit_solver_finish(solver);
		return LOGIT_CONVERGED;
	}

	/*
	 * Where rows of one label lie apart, coefficients go to infinity and the
	 * decrement falls by a constant factor (e) for each step of about 1 instead of
	 * quadratically.
	 */
	if (solver->l1 == 0 && solver->l2 == 0 && solver->decrement < 1e-6 &&
		solver->decrement > 0.05 * last_decrement && last_decrement < 1e-4)
	{
		for (int i = 1; i < terms; i++)
			solver->separated[i] = !solver->aliased[i] &&
				fabs(solver->step[i]) > 0.01 * fabs(solver->coefficients[i]) && fabs(solver->step[i]) > 1e-3;
		logit_solver_finish(solver);
		return LOGIT_SEPARATED;
	}
	if (solver->iterations >= solver->max_iterations)
	{
		logit_solver_finish(solver);
		return LOGIT_STOPPED;
	}
	return LOGIT_SCAN;
}

/*
 * Standard errors on the raw scale, from the curvature at the last scan; none
 * for penalised coefficients, whose errors are mostly bias.  The intercept's is
 * that of the raw model, in which all terms are 0.
 */
static void
logit_solver_finish(LogitSolver *solver)
{
	int			terms = solver->terms;
	double	   *column = solver->work;

	for (int i = 0; i < terms; i++)
		solver->standard_errors[i] = NAN;
	if (solver->l1 > 0 || solver->l2 > 0)
		return;
	for (int i = 0; i < terms; i++)
	{
		double		variance = 0;

		if (solver->factor[LOGIT_TRIANGLE(i) + i] == 0)
			continue;
		for (int j = 0; j < terms; j++)
			if (i > 0)
				column[j] = j == i;
			else
				column[j] = j == 0 ? 1 : solver->aliased[j] || solver->indicator[j] ? 0
																					: -solver->mean[j] / solver->scale[j];
		memcpy(solver->work + terms, column, sizeof(double) * terms);
		logit_solve(solver->factor, terms, column);
		for (int j = 0; j < terms; j++)
			variance += column[j] * solver->work[terms + j];
		solver->standard_errors[i] = sqrt(variance) / solver->scale[i];
	}
}
