/*
 * rfm_state.c
 *		The type cdp.rfm_state: its text form (JSON), its binary form, and adding
 *		to it.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "score/rfm_state.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cdp_rfm_state_in);
PG_FUNCTION_INFO_V1(cdp_rfm_state_out);
PG_FUNCTION_INFO_V1(cdp_rfm_state_recv);
PG_FUNCTION_INFO_V1(cdp_rfm_state_send);

#define MOST_ENTRIES	((int32) (MaxAllocSize / 2 / sizeof(RfmEntry)))

/*
 * rfm_state_create makes an empty state with room.
 */
RfmState *
rfm_state_create(const RfmRules *rules, int32 capacity)
{
	Size		size = RFM_STATE_SIZE(capacity);
	RfmState   *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->version = RFM_STATE_VERSION;
	state->canonical = 1;
	state->rules = *rules;
	return state;
}

static int32
state_capacity(const RfmState *state)
{
	return (int32) ((VARSIZE(state) - offsetof(RfmState, entries)) / sizeof(RfmEntry));
}

static void
invalid_state(int sqlstate)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("not a valid rfm state")));
}

/*
 * check_state raises an error with this SQLSTATE unless a state is one that may
 * be read.
 */
static void
check_state(const RfmState *state, int sqlstate)
{
	if (state->version != RFM_STATE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("unknown version %d of an rfm state", state->version)));
	if (!rfm_state_valid(state, VARSIZE(state)))
		invalid_state(sqlstate);
}

/*
 * rfm_state_get gives an argument as a checked state.  It may be the argument
 * itself, so it is not to be changed.
 */
RfmState *
rfm_state_get(Datum value)
{
	RfmState   *state = (RfmState *) PG_DETOAST_DATUM(value);

	if (VARSIZE(state) < offsetof(RfmState, entries))
		invalid_state(ERRCODE_DATA_CORRUPTED);
	check_state(state, ERRCODE_DATA_CORRUPTED);
	return state;
}

static int
compare_entries(const void *a, const void *b)
{
	int64		first = ((const RfmEntry *) a)->key;
	int64		second = ((const RfmEntry *) b)->key;

	return first < second ? -1 : first > second ? 1
												: 0;
}

/*
 * rfm_state_normalize sorts the entries and adds up those of the same key.
 */
void
rfm_state_normalize(RfmState *state)
{
	int32		kept = 0;

	if (state->canonical)
		return;
	qsort(state->entries, state->count, sizeof(RfmEntry), compare_entries);
	for (int32 i = 0; i < state->count; i++)
	{
		if (kept > 0 && state->entries[kept - 1].key == state->entries[i].key)
		{
			if (pg_add_s64_overflow(state->entries[kept - 1].amount, state->entries[i].amount,
									&state->entries[kept - 1].amount))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("amounts of one period add up to more than 9e12")));
		}
		else
			state->entries[kept++] = state->entries[i];
	}
	state->count = kept;
	state->canonical = 1;
}

/*
 * rfm_state_add adds an entry, in place where there is room; otherwise the
 * result is a new state in the current memory context.
 */
