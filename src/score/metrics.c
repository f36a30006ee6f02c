/*
 * metrics.c
 *		How good scores are: the type cdp.metrics, the aggregates that make it or
 *		one figure of it, and what it is asked for.
 *
 * While rows come in, the state keeps the scores of yes and no apart, eight bytes
 * for each row, and sorts them at the end; binned, it keeps counts for 4,096
 * intervals of the log odds.  Stored, it is groups of equal scores.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "cdp.h"
#include "hex.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "score/metrics.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_metrics_in);
PG_FUNCTION_INFO_V1(cdp_metrics_out);
PG_FUNCTION_INFO_V1(cdp_metrics_recv);
PG_FUNCTION_INFO_V1(cdp_metrics_send);
PG_FUNCTION_INFO_V1(cdp_metrics_transition);
PG_FUNCTION_INFO_V1(cdp_metrics_transition_binned);
PG_FUNCTION_INFO_V1(cdp_metrics_merge_transition);
PG_FUNCTION_INFO_V1(cdp_metrics_combine);
PG_FUNCTION_INFO_V1(cdp_metrics_serialize);
PG_FUNCTION_INFO_V1(cdp_metrics_deserialize);
PG_FUNCTION_INFO_V1(cdp_metrics_final);
PG_FUNCTION_INFO_V1(cdp_metrics_final_auc);
PG_FUNCTION_INFO_V1(cdp_metrics_final_log_loss);
PG_FUNCTION_INFO_V1(cdp_metrics_final_brier_score);
PG_FUNCTION_INFO_V1(cdp_metrics_final_ks_statistic);
PG_FUNCTION_INFO_V1(cdp_metrics_final_normalized_gini);
PG_FUNCTION_INFO_V1(cdp_auc);
PG_FUNCTION_INFO_V1(cdp_log_loss);
PG_FUNCTION_INFO_V1(cdp_brier_score);
PG_FUNCTION_INFO_V1(cdp_ks_statistic);
PG_FUNCTION_INFO_V1(cdp_normalized_gini);

typedef struct KeyList
{
	uint64_t   *keys;
	Size		count;
	Size		room;
} KeyList;

/* What aggregates work on */
typedef struct MetricsState
{
	MemoryContext context;
	bool		binned;
	bool		sorted;			/* are the keys? */
	int64		rows;
	double		log_loss;
	double		brier;
	KeyList		labelled[2];	/* scores of rows of weight 1, by label */
	ScoreGroup *groups;			/* of other rows; binned: one for each bin */
	Size		group_count;
	Size		group_room;
	bool		groups_sorted;
} MetricsState;

static Size
metrics_size(Size count)
{
	return add_size(offsetof(Metrics, groups), mul_size(count, sizeof(ScoreGroup)));
}

static void
invalid_metrics(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid cdp.metrics"),
			 errhint("Such values come from cdp.metrics_agg and its relatives.")));
}

/*
 * A stored value, checked as far as memory is concerned.
 */
Metrics *
metrics_get(Datum datum)
{
	Metrics	   *metrics = (Metrics *) PG_DETOAST_DATUM(datum);

	if (VARSIZE(metrics) < metrics_size(0) || metrics->version != METRICS_VERSION || metrics->count < 0 ||
		metrics->count > (int64) (MaxAllocSize / sizeof(ScoreGroup)) || VARSIZE(metrics) != metrics_size(metrics->count))
		invalid_metrics();
	return metrics;
}

/* ---- input and output ---- */

static bytea *
metrics_to_wire(Metrics *metrics)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, METRICS_VERSION);
	pq_sendbyte(&buffer, metrics->binned ? 1 : 0);
	pq_sendint64(&buffer, metrics->rows);
	pq_sendfloat8(&buffer, metrics->log_loss);
	pq_sendfloat8(&buffer, metrics->brier);
	pq_sendint64(&buffer, metrics->count);
	for (int64 i = 0; i < metrics->count; i++)
	{
		pq_sendfloat8(&buffer, metrics->groups[i].score);
		pq_sendfloat8(&buffer, metrics->groups[i].negative);
		pq_sendfloat8(&buffer, metrics->groups[i].positive);
	}
	return pq_endtypsend(&buffer);
}

