/*
 * lifetime_math.c
 *		Special functions and quadrature for the lifetime models.
 */
#include <float.h>
#include <math.h>

#include "score/lifetime_core.h"

/*
 * The integrands have poles at a distance of i pi from the real axis: panels of
 * this length leave an error below 1e-16.
 */
#define WIDEST_PANEL 4.0

/* 16-point Gauss-Legendre rule on [-1, 1]: the positive nodes. */
static const double gauss_node[8] = {
	0.0950125098376374402, 0.2816035507792589132,
	0.4580167776572273863, 0.6178762444026437484,
	0.7554044083550030339, 0.8656312023878317439,
	0.9445750230732325761, 0.9894009349916499326};
static const double gauss_weight[8] = {
	0.1894506104550684963, 0.1826034150449235889,
	0.1691565193950025382, 0.1495959888165767321,
	0.1246289712555338720, 0.0951585116824927848,
	0.0622535239386478929, 0.0271524594117540949};

/*
 * gauss gives node and weight number i (0 to 15) on [0, 1], in ascending order.
 */
static inline void
gauss(int i, double *node, double *weight)
{
	int			half = i < 8 ? 7 - i : i - 8;

	*node = i < 8 ? 0.5 * (1 - gauss_node[half]) : 0.5 * (1 + gauss_node[half]);
	*weight = 0.5 * gauss_weight[half];
}

/*
 * lifetime_log_add computes ln(exp(a) + exp(b)).
 */
double
lifetime_log_add(double a, double b)
{
	if (a == -INFINITY)
		return b;
	if (b == -INFINITY)
		return a;
	return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

/*
 * stirling computes what ln Gamma(z), its first and second derivative have
 * beyond their leading terms, for z >= 12 (Abramowitz and Stegun 6.1.40,
 * 6.3.18, 6.4.12).
 */
static void
stirling(double z, double *value, double *first, double *second)
{
	double		i = 1 / z;
	double		q = i * i;

	*value = i * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q * (1.0 / 1188 - q * (691.0 / 360360))))));
	*first = -q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q * (1.0 / 132 - q * (691.0 / 32760))))));
	*second = q * i * (1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * (5.0 / 66 - q * (691.0 / 2730))))));
}

/*
 * lifetime_trigamma computes the second derivative of ln Gamma(z), z > 0.
 */
double
lifetime_trigamma(double z)
{
	double		value;
	double		first;
	double		second;
	double		sum = 0;

	while (z < 12)
	{
		sum += 1 / (z * z);
		z += 1;
	}
	stirling(z, &value, &first, &second);
	return sum + 1 / z + 1 / (2 * z * z) + second;
}

/*
 * rising_directly computes ln(Gamma(a + n) / Gamma(a)) and its derivatives by a
 * without the cancellation of taking two large values from each other.
 */
static void
rising_directly(LifetimeRising *rising, double a, double n)
{
	double		value = 0;
	double		first = 0;
	double		second = 0;
	double		end;
	double		low[3];
	double		high[3];

	while (a < 12)
	{
		double		b = a + n;

		value -= log(b / a);
		first += n / (a * b);
		second -= n * (a + b) / (a * b * a * b);
		a += 1;
	}
	end = a + n;
	stirling(a, &low[0], &low[1], &low[2]);
	stirling(end, &high[0], &high[1], &high[2]);
	value += n * log(end) + (a - 0.5) * log1p(n / a) - n + (high[0] - low[0]);
	first += log1p(n / a) + n / (2 * a * end) + (high[1] - low[1]);
	second += -n / (a * end) - n * (a + end) / (2 * a * a * end * end) + (high[2] - low[2]);
	rising->value = value;
	rising->first = first;
	rising->second = second;
}

/*
 * lifetime_rising_start begins a table of ln(Gamma(a + n) / Gamma(a)) at n = 0.
 */
void
lifetime_rising_start(LifetimeRising *rising, double a)
{
	rising->a = a;
	rising->n = 0;
	rising->value = rising->first = rising->second = 0;
}

