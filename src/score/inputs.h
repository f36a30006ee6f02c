/*
 * inputs.h
 *		How the inputs of a model are distributed: histograms of training rows, the
 *		bins that come of them, and the bin of a value.
 *
 * A histogram holds each value with its weight while there are few.  Beyond that,
 * values whose order-preserving 64-bit images agree in their leading bits share a
 * bucket, with just as many bits as fit.  So it does not depend on the order of
 * rows, nor on how they were divided among workers.  All rows count: a sample by a hash
 * of what is in them would hold rows that are alike, often most of them, all or not at all.
 */
#ifndef CDP_INPUTS_H
#define CDP_INPUTS_H

#include "lib/stringinfo.h"
#include "score/logit_model.h"

/* Buckets of a histogram; it has twice as many slots at most. */
#define INPUT_MAX_BUCKETS	512

/* Bins by quantiles: tenths. */
#define INPUT_BINS			10

typedef struct InputBucket
{
	uint64		key;			/* leading bits of the image */
	double		least;			/* smallest value in it */
	double		weight;			/* 0: an empty slot */
} InputBucket;

typedef struct InputHistogram
{
	int			shift;			/* bits that keys leave out */
	int			used;
	int			slots;			/* a power of two */
	double		missing;		/* weight of rows without a value */
	InputBucket *buckets;
} InputHistogram;

/* Sums of rows, all in one memory context. */
typedef struct InputSums
{
	MemoryContext context;
	int			numbers;		/* -1: not known yet */
	InputHistogram *histograms; /* one for each number */
	int			pending;		/* rows that are not yet in the histograms */
	int			pending_room;
	double	   *pending_numbers;	/* NULL: none yet */
	double	   *pending_weights;
	double		early;			/* weight of rows without any number, before the first with them */
	int			categories;
	int		   *level_counts;
	double	  **levels;			/* for each category: weight of each level, of others, of none */
} InputSums;

extern InputSums *input_sums_create(MemoryContext context, const LogitModel *model);
extern bool input_sums_fit(const InputSums *sums, const LogitModel *model);
extern void input_sums_add(InputSums *sums, int count, const double *numbers, const int *levels, double weight);
extern void input_sums_merge(InputSums *sums, InputSums *other);
extern bytea *input_sums_write(InputSums *sums);
extern InputSums *input_sums_read(MemoryContext context, bytea *bytes);
extern void input_sums_finish(InputSums *sums, LogitModel *model);

extern int	input_number_bin(const LogitBins *bins, double value);
extern void input_bins_write(StringInfo text, const LogitFeature *feature);
extern void input_bins_read(JsonbContainer *object, LogitFeature *feature);

#endif							/* CDP_INPUTS_H */