static Metrics *
metrics_from_wire(StringInfo buffer)
{
	const uint8 *bytes = (const uint8 *) buffer->data + buffer->cursor;
	size_t		length = buffer->len - buffer->cursor;
	Metrics	   *metrics;
	MetricsHeader header;

	if (!metrics_read_header(bytes, length, &header))
		invalid_metrics();
	buffer->cursor = buffer->len;
	metrics = palloc0(metrics_size(header.count));
	SET_VARSIZE(metrics, metrics_size(header.count));
	metrics->version = METRICS_VERSION;
	metrics->binned = header.binned;
	metrics->rows = header.rows;
	metrics->log_loss = header.log_loss;
	metrics->brier = header.brier;
	metrics->count = header.count;
	if (!metrics_read_groups(bytes, length, &header, metrics->groups))
		invalid_metrics();
	return metrics;
}

Datum
cdp_metrics_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	if (!cdp_hex_read(PG_GETARG_CSTRING(0), &buffer))
		invalid_metrics();
	PG_RETURN_POINTER(metrics_from_wire(&buffer));
}

Datum
cdp_metrics_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(cdp_hex_write(metrics_to_wire(metrics_get(PG_GETARG_DATUM(0)))));
}

Datum
cdp_metrics_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(metrics_from_wire((StringInfo) PG_GETARG_POINTER(0)));
}

Datum
cdp_metrics_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(metrics_to_wire(metrics_get(PG_GETARG_DATUM(0))));
}

/* ---- the state ---- */

static MetricsState *
state_create(MemoryContext context, bool binned)
{
	MetricsState *state = MemoryContextAllocZero(context, sizeof(MetricsState));

	state->context = context;
	state->binned = binned;
	if (binned)
	{
		state->groups = MemoryContextAllocZero(context, mul_size(sizeof(ScoreGroup), BINNED_COUNT));
		state->group_count = BINNED_COUNT;
	}
	return state;
}

/*
 * Twice the keys are in memory when they are sorted.
 */
static Size
state_memory(const MetricsState *state)
{
	return (state->labelled[0].room + state->labelled[1].room) * sizeof(uint64_t) + state->group_room * sizeof(ScoreGroup);
}

static void
check_memory(const MetricsState *state, Size more)
{
	if (state_memory(state) + more > (Size) maintenance_work_mem * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the scores need more than maintenance_work_mem"),
				 errdetail(INT64_FORMAT " rows so far.", state->rows),
				 errhint("Use cdp.binned_auc or cdp.metrics_binned_agg, whose size is fixed, or raise maintenance_work_mem.")));
}

static void
key_list_reserve(MetricsState *state, KeyList *list, Size count)
{
	Size		wanted = add_size(list->count, count);
	Size		room;

	if (wanted <= list->room)
		return;
	room = Max(Max(list->room + list->room / 2, wanted), 64);
	check_memory(state, (room - list->room) * sizeof(uint64_t));
	if (list->keys == NULL)
		list->keys = MemoryContextAllocHuge(state->context, mul_size(room, sizeof(uint64_t)));
	else
		list->keys = repalloc_huge(list->keys, mul_size(room, sizeof(uint64_t)));
	list->room = room;
}

static void
groups_reserve(MetricsState *state, Size count)
{
	Size		wanted = add_size(state->group_count, count);
	Size		room;

	if (wanted <= state->group_room)
		return;
	room = Max(Max(state->group_room + state->group_room / 2, wanted), 64);
	check_memory(state, (room - state->group_room) * sizeof(ScoreGroup));
	if (state->groups == NULL)
		state->groups = MemoryContextAllocHuge(state->context, mul_size(room, sizeof(ScoreGroup)));
	else
		state->groups = repalloc_huge(state->groups, mul_size(room, sizeof(ScoreGroup)));
	state->group_room = room;
}