/*
 * lifetime_rising_to moves the table to an n.  Steps up by a few are sums; so
 * rows in ascending order cost next to nothing.
 */
void
lifetime_rising_to(LifetimeRising *rising, double n)
{
	double		step = n - rising->n;

	if (step == 0)
		return;
	if (step > 0 && step <= 24 && step == floor(step))
	{
		for (int i = 0; i < (int) step; i++)
		{
			double		inverse = 1 / (rising->a + (rising->n + i));

			rising->value -= log(inverse);
			rising->first += inverse;
			rising->second -= inverse * inverse;
		}
	}
	else if (n == 0)
		rising->value = rising->first = rising->second = 0;
	else
		rising_directly(rising, rising->a, n);
	rising->n = n;
}

/*
 * lifetime_rising computes ln(Gamma(a + n) / Gamma(a)).
 */
double
lifetime_rising(double a, double n)
{
	LifetimeRising rising;

	lifetime_rising_start(&rising, a);
	lifetime_rising_to(&rising, n);
	return rising.value;
}

/*
 * rule_finish turns logarithms of weights into weights of sum 1.
 */
static void
rule_finish(LifetimeRule *rule)
{
	double		top = -INFINITY;
	double		sum = 0;

	for (int i = 0; i < rule->count; i++)
		if (rule->weight[i] > top)
			top = rule->weight[i];
	for (int i = 0; i < rule->count; i++)
		sum += rule->weight[i] = exp(rule->weight[i] - top);
	for (int i = 0; i < rule->count; i++)
		rule->weight[i] /= sum;
}

/*
 * lifetime_beta_rule makes nodes p and weights for expectations over
 * Beta(a, b): the trapezoid rule in logit(p), which converges exponentially; where
 * b is large the integrand is analytic within i pi / 2 only, hence the limit of
 * the step.
 *
 * "smallest" is the scale of p below which the integrand no longer changes; what
 * lies far below it, or at 1 to all digits, goes into one node with the weight
 * of all the terms that the rule would have there.
 */
void
lifetime_beta_rule(double a, double b, double smallest, LifetimeRule *rule)
{
	double		center = log(a / b);
	double		deviation = sqrt(1 / a + 1 / b);
	double		step = 0.25 * fmin(deviation, 1.2);
	double		low = center - fmax(8 * deviation, 45 / a);
	double		high = center + fmax(8 * deviation, 45 / b);
	double		flat = log(smallest) - 40;
	bool		low_tail = false;
	bool		high_tail = false;
	int			nodes;

	if (flat > center - 4 * deviation)
		flat = center - 4 * deviation;
	if (low < flat)
	{
		low = flat;
		low_tail = true;
	}
	if (high > fmax(40, center + 4 * deviation))
	{
		high = fmax(40, center + 4 * deviation);
		high_tail = true;
	}
	nodes = (int) fmin(ceil((high - low) / step), LIFETIME_RULE_NODES - 3);
	step = (high - low) / nodes;

	rule->count = 0;
	for (int i = 0; i <= nodes; i++)
	{
		double		y = low + i * step;
		double		log_p = y > 0 ? -log1p(exp(-y)) : y - log1p(exp(y));
		double		log_q = y > 0 ? -y - log1p(exp(-y)) : -log1p(exp(y));

		rule->node[rule->count] = exp(log_p);
		rule->complement[rule->count] = exp(log_q);
		rule->weight[rule->count++] = a * log_p + b * log_q;
	}
	if (low_tail)
	{
		rule->node[rule->count] = 0;
		rule->complement[rule->count] = 1;
		rule->weight[rule->count++] = a * low - log(expm1(a * step));
	}
	if (high_tail)
	{
		rule->node[rule->count] = 1;
		rule->complement[rule->count] = 0;
		rule->weight[rule->count++] = -b * high - log(expm1(b * step));
	}
	rule_finish(rule);
}

/*
 * lifetime_gamma_rule does the same over Gamma(shape, rate), shape >= 1, by the
 * trapezoid rule in ln(x).
 */
