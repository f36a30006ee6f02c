/*
 * lifetime_bg.c
 *		Log-likelihood, gradient and Hessian of BG/NBD, and of MBG/NBD, in which
 *		b + x counts one more coin.
 *
 * Of rows of the same x, what is special to each is the chance of having left,
 * and all sums are made of a few sums over them.  These are taken in blocks, by
 * loops that the compiler makes vector instructions of, with an exponential and a
 * logarithm of our own, since the library's take one number at a time.
 *
 * Needs no running server.
 */
#include <math.h>
#include <string.h>

#include "score/lifetime_core.h"
#include "score/vector.h"

#define BLOCK		128			/* rows */
#define LANES		8			/* sums side by side, which are added up at the end */
#define ROWS_BETWEEN_CHECKS 16384

/*
 * Sums over rows: s is the chance of having left, b = s (1 - s), L and I logarithm
 * and inverse of the rate's parameter at the end, l and v what these exceed those
 * at the last purchase by.
 */
enum
{
	SUM_W,						/* weight */
	SUM_L,
	SUM_I,
	SUM_II,
	SUM_S,
	SUM_SL,						/* s l */
	SUM_SV,						/* s v */
	SUM_SII,					/* s (inverse square at the last purchase - at the end) */
	SUM_PLUS,					/* ln(1 + odds of having left) */
	SUM_B,
	SUM_BL,
	SUM_BV,
	SUM_BLL,
	SUM_BLV,
	SUM_BVV,
	SUMS
};

typedef struct Block
{
	double		end[BLOCK];		/* alpha + age */
	double		last[BLOCK];	/* alpha + recency */
	double		weight[BLOCK];
} Block;

/*
 * add_block adds rows to the sums; count is a multiple of LANES.
 *
 * constant: ln of the odds of having left, but for shape * l.
 */
VECTOR_CLONES static void
add_block(const Block *restrict block, int count, double shape, double constant, double sums[restrict SUMS][LANES])
{
	double		ratio[BLOCK];
	double		inverse_end[BLOCK];
	double		inverse_last[BLOCK];
	double		log_end[BLOCK];
	double		difference[BLOCK];
	double		odds[BLOCK];
	double		small[BLOCK];
	double		likely[BLOCK];
	double		plus[BLOCK];

	for (int i = 0; i < count; i++)
	{
		inverse_end[i] = 1 / block->end[i];
		inverse_last[i] = 1 / block->last[i];
		ratio[i] = block->end[i] * inverse_last[i];
	}
	for (int i = 0; i < count; i++)
		log_end[i] = vector_log(block->end[i]);
	for (int i = 0; i < count; i++)
	{
		difference[i] = vector_log(ratio[i]);
		odds[i] = constant + shape * difference[i];
	}
	for (int i = 0; i < count; i++)
		small[i] = vector_exp(-fabs(odds[i]));
	for (int i = 0; i < count; i++)
	{
		likely[i] = 1 / (1 + small[i]);
		plus[i] = (odds[i] > 0 ? odds[i] : 0) + vector_log(1 + small[i]);
	}
	for (int start = 0; start < count; start += LANES)
		for (int lane = 0; lane < LANES; lane++)
		{
			int			i = start + lane;
			double		weight = block->weight[i];
			double		left = weight * (odds[i] > 0 ? likely[i] : small[i] * likely[i]);
			double		both = weight * (small[i] * likely[i] * likely[i]);
			double		l = difference[i];
			double		v = inverse_end[i] - inverse_last[i];
			double		end_square = inverse_end[i] * inverse_end[i];

			sums[SUM_W][lane] += weight;
			sums[SUM_L][lane] += weight * log_end[i];
			sums[SUM_I][lane] += weight * inverse_end[i];
			sums[SUM_II][lane] += weight * end_square;
			sums[SUM_S][lane] += left;
			sums[SUM_SL][lane] += left * l;
			sums[SUM_SV][lane] += left * v;
			sums[SUM_SII][lane] += left * (inverse_last[i] * inverse_last[i] - end_square);
			sums[SUM_PLUS][lane] += weight * plus[i];
			sums[SUM_B][lane] += both;
			sums[SUM_BL][lane] += both * l;
			sums[SUM_BV][lane] += both * v;
			sums[SUM_BLL][lane] += both * l * l;
			sums[SUM_BLV][lane] += both * l * v;
			sums[SUM_BVV][lane] += both * v * v;
		}
}

/*
 * lifetime_bg_rows adds log-likelihood, gradient and Hessian of rows, which are
 * sorted by x.  Returns false when interrupted.
 */
