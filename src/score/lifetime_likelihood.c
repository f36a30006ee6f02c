/*
 * lifetime_likelihood.c
 *		Log-likelihoods of the lifetime models, with analytic gradients and
 *		Hessians.
 *
 * Sources: Fader, Hardie and Lee 2005 (BG/NBD), Batislam, Denizel and Filiztekin
 * 2007 (MBG/NBD), Schmittlein, Morrison and Colombo 1987 and Hardie's note 009
 * (Pareto/NBD), Fader and Hardie 2013 (Gamma-Gamma), Fader, Hardie and Shang
 * 2010 (BG/BB), Fader and Hardie 2007 (sBG).
 *
 * Rows come sorted by x, then z, then y, so that what depends on x alone is
 * computed once for each x, and the order of the sums is always the same.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/lifetime_core.h"

#define ROWS_BETWEEN_CHECKS 16384

static const LifetimeFamilyInfo families[LIFETIME_FAMILY_COUNT] = {
	{"bgnbd", {"r", "alpha", "a", "b"}, {0}, LIFETIME_BGNBD, 4},
	{"mbgnbd", {"r", "alpha", "a", "b"}, {0}, LIFETIME_MBGNBD, 4},
	{"pareto_nbd", {"r", "alpha", "s", "beta"}, {0}, LIFETIME_PARETO_NBD, 4},
	/* without q > 1 there is no mean spend */
	{"gamma_gamma", {"p", "q", "v"}, {0, 1, 0}, LIFETIME_GAMMA_GAMMA, 3},
	{"bgbb", {"alpha", "beta", "gamma", "delta"}, {0}, LIFETIME_BGBB, 4},
	{"sbg", {"alpha", "beta"}, {0}, LIFETIME_SBG, 2}};

/*
 * lifetime_family finds what is known of a family, or NULL.
 */
const LifetimeFamilyInfo *
lifetime_family(LifetimeFamily family)
{
	if ((int) family < 1 || (int) family > LIFETIME_FAMILY_COUNT)
		return NULL;
	return &families[family - 1];
}

/*
 * lifetime_family_by_name finds a family by its name, or NULL.
 */
const LifetimeFamilyInfo *
lifetime_family_by_name(const char *name)
{
	for (int i = 0; i < LIFETIME_FAMILY_COUNT; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	return NULL;
}

static bool
is_count(double value)
{
	return value >= 0 && value <= 1e9 && value == floor(value);
}

/*
 * lifetime_check_row says what is wrong with a row, or NULL when nothing is.
 */
const char *
lifetime_check_row(LifetimeFamily family, const LifetimeRow *row)
{
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
		case LIFETIME_PARETO_NBD:
			if (!is_count(row->x))
				return "frequency must be a whole number from 0 to 1000000000";
			if (!(row->y >= 0 && row->y <= row->z && row->z <= 1e12))
				return "recency must be between 0 and age, and age at most 1e12";
			if (row->x == 0 && row->y != 0)
				return "recency must be 0 where frequency is 0";
			return NULL;
		case LIFETIME_BGBB:
			if (!is_count(row->x) || !is_count(row->y) || !is_count(row->z) || row->z > 1e6)
				return "frequency, recency and age must be whole numbers, and age at most 1000000 opportunities";
			if (!(row->x <= row->y && row->y <= row->z))
				return "frequency must be at most recency, and recency at most age";
			if (row->x == 0 && row->y != 0)
				return "recency must be 0 where frequency is 0";
			return NULL;
		case LIFETIME_GAMMA_GAMMA:
			if (!is_count(row->x))
				return "frequency must be a whole number from 0 to 1000000000";
			if (row->x == 0)
				return NULL;
			if (!(row->y >= 1e-12 && row->y <= 1e15))
				return "monetary must be positive and at most 1e15";
			return NULL;
		case LIFETIME_SBG:
			if (!is_count(row->x) || row->x < 1 || row->x > 1e6)
				return "periods must be a whole number from 1 to 1000000";
			return NULL;
	}
	return "unknown family";
}

/*
 * pareto_rows: the chance of having left is an integral over the time of
 * leaving, whose nodes give the derivatives as well.
 */
