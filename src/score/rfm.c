/*
 * rfm.c
 *		The aggregates cdp.rfm and cdp.rfm_state_agg, and what is read from a
 *		state.
 *
 * The rules (which transactions are one purchase, what refunds do, where time
 * ends) are in docs/score.md.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "cdp.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "score/lifetime_model.h"
#include "score/rfm.h"
#include "score/rfm_state.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cdp_rfm_transition);
PG_FUNCTION_INFO_V1(cdp_rfm_transition_local);
PG_FUNCTION_INFO_V1(cdp_rfm_transition_date);
PG_FUNCTION_INFO_V1(cdp_rfm_combine);
PG_FUNCTION_INFO_V1(cdp_rfm_merge_transition);
PG_FUNCTION_INFO_V1(cdp_rfm_final);
PG_FUNCTION_INFO_V1(cdp_rfm_state_final);
PG_FUNCTION_INFO_V1(cdp_rfm_summarize);
PG_FUNCTION_INFO_V1(cdp_rfm_purchases);

/* The start of period 0: Monday, 2000-01-03. */
#define ORIGIN			(2 * USECS_PER_DAY)
#define LARGEST_AMOUNT	9e12

/* The columns of cdp.rfm_options. */
enum
{
	OPTION_PERIOD = 1,
	OPTION_MERGE,
	OPTION_OBSERVATION_END,
	OPTION_TIME_ZONE,
	OPTION_REFUNDS
};

/* The options of the last row: they are nearly always the same. */
typedef struct OptionsCache
{
	HeapTupleHeader given;
	RfmRules	rules;
} OptionsCache;

static const RfmRules default_rules = {USECS_PER_DAY, 7, RFM_NO_END, RFM_REFUNDS_SUBTRACT, "UTC"};

static void
parse_options(HeapTupleHeader header, RfmRules *rules)
{
	bool		null;
	Datum		value;

	*rules = default_rules;
	value = GetAttributeByNum(header, OPTION_PERIOD, &null);
	if (!null)
		rules->period_days = lifetime_interval_days(DatumGetIntervalP(value));
	if (!(rules->period_days >= 1e-6 && rules->period_days <= 1e6))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("period of rfm options must be positive and at most 1000000 days")));
	value = GetAttributeByNum(header, OPTION_MERGE, &null);
	if (!null)
	{
		Interval   *merge = DatumGetIntervalP(value);
		double		days = lifetime_interval_days(merge);

		if (merge->month != 0 || !(days * SECS_PER_DAY >= 1 && days <= 36600))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("merge of rfm options must be from one second to 36600 days, without months"),
					 errhint("Transactions of the same day are one purchase with merge => '1 day'.")));
		rules->merge = merge->time + merge->day * USECS_PER_DAY;
	}
	value = GetAttributeByNum(header, OPTION_OBSERVATION_END, &null);
	if (!null)
	{
		rules->observation_end = DatumGetTimestamp(value);
		if (TIMESTAMP_NOT_FINITE(rules->observation_end))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("observation_end of rfm options must be finite")));
	}
	value = GetAttributeByNum(header, OPTION_TIME_ZONE, &null);
	if (!null)
	{
		char	   *zone = text_to_cstring(DatumGetTextPP(value));

		if (zone[0] == '\0' || strlen(zone) > RFM_ZONE_LENGTH)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time zone \"%s\" not recognized", zone)));
		memset(rules->zone, 0, sizeof(rules->zone));
		memcpy(rules->zone, zone, strlen(zone));
	}
	value = GetAttributeByNum(header, OPTION_REFUNDS, &null);
	if (!null)
	{
		char	   *refunds = text_to_cstring(DatumGetTextPP(value));

		if (strcmp(refunds, "subtract") == 0)
			rules->refunds = RFM_REFUNDS_SUBTRACT;
		else if (strcmp(refunds, "ignore") == 0)
			rules->refunds = RFM_REFUNDS_IGNORE;
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("refunds of rfm options must be subtract or ignore, not \"%s\"", refunds)));
	}
}

/*
 * options_of reads the options in an argument, which may be absent or NULL.
 */