/*
 * The label and weight of a row; false if it has a NULL and is left out.
 */
static bool
read_row(FunctionCallInfo fcinfo, double *score, bool *label, double *weight)
{
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || (PG_NARGS() > 3 && PG_ARGISNULL(3)))
		return false;
	*score = PG_GETARG_FLOAT8(1);
	if (!isfinite(*score))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("score must be a finite number")));
	if (get_fn_expr_argtype(fcinfo->flinfo, 2) == BOOLOID)
		*label = PG_GETARG_BOOL(2);
	else
	{
		double		number = PG_GETARG_FLOAT8(2);

		if (number != 0 && number != 1)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("label must be 0 or 1, or a boolean")));
		*label = number == 1;
	}
	*weight = PG_NARGS() > 3 ? PG_GETARG_FLOAT8(3) : 1;
	if (!metrics_is_weight(*weight))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight must be 0 or between 1e-100 and 1e100")));
	return true;
}

static MetricsState *
transition_state(FunctionCallInfo fcinfo, bool binned)
{
	MemoryContext context;

	context = cdp_aggregate_context(fcinfo);
	return PG_ARGISNULL(0) ? state_create(context, binned) : (MetricsState *) PG_GETARG_POINTER(0);
}

/*
 * cdp.metrics_transition(state, score float8, label boolean or float8 [, weight float8])
 */
Datum
cdp_metrics_transition(PG_FUNCTION_ARGS)
{
	MetricsState *state = transition_state(fcinfo, false);
	double		score;
	bool		label;
	double		weight;

	if (!read_row(fcinfo, &score, &label, &weight) || weight == 0)
		PG_RETURN_POINTER(state);
	state->rows++;
	if (weight == 1)
	{
		KeyList	   *list = &state->labelled[label];

		if (list->count == list->room)
			key_list_reserve(state, list, 1);
		list->keys[list->count++] = score_key(score);
		state->sorted = false;
	}
	else
	{
		ScoreGroup *group;

		groups_reserve(state, 1);
		group = &state->groups[state->group_count++];
		group->score = score + 0.0;
		group->negative = label ? 0 : weight;
		group->positive = label ? weight : 0;
		state->groups_sorted = false;
	}
	PG_RETURN_POINTER(state);
}

/*
 * The same with counts of intervals of the log odds; the scores are probabilities.
 */
Datum
cdp_metrics_transition_binned(PG_FUNCTION_ARGS)
{
	MetricsState *state = transition_state(fcinfo, true);
	double		score;
	bool		label;
	double		weight;
	ScoreGroup *group;

	if (!read_row(fcinfo, &score, &label, &weight) || weight == 0)
		PG_RETURN_POINTER(state);
	if (score < 0 || score > 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("binned scores must be probabilities, from 0 to 1")));
	state->rows++;
	state->log_loss += weight * row_log_loss(score, label);
	state->brier += weight * (label - score) * (label - score);
	group = &state->groups[binned_place(score)];
	if (label)
		group->positive += weight;
	else
		group->negative += weight;
	PG_RETURN_POINTER(state);
}

static int
compare_groups(const void *a, const void *b)
{
	double		left = ((const ScoreGroup *) a)->score;
	double		right = ((const ScoreGroup *) b)->score;

	return left < right ? -1 : left > right;
}

/*
 * Sort what came in; groups of equal scores become one.
 */
