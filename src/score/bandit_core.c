/*
 * bandit_core.c
 *		Which of several actions to take next (see bandit_core.h).
 *
 * Needs no running server.
 */
#include "score/bandit_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score/wire.h"

#define ALIGN(size)		(((size_t) (size) + 7) & ~(size_t) 7)

/* ---- the state ---- */

/*
 * bandit_arm_size is how many bytes an arm takes, by the length of its name.
 */
size_t
bandit_arm_size(size_t length)
{
	return ALIGN(offsetof(BanditArm, name) + length);
}

/*
 * bandit_arm is the arm at an offset into the arms.
 */
BanditArm *
bandit_arm(const BanditState *state, size_t offset)
{
	return (BanditArm *) (state->arms + offset);
}

static int
compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int			order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	if (order != 0)
		return order;
	return a_length < b_length ? -1 : a_length > b_length;
}

/*
 * bandit_check returns NULL for a sound state, or what is wrong with it.  Size
 * counts the server's four bytes.
 */
const char *
bandit_check(const BanditState *state, size_t size)
{
	const BanditArm *last = NULL;
	size_t		offset = 0;

	if (size < sizeof(BanditState))
		return "it is too short";
	if (state->version != BANDIT_VERSION)
		return "its version is unknown";
	if (state->zero[0] != 0 || state->zero[1] != 0 || state->zero[2] != 0)
		return "it has an unknown option";
	if (state->count > BANDIT_MAX_ARMS)
		return "it has too many arms";
	if (state->used != size - sizeof(BanditState))
		return "its size is wrong";
	for (uint32_t i = 0; i < state->count; i++)
	{
		const BanditArm *arm = bandit_arm(state, offset);

		if (state->used - offset < sizeof(BanditArm) || arm->length == 0 || arm->length > BANDIT_MAX_NAME ||
			state->used - offset < bandit_arm_size(arm->length))
			return "an arm does not fit";
		if (arm->trials < 0 || arm->trials > BANDIT_MAX_TRIALS || arm->reward < 0 ||
			arm->reward > arm->trials * BANDIT_MICROS)
			return "an arm has an impossible reward";
		for (size_t j = offsetof(BanditArm, name) + arm->length; j < bandit_arm_size(arm->length); j++)
			if (((const char *) arm)[j] != 0)
				return "there is something after a name";
		if (last != NULL && compare_names(last->name, last->length, arm->name, arm->length) >= 0)
			return "its arms are not in order";
		last = arm;
		offset += bandit_arm_size(arm->length);
	}
	if (offset != state->used)
		return "its size is wrong";
	return NULL;
}

/*
 * bandit_find finds an arm by name; where there is none it returns NULL, and the
 * offset at which it would stand.
 */
BanditArm *
bandit_find(const BanditState *state, const char *name, size_t length, size_t *offset)
{
	*offset = 0;
	while (*offset < state->used)
	{
		BanditArm  *arm = bandit_arm(state, *offset);
		int			order = compare_names(arm->name, arm->length, name, length);

		if (order == 0)
			return arm;
		if (order > 0)
			return NULL;
		*offset += bandit_arm_size(arm->length);
	}
	return NULL;
}

/*
 * bandit_add counts trials with their reward; false where there are too many.
 */
bool
bandit_add(BanditArm *arm, int64_t trials, int64_t reward)
{
	if (trials > BANDIT_MAX_TRIALS - arm->trials)
		return false;
	arm->trials += trials;
	arm->reward += reward;
	return true;
}

/*
 * bandit_insert makes a new arm at the offset that bandit_find gave; the state
 * has room for it.
 */
BanditArm *
bandit_insert(BanditState *state, size_t offset, const char *name, size_t length)
{
	size_t		size = bandit_arm_size(length);
	BanditArm  *arm = bandit_arm(state, offset);

	memmove(state->arms + offset + size, state->arms + offset, state->used - offset);
	memset(arm, 0, size);
	arm->length = (uint32_t) length;
	memcpy(arm->name, name, length);
	state->used += (uint32_t) size;
	state->count++;
	return arm;
}

/*
 * merge walks over both states in order.  Without a result it only measures.
 */
