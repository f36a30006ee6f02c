/*
 * lifetime_predict.c
 *		What the lifetime models say of one customer.
 *
 * Arguments have been checked: rows by lifetime_check_row, horizons are finite
 * and not negative, parameters are positive.  Results are finite.
 */
#include <float.h>
#include <math.h>

#include "score/lifetime_core.h"

static double
probability(double value)
{
	return value > 1 ? 1 : value > 0 ? value
									 : 0;
}

/*
 * What BG/NBD and MBG/NBD know of a customer: purchases come at a rate of
 * Gamma(shape, rate), each is the last with a chance of Beta(a, b).
 */
typedef struct Buyer
{
	double		alive;
	double		shape;
	double		rate;
	double		a;
	double		b;
} Buyer;

static Buyer
buyer(LifetimeFamily family, const double *parameters, double frequency,
	  double recency, double age)
{
	Buyer		result;
	double		coins = parameters[3] + frequency - (family == LIFETIME_BGNBD ? 1 : 0);

	result.shape = parameters[0] + frequency;
	result.rate = parameters[1] + age;
	result.a = parameters[2];
	result.b = coins + 1;
	if (family == LIFETIME_BGNBD && frequency == 0)
		result.alive = 1;
	else
	{
		double		gone = log(result.a) - log(coins) +
			result.shape * log1p((age - recency) / (parameters[1] + recency));

		result.alive = gone > 0 ? exp(-gone) / (1 + exp(-gone)) : 1 / (1 + exp(gone));
	}
	return result;
}

/*
 * buyer_series: given that the customer is alive, the number N of purchases if
 * nobody ever left is negative binomial.  The customer makes purchase number
 * j + 1 when N > j and none of j purchases was the last, so the expectation is
 *		sum over j of P(N > j) E[(1 - p)^j].
 * And the chance of being alive afterwards is the sum of P(N = j) E[(1 - p)^j].
 * All terms are positive.  What does not depend on the horizon is computed once
 * for several of them, in ascending order.  Returns false where it would take
 * too many terms.
 */
#define SERIES_HORIZONS 12
#define SERIES_TERMS	600

static bool
buyer_series(const Buyer *customer, const double *horizons, int count,
			 double *purchases, double *alive)
{
	double		z[SERIES_HORIZONS];
	double		equal[SERIES_HORIZONS];
	double		more[SERIES_HORIZONS];
	double		ratio = horizons[count - 1] / customer->rate;
	double		log_none = -customer->shape * log1p(ratio);
	double		mean = customer->shape * ratio;
	double		last = ratio / (1 + ratio);
	double		stays = 1;

	if (!(log_none > -600) ||
		!(mean + 8 * sqrt(mean * (1 + ratio)) + 38 / -log(last) < SERIES_TERMS))
		return false;
	for (int i = 0; i < count; i++)
	{
		ratio = horizons[i] / customer->rate;
		z[i] = ratio / (1 + ratio);
		log_none = -customer->shape * log1p(ratio);
		equal[i] = exp(log_none);
		more[i] = log_none > -0.1 ? -expm1(log_none) : 1 - equal[i];
		purchases[i] = more[i];
		alive[i] = equal[i];
	}
	for (int j = 0; j < 4 * SERIES_TERMS; j++)
	{
		double		growth = (customer->shape + j) / (j + 1);

		stays *= (customer->b + j) / (customer->a + customer->b + j);
		for (int i = 0; i < count; i++)
		{
			equal[i] *= growth * z[i];
			more[i] -= equal[i];
			purchases[i] += stays * more[i];
			alive[i] += stays * equal[i];
		}
		/* the longest horizon has the longest tail, about geometric by now */
		growth *= last;
		if (growth < 1 && equal[count - 1] * stays < 1e-15 * purchases[count - 1] * (1 - growth) * (1 - growth) * (1 - growth))
			break;
	}
	return true;
}

/*
 * buyer_quadrature computes the same as expectations over p.
 */
static void
buyer_quadrature(const Buyer *customer, double horizon, double *purchases, double *alive)
{
	double		ratio = horizon / customer->rate;
	LifetimeRule rule;

	lifetime_beta_rule(customer->a, customer->b, 1 / ((1 + ratio) * (1 + customer->shape)), &rule);
	*purchases = 0;
	*alive = 0;
	for (int i = 0; i < rule.count; i++)
	{
		double		p = rule.node[i];
		double		log_none = -customer->shape * log1p(p * ratio);

		*purchases += rule.weight[i] * (p > 1e-300 ? -expm1(log_none) / p : customer->shape * ratio);
		*alive += rule.weight[i] * exp(log_none);
	}
}