static void
state_sort(MetricsState *state)
{
	if (state->binned)
		return;
	if (!state->sorted)
	{
		Size		count = Max(state->labelled[0].count, state->labelled[1].count);
		uint64_t   *space;

		if (count > PG_UINT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many rows for exact metrics")));
		space = MemoryContextAllocHuge(state->context, mul_size(Max(count, 1), sizeof(uint64_t)));
		for (int label = 0; label < 2; label++)
			sort_keys(state->labelled[label].keys, space, state->labelled[label].count);
		pfree(space);
		state->sorted = true;
	}
	if (!state->groups_sorted && state->group_count > 0)
	{
		Size		to = 0;

		qsort(state->groups, state->group_count, sizeof(ScoreGroup), compare_groups);
		for (Size i = 1; i < state->group_count; i++)
			if (state->groups[i].score == state->groups[to].score)
			{
				state->groups[to].negative += state->groups[i].negative;
				state->groups[to].positive += state->groups[i].positive;
			}
			else
				state->groups[++to] = state->groups[i];
		state->group_count = to + 1;
	}
	state->groups_sorted = true;
}

static ScoreReader
state_reader(MetricsState *state, ScoreGroup *bins)
{
	ScoreReader reader = {0};

	state_sort(state);
	if (state->binned)
	{
		Size		count = 0;

		for (int i = 0; i < BINNED_COUNT; i++)
			if (state->groups[i].negative > 0 || state->groups[i].positive > 0)
			{
				bins[count] = state->groups[i];
				bins[count++].score = binned_score(i);
			}
		reader.groups = bins;
		reader.group_count = count;
		return reader;
	}
	reader.groups = state->groups;
	reader.group_count = state->group_count;
	reader.negative_keys = state->labelled[0].keys;
	reader.negative_count = state->labelled[0].count;
	reader.positive_keys = state->labelled[1].keys;
	reader.positive_count = state->labelled[1].count;
	return reader;
}

static void
refuse_mixture(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("exact and binned metrics cannot be merged")));
}

/*
 * cdp.metrics_merge_transition(state, cdp.metrics): adds stored metrics.
 */
Datum
cdp_metrics_merge_transition(PG_FUNCTION_ARGS)
{
	MetricsState *state;
	Metrics	   *metrics;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	metrics = metrics_get(PG_GETARG_DATUM(1));
	state = transition_state(fcinfo, metrics->binned);
	if (state->binned != metrics->binned)
		refuse_mixture();
	state->rows += metrics->rows;
	if (metrics->binned)
	{
		state->log_loss += metrics->log_loss;
		state->brier += metrics->brier;
		for (int64 i = 0; i < metrics->count; i++)
		{
			ScoreGroup *group = &state->groups[binned_place(metrics->groups[i].score)];

			group->negative += metrics->groups[i].negative;
			group->positive += metrics->groups[i].positive;
		}
	}
	else if (metrics->count > 0)
	{
		groups_reserve(state, metrics->count);
		memcpy(state->groups + state->group_count, metrics->groups, sizeof(ScoreGroup) * metrics->count);
		state->group_count += metrics->count;
		state->groups_sorted = false;
	}
	PG_RETURN_POINTER(state);
}

Datum
cdp_metrics_combine(PG_FUNCTION_ARGS)
{
	MetricsState *state;
	MetricsState *other;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (MetricsState *) PG_GETARG_POINTER(1);
	state = transition_state(fcinfo, other->binned);
	if (state->binned != other->binned)
		refuse_mixture();
	state->rows += other->rows;
	state->log_loss += other->log_loss;
	state->brier += other->brier;
	if (state->binned)
	{
		for (int i = 0; i < BINNED_COUNT; i++)
		{
			state->groups[i].negative += other->groups[i].negative;
			state->groups[i].positive += other->groups[i].positive;
		}
		PG_RETURN_POINTER(state);
	}
	for (int label = 0; label < 2; label++)
		if (other->labelled[label].count > 0)
		{
			KeyList	   *list = &state->labelled[label];

			key_list_reserve(state, list, other->labelled[label].count);
			memcpy(list->keys + list->count, other->labelled[label].keys, sizeof(uint64_t) * other->labelled[label].count);
			list->count += other->labelled[label].count;
			state->sorted = false;
		}
	if (other->group_count > 0)
	{
		groups_reserve(state, other->group_count);
		memcpy(state->groups + state->group_count, other->groups, sizeof(ScoreGroup) * other->group_count);
		state->group_count += other->group_count;
		state->groups_sorted = false;
	}
	PG_RETURN_POINTER(state);
}