static const RfmRules *
options_of(FunctionCallInfo fcinfo, int argument)
{
	OptionsCache *cache = fcinfo->flinfo->fn_extra;
	HeapTupleHeader given;
	Size		size;

	if (PG_NARGS() <= argument || PG_ARGISNULL(argument))
		return &default_rules;
	given = PG_GETARG_HEAPTUPLEHEADER(argument);
	size = HeapTupleHeaderGetDatumLength(given);
	if (cache == NULL)
		cache = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(OptionsCache));
	if (cache->given == NULL || HeapTupleHeaderGetDatumLength(cache->given) != size ||
		memcmp(cache->given, given, size) != 0)
	{
		RfmRules	rules;

		parse_options(given, &rules);
		if (cache->given)
			pfree(cache->given);
		cache->given = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, size);
		memcpy(cache->given, given, size);
		cache->rules = rules;
	}
	return &cache->rules;
}

/*
 * wall_clock is what a clock in the rules' zone shows at an instant.
 */
static Timestamp
wall_clock(const RfmRules *rules, TimestampTz instant)
{
	if (strcmp(rules->zone, "UTC") == 0)
		return instant;
	return DatumGetTimestamp(DirectFunctionCall2(timestamptz_zone,
												 PointerGetDatum(cstring_to_text(rules->zone)),
												 TimestampTzGetDatum(instant)));
}

/*
 * period_number is the number of the merging period that a time falls in.
 */
static int64
period_number(const RfmRules *rules, Timestamp at)
{
	int64		since = at - ORIGIN;
	int64		number = since / rules->merge;

	return since % rules->merge < 0 ? number - 1 : number;
}

static Datum
add_transaction(FunctionCallInfo fcinfo, const RfmRules *rules, Timestamp at, double amount)
{
	RfmState   *state;
	int64		key;

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("times of transactions must be finite")));
	if (!(fabs(amount) <= LARGEST_AMOUNT))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amount of a transaction must be between -9e12 and 9e12")));
	key = period_number(rules, at) * 2 + (amount < 0 ? 1 : 0);
	if (PG_ARGISNULL(0))
		state = rfm_state_create(rules, 4);
	else
	{
		state = (RfmState *) PG_GETARG_POINTER(0);
		rfm_state_require_same(&state->rules, rules);
	}
	PG_RETURN_POINTER(rfm_state_add(state, key, (int64) rint(amount * RFM_MICROS)));
}

static Datum
keep_state(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

static void
require_aggregate(FunctionCallInfo fcinfo)
{
	(void) cdp_aggregate_context(fcinfo);
}

/*
 * (state cdp.rfm_state, occurred_at timestamptz, amount float8 [, options])
 * returns cdp.rfm_state
 */
Datum
cdp_rfm_transition(PG_FUNCTION_ARGS)
{
	const RfmRules *rules;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return keep_state(fcinfo);
	rules = options_of(fcinfo, 3);
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(1)))
		return add_transaction(fcinfo, rules, DT_NOEND, 0);
	return add_transaction(fcinfo, rules, wall_clock(rules, PG_GETARG_TIMESTAMPTZ(1)), PG_GETARG_FLOAT8(2));
}

/*
 * The same with occurred_at timestamp, which is taken as the wall clock.
 */
Datum
cdp_rfm_transition_local(PG_FUNCTION_ARGS)
{
	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return keep_state(fcinfo);
	return add_transaction(fcinfo, options_of(fcinfo, 3), PG_GETARG_TIMESTAMP(1), PG_GETARG_FLOAT8(2));
}

/*
 * The same with occurred_at date.
 */
Datum
cdp_rfm_transition_date(PG_FUNCTION_ARGS)
{
	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return keep_state(fcinfo);
	return add_transaction(fcinfo, options_of(fcinfo, 3),
						   DatumGetTimestamp(DirectFunctionCall1(date_timestamp, PG_GETARG_DATUM(1))), PG_GETARG_FLOAT8(2));
}

static Datum
merge(FunctionCallInfo fcinfo)
{
	RfmState   *state;
	RfmState   *other;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(1))
		return keep_state(fcinfo);
	other = rfm_state_get(PG_GETARG_DATUM(1));
	if (PG_ARGISNULL(0))
	{
		state = rfm_state_create(&other->rules, other->count + 4);
		state->canonical = other->canonical;
		state->count = other->count;
		memcpy(state->entries, other->entries, other->count * sizeof(RfmEntry));
		PG_RETURN_POINTER(state);
	}
	state = (RfmState *) PG_GETARG_POINTER(0);
	rfm_state_require_same(&state->rules, &other->rules);
	for (int32 i = 0; i < other->count; i++)
		state = rfm_state_add(state, other->entries[i].key, other->entries[i].amount);
	PG_RETURN_POINTER(state);
}

