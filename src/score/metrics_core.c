/*
 * metrics_core.c
 *		How good scores are (see metrics_core.h).
 *
 * AUC is the probability that a row labelled yes has a higher score than one
 * labelled no, ties counting half, which is the area under the ROC curve by the
 * trapezoidal rule (Hanley and McNeil 1982).
 */
#include <math.h>
#include <string.h>

#include "score/metrics_core.h"
#include "score/wire.h"

#define METRICS_HEADER	34		/* bytes of the binary form before its groups */

/*
 * metrics_is_weight tells whether a number can be the weight of a row: so that
 * products of sums of them neither overflow nor vanish.
 */
bool
metrics_is_weight(double value)
{
	return value == 0 || (value >= 1e-100 && value <= 1e100);
}

/* A sum of weights, or of what rows lose. */
static bool
is_sum(double value)
{
	return value >= 0 && value <= 1e140;
}

/*
 * metrics_read_header reads what the binary form has before its groups, and
 * returns false where that or the size of all is not sound.
 */
bool
metrics_read_header(const uint8_t *bytes, size_t length, MetricsHeader *header)
{
	WireReader	reader = {bytes, length, false};
	uint64_t	version = wire_integer(&reader, 1);
	uint64_t	binned = wire_integer(&reader, 1);

	header->binned = binned == 1;
	header->rows = (int64_t) wire_integer(&reader, 8);
	header->log_loss = wire_double(&reader);
	header->brier = wire_double(&reader);
	header->count = (int64_t) wire_integer(&reader, 8);
	return !reader.failed && version == METRICS_VERSION && binned <= 1 && header->rows >= 0 &&
		is_sum(header->log_loss) && is_sum(header->brier) &&
		reader.left % sizeof(ScoreGroup) == 0 && header->count == (int64_t) (reader.left / sizeof(ScoreGroup));
}

/*
 * metrics_read_groups reads as many groups as the header says, and returns false
 * where they are not sound.
 */
bool
metrics_read_groups(const uint8_t *bytes, size_t length, const MetricsHeader *header, ScoreGroup *groups)
{
	WireReader	reader = {bytes, length, false};

	wire_bytes(&reader, METRICS_HEADER);
	for (int64_t i = 0; i < header->count; i++)
	{
		ScoreGroup *group = &groups[i];

		group->score = wire_double(&reader);
		group->negative = wire_double(&reader);
		group->positive = wire_double(&reader);
		if (!isfinite(group->score) || !is_sum(group->negative) || !is_sum(group->positive) ||
			!(group->negative + group->positive >= 1e-100) ||
			(i > 0 && !(group->score > group[-1].score)) ||
			(header->binned && (group->score < 0 || group->score > 1)))
			return false;
	}
	return true;
}

/* Probabilities in log-loss stay this far away from 0 and 1. */
#define LOG_LOSS_CLIP	1e-15

/*
 * A key that compares as an unsigned number like the score does; -0 is 0.
 */