/*
 * From one process to another of the same server: native numbers.
 */
Datum
cdp_metrics_serialize(PG_FUNCTION_ARGS)
{
	MetricsState *state = (MetricsState *) PG_GETARG_POINTER(0);
	Size		size = MAXALIGN(VARHDRSZ + sizeof(MetricsState));
	bytea	   *result;
	char	   *position;

	for (int label = 0; label < 2; label++)
		size = add_size(size, mul_size(state->labelled[label].count, sizeof(uint64_t)));
	size = add_size(size, mul_size(state->group_count, sizeof(ScoreGroup)));
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many scores to pass between processes"),
				 errhint("Use cdp.binned_auc or cdp.metrics_binned_agg, or set max_parallel_workers_per_gather to 0.")));
	result = palloc0(size);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), state, sizeof(MetricsState));
	position = (char *) result + MAXALIGN(VARHDRSZ + sizeof(MetricsState));
	for (int label = 0; label < 2; label++)
		if (state->labelled[label].count > 0)
		{
			memcpy(position, state->labelled[label].keys, sizeof(uint64_t) * state->labelled[label].count);
			position += sizeof(uint64_t) * state->labelled[label].count;
		}
	if (state->group_count > 0)
		memcpy(position, state->groups, sizeof(ScoreGroup) * state->group_count);
	PG_RETURN_BYTEA_P(result);
}

Datum
cdp_metrics_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = (bytea *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
	MetricsState *state = palloc(sizeof(MetricsState));
	char	   *position = (char *) bytes + MAXALIGN(VARHDRSZ + sizeof(MetricsState));

	memcpy(state, VARDATA(bytes), sizeof(MetricsState));
	state->context = CurrentMemoryContext;
	for (int label = 0; label < 2; label++)
	{
		state->labelled[label].keys = (uint64_t *) position;
		state->labelled[label].room = state->labelled[label].count;
		position += sizeof(uint64_t) * state->labelled[label].count;
	}
	state->groups = (ScoreGroup *) position;
	state->group_room = state->group_count;
	PG_RETURN_POINTER(state);
}

/*
 * The value to store.
 */
Datum
cdp_metrics_final(PG_FUNCTION_ARGS)
{
	MetricsState *state;
	ScoreReader reader;
	ScoreGroup *bins = cdp_palloc_array(ScoreGroup, BINNED_COUNT);
	ScoreGroup	group;
	Metrics	   *metrics;
	Size		count = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (MetricsState *) PG_GETARG_POINTER(0);
	reader = state_reader(state, bins);
	while (next_score_group(&reader, &group))
		count++;
	if (!AllocSizeIsValid(metrics_size(count)))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%zu different scores are too many for a value of type cdp.metrics", count),
				 errhint("Use cdp.metrics_binned_agg.")));
	metrics = palloc0(metrics_size(count));
	SET_VARSIZE(metrics, metrics_size(count));
	metrics->version = METRICS_VERSION;
	metrics->binned = state->binned;
	metrics->rows = state->rows;
	metrics->log_loss = state->log_loss;
	metrics->brier = state->brier;
	metrics->count = count;
	rewind_scores(&reader);
	for (Size i = 0; next_score_group(&reader, &group); i++)
		metrics->groups[i] = group;
	PG_RETURN_POINTER(metrics);
}

/* ---- figures ---- */

typedef double (*Figure) (ScoreReader *reader);

static double
figure_gini(ScoreReader *reader)
{
	return 2 * scores_auc(reader) - 1;
}

/*
 * Raises the error for scores outside of 0 and 1.
 */
