/*
 * lifetime_aggregate.c
 *		The aggregates that fit lifetime models: cdp.bgnbd_fit and its relatives.
 *
 * The state keeps distinct rows with their weights: 32 bytes for each, and a
 * hash table of 4-byte slots, in 48 bytes in all.  The final function sorts
 * them, so that the result is the same to the last bit whatever the order of
 * the rows and the number of workers, as long as weights are whole numbers.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "cdp.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "score/lifetime_model.h"
#include "score/rfm.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(cdp_lifetime_fit_transition);
PG_FUNCTION_INFO_V1(cdp_lifetime_fit_transition_rfm);
PG_FUNCTION_INFO_V1(cdp_lifetime_fit_combine);
PG_FUNCTION_INFO_V1(cdp_lifetime_fit_serialize);
PG_FUNCTION_INFO_V1(cdp_lifetime_fit_deserialize);
PG_FUNCTION_INFO_V1(cdp_gamma_gamma_fit_transition);
PG_FUNCTION_INFO_V1(cdp_gamma_gamma_fit_transition_rfm);
PG_FUNCTION_INFO_V1(cdp_sbg_fit_transition);
PG_FUNCTION_INFO_V1(cdp_bgnbd_fit_final);
PG_FUNCTION_INFO_V1(cdp_mbgnbd_fit_final);
PG_FUNCTION_INFO_V1(cdp_pareto_nbd_fit_final);
PG_FUNCTION_INFO_V1(cdp_gamma_gamma_fit_final);
PG_FUNCTION_INFO_V1(cdp_bgbb_fit_final);
PG_FUNCTION_INFO_V1(cdp_sbg_fit_final);

#define SMALLEST_CAPACITY	64
#define NO_ROW				PG_UINT32_MAX
#define QUEUE_LENGTH		128

/* What holds for a whole fit. */
typedef struct FitOptions
{
	double		prior_deviation;	/* 0: no prior */
	double		prior_family;	/* 0: around the start values */
	double		prior_parameters[LIFETIME_PARAMETERS];
	double		period_days;	/* 0: unknown */
} FitOptions;

typedef struct FitState
{
	MemoryContext context;
	FitOptions	options;
	char	   *memory;			/* of the rows, which begin at a multiple of their size */
	LifetimeRow *rows;
	uint32		count;
	uint32		capacity;
	/*
	 * A power of 2 of them; NULL after sorting.  The low bits are the number of a
	 * row, as many as the number of slots has, and the others those of its hash.
	 */
	uint32	   *slots;
	uint32		slot_mask;
	bool		plain;			/* there are no options */
	uint32		waiting;
	LifetimeRow queue[QUEUE_LENGTH];	/* rows that are yet to be looked up */
	uint32		hash[QUEUE_LENGTH];
} FitState;

static const FitOptions no_options = {0};

static inline uint32
row_hash(double x, double y, double z)
{
	uint64		bits[3];

	memcpy(&bits[0], &x, sizeof(x));
	memcpy(&bits[1], &y, sizeof(y));
	memcpy(&bits[2], &z, sizeof(z));
	bits[0] = bits[0] * UINT64CONST(0x9E3779B97F4A7C15) + bits[1];
	bits[0] = (bits[0] ^ (bits[0] >> 32)) * UINT64CONST(0xC2B2AE3D27D4EB4F) + bits[2];
	bits[0] = (bits[0] ^ (bits[0] >> 29)) * UINT64CONST(0x165667B19E3779F9);
	return (uint32) (bits[0] >> 32);
}

/*
 * check_memory raises an error where a fit would leave its budget.
 */
static void
check_memory(uint64 rows, uint64 slots)
{
	if (rows * sizeof(LifetimeRow) + slots * sizeof(uint32) > (uint64) maintenance_work_mem * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("fit has more distinct rows than fit into maintenance_work_mem"),
				 errdetail("There are more than %llu distinct rows.", (unsigned long long) rows * 8 / 9),
				 errhint("Raise maintenance_work_mem (a distinct row takes 48 bytes), round times to whole days, or fit on a sample.")));
}