static bool
pareto_rows(const double *parameters, const LifetimeRow *rows, size_t count,
			bool with_hessian, LifetimeSums *sums,
			LifetimeInterrupted interrupted)
{
	double		r = parameters[0];
	double		alpha = parameters[1];
	double		s = parameters[2];
	double		beta = parameters[3];
	double		log_alpha = log(alpha);
	double		log_beta = log(beta);
	double		log_s = log(s);
	LifetimeRising of_r;
	LifetimePowerIntegral integral;

	lifetime_rising_start(&of_r, r);
	for (size_t i = 0; i < count; i++)
	{
		const LifetimeRow *row = &rows[i];
		double		weight = row->weight;
		double		shape = r + row->x;
		double		log_alpha_end = log(alpha + row->z);
		double		log_beta_end = log(beta + row->z);
		double		alive = -shape * log_alpha_end - s * log_beta_end;
		double		gone;
		double		total;
		double		mean[4] = {0};
		double		square[LIFETIME_HESSIAN] = {0};

		if (i % (ROWS_BETWEEN_CHECKS / 16) == 0 && interrupted && interrupted())
			return false;
		lifetime_rising_to(&of_r, row->x);
		lifetime_power_integral(shape, s + 1, alpha, beta, row->y, row->z, &integral);
		gone = log_s + integral.log_value;
		total = lifetime_log_add(alive, gone);
		sums->value += weight * (of_r.value + r * log_alpha + s * log_beta + total);

		/* a mixture: of being alive, and of each node as the time of leaving */
		for (int node = -1; node < integral.count; node++)
		{
			double		share;
			double		d[4];
			double		first;
			double		second;

			if (node < 0)
			{
				share = exp(alive - total);
				first = exp(-log_alpha_end);
				second = exp(-log_beta_end);
				d[0] = -log_alpha_end;
				d[2] = -log_beta_end;
				d[3] = -s * second;
			}
			else
			{
				share = exp(gone - total) * integral.share[node];
				first = exp(-integral.log_first[node]);
				second = exp(-integral.log_second[node]);
				d[0] = -integral.log_first[node];
				d[2] = 1 / s - integral.log_second[node];
				d[3] = -(s + 1) * second;
			}
			d[1] = -shape * first;
			for (int j = 0; j < 4; j++)
				mean[j] += share * d[j];
			if (with_hessian)
			{
				for (int j = 0; j < 4; j++)
					for (int k = 0; k <= j; k++)
						square[LIFETIME_PACKED(j, k)] += share * d[j] * d[k];
				square[LIFETIME_PACKED(1, 0)] -= share * first;
				square[LIFETIME_PACKED(1, 1)] += share * shape * first * first;
				square[LIFETIME_PACKED(3, 2)] -= share * second;
				if (node < 0)
					square[LIFETIME_PACKED(3, 3)] += share * s * second * second;
				else
				{
					square[LIFETIME_PACKED(3, 3)] += share * (s + 1) * second * second;
					square[LIFETIME_PACKED(2, 2)] -= share / (s * s);
				}
			}
		}
		sums->gradient[0] += weight * (of_r.first + log_alpha + mean[0]);
		sums->gradient[1] += weight * (r / alpha + mean[1]);
		sums->gradient[2] += weight * (log_beta + mean[2]);
		sums->gradient[3] += weight * (s / beta + mean[3]);
		if (with_hessian)
		{
			double	   *h = sums->hessian;

			for (int j = 0; j < 4; j++)
				for (int k = 0; k <= j; k++)
					h[LIFETIME_PACKED(j, k)] += weight * (square[LIFETIME_PACKED(j, k)] - mean[j] * mean[k]);
			h[LIFETIME_PACKED(0, 0)] += weight * of_r.second;
			h[LIFETIME_PACKED(1, 0)] += weight / alpha;
			h[LIFETIME_PACKED(1, 1)] -= weight * r / (alpha * alpha);
			h[LIFETIME_PACKED(3, 2)] += weight / beta;
			h[LIFETIME_PACKED(3, 3)] -= weight * s / (beta * beta);
		}
	}
	return true;
}

/*
 * gamma_gamma_rows: mean spend y of x repeat purchases.  Customers without
 * repeat purchases say nothing.
 */