static bool
merge(BanditState *result, const BanditState *a, const BanditState *b, size_t *used, uint32_t *count)
{
	size_t		of_a = 0;
	size_t		of_b = 0;

	*used = 0;
	*count = 0;
	while (of_a < a->used || of_b < b->used)
	{
		const BanditArm *first = of_a < a->used ? bandit_arm(a, of_a) : NULL;
		const BanditArm *second = of_b < b->used ? bandit_arm(b, of_b) : NULL;
		int			order = first == NULL ? 1 : second == NULL ? -1
													   : compare_names(first->name, first->length, second->name, second->length);
		const BanditArm *source = order <= 0 ? first : second;
		size_t		size = bandit_arm_size(source->length);

		if (result != NULL)
		{
			BanditArm  *arm = bandit_arm(result, *used);

			memcpy(arm, source, size);
			if (order == 0 && !bandit_add(arm, second->trials, second->reward))
				return false;
		}
		*used += size;
		++*count;
		if (order <= 0)
			of_a += bandit_arm_size(first->length);
		if (order >= 0)
			of_b += bandit_arm_size(second->length);
	}
	return true;
}

/*
 * bandit_merged_size is the size of two states as one; 0 where they have too many
 * arms together.
 */
size_t
bandit_merged_size(const BanditState *a, const BanditState *b)
{
	size_t		used;
	uint32_t	count;

	merge(NULL, a, b, &used, &count);
	return count > BANDIT_MAX_ARMS ? 0 : sizeof(BanditState) + used;
}

/*
 * bandit_merge adds up two states in a third one of bandit_merged_size bytes;
 * false where an arm has too many trials.
 */
bool
bandit_merge(BanditState *result, const BanditState *a, const BanditState *b)
{
	size_t		used;
	uint32_t	count;

	memset(result->zero, 0, sizeof(result->zero));
	result->version = BANDIT_VERSION;
	if (!merge(result, a, b, &used, &count))
		return false;
	result->used = (uint32_t) used;
	result->count = count;
	return true;
}

/* ---- the binary form ---- */

/*
 * bandit_measure_wire returns NULL and the size of the state that a binary form
 * makes, or what is wrong with it.  What it passes still goes to bandit_check.
 */
const char *
bandit_measure_wire(const uint8_t *bytes, size_t length, size_t *size)
{
	WireReader	reader = {bytes, length, false};
	bool		known = wire_integer(&reader, 1) == BANDIT_VERSION;
	uint64_t	count = wire_integer(&reader, 4);

	*size = sizeof(BanditState);
	if (reader.failed)
		return "it is too short";
	if (!known)
		return "its version is unknown";
	if (count > BANDIT_MAX_ARMS)
		return "it has too many arms";
	for (uint64_t i = 0; i < count; i++)
	{
		size_t		name = wire_integer(&reader, 2);

		if (!reader.failed && (name == 0 || name > BANDIT_MAX_NAME))
			return "an arm does not fit";
		wire_bytes(&reader, name + 16);
		if (reader.failed)
			return "it is too short";
		*size += bandit_arm_size(name);
	}
	if (!wire_done(&reader))
		return "its size is wrong";
	return NULL;
}

/*
 * bandit_read_wire fills a state of the size that bandit_measure_wire gave.
 */
void
bandit_read_wire(const uint8_t *bytes, size_t length, BanditState *state)
{
	WireReader	reader = {bytes, length, false};

	memset(state->zero, 0, sizeof(state->zero));
	state->version = (uint8_t) wire_integer(&reader, 1);
	state->count = (uint32_t) wire_integer(&reader, 4);
	state->used = 0;
	for (uint32_t i = 0; i < state->count; i++)
	{
		BanditArm  *arm = bandit_arm(state, state->used);
		size_t		name = wire_integer(&reader, 2);
		size_t		size = bandit_arm_size(name);

		memset(arm, 0, size);
		arm->length = (uint32_t) name;
		memcpy(arm->name, wire_bytes(&reader, name), name);
		arm->trials = (int64_t) wire_integer(&reader, 8);
		arm->reward = (int64_t) wire_integer(&reader, 8);
		state->used += (uint32_t) size;
	}
}

/* ---- draws ---- */

/* Random numbers: splitmix64, whose stream is the same everywhere. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Between 0 and 1, both excluded. */
static double
next_uniform(uint64_t *state)
{
	return ((double) (next_random(state) >> 12) + 0.5) * 0x1p-52;
}

