/*
 * rfm_score.c
 *		Scores of customers by quantiles of recency, frequency and monetary value,
 *		and the named segments made of them.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "cdp.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "score/rfm.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(cdp_rfm_breakpoints_transition);
PG_FUNCTION_INFO_V1(cdp_rfm_breakpoints_combine);
PG_FUNCTION_INFO_V1(cdp_rfm_breakpoints_serialize);
PG_FUNCTION_INFO_V1(cdp_rfm_breakpoints_deserialize);
PG_FUNCTION_INFO_V1(cdp_rfm_breakpoints_final);
PG_FUNCTION_INFO_V1(cdp_rfm_score);

#define FIGURES			3
#define SMALLEST_BINS	2
#define LARGEST_BINS	9
#define USUAL_BINS		4

/* The figures of a customer: periods since the last purchase, purchases, mean amount. */
typedef struct Figures
{
	double		figure[FIGURES];
} Figures;

typedef struct BreakpointState
{
	MemoryContext context;
	int32		bins;
	uint64		count;
	uint64		capacity;
	Figures	   *customers;
} BreakpointState;

static Figures
figures_of(const RfmSummary *summary)
{
	Figures		figures;

	if (!isfinite(summary->recency) || !isfinite(summary->age) || !isfinite(summary->total) ||
		!(summary->purchases > 0))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("values of a customer must be finite, with at least one purchase")));
	figures.figure[0] = summary->age - summary->recency;
	figures.figure[1] = summary->purchases;
	figures.figure[2] = summary->total / summary->purchases;
	return figures;
}

static BreakpointState *
create_state(MemoryContext context, int32 bins)
{
	BreakpointState *state = MemoryContextAllocZero(context, sizeof(BreakpointState));

	state->context = context;
	state->bins = bins;
	state->capacity = 64;
	state->customers = MemoryContextAlloc(context, mul_size(64, sizeof(Figures)));
	return state;
}

static void
add_customer(BreakpointState *state, const Figures *figures)
{
	if (state->count == state->capacity)
	{
		uint64		capacity = state->capacity + state->capacity / 2;

		if (capacity * sizeof(Figures) > (uint64) maintenance_work_mem * 1024)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("customers do not fit into maintenance_work_mem"),
					 errhint("Raise maintenance_work_mem (a customer takes 36 bytes), or take the breakpoints from a sample.")));
		state->customers = repalloc_huge(state->customers, mul_size(capacity, sizeof(Figures)));
		state->capacity = capacity;
	}
	state->customers[state->count++] = *figures;
}

static Datum
state_or_null(BreakpointState *state, FunctionCallInfo fcinfo)
{
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/*
 * (state internal, customer cdp.rfm_summary [, bins integer]) returns internal
 */
Datum
cdp_rfm_breakpoints_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	BreakpointState *state = PG_ARGISNULL(0) ? NULL : (BreakpointState *) PG_GETARG_POINTER(0);
	int32		bins = PG_NARGS() > 2 && !PG_ARGISNULL(2) ? PG_GETARG_INT32(2) : USUAL_BINS;
	RfmSummary	summary;
	Figures		figures;

	if (PG_ARGISNULL(1) || !rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary))
		return state_or_null(state, fcinfo);
	if (bins < SMALLEST_BINS || bins > LARGEST_BINS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bins must be between %d and %d", SMALLEST_BINS, LARGEST_BINS)));
	if (state == NULL)
		state = create_state(context, bins);
	else if (state->bins != bins)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bins differ within one group")));
	figures = figures_of(&summary);
	add_customer(state, &figures);
	PG_RETURN_POINTER(state);
}

/*
 * (state internal, other internal) returns internal
 */
Datum
cdp_rfm_breakpoints_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	BreakpointState *state = PG_ARGISNULL(0) ? NULL : (BreakpointState *) PG_GETARG_POINTER(0);
	BreakpointState *other = PG_ARGISNULL(1) ? NULL : (BreakpointState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		return state_or_null(state, fcinfo);
	if (state == NULL)
		state = create_state(context, other->bins);
	else if (state->bins != other->bins)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bins differ within one group")));
	for (uint64 i = 0; i < other->count; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		add_customer(state, &other->customers[i]);
	}
	PG_RETURN_POINTER(state);
}

/*
 * (state internal) returns bytea
 */