static void
build_slots(FitState *state)
{
	uint64		slots = SMALLEST_CAPACITY * 2;

	while (slots * 4 < (uint64) state->count * 5 + 4)
		slots *= 2;
	if (state->slots)
		pfree(state->slots);
	state->slots = NULL;
	check_memory(state->capacity, slots);
	state->slots = MemoryContextAllocHuge(state->context, mul_size(slots, sizeof(uint32)));
	memset(state->slots, 0xFF, slots * sizeof(uint32));
	state->slot_mask = (uint32) (slots - 1);
	for (uint32 i = 0; i < state->count; i++)
	{
		uint32		hash = row_hash(state->rows[i].x, state->rows[i].y, state->rows[i].z);
		uint32		slot = hash & state->slot_mask;

		while (state->slots[slot] != NO_ROW)
			slot = (slot + 1) & state->slot_mask;
		state->slots[slot] = (hash & ~state->slot_mask) | i;
	}
}

/*
 * reserve_rows makes room for so many rows.  None of them is in two cache lines.
 */
static void
reserve_rows(FitState *state, Size capacity)
{
	Size		size = add_size(mul_size(capacity, sizeof(LifetimeRow)), sizeof(LifetimeRow));
	Size		place = state->rows == NULL ? 0 : (char *) state->rows - state->memory;

	if (state->memory == NULL)
		state->memory = MemoryContextAllocHuge(state->context, size);
	else
		state->memory = repalloc_huge(state->memory, size);
	state->rows = (LifetimeRow *) TYPEALIGN(sizeof(LifetimeRow), state->memory);
	if (state->count > 0 && (char *) state->rows - state->memory != place)
		memmove(state->rows, state->memory + place, state->count * sizeof(LifetimeRow));
	state->capacity = (uint32) capacity;
}

static FitState *
create_state(MemoryContext context)
{
	FitState   *state = MemoryContextAllocZero(context, sizeof(FitState));

	state->context = context;
	reserve_rows(state, SMALLEST_CAPACITY);
	build_slots(state);
	return state;
}

static void
add_row(FitState *state, const LifetimeRow *row, uint32 hash)
{
	uint32		slot;
	uint32		entry;

	if ((uint64) (state->count + 1) * 5 > (uint64) (state->slot_mask + 1) * 4)
		build_slots(state);
	slot = hash & state->slot_mask;
	for (; (entry = state->slots[slot]) != NO_ROW; slot = (slot + 1) & state->slot_mask)
	{
		LifetimeRow *known = &state->rows[entry & state->slot_mask];

		if (((entry ^ hash) & ~state->slot_mask) != 0)
			continue;
		if (known->x == row->x && known->y == row->y && known->z == row->z)
		{
			known->weight += row->weight;
			return;
		}
	}
	if (state->count == state->capacity)
	{
		uint64		capacity = state->capacity + Max(state->capacity / 8, SMALLEST_CAPACITY);

		if (capacity >= NO_ROW / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many distinct rows for a fit")));
		check_memory(capacity, (uint64) state->slot_mask + 1);
		reserve_rows(state, capacity);
	}
	state->slots[slot] = (hash & ~state->slot_mask) | state->count;
	state->rows[state->count++] = *row;
}

/*
 * flush_queue adds the rows that wait.  Each look-up is two reads from memory far
 * away; in a batch the processor does them at the same time.
 */
static void
flush_queue(FitState *state)
{
	uint32		count = state->waiting;

	if (count == 0)
		return;
	if (state->slots == NULL)
		build_slots(state);
	state->waiting = 0;
	for (uint32 i = 0; i < count; i++)
		__builtin_prefetch(&state->slots[state->hash[i] & state->slot_mask]);
	for (uint32 i = 0; i < count; i++)
	{
		uint32		slot = state->hash[i] & state->slot_mask;

		while (state->slots[slot] != NO_ROW && ((state->slots[slot] ^ state->hash[i]) & ~state->slot_mask) != 0)
			slot = (slot + 1) & state->slot_mask;
		if (state->slots[slot] != NO_ROW)
			__builtin_prefetch(&state->rows[state->slots[slot] & state->slot_mask]);
	}
	for (uint32 i = 0; i < count; i++)
		add_row(state, &state->queue[i], state->hash[i]);
}

static inline void
queue_row(FitState *state, const LifetimeRow *added)
{
	LifetimeRow *row = &state->queue[state->waiting];

	/* there is one zero */
	row->x = added->x + 0.0;
	row->y = added->y + 0.0;
	row->z = added->z + 0.0;
	row->weight = added->weight;
	state->hash[state->waiting++] = row_hash(row->x, row->y, row->z);
	if (state->waiting == QUEUE_LENGTH)
		flush_queue(state);
}

static void
require_same_options(const FitOptions *a, const FitOptions *b)
{
	bool		same = a->prior_deviation == b->prior_deviation &&
		a->prior_family == b->prior_family && a->period_days == b->period_days;

	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		same &= a->prior_parameters[i] == b->prior_parameters[i];
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of a fit differ between rows"),
				 errhint("Only the weight may be different for each row.")));
}