uint64_t
score_key(double score)
{
	uint64_t	bits;

	score += 0.0;				/* -0 becomes 0 */
	memcpy(&bits, &score, sizeof(bits));
	return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double
key_score(uint64_t key)
{
	uint64_t	bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
	double		score;

	memcpy(&score, &bits, sizeof(score));
	return score;
}

static int
digit(uint64_t key, int pass)
{
	return (int) (key >> (11 * pass) & 0x7FF);
}

/*
 * Radix sort, eleven bits at a time; digits that all keys share are skipped.
 */
void
sort_keys(uint64_t *keys, uint64_t *space, size_t count)
{
	static const int passes = 6;
	uint32_t	counts[6][2048];
	uint64_t   *from = keys;
	uint64_t   *to = space;

	/* counts are of 32 bits; more than that do not fit into memory anyway */
	memset(counts, 0, sizeof(counts));
	for (size_t i = 0; i < count; i++)
		for (int pass = 0; pass < passes; pass++)
			counts[pass][digit(keys[i], pass)]++;
	for (int pass = 0; pass < passes; pass++)
	{
		uint32_t	start = 0;
		uint64_t   *swap;

		if (count == 0 || counts[pass][digit(keys[0], pass)] == count)
			continue;
		for (int value = 0; value < 2048; value++)
		{
			uint32_t	here = counts[pass][value];

			counts[pass][value] = start;
			start += here;
		}
		for (size_t i = 0; i < count; i++)
			to[counts[pass][digit(from[i], pass)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != keys)
		memcpy(keys, from, count * sizeof(uint64_t));
}

void
rewind_scores(ScoreReader *reader)
{
	reader->group = reader->negative = reader->positive = 0;
}

/*
 * The next group of equal scores, in ascending order; false at the end.
 */
bool
next_score_group(ScoreReader *reader, ScoreGroup *group)
{
	uint64_t	key = UINT64_MAX;
	bool		found = false;

	if (reader->group < reader->group_count)
	{
		key = score_key(reader->groups[reader->group].score);
		found = true;
	}
	if (reader->negative < reader->negative_count && reader->negative_keys[reader->negative] <= key)
	{
		key = reader->negative_keys[reader->negative];
		found = true;
	}
	if (reader->positive < reader->positive_count && reader->positive_keys[reader->positive] <= key)
	{
		key = reader->positive_keys[reader->positive];
		found = true;
	}
	if (!found)
		return false;

	group->score = key_score(key);
	group->negative = group->positive = 0;
	if (reader->group < reader->group_count && score_key(reader->groups[reader->group].score) == key)
	{
		group->negative = reader->groups[reader->group].negative;
		group->positive = reader->groups[reader->group].positive;
		reader->group++;
	}
	{
		size_t		start = reader->negative;

		while (reader->negative < reader->negative_count && reader->negative_keys[reader->negative] == key)
			reader->negative++;
		group->negative += (double) (reader->negative - start);
		start = reader->positive;
		while (reader->positive < reader->positive_count && reader->positive_keys[reader->positive] == key)
			reader->positive++;
		group->positive += (double) (reader->positive - start);
	}
	return true;
}

/*
 * Bins are equally wide in log odds.
 */
int
binned_place(double probability)
{
	double		odds = log(probability) - log1p(-probability);
	double		place = floor((odds + BINNED_RANGE) * (BINNED_COUNT / (2 * BINNED_RANGE)));

	return place < 0 ? 0 : place >= BINNED_COUNT ? BINNED_COUNT - 1
												 : (int) place;
}

/*
 * The probability in the middle of a bin.
 */
double
binned_score(int place)
{
	double		odds = (place + 0.5) * (2 * BINNED_RANGE / BINNED_COUNT) - BINNED_RANGE;

	return 1 / (1 + exp(-odds));
}

double
row_log_loss(double probability, bool label)
{
	double		p = fmin(fmax(probability, LOG_LOSS_CLIP), 1 - LOG_LOSS_CLIP);

	return label ? -log(p) : -log1p(-p);
}

/*
 * Totals of weight, and sums of log-loss and of squared errors; probabilities is
 * whether all scores are in [0, 1], without which the sums mean nothing.
 */
void
scores_totals(ScoreReader *reader, double *negative, double *positive, double *log_loss, double *brier, bool *probabilities)
{
	ScoreGroup	group;

	*negative = *positive = *log_loss = *brier = 0;
	*probabilities = true;
	rewind_scores(reader);
	while (next_score_group(reader, &group))
	{
		*negative += group.negative;
		*positive += group.positive;
		if (group.score < 0 || group.score > 1)
			*probabilities = false;
		else
		{
			if (group.negative > 0)
				*log_loss += group.negative * row_log_loss(group.score, false);
			if (group.positive > 0)
				*log_loss += group.positive * row_log_loss(group.score, true);
			*brier += group.negative * group.score * group.score +
				group.positive * (1 - group.score) * (1 - group.score);
		}
	}
}

static void
class_totals(ScoreReader *reader, double *negative, double *positive)
{
	ScoreGroup	group;

	*negative = *positive = 0;
	rewind_scores(reader);
	while (next_score_group(reader, &group))
	{
		*negative += group.negative;
		*positive += group.positive;
	}
	rewind_scores(reader);
}

/*
 * NAN where one of the labels does not occur.
 */
double
scores_auc(ScoreReader *reader)
{
	double		below = 0;
	double		positive = 0;
	double		pairs = 0;
	ScoreGroup	group;

	rewind_scores(reader);
	while (next_score_group(reader, &group))
	{
		pairs += group.positive * (below + group.negative / 2);
		below += group.negative;
		positive += group.positive;
	}
	return below > 0 && positive > 0 ? pairs / below / positive : NAN;
}

/*
 * The statistic of Kolmogorov and Smirnov: the largest difference between the two
 * labels' distributions of scores.
 */
double
scores_ks(ScoreReader *reader)
{
	double		negatives;
	double		positives;
	double		negative = 0;
	double		positive = 0;
	double		largest = 0;
	ScoreGroup	group;

	class_totals(reader, &negatives, &positives);
	if (!(negatives > 0 && positives > 0))
		return NAN;
	while (next_score_group(reader, &group))
	{
		negative += group.negative;
		positive += group.positive;
		largest = fmax(largest, fabs(negative / negatives - positive / positives));
	}
	return largest;
}

/*
 * Rows in parts of equal weight, by ascending score; a group of equal scores on a
 * border is divided in proportion.
 */
void
scores_gains(ScoreReader *reader, GainsRow *rows, int count)
{
	double		negatives;
	double		positives;
	double		size;
	int			part = 0;
	ScoreGroup	group;

	memset(rows, 0, sizeof(GainsRow) * count);
	class_totals(reader, &negatives, &positives);
	size = (negatives + positives) / count;
	if (!(size > 0))
		return;
	while (next_score_group(reader, &group))
	{
		double		weight = group.negative + group.positive;
		double		left = weight;

		while (left > 0)
		{
			double		space = size - rows[part].weight;
			double		take = part == count - 1 || left <= space ? left : space;

			if (part < count - 1 && space <= size * 1e-12)
			{
				part++;
				continue;
			}
			if (rows[part].weight == 0)
				rows[part].lowest = group.score;
			rows[part].highest = group.score;
			rows[part].weight += take;
			rows[part].positive += take * (group.positive / weight);
			rows[part].score_sum += take * group.score;
			left -= take;
		}
	}
}

/*
 * How many times more often the label is yes among the share of rows with the
 * highest scores than among all.
 */
double
scores_lift(ScoreReader *reader, double share)
{
	double		negatives;
	double		positives;
	double		below;
	double		weight = 0;
	double		positive = 0;
	ScoreGroup	group;

	class_totals(reader, &negatives, &positives);
	if (!(positives > 0))
		return NAN;
	below = (negatives + positives) * (1 - share);
	while (next_score_group(reader, &group))
	{
		double		here = group.negative + group.positive;

		if (weight + here > below)
		{
			positive += group.positive * ((below - weight) / here);
			break;
		}
		weight += here;
		positive += group.positive;
	}
	return (1 - positive / positives) / share;
}

/*
 * Rows in intervals of equal width of the probability: part i has those from i /
 * count to below (i + 1) / count, the last one includes 1.
 */
void
scores_calibration(ScoreReader *reader, GainsRow *rows, int count)
{
	ScoreGroup	group;

	memset(rows, 0, sizeof(GainsRow) * count);
	rewind_scores(reader);
	while (next_score_group(reader, &group))
	{
		double		weight = group.negative + group.positive;
		int			part = (int) fmin(fmax(group.score * count, 0), count - 1);

		if (!(weight > 0))
			continue;
		if (rows[part].weight == 0)
			rows[part].lowest = group.score;
		rows[part].highest = group.score;
		rows[part].weight += weight;
		rows[part].positive += group.positive;
		rows[part].score_sum += weight * group.score;
	}
}