static void
buyer_future(const Buyer *customer, double horizon, double *purchases, double *alive)
{
	if (horizon == 0)
	{
		*purchases = 0;
		*alive = 1;
	}
	else if (!buyer_series(customer, &horizon, 1, purchases, alive))
		buyer_quadrature(customer, horizon, purchases, alive);
}

/*
 * pareto_alive: the chance that a customer of the Pareto/NBD model is alive.
 */
static double
pareto_alive(const double *parameters, double frequency, double recency, double age)
{
	double		r = parameters[0] + frequency;
	double		s = parameters[2];
	double		alive = -r * log(parameters[1] + age) - s * log(parameters[3] + age);
	LifetimePowerIntegral integral;

	lifetime_power_integral(r, s + 1, parameters[1], parameters[3], recency, age, &integral);
	return probability(exp(alive - lifetime_log_add(alive, log(s) + integral.log_value)));
}

/*
 * pareto_purchases: expected purchases of a customer who is alive.
 */
static double
pareto_purchases(const double *parameters, double frequency, double age, double horizon)
{
	double		s = parameters[2];
	double		end = parameters[3] + age;
	double		log_ratio = log1p(horizon / end);
	double		power = (s - 1) * log_ratio;

	/* (1 - exp(-power)) / (s - 1), also where s is 1 */
	return (parameters[0] + frequency) / (parameters[1] + age) * end *
		(fabs(power) < 1e-12 ? log_ratio : -expm1(-power) / (s - 1));
}

/*
 * bgbb_alive: the chance of being alive after the last opportunity.
 */
static double
bgbb_alive(const double *parameters, double frequency, double recency, double age)
{
	LifetimeRow row = {frequency, recency, age, 1};
	LifetimeSums sums;

	lifetime_likelihood(LIFETIME_BGBB, parameters, &row, 1, false, &sums, NULL);
	return probability(exp(lifetime_rising(parameters[0], frequency) +
						   lifetime_rising(parameters[1], age - frequency) -
						   lifetime_rising(parameters[0] + parameters[1], age) +
						   lifetime_rising(parameters[3], age) -
						   lifetime_rising(parameters[2] + parameters[3], age) -
						   sums.value));
}

/*
 * bgbb_stays: the expected number of the next opportunities that a customer who
 * is alive stays for.
 */
static double
bgbb_stays(const double *parameters, double age, double horizon)
{
	double		stays = 1;
	double		sum = 0;

	for (int32_t j = 0; j < (int32_t) horizon; j++)
	{
		stays *= (parameters[3] + age + j) / (parameters[2] + parameters[3] + age + j);
		sum += stays;
	}
	return sum;
}

/*
 * discounted_stays: the expectation of q z / (1 - q z) over q = 1 - p, p of
 * Beta(a, b), z = 1 / (1 + discount); the sum of the discounted chances of
 * staying for 1, 2, ... more periods.
 */
static double
discounted_stays(double a, double b, double discount)
{
	double		z = 1 / (1 + discount);
	double		rest = discount / (1 + discount);
	double		sum = 0;
	LifetimeRule rule;

	lifetime_beta_rule(a, b, rest, &rule);
	for (int i = 0; i < rule.count; i++)
		sum += rule.weight[i] * rule.complement[i] * z / (rest + rule.node[i] * z);
	return sum;
}

/*
 * lifetime_expected_purchases: expected repeat purchases within the horizon, of
 * a customer with this history (of a new one with frequency, recency, age 0).
 */
double
lifetime_expected_purchases(LifetimeFamily family, const double *parameters,
							double frequency, double recency, double age,
							double horizon)
{
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
		{
			Buyer		customer = buyer(family, parameters, frequency, recency, age);
			double		purchases;
			double		alive;

			buyer_future(&customer, horizon, &purchases, &alive);
			return customer.alive * purchases;
		}
		case LIFETIME_PARETO_NBD:
			return pareto_alive(parameters, frequency, recency, age) *
				pareto_purchases(parameters, frequency, age, horizon);
		case LIFETIME_BGBB:
			return bgbb_alive(parameters, frequency, recency, age) *
				(parameters[0] + frequency) / (parameters[0] + parameters[1] + age) *
				bgbb_stays(parameters, age, horizon);
		default:
			return NAN;
	}
}

/*
 * lifetime_weighted_purchases: the sum of weights times the expected purchases
 * within each of several horizons, which ascend from above 0.
 */
