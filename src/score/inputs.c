/*
 * inputs.c
 *		How the inputs of a model are distributed (see inputs.h): histograms, and
 *		what of them is kept in a model.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "libpq/pqformat.h"
#include "port/pg_bitutils.h"
#include "score/document.h"
#include "score/inputs.h"
#include "score/logit_rows.h"
#include "utils/float.h"
#include "utils/memutils.h"

#define FIRST_SLOTS	32

/* Numbers that wait for their histograms */
#define PENDING_NUMBERS	32768

/* How many of them before its turn a bucket is fetched */
#define FETCH_AHEAD	8

/* ---- histograms ---- */

/*
 * An integer that is ordered like the number; both zeros are one.
 */
static inline uint64
image_of(double value)
{
	uint64		bits;

	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return bits >> 63 ? ~bits : bits | (UINT64CONST(1) << 63);
}

static inline uint64
key_of(const InputHistogram *histogram, uint64 image)
{
	return histogram->shift > 63 ? 0 : image >> histogram->shift;
}

static inline int
slot_of(uint64 key, int slots)
{
	return (int) ((key * UINT64CONST(0x9E3779B97F4A7C15)) >> 40) & (slots - 1);
}

static void
put_bucket(InputHistogram *histogram, uint64 key, double least, double weight)
{
	int			slot = slot_of(key, histogram->slots);

	while (histogram->buckets[slot].weight > 0)
	{
		InputBucket *bucket = &histogram->buckets[slot];

		if (bucket->key == key)
		{
			bucket->weight += weight;
			if (least < bucket->least)
				bucket->least = least;
			return;
		}
		slot = (slot + 1) & (histogram->slots - 1);
	}
	histogram->buckets[slot] = (InputBucket){key, least, weight};
	histogram->used++;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64		left = ((const InputBucket *) a)->key;
	uint64		right = ((const InputBucket *) b)->key;

	return (left > right) - (left < right);
}

/*
 * The buckets in ascending order; the result is allocated here.
 */
static InputBucket *
sorted_buckets(const InputHistogram *histogram)
{
	InputBucket *sorted = cdp_palloc_array(InputBucket, add_size(histogram->used, 1));
	int			count = 0;

	for (int i = 0; i < histogram->slots; i++)
		if (histogram->buckets[i].weight > 0)
			sorted[count++] = histogram->buckets[i];
	qsort(sorted, count, sizeof(InputBucket), compare_keys);
	return sorted;
}

/*
 * Room for one more bucket: more slots, or fewer bits, just so few that all fit.
 */
static void
make_room(InputHistogram *histogram, MemoryContext context)
{
	InputBucket *sorted = sorted_buckets(histogram);
	int			count = histogram->used;
	int			fewer = 0;

	if (count > INPUT_MAX_BUCKETS)
	{
		int			borders[64] = {0};	/* by the highest bit in which neighbours differ */
		int			kept = count;

		for (int i = 1; i < count; i++)
			borders[pg_leftmost_one_pos64(sorted[i].key ^ sorted[i - 1].key)]++;
		while (kept > INPUT_MAX_BUCKETS)
			kept -= borders[fewer++];
		histogram->shift += fewer;
	}
	if (histogram->slots < 2 * INPUT_MAX_BUCKETS)
	{
		pfree(histogram->buckets);
		histogram->slots *= 2;
		histogram->buckets = MemoryContextAlloc(context, mul_size(sizeof(InputBucket), histogram->slots));
	}
	memset(histogram->buckets, 0, mul_size(sizeof(InputBucket), histogram->slots));
	histogram->used = 0;
	for (int i = 0; i < count; i++)
		put_bucket(histogram, sorted[i].key >> fewer, sorted[i].least, sorted[i].weight);
	pfree(sorted);
}

static inline void
add_value(InputHistogram *histogram, MemoryContext context, double value, double weight)
{
	if (isnan(value))
	{
		histogram->missing += weight;
		return;
	}
	put_bucket(histogram, key_of(histogram, image_of(value)), value + 0.0, weight);
	if (unlikely(histogram->used > Min(histogram->slots / 2, INPUT_MAX_BUCKETS)))
		make_room(histogram, context);
}