void
metrics_refuse_scores(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("scores must be probabilities, from 0 to 1"),
			 errhint("cdp.auc, cdp.ks_statistic, cdp.lift and cdp.decile_table take any scores.")));
}

/*
 * Mean log-loss or Brier score; an error where scores are no probabilities.
 */
static double
mean_loss(ScoreReader *reader, bool want_brier, bool binned, double binned_sum)
{
	double		negative;
	double		positive;
	double		log_loss;
	double		brier;
	bool		probabilities;

	scores_totals(reader, &negative, &positive, &log_loss, &brier, &probabilities);
	if (!probabilities)
		metrics_refuse_scores();
	if (!(negative + positive > 0))
		return NAN;
	return (binned ? binned_sum : want_brier ? brier
											 : log_loss) /
		(negative + positive);
}

static double
figure_log_loss(ScoreReader *reader)
{
	return mean_loss(reader, false, false, 0);
}

static double
figure_brier(ScoreReader *reader)
{
	return mean_loss(reader, true, false, 0);
}

static Datum
final_figure(FunctionCallInfo fcinfo, Figure figure)
{
	ScoreGroup *bins = cdp_palloc_array(ScoreGroup, BINNED_COUNT);
	ScoreReader reader;
	double		result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	reader = state_reader((MetricsState *) PG_GETARG_POINTER(0), bins);
	result = figure(&reader);
	if (isnan(result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

/*
 * Final functions of the aggregates for one figure.  NULL where it is not
 * defined: without rows, and for AUC, KS and Gini without one of the labels.
 */
Datum
cdp_metrics_final_auc(PG_FUNCTION_ARGS)
{
	return final_figure(fcinfo, scores_auc);
}

Datum
cdp_metrics_final_ks_statistic(PG_FUNCTION_ARGS)
{
	return final_figure(fcinfo, scores_ks);
}

Datum
cdp_metrics_final_normalized_gini(PG_FUNCTION_ARGS)
{
	return final_figure(fcinfo, figure_gini);
}

Datum
cdp_metrics_final_log_loss(PG_FUNCTION_ARGS)
{
	return final_figure(fcinfo, figure_log_loss);
}

Datum
cdp_metrics_final_brier_score(PG_FUNCTION_ARGS)
{
	return final_figure(fcinfo, figure_brier);
}

ScoreReader
metrics_reader(const Metrics *metrics)
{
	ScoreReader reader = {0};

	reader.groups = metrics->groups;
	reader.group_count = metrics->count;
	return reader;
}

static Datum
figure_of_metrics(FunctionCallInfo fcinfo, Figure figure)
{
	ScoreReader reader = metrics_reader(metrics_get(PG_GETARG_DATUM(0)));
	double		result = figure(&reader);

	if (isnan(result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

/*
 * cdp.auc(cdp.metrics) and so on: the same figures of stored metrics.
 */
Datum
cdp_auc(PG_FUNCTION_ARGS)
{
	return figure_of_metrics(fcinfo, scores_auc);
}

Datum
cdp_ks_statistic(PG_FUNCTION_ARGS)
{
	return figure_of_metrics(fcinfo, scores_ks);
}

Datum
cdp_normalized_gini(PG_FUNCTION_ARGS)
{
	return figure_of_metrics(fcinfo, figure_gini);
}

static Datum
loss_of_metrics(FunctionCallInfo fcinfo, bool want_brier)
{
	Metrics	   *metrics = metrics_get(PG_GETARG_DATUM(0));
	ScoreReader reader = metrics_reader(metrics);
	double		result = mean_loss(&reader, want_brier, metrics->binned, want_brier ? metrics->brier : metrics->log_loss);

	if (isnan(result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

Datum
cdp_log_loss(PG_FUNCTION_ARGS)
{
	return loss_of_metrics(fcinfo, false);
}

Datum
cdp_brier_score(PG_FUNCTION_ARGS)
{
	return loss_of_metrics(fcinfo, true);
}