double
lifetime_weighted_purchases(LifetimeFamily family, const double *parameters,
							double frequency, double recency, double age,
							const double *horizons, const double *weights,
							int count)
{
	double		sum = 0;

	if (family == LIFETIME_BGNBD || family == LIFETIME_MBGNBD)
	{
		Buyer		customer = buyer(family, parameters, frequency, recency, age);

		for (int start = 0; start < count; start += SERIES_HORIZONS)
		{
			double		purchases[SERIES_HORIZONS];
			double		alive[SERIES_HORIZONS];
			int			some = count - start < SERIES_HORIZONS ? count - start : SERIES_HORIZONS;

			if (!buyer_series(&customer, horizons + start, some, purchases, alive))
				for (int i = 0; i < some; i++)
					buyer_future(&customer, horizons[start + i], &purchases[i], &alive[i]);
			for (int i = 0; i < some; i++)
				sum += weights[start + i] * purchases[i];
		}
		return customer.alive * sum;
	}
	if (family == LIFETIME_PARETO_NBD)
	{
		/* one quadrature for all, since expected purchases are alive times a factor */
		double		alive = pareto_alive(parameters, frequency, recency, age);

		for (int i = 0; i < count; i++)
			sum += weights[i] * pareto_purchases(parameters, frequency, age, horizons[i]);
		return alive * sum;
	}
	for (int i = 0; i < count; i++)
		sum += weights[i] * bgbb_stays(parameters, age, horizons[i]);
	return sum * bgbb_alive(parameters, frequency, recency, age) *
		(parameters[0] + frequency) / (parameters[0] + parameters[1] + age);
}

/*
 * lifetime_alive: the chance of being alive when the horizon has passed.
 */
double
lifetime_alive(LifetimeFamily family, const double *parameters, double frequency,
			   double recency, double age, double horizon)
{
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
		{
			Buyer		customer = buyer(family, parameters, frequency, recency, age);
			double		purchases;
			double		alive;

			buyer_future(&customer, horizon, &purchases, &alive);
			return probability(customer.alive * alive);
		}
		case LIFETIME_PARETO_NBD:
			return probability(pareto_alive(parameters, frequency, recency, age) *
							   exp(-parameters[2] * log1p(horizon / (parameters[3] + age))));
		case LIFETIME_BGBB:
			return probability(bgbb_alive(parameters, frequency, recency, age) *
							   exp(lifetime_rising(parameters[3] + age, horizon) -
								   lifetime_rising(parameters[2] + parameters[3] + age, horizon)));
		default:
			return NAN;
	}
}

/*
 * lifetime_no_purchase: the chance of no purchase within the horizon.
 */
double
lifetime_no_purchase(LifetimeFamily family, const double *parameters,
					 double frequency, double recency, double age, double horizon)
{
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
		{
			Buyer		customer = buyer(family, parameters, frequency, recency, age);

			return probability(1 + customer.alive * expm1(-customer.shape * log1p(horizon / customer.rate)));
		}
		case LIFETIME_PARETO_NBD:
		{
			double		shape = parameters[0] + frequency;
			double		rate = parameters[1] + age;
			double		end = parameters[3] + age;
			double		first;
			LifetimePowerIntegral integral;

			/* the time of the next purchase, if it comes before leaving */
			lifetime_power_integral(shape + 1, parameters[2], rate, end, 0, horizon, &integral);
			first = exp(log(shape) + shape * log(rate) + parameters[2] * log(end) + integral.log_value);
			return probability(1 - pareto_alive(parameters, frequency, recency, age) * first);
		}
		case LIFETIME_BGBB:
		{
			LifetimeRow now = {frequency, recency, age, 1};
			LifetimeRow then = {frequency, recency, age + horizon, 1};
			LifetimeSums now_sums;
			LifetimeSums then_sums;

			lifetime_likelihood(family, parameters, &now, 1, false, &now_sums, NULL);
			lifetime_likelihood(family, parameters, &then, 1, false, &then_sums, NULL);
			return probability(exp(then_sums.value - now_sums.value));
		}
		default:
			return NAN;
	}
}

/* So many terms of the tail of a distribution are added at most. */
#define LONGEST_TAIL 1000000

/*
 * lifetime_purchase_probability: BG/NBD and MBG/NBD, the chance that a new
 * customer makes exactly so many repeat purchases within the horizon.
 */