static bool
gamma_gamma_rows(const double *parameters, const LifetimeRow *rows, size_t count,
				 bool with_hessian, LifetimeSums *sums,
				 LifetimeInterrupted interrupted)
{
	double		p = parameters[0];
	double		q = parameters[1];
	double		v = parameters[2];
	double		log_v = log(v);
	double		last_x = -1;
	double		log_gamma_q = lifetime_rising(1, q - 1);
	double		trigamma_sum = 0;
	LifetimeRising of_q;
	LifetimeRising of_p;

	lifetime_rising_start(&of_q, q);
	lifetime_rising_start(&of_p, 1);
	for (size_t i = 0; i < count; i++)
	{
		const LifetimeRow *row = &rows[i];
		double		weight = row->weight;
		double		x = row->x;
		double		px = p * x;
		double		spent = x * row->y;
		double		scale = v + spent;
		double		log_scale = log(scale);
		double		log_spent = log(spent);
		double	   *h = sums->hessian;

		if (i % ROWS_BETWEEN_CHECKS == 0 && interrupted && interrupted())
			return false;
		if (x == 0)
			continue;
		if (x != last_x)
		{
			/* Gamma(px + q) over Gamma(q), and over Gamma(px) */
			lifetime_rising_to(&of_q, px);
			lifetime_rising_start(&of_p, px);
			lifetime_rising_to(&of_p, q);
			if (with_hessian)
				trigamma_sum = lifetime_trigamma(px + q);
			last_x = x;
		}
		sums->value += weight * (of_p.value - log_gamma_q + q * log_v + px * log_spent - log(row->y) - (px + q) * log_scale);
		sums->gradient[0] += weight * x * (of_p.first + log_spent - log_scale);
		sums->gradient[1] += weight * (of_q.first + log_v - log_scale);
		sums->gradient[2] += weight * (q / v - (px + q) / scale);
		if (with_hessian)
		{
			h[LIFETIME_PACKED(0, 0)] += weight * x * x * of_p.second;
			h[LIFETIME_PACKED(1, 0)] += weight * x * trigamma_sum;
			h[LIFETIME_PACKED(1, 1)] += weight * of_q.second;
			h[LIFETIME_PACKED(2, 0)] -= weight * x / scale;
			h[LIFETIME_PACKED(2, 1)] += weight * (1 / v - 1 / scale);
			h[LIFETIME_PACKED(2, 2)] += weight * ((px + q) / (scale * scale) - q / (v * v));
		}
	}
	return true;
}

/*
 * bgbb_rows: buying at each of z opportunities or not, leaving after any of them.
 */
static bool
bgbb_rows(const double *parameters, const LifetimeRow *rows, size_t count,
		  bool with_hessian, LifetimeSums *sums,
		  LifetimeInterrupted interrupted)
{
	double		alpha = parameters[0];
	double		beta = parameters[1];
	double		gamma = parameters[2];
	double		delta = parameters[3];
	size_t		checked = 0;
	LifetimeRising of_alpha;

	lifetime_rising_start(&of_alpha, alpha);
	for (size_t i = 0; i < count; i++)
	{
		const LifetimeRow *row = &rows[i];
		double		weight = row->weight;
		double		top = -INFINITY;
		double		sum = 0;
		double		mean[4] = {0};
		double		square[LIFETIME_HESSIAN] = {0};
		LifetimeRising of_beta;
		LifetimeRising of_both;
		LifetimeRising of_delta;
		LifetimeRising of_leaving;

		lifetime_rising_to(&of_alpha, row->x);
		lifetime_rising_start(&of_beta, beta);
		lifetime_rising_start(&of_both, alpha + beta);
		lifetime_rising_start(&of_delta, delta);
		lifetime_rising_start(&of_leaving, gamma + delta);

		/* a mixture: of leaving after each opportunity from recency on, and of staying */
		for (int32_t step = 0; step <= (int32_t) (row->z - row->y); step++)
		{
			double		last = row->y + step;
			int			leaves = last < row->z ? 1 : 0;
			double		term;
			double		share;
			double		d[4];

			if (checked++ % ROWS_BETWEEN_CHECKS == 0 && interrupted && interrupted())
				return false;
			lifetime_rising_to(&of_beta, last - row->x);
			lifetime_rising_to(&of_both, last);
			lifetime_rising_to(&of_delta, last);
			lifetime_rising_to(&of_leaving, last + leaves);
			term = of_beta.value - of_both.value + of_delta.value - of_leaving.value + (leaves ? log(gamma) : 0);
			if (term > top)
			{
				double		scale = exp(top - term);

				sum *= scale;
				for (int j = 0; j < 4; j++)
					mean[j] *= scale;
				for (int j = 0; j < LIFETIME_HESSIAN; j++)
					square[j] *= scale;
				top = term;
			}
			share = exp(term - top);
			sum += share;
			d[0] = -of_both.first;
			d[1] = of_beta.first - of_both.first;
			d[2] = (leaves ? 1 / gamma : 0) - of_leaving.first;
			d[3] = of_delta.first - of_leaving.first;
			for (int j = 0; j < 4; j++)
				mean[j] += share * d[j];
			if (with_hessian)
			{
				for (int j = 0; j < 4; j++)
					for (int k = 0; k <= j; k++)
						square[LIFETIME_PACKED(j, k)] += share * d[j] * d[k];
				square[LIFETIME_PACKED(0, 0)] -= share * of_both.second;
				square[LIFETIME_PACKED(1, 0)] -= share * of_both.second;
				square[LIFETIME_PACKED(1, 1)] += share * (of_beta.second - of_both.second);
				square[LIFETIME_PACKED(2, 2)] -= share * (of_leaving.second + (leaves ? 1 / (gamma * gamma) : 0));
				square[LIFETIME_PACKED(3, 2)] -= share * of_leaving.second;
				square[LIFETIME_PACKED(3, 3)] += share * (of_delta.second - of_leaving.second);
			}
		}
		sums->value += weight * (of_alpha.value + top + log(sum));
		for (int j = 0; j < 4; j++)
			sums->gradient[j] += weight * (mean[j] / sum + (j == 0 ? of_alpha.first : 0));
		if (with_hessian)
		{
			for (int j = 0; j < 4; j++)
				for (int k = 0; k <= j; k++)
					sums->hessian[LIFETIME_PACKED(j, k)] += weight * (square[LIFETIME_PACKED(j, k)] / sum - mean[j] * mean[k] / (sum * sum));
			sums->hessian[LIFETIME_PACKED(0, 0)] += weight * of_alpha.second;
		}
	}
	return true;
}