/*
 * (state cdp.rfm_state, other cdp.rfm_state) returns cdp.rfm_state
 */
Datum
cdp_rfm_combine(PG_FUNCTION_ARGS)
{
	return merge(fcinfo);
}

/*
 * (state cdp.rfm_state, stored cdp.rfm_state) returns cdp.rfm_state
 */
Datum
cdp_rfm_merge_transition(PG_FUNCTION_ARGS)
{
	return merge(fcinfo);
}

/*
 * cdp.rfm_state_agg: (state cdp.rfm_state) returns cdp.rfm_state
 */
Datum
cdp_rfm_state_final(PG_FUNCTION_ARGS)
{
	RfmState   *state;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RfmState *) PG_GETARG_POINTER(0);
	if (state->rules.observation_end != RFM_NO_END)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a state has no end of observation"),
				 errhint("Give it to cdp.rfm_summarize(state, observation_end).")));
	PG_RETURN_POINTER(rfm_state_finish(state));
}

/*
 * A purchase: what was bought in one period of merging.
 */
typedef struct Purchase
{
	int64		number;
	int64		amount;
	bool		refunded;
} Purchase;

/*
 * purchases_until lists the purchases up to a period, in order, after refunds.
 * A refund takes from the latest purchase before it or of the same period, then
 * from the one before; what is left of a refund then is dropped, and so is a
 * purchase of which nothing is left.
 */
static int32
purchases_until(const RfmState *state, int64 last, Purchase *list)
{
	int32		count = 0;

	for (int32 i = 0; i < state->count && state->entries[i].key <= last * 2 + 1; i++)
	{
		const RfmEntry *entry = &state->entries[i];

		if ((entry->key & 1) == 0)
		{
			list[count].number = entry->key / 2;
			list[count++].amount = entry->amount;
		}
		else if (state->rules.refunds == RFM_REFUNDS_SUBTRACT)
		{
			int64		left = entry->amount;

			/* what was free cannot be refunded */
			for (int32 j = count - 1; j >= 0 && left < 0; j--)
			{
				CHECK_FOR_INTERRUPTS();
				if (list[j].amount == 0)
					continue;
				if (left + list[j].amount > 0)
				{
					list[j].amount += left;
					left = 0;
				}
				else
				{
					left += list[j].amount;
					memmove(&list[j], &list[j + 1], (count - j - 1) * sizeof(Purchase));
					count--;
				}
			}
		}
	}
	return count;
}

static Timestamp
end_of_observation(const RfmRules *rules, bool given, Timestamp end)
{
	if (given)
		return end;
	if (rules->observation_end != RFM_NO_END)
		return rules->observation_end;
	return wall_clock(rules, GetCurrentTransactionStartTimestamp());
}

/*
 * summarize makes a value of cdp.rfm_summary, NULL where there is no purchase.
 */
static Datum
summarize(FunctionCallInfo fcinfo, const RfmState *state, Timestamp end)
{
	int64		last = period_number(&state->rules, end);
	Purchase   *list = cdp_palloc_array(Purchase, add_size(state->count, 1));
	int32		count = purchases_until(state, last, list);
	double		merge_periods = state->rules.merge / (state->rules.period_days * USECS_PER_DAY);
	double		total = 0;
	TupleDesc	columns = fcinfo->flinfo->fn_extra;
	Datum		values[RFM_COLUMNS] = {0};
	bool		nulls[RFM_COLUMNS] = {0};

	if (count == 0)
		PG_RETURN_NULL();
	if (columns == NULL)
	{
		MemoryContext old_context;

		if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE || columns->natts != RFM_COLUMNS)
			elog(ERROR, "return type must be cdp.rfm_summary");
		old_context = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		columns = BlessTupleDesc(CreateTupleDescCopy(columns));
		fcinfo->flinfo->fn_extra = columns;
		MemoryContextSwitchTo(old_context);
	}
	for (int32 i = 1; i < count; i++)
		total += (double) list[i].amount;
	values[RFM_FREQUENCY - 1] = Int32GetDatum(count - 1);
	values[RFM_RECENCY - 1] = Float8GetDatum((list[count - 1].number - list[0].number) * merge_periods);
	values[RFM_AGE - 1] = Float8GetDatum((last - list[0].number) * merge_periods);
	values[RFM_MONETARY - 1] = Float8GetDatum(count > 1 ? total / (count - 1) / RFM_MICROS : 0);
	nulls[RFM_MONETARY - 1] = count == 1;
	values[RFM_FIRST_AT - 1] = TimestampGetDatum(list[0].number * state->rules.merge + ORIGIN);
	values[RFM_LAST_AT - 1] = TimestampGetDatum(list[count - 1].number * state->rules.merge + ORIGIN);
	values[RFM_PURCHASES - 1] = Int32GetDatum(count);
	values[RFM_TOTAL - 1] = Float8GetDatum((total + (double) list[0].amount) / RFM_MICROS);
	values[RFM_PERIOD - 1] = IntervalPGetDatum(lifetime_days_interval(state->rules.period_days));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(columns, values, nulls)));
}