/* ---- sums of rows ---- */

static void
know_numbers(InputSums *sums, int count)
{
	sums->numbers = count;
	sums->histograms = MemoryContextAllocZero(sums->context, mul_size(sizeof(InputHistogram), add_size(count, 1)));
	for (int i = 0; i < count; i++)
	{
		sums->histograms[i].slots = FIRST_SLOTS;
		sums->histograms[i].buckets = MemoryContextAllocZero(sums->context, mul_size(sizeof(InputBucket), FIRST_SLOTS));
		sums->histograms[i].missing = sums->early;
	}
	sums->pending_room = Max(PENDING_NUMBERS / Max(count, 1), 1);
}

/*
 * Sums of no rows.  How many numbers rows have need not be known yet.
 */
InputSums *
input_sums_create(MemoryContext context, const LogitModel *model)
{
	InputSums  *sums = MemoryContextAllocZero(context, sizeof(InputSums));

	sums->context = context;
	sums->numbers = -1;
	sums->categories = model->categories;
	sums->level_counts = MemoryContextAllocZero(context, mul_size(sizeof(int), add_size(model->categories, 1)));
	sums->levels = MemoryContextAllocZero(context, mul_size(sizeof(double *), add_size(model->categories, 1)));
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];

		if (feature->kind != LOGIT_CATEGORY)
			continue;
		sums->level_counts[feature->input] = feature->level_count;
		sums->levels[feature->input] = MemoryContextAllocZero(context, mul_size(sizeof(double), add_size(feature->level_count, 2)));
	}
	return sums;
}

/*
 * Whether the sums have a place for each level of the model.
 */
bool
input_sums_fit(const InputSums *sums, const LogitModel *model)
{
	if (sums->categories != model->categories)
		return false;
	for (int i = 0; i < model->feature_count && model->categories > 0; i++)
		if (model->features[i].kind == LOGIT_CATEGORY && model->features[i].level_count != sums->level_counts[model->features[i].input])
			return false;
	return true;
}

/*
 * Puts the rows that wait into the histograms, column by column: a histogram is larger than
 * what the processor has at hand, and all of them together much more so.
 */
static void
add_pending(InputSums *sums)
{
	for (int i = 0; i < sums->numbers; i++)
	{
		InputHistogram *histogram = &sums->histograms[i];
		const double *value = sums->pending_numbers + i;

		for (int row = 0; row < sums->pending; row++, value += sums->numbers)
		{
			if (row + FETCH_AHEAD < sums->pending)
				__builtin_prefetch(&histogram->buckets[slot_of(key_of(histogram, image_of(value[FETCH_AHEAD * (Size) sums->numbers])), histogram->slots)]);
			add_value(histogram, sums->context, *value, sums->pending_weights[row]);
		}
	}
	sums->pending = 0;
}

/*
 * Adds a row: its numbers, NAN where there is none (NULL: there are none at all),
 * and the places of its levels.  A row with another count of numbers is left out;
 * whoever uses the numbers complains of it.
 */
void
input_sums_add(InputSums *sums, int count, const double *numbers, const int *levels, double weight)
{
	if (!(weight > 0))
		return;
	if (numbers != NULL)
	{
		if (sums->numbers < 0)
			know_numbers(sums, count);
		if (count != sums->numbers)
			return;
		if (sums->pending_numbers == NULL)
		{
			sums->pending_numbers = MemoryContextAlloc(sums->context, mul_size(mul_size(sizeof(double), sums->pending_room), add_size(count, 1)));
			sums->pending_weights = MemoryContextAlloc(sums->context, mul_size(sizeof(double), sums->pending_room));
		}
		memcpy(sums->pending_numbers + (Size) sums->pending * count, numbers, sizeof(double) * count);
		sums->pending_weights[sums->pending++] = weight;
		if (sums->pending == sums->pending_room)
			add_pending(sums);
	}
	else if (sums->numbers < 0)
		sums->early += weight;
	else
		for (int i = 0; i < sums->numbers; i++)
			sums->histograms[i].missing += weight;
	for (int i = 0; i < sums->categories; i++)
	{
		int			level = levels[i];

		if (level < 0)
			level = sums->level_counts[i] + (level == LOGIT_NULL_LEVEL ? 1 : 0);
		sums->levels[i][level] += weight;
	}
}