double
lifetime_purchase_probability(LifetimeFamily family, const double *parameters,
							  double purchases, double horizon)
{
	double		r = parameters[0];
	double		a = parameters[2];
	double		b = parameters[3];
	double		ratio = horizon / parameters[1];
	double		coins = purchases + (family == LIFETIME_MBGNBD ? 1 : 0);
	double		z = ratio / (1 + ratio);
	double		exactly;
	double		term;
	double		at_least = 0;
	double		stays;

	/* of as many or more purchases, if nobody left */
	exactly = horizon == 0 ? (purchases == 0 ? 1 : 0) : exp(lifetime_rising(r, purchases) - lifetime_rising(1, purchases) - r * log1p(ratio) + purchases * log(z));
	term = exactly;
	if (purchases > r * ratio)
		for (int32_t j = (int32_t) purchases; term > 1e-18 * at_least && j < (int32_t) purchases + LONGEST_TAIL; j++)
		{
			at_least += term;
			term *= (r + j) / (j + 1) * z;
		}
	/* the tail is long, or most of all: what is below it is shorter */
	if (purchases <= r * ratio || term > 1e-18 * at_least)
	{
		double		below = 0;

		term = exactly;
		for (int32_t j = (int32_t) purchases; j > 0 && term > 1e-18 * below; j--)
		{
			term *= j / ((r + j - 1) * z);
			below += term;
		}
		at_least = probability(1 - below);
	}
	stays = exp(lifetime_rising(b, coins) - lifetime_rising(a + b, coins));
	if (coins == 0)
		return probability(exactly * stays);
	return probability(exactly * stays +
					   at_least * exp(lifetime_rising(b, coins - 1) - lifetime_rising(a + b, coins)) * a);
}

/*
 * lifetime_residual_transactions: expected purchases over all the future,
 * discounted continuously at a rate per unit of time (for BG/BB: at
 * exp(rate) - 1 per opportunity).  The rate is positive.
 */
double
lifetime_residual_transactions(LifetimeFamily family, const double *parameters,
							   double frequency, double recency, double age,
							   double rate)
{
	switch (family)
	{
		case LIFETIME_BGNBD:
		case LIFETIME_MBGNBD:
		{
			Buyer		customer = buyer(family, parameters, frequency, recency, age);
			LifetimeRule leaving;
			LifetimeRule buying;
			double		sum = 0;

			/* E[rate of purchases / (rate of purchases * p + discount rate)] */
			lifetime_gamma_rule(customer.shape + 1, customer.rate, &buying);
			lifetime_beta_rule(customer.a, customer.b, rate / (rate + buying.node[buying.count - 1]), &leaving);
			for (int i = 0; i < buying.count; i++)
			{
				double		inner = 0;

				if (buying.weight[i] < 1e-18)
					continue;
				for (int j = 0; j < leaving.count; j++)
					inner += leaving.weight[j] / (buying.node[i] * leaving.node[j] + rate);
				sum += buying.weight[i] * inner;
			}
			return customer.alive * customer.shape / customer.rate * sum;
		}
		case LIFETIME_PARETO_NBD:
			return pareto_alive(parameters, frequency, recency, age) *
				(parameters[0] + frequency) / (parameters[1] + age) *
				lifetime_discounted_power(parameters[2], parameters[3] + age, rate);
		case LIFETIME_BGBB:
			return bgbb_alive(parameters, frequency, recency, age) *
				(parameters[0] + frequency) / (parameters[0] + parameters[1] + age) *
				discounted_stays(parameters[2], parameters[3] + age, expm1(rate));
		default:
			return NAN;
	}
}

/*
 * lifetime_expected_spend: Gamma-Gamma, the expected mean spend per purchase;
 * that of the population where frequency is 0.
 */
double
lifetime_expected_spend(const double *parameters, double frequency, double monetary)
{
	double		px = parameters[0] * frequency;

	return parameters[0] * (parameters[2] + (frequency > 0 ? monetary * frequency : 0)) / (px + parameters[1] - 1);
}

/*
 * lifetime_survival: sBG, the share of contracts that are renewed so many times.
 */
double
lifetime_survival(const double *parameters, double periods)
{
	return probability(exp(lifetime_rising(parameters[1], periods) -
						   lifetime_rising(parameters[0] + parameters[1], periods)));
}

/*
 * lifetime_residual_life: sBG, the expected number of further periods of a
 * contract in its period-th period, the first of them not discounted; with
 * periods 0 of a new contract, its first period included.  Infinite without a
 * discount where alpha <= 1.
 */
double
lifetime_residual_life(const double *parameters, double periods, double discount)
{
	double		a = parameters[0];
	double		b = parameters[1] + fmax(periods - 1, 0);

	if (discount == 0)
		return a > 1 ? (periods == 0 ? (a + b - 1) / (a - 1) : b / (a - 1)) : INFINITY;
	if (periods == 0)
		return 1 + discounted_stays(a, b, discount);
	return (1 + discount) * discounted_stays(a, b, discount);
}