/*
 * sbg_rows: contracts that ended after x periods (y = 1), or are in their x-th
 * period, having been renewed x - 1 times (y = 0).
 */
static bool
sbg_rows(const double *parameters, const LifetimeRow *rows, size_t count,
		 bool with_hessian, LifetimeSums *sums)
{
	double		alpha = parameters[0];
	double		beta = parameters[1];
	LifetimeRising of_beta;
	LifetimeRising of_both;

	lifetime_rising_start(&of_beta, beta);
	lifetime_rising_start(&of_both, alpha + beta);
	for (size_t i = 0; i < count; i++)
	{
		const LifetimeRow *row = &rows[i];
		double		weight = row->weight;
		double		ended = row->y;

		lifetime_rising_to(&of_beta, row->x - 1);
		lifetime_rising_to(&of_both, row->x - 1 + ended);
		sums->value += weight * (of_beta.value - of_both.value + ended * log(alpha));
		sums->gradient[0] += weight * (ended / alpha - of_both.first);
		sums->gradient[1] += weight * (of_beta.first - of_both.first);
		if (with_hessian)
		{
			sums->hessian[LIFETIME_PACKED(0, 0)] -= weight * (ended / (alpha * alpha) + of_both.second);
			sums->hessian[LIFETIME_PACKED(1, 0)] -= weight * of_both.second;
			sums->hessian[LIFETIME_PACKED(1, 1)] += weight * (of_beta.second - of_both.second);
		}
	}
	return true;
}

/*
 * lifetime_likelihood sums log-likelihood, gradient and, where wanted, Hessian
 * over rows that lifetime_check_row passed.  Returns false when interrupted.
 * (BG/NBD and MBG/NBD are in lifetime_bg.c.)
 */
bool
lifetime_likelihood(LifetimeFamily family, const double *parameters,
					const LifetimeRow *rows, size_t count, bool with_hessian,
					LifetimeSums *sums, LifetimeInterrupted interrupted)
{
	memset(sums, 0, sizeof(*sums));
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
			return lifetime_bg_rows(family == LIFETIME_MBGNBD, parameters, rows, count, sums, interrupted);
		case LIFETIME_PARETO_NBD:
			return pareto_rows(parameters, rows, count, with_hessian, sums, interrupted);
		case LIFETIME_GAMMA_GAMMA:
			return gamma_gamma_rows(parameters, rows, count, with_hessian, sums, interrupted);
		case LIFETIME_BGBB:
			return bgbb_rows(parameters, rows, count, with_hessian, sums, interrupted);
		case LIFETIME_SBG:
			return sbg_rows(parameters, rows, count, with_hessian, sums);
	}
	return false;
}