static void
merge_histogram(InputHistogram *histogram, MemoryContext context, const InputHistogram *other)
{
	histogram->missing += other->missing;
	if (other->shift > histogram->shift)
	{
		/* the coarser of the two says what fits */
		int			fewer = other->shift - histogram->shift;
		InputBucket *sorted = sorted_buckets(histogram);
		int			count = histogram->used;

		memset(histogram->buckets, 0, mul_size(sizeof(InputBucket), histogram->slots));
		histogram->shift = other->shift;
		histogram->used = 0;
		for (int i = 0; i < count; i++)
			put_bucket(histogram, fewer > 63 ? 0 : sorted[i].key >> fewer, sorted[i].least, sorted[i].weight);
		pfree(sorted);
	}
	for (int i = 0; i < other->slots; i++)
		if (other->buckets[i].weight > 0)
		{
			put_bucket(histogram, key_of(histogram, image_of(other->buckets[i].least)), other->buckets[i].least, other->buckets[i].weight);
			if (histogram->used > Min(histogram->slots / 2, INPUT_MAX_BUCKETS))
				make_room(histogram, context);
		}
}

/*
 * Adds the rows of another one, of the same model.
 */
void
input_sums_merge(InputSums *sums, InputSums *other)
{
	add_pending(sums);
	add_pending(other);
	if (other->numbers >= 0 && sums->numbers < 0)
		know_numbers(sums, other->numbers);
	if (sums->numbers < 0)
		sums->early += other->early;
	else
		for (int i = 0; i < sums->numbers; i++)
		{
			if (other->numbers < 0)
				sums->histograms[i].missing += other->early;
			else if (other->numbers == sums->numbers)
				merge_histogram(&sums->histograms[i], sums->context, &other->histograms[i]);
		}
	for (int i = 0; i < Min(sums->categories, other->categories); i++)
		for (int j = 0; j < Min(sums->level_counts[i], other->level_counts[i]) + 2; j++)
			sums->levels[i][j] += other->levels[i][j];
}

/*
 * For another process: counts, then histograms, then categories.
 */
bytea *
input_sums_write(InputSums *sums)
{
	StringInfoData buffer;

	add_pending(sums);
	pq_begintypsend(&buffer);
	pq_sendint32(&buffer, sums->numbers);
	pq_sendint32(&buffer, sums->categories);
	pq_sendfloat8(&buffer, sums->early);
	for (int i = 0; i < sums->numbers; i++)
	{
		const InputHistogram *histogram = &sums->histograms[i];

		pq_sendint32(&buffer, histogram->shift);
		pq_sendint32(&buffer, histogram->used);
		pq_sendfloat8(&buffer, histogram->missing);
		for (int j = 0; j < histogram->slots; j++)
			if (histogram->buckets[j].weight > 0)
			{
				pq_sendfloat8(&buffer, histogram->buckets[j].least);
				pq_sendfloat8(&buffer, histogram->buckets[j].weight);
			}
	}
	for (int i = 0; i < sums->categories; i++)
	{
		pq_sendint32(&buffer, sums->level_counts[i]);
		for (int j = 0; j < sums->level_counts[i] + 2; j++)
			pq_sendfloat8(&buffer, sums->levels[i][j]);
	}
	return pq_endtypsend(&buffer);
}