/*
 * log_gamma_draw draws the logarithm of a Gamma variable, by Marsaglia and Tsang
 * (2000); as a logarithm, since with a small shape it is often below the
 * smallest float.
 */
static double
log_gamma_draw(uint64_t *state, double shape)
{
	double		more = 0;
	double		d;
	double		c;

	if (shape < 1)
	{
		more = log(next_uniform(state)) / shape;
		shape += 1;
	}
	d = shape - 1.0 / 3;
	c = 1 / sqrt(9 * d);
	for (;;)
	{
		double		normal = sqrt(-2 * log(next_uniform(state))) * cos(2 * M_PI * next_uniform(state));
		double		root = 1 + c * normal;
		double		cube = root * root * root;

		if (root > 0 && log(next_uniform(state)) < 0.5 * normal * normal + d - d * cube + d * log(cube))
			return log(d) + log(cube) + more;
	}
}

/*
 * bandit_draw draws the log odds of the mean reward of an arm from what is
 * believed of it.  The same seed gives the same draw.
 */
double
bandit_draw(uint64_t seed, const BanditBelief *belief)
{
	double		success = log_gamma_draw(&seed, belief->alpha);

	return success - log_gamma_draw(&seed, belief->beta);
}

/* ---- the probability of being best ---- */

#define NODES	8

/* 8-point Gauss-Legendre rule on [-1, 1]: the positive nodes. */
static const double gauss_node[NODES / 2] = {
	0.1834346424956498049, 0.5255324099163289858,
	0.7966664774136267396, 0.9602898564975362317};
static const double gauss_weight[NODES / 2] = {
	0.3626837833783619830, 0.3137066458778872873,
	0.2223810344533744705, 0.1012285362903762591};

/*
 * make_rule fills nodes and weights on [0, 1], and the matrix that integrates a
 * polynomial from 0 to each node: of its coefficients in Legendre polynomials,
 * whose integrals are (P(n+1) - P(n-1)) / (2 n + 1).
 */
static void
make_rule(double *node, double *weight, double matrix[NODES][NODES])
{
	double		legendre[NODES + 1][NODES];

	for (int i = 0; i < NODES; i++)
	{
		int			half = i < NODES / 2 ? NODES / 2 - 1 - i : i - NODES / 2;
		double		x = i < NODES / 2 ? -gauss_node[half] : gauss_node[half];

		node[i] = 0.5 * (1 + x);
		weight[i] = 0.5 * gauss_weight[half];
		legendre[0][i] = 1;
		legendre[1][i] = x;
		for (int n = 1; n < NODES; n++)
			legendre[n + 1][i] = ((2 * n + 1) * x * legendre[n][i] - n * legendre[n - 1][i]) / (n + 1);
	}
	for (int i = 0; i < NODES; i++)
		for (int j = 0; j < NODES; j++)
		{
			double		sum = 0.5 * (legendre[1][i] + 1);

			for (int n = 1; n < NODES; n++)
				sum += 0.5 * legendre[n][j] * (legendre[n + 1][i] - legendre[n - 1][i]);
			matrix[i][j] = weight[j] * sum;
		}
}

/*
 * reach is where the density of an arm in log odds matters: its mode, a step
 * over which it changes little, and how far to go to both sides.  It falls like
 * exp(alpha y) to the left and exp(-beta y) to the right.
 */
static void
reach(const BanditBelief *belief, double *mode, double *step, int *left, int *right)
{
	double		deviation = sqrt(1 / belief->alpha + 1 / belief->beta);

	*mode = log(belief->alpha / belief->beta);
	*step = 0.75 * deviation;
	if (*step > 1.5)
		*step = 1.5;
	*left = (int) ceil(fmax(9 * deviation, 40 / belief->alpha) / *step);
	*right = (int) ceil(fmax(9 * deviation, 40 / belief->beta) / *step);
}

/*
 * log_density is the logarithm of the density of an arm in log odds, but for a
 * constant.
 */
static double
log_density(const BanditBelief *belief, double y)
{
	double		log_p = y > 0 ? -log1p(exp(-y)) : y - log1p(exp(y));
	double		log_q = y > 0 ? -y - log1p(exp(-y)) : -log1p(exp(y));

	return belief->alpha * log_p + belief->beta * log_q;
}

/*
 * bandit_best_room gives the number of doubles that bandit_best wants as points;
 * false where that is too many.
 */
