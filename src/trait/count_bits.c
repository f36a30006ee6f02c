/*
 * count_bits.c
 *		The aggregate cdp.count_bits: how often each bit of a number is set.
 *
 * The state is the result, an array of bigint that is as long as the highest bit
 * asks for, and is changed in place.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"

#include "cdp.h"

PG_FUNCTION_INFO_V1(cdp_count_bits_transition);
PG_FUNCTION_INFO_V1(cdp_count_bits_combine);

#define MAX_BITS	64
/* Arrays grow by so many elements. */
#define STEP		8

static void
check_aggregate(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate function called in non-aggregate context")));
}

/* The counts of a state, which is an array of our own making. */
static int64 *
counts_of(ArrayType *state, int *length)
{
	if (ARR_NDIM(state) != 1 || ARR_ELEMTYPE(state) != INT8OID || ARR_HASNULL(state) || ARR_DIMS(state)[0] > MAX_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid state of cdp.count_bits")));
	*length = ARR_DIMS(state)[0];
	return (int64 *) ARR_DATA_PTR(state);
}

/* A state of at least that length with the counts of another one, NULL: zeros. */
static ArrayType *
longer_state(ArrayType *state, int length)
{
	int			size = Min((length + STEP - 1) / STEP * STEP, MAX_BITS);
	ArrayType  *result = palloc0(add_size(ARR_OVERHEAD_NONULLS(1), mul_size(size, sizeof(int64))));

	SET_VARSIZE(result, ARR_OVERHEAD_NONULLS(1) + size * sizeof(int64));
	result->ndim = 1;
	result->elemtype = INT8OID;
	ARR_DIMS(result)
	[0] = size;
	ARR_LBOUND(result)
	[0] = 1;
	if (state != NULL)
	{
		int			old_length;
		const int64 *counts = counts_of(state, &old_length);

		memcpy(ARR_DATA_PTR(result), counts, old_length * sizeof(int64));
	}
	return result;
}

/*
 * cdp.count_bits_transition(bigint[], bits bigint) returns bigint[]
 *
 * Counts the bits of a number; NULL has none.
 */
Datum
cdp_count_bits_transition(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0);
	uint64		bits = PG_ARGISNULL(1) ? 0 : (uint64) PG_GETARG_INT64(1);
	int64	   *counts;
	int			length = 0;

	check_aggregate(fcinfo);
	if (bits == 0)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state != NULL)
		counts = counts_of(state, &length);
	if (length <= pg_leftmost_one_pos64(bits))
	{
		state = longer_state(state, pg_leftmost_one_pos64(bits) + 1);
		counts = counts_of(state, &length);
	}
	for (; bits != 0; bits &= bits - 1)
		counts[pg_rightmost_one_pos64(bits)]++;
	PG_RETURN_POINTER(state);
}

/*
 * cdp.count_bits_combine(bigint[], bigint[]) returns bigint[]
 *
 * Adds the counts of another state; NULL has none.
 */
Datum
cdp_count_bits_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0);
	int64	   *counts;
	const int64 *more;
	int			length = 0;
	int			more_length;

	check_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	more = counts_of(PG_GETARG_ARRAYTYPE_P(1), &more_length);
	if (state != NULL)
		(void) counts_of(state, &length);
	if (state == NULL || length < more_length)
		state = longer_state(state, more_length);
	counts = counts_of(state, &length);
	for (int i = 0; i < more_length; i++)
		counts[i] += more[i];
	PG_RETURN_POINTER(state);
}