/*
 * cdp.rfm: (state cdp.rfm_state) returns cdp.rfm_summary
 */
Datum
cdp_rfm_final(PG_FUNCTION_ARGS)
{
	RfmState   *state;

	require_aggregate(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RfmState *) PG_GETARG_POINTER(0);
	rfm_state_normalize(state);
	return summarize(fcinfo, state, end_of_observation(&state->rules, false, 0));
}

static Timestamp
finite_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	Timestamp	at = PG_GETARG_TIMESTAMP(argument);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be finite", name)));
	return at;
}

static RfmState *
canonical_argument(FunctionCallInfo fcinfo)
{
	RfmState   *state = rfm_state_get(PG_GETARG_DATUM(0));

	if (!state->canonical)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("not a valid rfm state")));
	return state;
}

/*
 * cdp.rfm_summarize(state cdp.rfm_state, observation_end timestamp) returns
 * cdp.rfm_summary
 */
Datum
cdp_rfm_summarize(PG_FUNCTION_ARGS)
{
	RfmState   *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = canonical_argument(fcinfo);
	return summarize(fcinfo, state, PG_ARGISNULL(1) ? end_of_observation(&state->rules, false, 0) : finite_argument(fcinfo, 1, "observation_end"));
}

/*
 * cdp.rfm_purchases(state cdp.rfm_state, after timestamp, until timestamp)
 * returns integer
 */
Datum
cdp_rfm_purchases(PG_FUNCTION_ARGS)
{
	RfmState   *state = canonical_argument(fcinfo);
	int64		after = period_number(&state->rules, finite_argument(fcinfo, 1, "after"));
	int64		until = period_number(&state->rules, finite_argument(fcinfo, 2, "until"));
	Purchase   *list = cdp_palloc_array(Purchase, add_size(state->count, 1));
	int32		count = purchases_until(state, until, list);
	int32		within = 0;

	for (int32 i = 0; i < count; i++)
		if (list[i].number > after)
			within++;
	PG_RETURN_INT32(within);
}

/*
 * rfm_summary_read takes a value of cdp.rfm_summary apart.  Returns false where
 * it says nothing of a customer (NULL in frequency, recency or age).
 */
bool
rfm_summary_read(HeapTupleHeader header, RfmSummary *summary)
{
	bool		null;
	Datum		value;

	if (HeapTupleHeaderGetNatts(header) != RFM_COLUMNS)
		return false;
	value = GetAttributeByNum(header, RFM_FREQUENCY, &null);
	if (null)
		return false;
	summary->frequency = DatumGetInt32(value);
	value = GetAttributeByNum(header, RFM_RECENCY, &null);
	if (null)
		return false;
	summary->recency = DatumGetFloat8(value);
	value = GetAttributeByNum(header, RFM_AGE, &null);
	if (null)
		return false;
	summary->age = DatumGetFloat8(value);
	value = GetAttributeByNum(header, RFM_MONETARY, &null);
	summary->monetary = null ? NAN : DatumGetFloat8(value);
	value = GetAttributeByNum(header, RFM_PURCHASES, &null);
	summary->purchases = null ? NAN : DatumGetInt32(value);
	value = GetAttributeByNum(header, RFM_TOTAL, &null);
	summary->total = null ? NAN : DatumGetFloat8(value);
	value = GetAttributeByNum(header, RFM_PERIOD, &null);
	summary->period_days = null ? 0 : lifetime_interval_days(DatumGetIntervalP(value));
	if (!(summary->period_days > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("period of an rfm value must be positive")));
	return true;
}