/*
 * read_options takes the options argument apart, which is a value of
 * cdp.lifetime_options, and gives the weight of the row.
 */
static double
read_options(FunctionCallInfo fcinfo, int argument, FitOptions *options)
{
	HeapTupleHeader header;
	double		weight = 1;
	bool		null;
	Datum		value;

	memset(options, 0, sizeof(*options));
	if (argument >= PG_NARGS() || PG_ARGISNULL(argument))
		return weight;
	header = PG_GETARG_HEAPTUPLEHEADER(argument);
	value = GetAttributeByNum(header, 1, &null);
	if (!null)
	{
		weight = DatumGetFloat8(value);
		if (!(weight >= 0 && weight <= 1e15))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("weight must be between 0 and 1e15")));
	}
	value = GetAttributeByNum(header, 2, &null);
	if (!null)
	{
		LifetimeModel *model = lifetime_model_get(value);

		options->prior_family = model->family;
		memcpy(options->prior_parameters, model->parameters, sizeof(model->parameters));
		options->prior_deviation = 1;
	}
	value = GetAttributeByNum(header, 3, &null);
	if (!null)
	{
		options->prior_deviation = DatumGetFloat8(value);
		if (!(options->prior_deviation >= 1e-6 && options->prior_deviation <= 1e6))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("prior_deviation must be between 0.000001 and 1000000"),
					 errhint("It is the standard deviation of the logarithms of the parameters; 1 is a usual value.")));
	}
	value = GetAttributeByNum(header, 4, &null);
	if (!null)
	{
		options->period_days = lifetime_interval_days(DatumGetIntervalP(value));
		if (!(options->period_days > 0 && options->period_days <= 1e8))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("period must be positive")));
	}
	return weight;
}

/*
 * transition adds a row, which may be NULL for none, to the state in argument 0.
 */
static Datum
transition(FunctionCallInfo fcinfo, int options_argument, LifetimeRow *row, double period_days)
{
	MemoryContext context;
	FitState   *state = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	FitOptions	options = no_options;
	bool		plain;

	context = cdp_aggregate_context(fcinfo);
	if (row == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	plain = period_days == 0 && (options_argument >= PG_NARGS() || PG_ARGISNULL(options_argument));
	if (plain)
		row->weight = 1;
	else
		row->weight = read_options(fcinfo, options_argument, &options);
	if (period_days > 0)
	{
		if (options.period_days > 0 && options.period_days != period_days)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("period of the options differs from that of the rfm value")));
		options.period_days = period_days;
	}
	if (!isfinite(row->x) || !isfinite(row->y) || !isfinite(row->z))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("values of a fit must be finite")));
	if (state == NULL)
	{
		state = create_state(context);
		state->plain = plain;
		if (!plain)
			state->options = options;
	}
	else if (!plain || !state->plain)
		require_same_options(&state->options, plain ? &no_options : &options);
	if (row->weight > 0)
		queue_row(state, row);
	PG_RETURN_POINTER(state);
}