static int
read_count(StringInfo buffer, int least, int most)
{
	int			count = (int) pq_getmsgint(buffer, 4);

	if (count < least || count > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of cdp.training_sums_agg")));
	return count;
}

static double
read_weight(StringInfo buffer)
{
	double		weight = pq_getmsgfloat8(buffer);

	if (!(weight >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of cdp.training_sums_agg")));
	return weight;
}

/*
 * What input_sums_write wrote, in the given context.
 */
InputSums *
input_sums_read(MemoryContext context, bytea *bytes)
{
	InputSums  *sums = MemoryContextAllocZero(context, sizeof(InputSums));
	StringInfoData buffer;
	int			numbers;

	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	sums->context = context;
	numbers = read_count(&buffer, -1, LOGIT_MAX_TERMS);
	sums->categories = read_count(&buffer, 0, LOGIT_MAX_TERMS);
	sums->early = read_weight(&buffer);
	sums->numbers = -1;
	if (numbers >= 0)
		know_numbers(sums, numbers);
	for (int i = 0; i < numbers; i++)
	{
		InputHistogram *histogram = &sums->histograms[i];
		int			used;

		histogram->shift = read_count(&buffer, 0, 64);
		used = read_count(&buffer, 0, INPUT_MAX_BUCKETS);
		histogram->missing = read_weight(&buffer);
		for (int j = 0; j < used; j++)
		{
			double		least = pq_getmsgfloat8(&buffer);
			double		weight = read_weight(&buffer);

			put_bucket(histogram, key_of(histogram, image_of(least)), least, weight);
			if (histogram->used > Min(histogram->slots / 2, INPUT_MAX_BUCKETS))
				make_room(histogram, context);
		}
	}
	sums->level_counts = MemoryContextAllocZero(context, mul_size(sizeof(int), add_size(sums->categories, 1)));
	sums->levels = MemoryContextAllocZero(context, mul_size(sizeof(double *), add_size(sums->categories, 1)));
	for (int i = 0; i < sums->categories; i++)
	{
		sums->level_counts[i] = read_count(&buffer, 0, LOGIT_MAX_TERMS);
		sums->levels[i] = MemoryContextAllocZero(context, mul_size(sizeof(double), add_size(sums->level_counts[i], 2)));
		for (int j = 0; j < sums->level_counts[i] + 2; j++)
			sums->levels[i][j] = read_weight(&buffer);
	}
	pq_getmsgend(&buffer);
	pfree(buffer.data);
	return sums;
}

/* ---- bins ---- */

/*
 * The bin of a number: below the first border, from each to the next, from the
 * last one on, and after these that of what is missing.
 */
int
input_number_bin(const LogitBins *bins, double value)
{
	int			low = 0;
	int			high = bins->bound_count;

	if (isnan(value))
		return bins->bound_count + 1;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (value >= bins->bounds[middle])
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Borders at the tenths, each the first value that so many do not exceed, as
 * percentile_disc gives it, equal ones once; and the share of rows in each bin.
 */
static void
fill_number_bins(const InputHistogram *histogram, LogitBins *bins)
{
	InputBucket *sorted = sorted_buckets(histogram);
	double		known = 0;
	double		sum = 0;
	int			tenth = 1;
	int			count = 0;

	for (int i = 0; i < histogram->used; i++)
		known += sorted[i].weight;
	bins->bounds = cdp_palloc_array(double, INPUT_BINS);
	for (int i = 0; i < histogram->used; i++)
	{
		sum += sorted[i].weight;
		/* weights that are no integers do not add up exactly */
		if (tenth < INPUT_BINS && sum >= known * tenth / INPUT_BINS * (1 - 1e-12))
		{
			bins->bounds[count++] = sorted[i].least;
			while (tenth < INPUT_BINS && sum >= known * tenth / INPUT_BINS * (1 - 1e-12))
				tenth++;
		}
	}
	bins->bound_count = count;
	bins->share_count = count + 2;
	bins->shares = cdp_palloc0_array(double, bins->share_count);
	for (int i = 0; i < histogram->used; i++)
		bins->shares[input_number_bin(bins, sorted[i].least)] += sorted[i].weight;
	bins->shares[count + 1] = histogram->missing;
	for (int i = 0; i < bins->share_count; i++)
		bins->shares[i] = known + histogram->missing > 0 ? Min(bins->shares[i] / (known + histogram->missing), 1) : 0;
	pfree(sorted);
}

/*
 * Keeps how the inputs were distributed in the features of the model; nothing
 * where there were no rows.
 */
void
input_sums_finish(InputSums *sums, LogitModel *model)
{
	add_pending(sums);
	for (int i = 0; i < model->feature_count; i++)
	{
		LogitFeature *feature = &model->features[i];
		int			length = feature->kind == LOGIT_CATEGORY ? 1 : feature->length;

		if (feature->kind == LOGIT_CATEGORY ? feature->input >= sums->categories : feature->input + length > sums->numbers)
			continue;
		feature->bins = cdp_palloc0_array(LogitBins, add_size(length, 1));
		feature->bins_count = length;
		if (feature->kind == LOGIT_CATEGORY)
		{
			LogitBins  *bins = feature->bins;
			const double *levels = sums->levels[feature->input];
			double		total = 0;

			bins->share_count = feature->level_count + 2;
			bins->shares = cdp_palloc0_array(double, bins->share_count);
			for (int j = 0; j < bins->share_count; j++)
				total += levels[j];
			for (int j = 0; j < bins->share_count; j++)
				bins->shares[j] = total > 0 ? Min(levels[j] / total, 1) : 0;
		}
		else
			for (int j = 0; j < length; j++)
				fill_number_bins(&sums->histograms[feature->input + j], &feature->bins[j]);
	}
}

/* ---- documents ---- */

static void
write_numbers(StringInfo text, const double *numbers, int count)
{
	appendStringInfoChar(text, '[');
	for (int i = 0; i < count; i++)
		appendStringInfo(text, "%s%s", i > 0 ? "," : "", float8out_internal(numbers[i]));
	appendStringInfoChar(text, ']');
}

/*
 * The key "bins" of a feature: an array of objects, one for each number that it
 * has, with "bounds" (of a number) and "shares".
 */
void
input_bins_write(StringInfo text, const LogitFeature *feature)
{
	if (feature->bins_count == 0)
		return;
	document_write_key(text, "bins");
	appendStringInfoChar(text, '[');
	for (int i = 0; i < feature->bins_count; i++)
	{
		const LogitBins *bins = &feature->bins[i];

		appendStringInfoString(text, i > 0 ? ",{" : "{");
		if (feature->kind != LOGIT_CATEGORY)
		{
			document_write_key(text, "bounds");
			write_numbers(text, bins->bounds, bins->bound_count);
		}
		document_write_key(text, "shares");
		write_numbers(text, bins->shares, bins->share_count);
		appendStringInfoChar(text, '}');
	}
	appendStringInfoChar(text, ']');
}

/*
 * The same, read and checked; a feature may be without.
 */
void
input_bins_read(JsonbContainer *object, LogitFeature *feature)
{
	JsonbContainer *array = document_read_array(object, "bins", false);
	int			length = feature->kind == LOGIT_CATEGORY ? 1 : feature->length;

	if (array == NULL)
		return;
	if (JsonContainerSize(array) != length)
		document_invalid("\"bins\" has not an element for each number of its feature");
	feature->bins_count = length;
	feature->bins = cdp_palloc0_array(LogitBins, add_size(length, 1));
	for (int i = 0; i < length; i++)
	{
		LogitBins  *bins = &feature->bins[i];
		JsonbContainer *element = document_element_object(array, i, "bins");

		if (feature->kind != LOGIT_CATEGORY)
			bins->bound_count = document_read_numbers(element, "bounds", &bins->bounds);
		for (int j = 1; j < bins->bound_count; j++)
			if (!(bins->bounds[j - 1] < bins->bounds[j]))
				document_invalid("\"bounds\" are not ascending");
		bins->share_count = document_read_numbers(element, "shares", &bins->shares);
		if (bins->share_count != (feature->kind == LOGIT_CATEGORY ? feature->level_count : bins->bound_count) + 2 || bins->bound_count > PG_INT16_MAX - 2)
			document_invalid("\"shares\" has not an element for each bin");
		for (int j = 0; j < bins->share_count; j++)
			if (!(bins->shares[j] >= 0 && bins->shares[j] <= 1))
				document_invalid("an element of \"shares\" is not between 0 and 1");
	}
}