RfmState *
rfm_state_add(RfmState *state, int64 key, int64 amount)
{
	int32		capacity = state_capacity(state);
	bool		full = state->count == capacity;

	if (full)
		rfm_state_normalize(state);
	if (full && state->count > capacity / 2)
	{
		RfmState   *larger;

		if (capacity > MOST_ENTRIES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many periods with transactions in one group")));
		larger = rfm_state_create(&state->rules, capacity * 2 + 4);
		larger->canonical = state->canonical;
		larger->count = state->count;
		memcpy(larger->entries, state->entries, state->count * sizeof(RfmEntry));
		state = larger;
	}
	if (state->count > 0 && key <= state->entries[state->count - 1].key)
		state->canonical = 0;
	state->entries[state->count].key = key;
	state->entries[state->count].amount = amount;
	state->count++;
	return state;
}

/*
 * rfm_state_finish gives the canonical value of a state, which it normalises.
 */
RfmState *
rfm_state_finish(RfmState *state)
{
	RfmState   *result;

	rfm_state_normalize(state);
	result = rfm_state_create(&state->rules, state->count);
	result->count = state->count;
	memcpy(result->entries, state->entries, state->count * sizeof(RfmEntry));
	return result;
}

/*
 * rfm_state_require_same raises an error unless two states can be merged.
 */
void
rfm_state_require_same(const RfmRules *a, const RfmRules *b)
{
	if (a->merge != b->merge || a->period_days != b->period_days ||
		a->observation_end != b->observation_end || a->refunds != b->refunds ||
		strcmp(a->zone, b->zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rfm options differ within one group"),
				 errhint("All rows, and all states that are merged, need the same options.")));
}

static void
append_amount(StringInfo text, int64 amount)
{
	uint64		size = amount < 0 ? (uint64) 0 - (uint64) amount : (uint64) amount;

	appendStringInfo(text, "%s%llu", amount < 0 ? "-" : "", (unsigned long long) (size / RFM_MICROS));
	if (size % RFM_MICROS)
	{
		appendStringInfo(text, ".%06llu", (unsigned long long) (size % RFM_MICROS));
		while (text->data[text->len - 1] == '0')
			text->data[--text->len] = '\0';
	}
}

/*
 * cdp.rfm_state_out(cdp.rfm_state) returns cstring
 */
Datum
cdp_rfm_state_out(PG_FUNCTION_ARGS)
{
	RfmState   *state = rfm_state_get(PG_GETARG_DATUM(0));
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	StringInfoData text;

	if (!state->canonical)
	{
		RfmState   *copy = palloc(VARSIZE(state));

		memcpy(copy, state, VARSIZE(state));
		state = rfm_state_finish(copy);
	}
	initStringInfo(&text);
	double_to_shortest_decimal_buf(state->rules.period_days, digits);
	appendStringInfo(&text, "{\"version\": %d, \"period_days\": %s, \"merge_microseconds\": " INT64_FORMAT ", \"refunds\": \"%s\", \"time_zone\": ",
					 state->version, digits, state->rules.merge,
					 state->rules.refunds == RFM_REFUNDS_IGNORE ? "ignore" : "subtract");
	escape_json(&text, state->rules.zone);
	if (state->rules.observation_end != RFM_NO_END)
		appendStringInfo(&text, ", \"observation_end\": " INT64_FORMAT, state->rules.observation_end);
	appendStringInfoString(&text, ", \"transactions\": [");
	for (int32 i = 0; i < state->count; i++)
	{
		appendStringInfo(&text, "%s[" INT64_FORMAT ", ", i > 0 ? ", " : "", state->entries[i].key);
		append_amount(&text, state->entries[i].amount);
		appendStringInfoChar(&text, ']');
	}
	appendStringInfoString(&text, "]}");
	PG_RETURN_CSTRING(text.data);
}

static void
invalid_text(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type cdp.rfm_state"),
			 errhint("States are made by cdp.rfm_state_agg.")));
}

/*
 * numeric_int64 reads a number of JSON, times a factor, as a whole number.
 */
static int64
numeric_int64(Numeric number, int64 factor)
{
	Datum		scaled = DirectFunctionCall2(numeric_mul, NumericGetDatum(number), NumericGetDatum(int64_to_numeric(factor)));

	if (numeric_is_nan(number) || numeric_is_inf(number))
		invalid_text();
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, scaled));
}

static void
require_key(Jsonb *json, const char *key, enum jbvType type, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(&json->root, key, strlen(key), value) == NULL || value->type != type)
		invalid_text();
}

/*
 * cdp.rfm_state_in(cstring) returns cdp.rfm_state
 */