/*
 * (state internal, frequency float8, recency float8, age float8
 *	[, options cdp.lifetime_options]) returns internal
 */
Datum
cdp_lifetime_fit_transition(PG_FUNCTION_ARGS)
{
	LifetimeRow row = {0};

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return transition(fcinfo, 4, NULL, 0);
	row.x = PG_GETARG_FLOAT8(1);
	row.y = PG_GETARG_FLOAT8(2);
	row.z = PG_GETARG_FLOAT8(3);
	return transition(fcinfo, 4, &row, 0);
}

/*
 * (state internal, customer cdp.rfm_summary [, options]) returns internal
 */
Datum
cdp_lifetime_fit_transition_rfm(PG_FUNCTION_ARGS)
{
	LifetimeRow row = {0};
	RfmSummary	summary;

	if (PG_ARGISNULL(1) || !rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary))
		return transition(fcinfo, 2, NULL, 0);
	row.x = summary.frequency;
	row.y = summary.recency;
	row.z = summary.age;
	return transition(fcinfo, 2, &row, summary.period_days);
}

/*
 * (state internal, frequency float8, monetary float8 [, options]) returns internal
 */
Datum
cdp_gamma_gamma_fit_transition(PG_FUNCTION_ARGS)
{
	LifetimeRow row = {0};

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return transition(fcinfo, 3, NULL, 0);
	row.x = PG_GETARG_FLOAT8(1);
	row.y = row.x == 0 ? 0 : PG_GETARG_FLOAT8(2);
	return transition(fcinfo, 3, &row, 0);
}

/*
 * (state internal, customer cdp.rfm_summary [, options]) returns internal
 */
Datum
cdp_gamma_gamma_fit_transition_rfm(PG_FUNCTION_ARGS)
{
	LifetimeRow row = {0};
	RfmSummary	summary;

	if (PG_ARGISNULL(1) || !rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary) || isnan(summary.monetary))
		return transition(fcinfo, 2, NULL, 0);
	row.x = summary.frequency;
	row.y = row.x == 0 ? 0 : summary.monetary;
	return transition(fcinfo, 2, &row, 0);
}

/*
 * (state internal, periods integer, churned boolean [, options]) returns internal
 */
Datum
cdp_sbg_fit_transition(PG_FUNCTION_ARGS)
{
	LifetimeRow row = {0};

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return transition(fcinfo, 3, NULL, 0);
	row.x = PG_GETARG_INT32(1);
	row.y = PG_GETARG_BOOL(2) ? 1 : 0;
	return transition(fcinfo, 3, &row, 0);
}

/*
 * (state internal, other internal) returns internal
 */
Datum
cdp_lifetime_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	FitState   *state = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	FitState   *other = PG_ARGISNULL(1) ? NULL : (FitState *) PG_GETARG_POINTER(1);

	context = cdp_aggregate_context(fcinfo);
	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
	{
		state = create_state(context);
		state->options = other->options;
	}
	else
		require_same_options(&state->options, &other->options);
	flush_queue(other);
	for (uint32 i = 0; i < other->count; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		queue_row(state, &other->rows[i]);
	}
	PG_RETURN_POINTER(state);
}

/*
 * (state internal) returns bytea
 */