bool
bandit_best_room(const BanditBelief *beliefs, int count, size_t *points)
{
	*points = 0;
	for (int i = 0; i < count; i++)
	{
		double		mode;
		double		step;
		int			left;
		int			right;

		reach(&beliefs[i], &mode, &step, &left, &right);
		*points += (size_t) left + right + 1;
	}
	return *points < (size_t) 100000000;
}

static int
compare_points(const void *a, const void *b)
{
	double		first = *(const double *) a;
	double		second = *(const double *) b;

	return first < second ? -1 : first > second;
}

/*
 * bandit_best computes for each arm the probability that its mean reward is the
 * greatest: the integral of its density times the distributions of all others.
 *
 * It is taken over the log odds, in intervals between the points at which any of
 * the arms has its steps, so that a sharp arm is seen beside a vague one.  Within
 * an interval, densities are polynomials through 8 nodes, which also gives the
 * distributions there.
 *
 * points: of bandit_best_room; scratch: BANDIT_SCRATCH(count) doubles.  Returns
 * false when interrupted.
 */
bool
bandit_best(const BanditBelief *beliefs, int count, double *points, double *scratch,
			double *best, BanditInterrupted interrupted)
{
	double		node[NODES];
	double		weight[NODES];
	double		matrix[NODES][NODES];
	double	   *constant = scratch;
	double	   *below = constant + count;	/* distribution at the interval's start */
	double	   *density = below + count;	/* NODES for each arm */
	double	   *suffix = density + NODES * (size_t) count;
	double	   *distribution = suffix + count + 1;
	size_t		point_count = 0;
	double		sum = 0;

	make_rule(node, weight, matrix);
	for (int i = 0; i < count; i++)
	{
		double		mode;
		double		step;
		double		mass = 0;
		int			left;
		int			right;

		reach(&beliefs[i], &mode, &step, &left, &right);
		for (int j = -left; j <= right; j++)
			points[point_count++] = mode + j * step;
		/* the trapezoid rule, which converges exponentially, and does not cancel as lgamma would */
		constant[i] = log_density(&beliefs[i], mode);
		for (int j = -2 * left; j <= 2 * right; j++)
			mass += exp(log_density(&beliefs[i], mode + j * step / 2) - constant[i]);
		constant[i] += log(mass * step / 2);
		below[i] = 0;
		best[i] = 0;
	}
	qsort(points, point_count, sizeof(double), compare_points);
	for (size_t interval = 0; interval + 1 < point_count; interval++)
	{
		double		low = points[interval];
		double		width = points[interval + 1] - low;

		if (interrupted != NULL && interval % 64 == 0 && interrupted())
			return false;
		if (!(width > 0))
			continue;
		for (int k = 0; k < NODES; k++)
		{
			double		y = low + node[k] * width;
			double		log_p = y > 0 ? -log1p(exp(-y)) : y - log1p(exp(y));
			double		log_q = y > 0 ? -y - log1p(exp(-y)) : -log1p(exp(y));

			for (int i = 0; i < count; i++)
			{
				double		logarithm = beliefs[i].alpha * log_p + beliefs[i].beta * log_q - constant[i];

				density[(size_t) i * NODES + k] = logarithm > -100 ? exp(logarithm) : 0;
			}
		}
		for (int k = 0; k < NODES; k++)
		{
			double		prefix = 1;

			for (int i = 0; i < count; i++)
			{
				const double *of_arm = &density[(size_t) i * NODES];
				double		inside = 0;

				for (int j = 0; j < NODES; j++)
					inside += matrix[k][j] * of_arm[j];
				distribution[i] = fmin(fmax(below[i] + width * inside, 0), 1);
			}
			suffix[count] = 1;
			for (int i = count - 1; i >= 0; i--)
				suffix[i] = suffix[i + 1] * distribution[i];
			for (int i = 0; i < count; i++)
			{
				best[i] += weight[k] * width * density[(size_t) i * NODES + k] * prefix * suffix[i + 1];
				prefix *= distribution[i];
			}
		}
		for (int i = 0; i < count; i++)
			for (int k = 0; k < NODES; k++)
				below[i] += weight[k] * width * density[(size_t) i * NODES + k];
	}
	for (int i = 0; i < count; i++)
		sum += best[i];
	/* no two are best at once, and one is */
	for (int i = 0; i < count; i++)
		best[i] /= sum;
	return true;
}