Datum
cdp_rfm_breakpoints_serialize(PG_FUNCTION_ARGS)
{
	BreakpointState *state = (BreakpointState *) PG_GETARG_POINTER(0);
	StringInfoData buffer;

	(void) cdp_aggregate_context(fcinfo);
	if (state->count > (MaxAllocSize - 1024) / sizeof(Figures))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many customers for a parallel aggregate")));
	pq_begintypsend(&buffer);
	pq_sendint32(&buffer, state->bins);
	pq_sendint32(&buffer, (uint32) state->count);
	for (uint64 i = 0; i < state->count; i++)
		for (int j = 0; j < FIGURES; j++)
			pq_sendfloat8(&buffer, state->customers[i].figure[j]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/*
 * (state bytea, internal) returns internal
 */
Datum
cdp_rfm_breakpoints_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	BreakpointState *state;
	StringInfoData buffer;

	(void) cdp_aggregate_context(fcinfo);
	buffer.data = VARDATA_ANY(bytes);
	buffer.len = VARSIZE_ANY_EXHDR(bytes);
	buffer.maxlen = buffer.len;
	buffer.cursor = 0;
	state = palloc0(sizeof(BreakpointState));
	state->context = CurrentMemoryContext;
	state->bins = pq_getmsgint(&buffer, 4);
	state->count = pq_getmsgint(&buffer, 4);
	if (state->count > (uint64) (buffer.len - buffer.cursor) / sizeof(Figures))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of breakpoints is damaged")));
	state->capacity = state->count;
	state->customers = cdp_palloc_array(Figures, add_size(state->count, 1));
	for (uint64 i = 0; i < state->count; i++)
		for (int j = 0; j < FIGURES; j++)
			state->customers[i].figure[j] = pq_getmsgfloat8(&buffer);
	pq_getmsgend(&buffer);
	PG_RETURN_POINTER(state);
}

static int
compare_figures(const void *a, const void *b, void *argument)
{
	int			which = *(int *) argument;
	double		first = ((const Figures *) a)->figure[which];
	double		second = ((const Figures *) b)->figure[which];

	return first < second ? -1 : first > second ? 1
												: 0;
}

/*
 * (state internal) returns cdp.rfm_breakpoints
 *
 * The breakpoints are quantiles with linear interpolation, as percentile_cont.
 */
Datum
cdp_rfm_breakpoints_final(PG_FUNCTION_ARGS)
{
	BreakpointState *state = PG_ARGISNULL(0) ? NULL : (BreakpointState *) PG_GETARG_POINTER(0);
	Datum		values[FIGURES];
	bool		nulls[FIGURES] = {0};
	TupleDesc	columns;

	(void) cdp_aggregate_context(fcinfo);
	if (state == NULL)
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE || columns->natts != FIGURES)
		elog(ERROR, "return type must be cdp.rfm_breakpoints");
	for (int which = 0; which < FIGURES; which++)
	{
		Datum		breaks[LARGEST_BINS];

		qsort_arg(state->customers, state->count, sizeof(Figures), compare_figures, &which);
		for (int i = 1; i < state->bins; i++)
		{
			double		position = (double) (state->count - 1) * i / state->bins;
			uint64		below = (uint64) floor(position);
			double		low = state->customers[below].figure[which];
			double		high = state->customers[Min(below + 1, state->count - 1)].figure[which];

			breaks[i - 1] = Float8GetDatum(low + (high - low) * (position - below));
		}
		values[which] = PointerGetDatum(construct_array(breaks, state->bins - 1, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/*
 * Named segments by quartile scores of recency, frequency and monetary value,
 * those of pymc-marketing's rfm_segments.
 */
static const struct
{
	const char *name;
	const char *scores;
}			segments[] =
	{
		{"Premium Customer", "334 443 444 344 434 433 343 333"},
		{"Repeat Customer", "244 234 232 332 143 233 243"},
		{"Top Spender", "424 414 144 314 324 124 224 423 413 133 323 313 134"},
		{"At Risk Customer", "422 223 212 122 222 132 322 312 412 123 214"},
		{"Inactive Customer", "411 111 113 114 112 211 311"}};

/*
 * cdp.rfm_score(customer cdp.rfm_summary, breakpoints cdp.rfm_breakpoints)
 * returns cdp.rfm_scores
 */
Datum
cdp_rfm_score(PG_FUNCTION_ARGS)
{
	HeapTupleHeader breakpoints = PG_GETARG_HEAPTUPLEHEADER(1);
	RfmSummary	summary;
	Figures		figures;
	TupleDesc	columns;
	Datum		values[5];
	bool		nulls[5] = {0};
	char		digits[FIGURES + 1] = {0};
	const char *segment = "Other";
	int			bins = 0;

	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(0), &summary))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE || columns->natts != 5)
		elog(ERROR, "return type must be cdp.rfm_scores");
	figures = figures_of(&summary);
	for (int which = 0; which < FIGURES; which++)
	{
		bool		null;
		Datum		value = GetAttributeByNum(breakpoints, which + 1, &null);
		ArrayType  *array;
		float8	   *breaks;
		int			count;
		int			score = 1;

		if (null)
			PG_RETURN_NULL();
		array = DatumGetArrayTypeP(value);
		count = ARR_NDIM(array) == 1 ? ARR_DIMS(array)[0] : 0;
		if (count < SMALLEST_BINS - 1 || count > LARGEST_BINS - 1 || ARR_HASNULL(array) || (bins > 0 && count + 1 != bins))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("not valid rfm breakpoints"),
					 errhint("They are made by the aggregate cdp.rfm_breakpoints.")));
		bins = count + 1;
		breaks = (float8 *) ARR_DATA_PTR(array);
		/* equal values have equal scores: a value on a breakpoint is below it */
		for (int i = 0; i < count; i++)
			if (figures.figure[which] > breaks[i])
				score++;
		if (which == 0)
			score = bins + 1 - score;
		digits[which] = (char) ('0' + score);
		values[which] = Int32GetDatum(score);
	}
	values[3] = CStringGetTextDatum(digits);
	for (int i = 0; i < lengthof(segments); i++)
		if (strstr(segments[i].scores, digits))
			segment = segments[i].name;
	if (bins == USUAL_BINS)
		values[4] = CStringGetTextDatum(segment);
	else
		nulls[4] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