Datum
cdp_lifetime_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = (FitState *) PG_GETARG_POINTER(0);
	StringInfoData buffer;

	(void) cdp_aggregate_context(fcinfo);
	flush_queue(state);
	if (state->count > (MaxAllocSize - 1024) / sizeof(LifetimeRow))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many distinct rows for a parallel fit"),
				 errhint("Set max_parallel_workers_per_gather to 0 for this query.")));
	pq_begintypsend(&buffer);
	enlargeStringInfo(&buffer, 1024 + (int) (state->count * sizeof(LifetimeRow)));
	pq_sendfloat8(&buffer, state->options.prior_deviation);
	pq_sendfloat8(&buffer, state->options.prior_family);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		pq_sendfloat8(&buffer, state->options.prior_parameters[i]);
	pq_sendfloat8(&buffer, state->options.period_days);
	pq_sendint32(&buffer, state->count);
	for (uint32 i = 0; i < state->count; i++)
	{
		pq_sendfloat8(&buffer, state->rows[i].x);
		pq_sendfloat8(&buffer, state->rows[i].y);
		pq_sendfloat8(&buffer, state->rows[i].z);
		pq_sendfloat8(&buffer, state->rows[i].weight);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/*
 * (state bytea, internal) returns internal
 */
Datum
cdp_lifetime_fit_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData buffer;
	FitState   *state;

	(void) cdp_aggregate_context(fcinfo);
	buffer.data = VARDATA_ANY(bytes);
	buffer.len = VARSIZE_ANY_EXHDR(bytes);
	buffer.maxlen = buffer.len;
	buffer.cursor = 0;
	/* the rows are only read by the combine function, which looks nothing up */
	state = palloc0(sizeof(FitState));
	state->context = CurrentMemoryContext;
	state->options.prior_deviation = pq_getmsgfloat8(&buffer);
	state->options.prior_family = pq_getmsgfloat8(&buffer);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		state->options.prior_parameters[i] = pq_getmsgfloat8(&buffer);
	state->options.period_days = pq_getmsgfloat8(&buffer);
	state->count = pq_getmsgint(&buffer, 4);
	if (state->count > (uint32) (buffer.len - buffer.cursor) / sizeof(LifetimeRow))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of a fit is damaged")));
	reserve_rows(state, (Size) state->count + 1);
	for (uint32 i = 0; i < state->count; i++)
	{
		state->rows[i].x = pq_getmsgfloat8(&buffer);
		state->rows[i].y = pq_getmsgfloat8(&buffer);
		state->rows[i].z = pq_getmsgfloat8(&buffer);
		state->rows[i].weight = pq_getmsgfloat8(&buffer);
	}
	pq_getmsgend(&buffer);
	PG_RETURN_POINTER(state);
}

static inline int
compare_rows(const LifetimeRow *first, const LifetimeRow *second)
{
	if (first->x != second->x)
		return first->x < second->x ? -1 : 1;
	if (first->z != second->z)
		return first->z < second->z ? -1 : 1;
	if (first->y != second->y)
		return first->y < second->y ? -1 : 1;
	return 0;
}

#define ST_SORT sort_by_comparing
#define ST_ELEMENT_TYPE LifetimeRow
#define ST_COMPARE(a, b) compare_rows(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define SORT_FEW		24			/* are sorted by insertion */
#define SORT_BUCKETS	512
#define SORT_DEPTH		4			/* divisions by one field that may fail to divide */

/* The fields in their order: x, z, y. */
static inline double
sort_field(const LifetimeRow *row, int field)
{
	return field == 0 ? row->x : field == 1 ? row->z
											: row->y;
}

/*
 * sort_rows sorts distinct rows from a field on, all before it being equal: into
 * buckets by where the field is between its extremes, in place, and then each
 * bucket.  Frequencies are small numbers and times are spread, so that one or two
 * divisions do.  Where they do not, comparisons go on.
 */