bool
lifetime_bg_rows(bool modified, const double *parameters, const LifetimeRow *rows,
				 size_t count, LifetimeSums *sums, LifetimeInterrupted interrupted)
{
	double		r = parameters[0];
	double		alpha = parameters[1];
	double		a = parameters[2];
	double		b = parameters[3];
	double		log_alpha = log(alpha);
	double		log_a = log(a);
	double		shift = modified ? 1 : 0;
	double	   *g = sums->gradient;
	double	   *h = sums->hessian;
	size_t		checked = 0;
	LifetimeRising of_r;
	LifetimeRising of_b;
	LifetimeRising of_ab;
	Block		block;

	lifetime_rising_start(&of_r, r);
	lifetime_rising_start(&of_b, b);
	lifetime_rising_start(&of_ab, a + b);
	for (size_t start = 0; start < count;)
	{
		double		x = rows[start].x;
		double		shape = r + x;
		double		coins = b + x - 1 + shift;
		/* in BG/NBD, nobody leaves before the first repeat purchase */
		bool		may_leave = x > 0 || modified;
		double		constant = may_leave ? log_a - log(coins) : -1e300;
		double		by_a = may_leave ? 1 / a : 0;
		double		by_b = may_leave ? -1 / coins : 0;
		double		lanes[SUMS][LANES] = {{0}};
		double		s[SUMS];

		lifetime_rising_to(&of_r, x);
		lifetime_rising_to(&of_b, x + (may_leave ? shift : 0));
		lifetime_rising_to(&of_ab, x + (may_leave ? shift : 0));
		while (start < count && rows[start].x == x)
		{
			int			filled = 0;

			if (start >= checked)
			{
				checked = start + ROWS_BETWEEN_CHECKS;
				if (interrupted && interrupted())
					return false;
			}
			for (; filled < BLOCK && start < count && rows[start].x == x; filled++, start++)
			{
				block.end[filled] = alpha + rows[start].z;
				block.last[filled] = alpha + rows[start].y;
				block.weight[filled] = rows[start].weight;
			}
			for (; filled % LANES != 0; filled++)
			{
				block.end[filled] = block.last[filled] = 1;
				block.weight[filled] = 0;
			}
			add_block(&block, filled, shape, constant, lanes);
		}
		for (int i = 0; i < SUMS; i++)
			s[i] = ((lanes[i][0] + lanes[i][4]) + (lanes[i][1] + lanes[i][5])) +
				((lanes[i][2] + lanes[i][6]) + (lanes[i][3] + lanes[i][7]));

		sums->value += s[SUM_W] * (of_r.value + r * log_alpha + of_b.value - of_ab.value) - shape * s[SUM_L] + s[SUM_PLUS];
		g[0] += s[SUM_W] * (of_r.first + log_alpha) - s[SUM_L] + s[SUM_SL];
		g[1] += s[SUM_W] * r / alpha - shape * (s[SUM_I] - s[SUM_SV]);
		g[2] += s[SUM_S] * by_a - s[SUM_W] * of_ab.first;
		g[3] += s[SUM_S] * by_b + s[SUM_W] * (of_b.first - of_ab.first);

		/* of the mixture, and of its parts */
		h[LIFETIME_PACKED(0, 0)] += s[SUM_BLL] + s[SUM_W] * of_r.second;
		h[LIFETIME_PACKED(1, 0)] += shape * s[SUM_BLV] + s[SUM_W] / alpha - (s[SUM_I] - s[SUM_SV]);
		h[LIFETIME_PACKED(1, 1)] += shape * shape * s[SUM_BVV] + shape * (s[SUM_II] + s[SUM_SII]) - s[SUM_W] * r / (alpha * alpha);
		h[LIFETIME_PACKED(2, 0)] += by_a * s[SUM_BL];
		h[LIFETIME_PACKED(2, 1)] += by_a * shape * s[SUM_BV];
		h[LIFETIME_PACKED(2, 2)] += by_a * by_a * (s[SUM_B] - s[SUM_S]) - s[SUM_W] * of_ab.second;
		h[LIFETIME_PACKED(3, 0)] += by_b * s[SUM_BL];
		h[LIFETIME_PACKED(3, 1)] += by_b * shape * s[SUM_BV];
		h[LIFETIME_PACKED(3, 2)] += by_a * by_b * s[SUM_B] - s[SUM_W] * of_ab.second;
		h[LIFETIME_PACKED(3, 3)] += by_b * by_b * (s[SUM_B] + s[SUM_S]) + s[SUM_W] * (of_b.second - of_ab.second);
	}
	return true;
}
