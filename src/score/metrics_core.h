/*
 * metrics_core.h
 *		How good scores are: groups of equal scores, and what follows from them.
 *
 * Needs no server.  Everything is computed from groups in ascending order of
 * their score, each with the weight of the rows that said no and yes, so that the
 * order of rows does not matter and ties are groups.
 */
#ifndef CDP_METRICS_CORE_H
#define CDP_METRICS_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of one score */
typedef struct ScoreGroup
{
	double		score;
	double		negative;		/* weight of the rows labelled no */
	double		positive;
} ScoreGroup;

/*
 * Groups to read, from up to three sorted sources: groups, and the scores of
 * single rows of weight 1, as keys that sort like them.
 */
typedef struct ScoreReader
{
	const ScoreGroup *groups;
	size_t		group_count;
	const uint64_t *negative_keys;
	size_t		negative_count;
	const uint64_t *positive_keys;
	size_t		positive_count;

	size_t		group;			/* where each is */
	size_t		negative;
	size_t		positive;
} ScoreReader;

/* What the binary form has before its groups */
typedef struct MetricsHeader
{
	bool		binned;
	int64_t		rows;
	double		log_loss;
	double		brier;
	int64_t		count;			/* of groups */
} MetricsHeader;

#define METRICS_VERSION	1

#define BINNED_COUNT	4096
#define BINNED_RANGE	16.0	/* bins are between these log odds */

typedef struct GainsRow
{
	double		weight;
	double		positive;
	double		score_sum;
	double		lowest;
	double		highest;
} GainsRow;

extern bool metrics_is_weight(double value);
extern bool metrics_read_header(const uint8_t *bytes, size_t length, MetricsHeader *header);
extern bool metrics_read_groups(const uint8_t *bytes, size_t length, const MetricsHeader *header, ScoreGroup *groups);

extern uint64_t score_key(double score);
extern void sort_keys(uint64_t *keys, uint64_t *space, size_t count);
extern bool next_score_group(ScoreReader *reader, ScoreGroup *group);
extern void rewind_scores(ScoreReader *reader);
extern int	binned_place(double probability);
extern double binned_score(int place);
extern double row_log_loss(double probability, bool label);

extern double scores_auc(ScoreReader *reader);
extern double scores_ks(ScoreReader *reader);
extern double scores_lift(ScoreReader *reader, double share);
extern void scores_totals(ScoreReader *reader, double *negative, double *positive, double *log_loss, double *brier,
						  bool *probabilities);
extern void scores_gains(ScoreReader *reader, GainsRow *rows, int count);
extern void scores_calibration(ScoreReader *reader, GainsRow *rows, int count);

#endif							/* CDP_METRICS_CORE_H */