void
lifetime_gamma_rule(double shape, double rate, LifetimeRule *rule)
{
	double		center = log(shape / rate);
	double		deviation = 1 / sqrt(shape);
	double		step = 0.25 * deviation;
	double		low = center - fmax(8 * deviation, 45 / shape);
	double		high = center + fmax(8 * deviation, log1p(60 / shape));
	int			nodes = (int) fmin(ceil((high - low) / step), LIFETIME_RULE_NODES - 1);

	step = (high - low) / nodes;
	rule->count = 0;
	for (int i = 0; i <= nodes; i++)
	{
		double		offset = low + i * step - center;

		rule->node[rule->count] = exp(low + i * step);
		rule->complement[rule->count] = 0;
		rule->weight[rule->count++] = shape * (offset - expm1(offset));
	}
	rule_finish(rule);
}

/*
 * lifetime_power_integral computes the integral over y from low to high of
 * (first_offset + y)^-first_power (second_offset + y)^-second_power.
 *
 * With u = ln(m + y), m the smaller offset, it is a smooth decaying function,
 * and 16 Gauss-Legendre nodes on panels that double in length do: nearly
 * always there is one panel.
 */
void
lifetime_power_integral(double first_power, double second_power,
						double first_offset, double second_offset,
						double low, double high, LifetimePowerIntegral *result)
{
	double		m = fmin(first_offset, second_offset);
	double		first_low = first_offset + low;
	double		second_low = second_offset + low;
	double		length = log1p((high - low) / (m + low));
	double		log_first_low = log(first_low);
	double		log_second_low = log(second_low);
	double		h = fmin(16 / (first_power + second_power), WIDEST_PANEL);
	double		position = 0;
	double		sum = 0;

	result->count = 0;
	result->log_value = -INFINITY;
	if (!(length > 0))
		return;
	for (int panel = 0; panel < LIFETIME_PANELS && position < length; panel++)
	{
		double		width = length - position < 1.3 * h ? length - position : h;
		double		panel_sum = 0;

		for (int i = 0; i < LIFETIME_PANEL_NODES; i++)
		{
			double		node;
			double		weight;
			double		v;
			double		distance;
			double		first;
			double		second;
			double		term;

			gauss(i, &node, &weight);
			v = position + node * width;
			distance = (m + low) * expm1(v);
			first = log1p(distance / first_low);
			second = log1p(distance / second_low);
			term = weight * width * exp(v - first_power * first - second_power * second);
			result->log_first[result->count] = log_first_low + first;
			result->log_second[result->count] = log_second_low + second;
			result->share[result->count++] = term;
			panel_sum += term;
		}
		sum += panel_sum;
		position += width;
		h = fmin(2 * h, WIDEST_PANEL);
		if (panel_sum < 1e-17 * sum)
			break;
	}
	for (int i = 0; i < result->count; i++)
		result->share[i] /= sum;
	result->log_value = log(sum) + log(m + low) - first_power * log_first_low - second_power * log_second_low;
}

/*
 * lifetime_discounted_power computes the integral over t from 0 to infinity of
 * exp(-rate t) (offset / (offset + t))^power, for rate > 0.  With
 * t = offset (exp(v) - 1) the same panels do, where the exponential ends it.
 */
double
lifetime_discounted_power(double power, double offset, double rate)
{
	double		z = rate * offset;
	double		length = log1p(800 / z);
	double		h = fmin(1, 16 / (power + z + 1));
	double		position = 0;
	double		sum = 0;

	while (position < length)
	{
		double		width = length - position < 1.3 * h ? length - position : h;
		double		panel_sum = 0;

		for (int i = 0; i < LIFETIME_PANEL_NODES; i++)
		{
			double		node;
			double		weight;
			double		v;

			gauss(i, &node, &weight);
			v = position + node * width;
			panel_sum += weight * exp((1 - power) * v - z * expm1(v));
		}
		sum += width * panel_sum;
		position += width;
		if (power >= 1 && width * panel_sum < 1e-17 * sum)
			break;
		h = fmin(2 * h, 1 / (1 + z * exp(position) / 16));
	}
	return sum * offset;
}