static void
sort_rows(LifetimeRow *rows, uint32 count, int field, int depth)
{
	uint32		end[SORT_BUCKETS];
	uint32		next[SORT_BUCKETS];
	uint32		buckets;
	double		low;
	double		high;
	double		scale;

	for (;;)
	{
		if (count <= SORT_FEW)
		{
			for (uint32 i = 1; i < count; i++)
			{
				LifetimeRow row = rows[i];
				uint32		place = i;

				for (; place > 0 && compare_rows(&row, &rows[place - 1]) < 0; place--)
					rows[place] = rows[place - 1];
				rows[place] = row;
			}
			return;
		}
		low = high = sort_field(&rows[0], field);
		for (uint32 i = 1; i < count; i++)
		{
			double		value = sort_field(&rows[i], field);

			low = value < low ? value : low;
			high = value > high ? value : high;
		}
		if (low < high)
			break;
		if (field == 2)
			return;
		field++;
		depth = 0;
	}

	buckets = Min(SORT_BUCKETS, count / 2);
	/* each frequency gets a bucket, if there are enough */
	scale = field == 0 && high - low < buckets ? 1 : (buckets - 1) / (high - low);
	if (depth == SORT_DEPTH || !isfinite(scale))
	{
		sort_by_comparing(rows, count);
		return;
	}

	memset(end, 0, sizeof(end));
	for (uint32 i = 0; i < count; i++)
		end[(uint32) ((sort_field(&rows[i], field) - low) * scale)]++;
	for (uint32 b = 0, sum = 0; b < buckets; b++)
	{
		next[b] = sum;
		sum += end[b];
		end[b] = sum;
	}
	for (uint32 b = 0; b < buckets; b++)
		while (next[b] < end[b])
		{
			LifetimeRow row = rows[next[b]];
			uint32		home;

			/* each goes where it belongs, and what was there follows */
			while ((home = (uint32) ((sort_field(&row, field) - low) * scale)) != b)
			{
				LifetimeRow other = rows[next[home]];

				rows[next[home]++] = row;
				row = other;
			}
			rows[next[b]++] = row;
		}
	CHECK_FOR_INTERRUPTS();
	for (uint32 b = 0, start = 0; b < buckets; start = end[b++])
		if (end[b] - start > 1)
			sort_rows(&rows[start], end[b] - start, field, depth + 1);
}

static bool
interrupted(void)
{
	return InterruptPending;
}

/*
 * correlation of frequency and spend among repeat customers; the Gamma-Gamma
 * model takes it to be about 0.
 */
static double
spend_correlation(const FitState *state)
{
	double		weight = 0;
	double		mean[2] = {0};
	double		square[3] = {0};

	for (uint32 i = 0; i < state->count; i++)
	{
		const LifetimeRow *row = &state->rows[i];
		double		x = row->x - mean[0];
		double		y = row->y - mean[1];
		double		share;

		if (row->x == 0)
			continue;
		weight += row->weight;
		share = row->weight / weight;
		mean[0] += share * x;
		mean[1] += share * y;
		square[0] += row->weight * x * (row->x - mean[0]);
		square[1] += row->weight * x * (row->y - mean[1]);
		square[2] += row->weight * y * (row->y - mean[1]);
	}
	return square[0] > 0 && square[2] > 0 ? square[1] / sqrt(square[0] * square[2]) : NAN;
}

/*
 * finish fits the model and makes it a value; NULL where there are no customers.
 */