Datum
cdp_rfm_state_in(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	JsonbValue	value;
	JsonbContainer *list;
	RfmRules	rules = {0};
	RfmState   *state;
	uint32		count;

	if (!JB_ROOT_IS_OBJECT(json))
		invalid_text();
	require_key(json, "version", jbvNumeric, &value);
	if (numeric_int64(value.val.numeric, 1) != RFM_STATE_VERSION)
		invalid_text();
	require_key(json, "period_days", jbvNumeric, &value);
	rules.period_days = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value.val.numeric)));
	require_key(json, "merge_microseconds", jbvNumeric, &value);
	rules.merge = numeric_int64(value.val.numeric, 1);
	require_key(json, "refunds", jbvString, &value);
	if (value.val.string.len == 6 && memcmp(value.val.string.val, "ignore", 6) == 0)
		rules.refunds = RFM_REFUNDS_IGNORE;
	else if (value.val.string.len == 8 && memcmp(value.val.string.val, "subtract", 8) == 0)
		rules.refunds = RFM_REFUNDS_SUBTRACT;
	else
		invalid_text();
	require_key(json, "time_zone", jbvString, &value);
	if (value.val.string.len > RFM_ZONE_LENGTH)
		invalid_text();
	memcpy(rules.zone, value.val.string.val, value.val.string.len);
	rules.observation_end = RFM_NO_END;
	if (getKeyJsonValueFromContainer(&json->root, "observation_end", strlen("observation_end"), &value))
	{
		if (value.type != jbvNumeric)
			invalid_text();
		rules.observation_end = numeric_int64(value.val.numeric, 1);
	}
	if (!rfm_rules_valid(&rules))
		invalid_text();

	require_key(json, "transactions", jbvBinary, &value);
	list = value.val.binary.data;
	if (!JsonContainerIsArray(list))
		invalid_text();
	count = JsonContainerSize(list);
	state = rfm_state_create(&rules, (int32) count);
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *pair = getIthJsonbValueFromContainer(list, i);
		JsonbValue *key;
		JsonbValue *amount;

		if (pair->type != jbvBinary || !JsonContainerIsArray(pair->val.binary.data) || JsonContainerSize(pair->val.binary.data) != 2)
			invalid_text();
		key = getIthJsonbValueFromContainer(pair->val.binary.data, 0);
		amount = getIthJsonbValueFromContainer(pair->val.binary.data, 1);
		if (key->type != jbvNumeric || amount->type != jbvNumeric)
			invalid_text();
		state->entries[i].key = numeric_int64(key->val.numeric, 1);
		state->entries[i].amount = numeric_int64(amount->val.numeric, RFM_MICROS);
	}
	state->count = (int32) count;
	if (!rfm_state_valid(state, VARSIZE(state)))
		invalid_text();
	PG_RETURN_POINTER(state);
}

/*
 * cdp.rfm_state_recv(internal) returns cdp.rfm_state
 */
Datum
cdp_rfm_state_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	const uint8 *bytes = (const uint8 *) buffer->data + buffer->cursor;
	size_t		length = buffer->len - buffer->cursor;
	RfmRules	none = {0};
	RfmState   *state;
	uint32		count;

	if (length > 0 && bytes[0] != RFM_STATE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unknown version of an rfm state")));
	if (!rfm_state_measure_wire(bytes, length, &count))
		invalid_state(ERRCODE_INVALID_BINARY_REPRESENTATION);
	buffer->cursor = buffer->len;
	state = rfm_state_create(&none, (int32) count);
	rfm_state_read_wire(bytes, length, state);
	check_state(state, ERRCODE_INVALID_BINARY_REPRESENTATION);
	PG_RETURN_POINTER(state);
}

/*
 * cdp.rfm_state_send(cdp.rfm_state) returns bytea
 */
Datum
cdp_rfm_state_send(PG_FUNCTION_ARGS)
{
	RfmState   *state = rfm_state_get(PG_GETARG_DATUM(0));
	StringInfoData buffer;
	int			length = (int) strlen(state->rules.zone);

	if (!state->canonical)
	{
		RfmState   *copy = palloc(VARSIZE(state));

		memcpy(copy, state, VARSIZE(state));
		state = rfm_state_finish(copy);
	}
	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, RFM_STATE_VERSION);
	pq_sendbyte(&buffer, state->rules.refunds);
	pq_sendint64(&buffer, state->rules.merge);
	pq_sendfloat8(&buffer, state->rules.period_days);
	pq_sendint64(&buffer, state->rules.observation_end);
	pq_sendbyte(&buffer, length);
	pq_sendbytes(&buffer, state->rules.zone, length);
	pq_sendint32(&buffer, state->count);
	for (int32 i = 0; i < state->count; i++)
	{
		pq_sendint64(&buffer, state->entries[i].key);
		pq_sendint64(&buffer, state->entries[i].amount);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}