static Datum
finish(FunctionCallInfo fcinfo, LifetimeFamily family)
{
	FitState   *state = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	const LifetimeFamilyInfo *info = lifetime_family(family);
	LifetimeModel *model;
	LifetimePrior prior = {0};
	LifetimeFit fit;
	bool		repeat = family != LIFETIME_GAMMA_GAMMA;

	(void) cdp_aggregate_context(fcinfo);
	if (state)
		flush_queue(state);
	if (state == NULL || state->count == 0)
		PG_RETURN_NULL();
	for (uint32 i = 0; i < state->count; i++)
	{
		const char *wrong = lifetime_check_row(family, &state->rows[i]);

		if (wrong)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s", wrong),
					 family == LIFETIME_SBG ? errdetail("A row has periods %g.", state->rows[i].x) : family == LIFETIME_GAMMA_GAMMA ? errdetail("A row has frequency %g and monetary %g.", state->rows[i].x, state->rows[i].y)
																																	: errdetail("A row has frequency %g, recency %g and age %g.", state->rows[i].x, state->rows[i].y, state->rows[i].z),
					 errhint("Leave such rows out with FILTER (WHERE ...).")));
		repeat |= state->rows[i].x > 0;
	}
	if (!repeat)
		PG_RETURN_NULL();
	if (state->slots)
	{
		pfree(state->slots);
		state->slots = NULL;
	}
	sort_rows(state->rows, state->count, 0, 0);

	if (state->options.prior_deviation > 0)
	{
		double		parameters[LIFETIME_PARAMETERS];

		if (state->options.prior_family == 0)
			lifetime_start(family, state->rows, state->count, parameters);
		else if (state->options.prior_family == family)
			memcpy(parameters, state->options.prior_parameters, sizeof(parameters));
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("prior of a %s model must be a %s model", info->name, info->name)));
		prior.deviation = state->options.prior_deviation;
		for (int i = 0; i < info->parameter_count; i++)
			prior.center[i] = log(parameters[i] - info->lower[i]);
	}
	for (int attempt = 0;; attempt++)
	{
		/* what interrupts need not be the end; then the fit starts again */
		lifetime_fit(family, state->rows, state->count, &prior, attempt < 3 ? interrupted : NULL, &fit);
		CHECK_FOR_INTERRUPTS();
		if (!fit.cancelled)
			break;
	}
	if (fit.out_of_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));

	model = lifetime_model_create(family);
	model->iterations = fit.iterations;
	model->period_days = state->options.period_days;
	for (int i = 0; i < info->parameter_count; i++)
	{
		model->parameters[i] = Max(Min(fit.parameters[i], LIFETIME_MODEL_LARGEST), info->lower[i] + 2 * LIFETIME_MODEL_SMALLEST);
		/* what had to be cut is not where the likelihood is greatest */
		if (model->parameters[i] != fit.parameters[i])
			fit.converged = false;
	}
	for (int i = 0; i < info->parameter_count; i++)
		if (fit.converged && isfinite(fit.standard_errors[i]))
			model->standard_errors[i] = fit.standard_errors[i];
	model->flags = LIFETIME_MODEL_FITTED | (fit.converged ? LIFETIME_MODEL_CONVERGED : 0) |
		(prior.deviation > 0 ? LIFETIME_MODEL_PRIOR : 0);
	model->log_likelihood = fit.log_likelihood;
	model->weight = fit.weight;
	model->gradient_norm = isfinite(fit.gradient_norm) ? fit.gradient_norm : 0;
	if (family == LIFETIME_GAMMA_GAMMA)
		model->correlation = spend_correlation(state);
	if (!fit.converged)
		ereport(WARNING,
				(errmsg("%s_fit did not converge for %g customers", info->name, fit.weight),
				 errhint("There may be too few customers for this model: give a prior, as in cdp.lifetime_options(prior_deviation => 1).")));
	PG_RETURN_POINTER(model);
}

/*
 * Each (state internal) returns cdp.lifetime_model
 */
Datum
cdp_bgnbd_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_BGNBD);
}

Datum
cdp_mbgnbd_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_MBGNBD);
}

Datum
cdp_pareto_nbd_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_PARETO_NBD);
}

Datum
cdp_gamma_gamma_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_GAMMA_GAMMA);
}

Datum
cdp_bgbb_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_BGBB);
}

Datum
cdp_sbg_fit_final(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, LIFETIME_SBG);
}
