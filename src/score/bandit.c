/*
 * bandit.c
 *		Which of several actions to take next: the type cdp.beta_bandit, the
 *		aggregates that make it, and what it is asked for.
 *
 * The text form is \x and the hexadecimal digits of the binary form, which
 * docs/score.md specifies.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "cdp.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "hex.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "score/bandit_core.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cdp_beta_bandit_in);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_out);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_recv);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_send);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_transition);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_merge);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_sample);
PG_FUNCTION_INFO_V1(cdp_beta_bandit_arms);

static const BanditState empty_state = {0, BANDIT_VERSION, {0}, 0, 0};

static void
invalid_bandit(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid value of type cdp.beta_bandit: %s", problem),
			 errhint("Such values come from cdp.beta_bandit_agg and cdp.beta_bandit_merge_agg.")));
}

/*
 * A stored value, checked.
 */
static BanditState *
bandit_get(Datum value)
{
	BanditState *state = (BanditState *) PG_DETOAST_DATUM(value);
	const char *problem = bandit_check(state, VARSIZE(state));

	if (problem != NULL)
		invalid_bandit(problem);
	return state;
}

/* ---- input and output ---- */

static BanditState *
bandit_from_wire(StringInfo buffer)
{
	const uint8 *bytes = (const uint8 *) buffer->data + buffer->cursor;
	Size		length = buffer->len - buffer->cursor;
	BanditState *state;
	size_t		size;
	const char *problem = bandit_measure_wire(bytes, length, &size);

	if (problem != NULL)
		invalid_bandit(problem);
	buffer->cursor = buffer->len;
	state = palloc(size);
	SET_VARSIZE(state, size);
	bandit_read_wire(bytes, length, state);
	problem = bandit_check(state, size);
	if (problem != NULL)
		invalid_bandit(problem);
	for (Size offset = 0; offset < state->used;)
	{
		BanditArm  *arm = bandit_arm(state, offset);

		pg_verifymbstr(arm->name, arm->length, false);
		offset += bandit_arm_size(arm->length);
	}
	return state;
}

static bytea *
bandit_to_wire(const BanditState *state)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, BANDIT_VERSION);
	pq_sendint32(&buffer, state->count);
	for (Size offset = 0; offset < state->used;)
	{
		BanditArm  *arm = bandit_arm(state, offset);

		pq_sendint16(&buffer, arm->length);
		pq_sendbytes(&buffer, arm->name, (int) arm->length);
		pq_sendint64(&buffer, arm->trials);
		pq_sendint64(&buffer, arm->reward);
		offset += bandit_arm_size(arm->length);
	}
	return pq_endtypsend(&buffer);
}

Datum
cdp_beta_bandit_in(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	if (!cdp_hex_read(PG_GETARG_CSTRING(0), &buffer))
		invalid_bandit("it is not \\x and hexadecimal digits");
	PG_RETURN_POINTER(bandit_from_wire(&buffer));
}

Datum
cdp_beta_bandit_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(cdp_hex_write(bandit_to_wire(bandit_get(PG_GETARG_DATUM(0)))));
}

Datum
cdp_beta_bandit_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(bandit_from_wire((StringInfo) PG_GETARG_POINTER(0)));
}

Datum
cdp_beta_bandit_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(bandit_to_wire(bandit_get(PG_GETARG_DATUM(0))));
}

/* ---- aggregates ---- */

static void
check_name(const char *name, Size length)
{
	if (length == 0 || length > BANDIT_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of an arm must have between 1 and %d bytes", BANDIT_MAX_NAME)));
}

static void
too_many_arms(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("a cdp.beta_bandit has at most %d arms", BANDIT_MAX_ARMS),
			 errhint("An arm is one of the actions to choose from, not what they are about; keep a value for each context instead.")));
}

static void
too_many_trials(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("an arm has at most 1000000000000 trials")));
}

/*
 * cdp.beta_bandit_transition(state, arm text, reward boolean or float8)
 *
 * A reward is from 0 to 1, rounded to millionths.  A row with a NULL is left out.
 */
Datum
cdp_beta_bandit_transition(PG_FUNCTION_ARGS)
{
	/* what this function returned before, or a merged one: sound */
	BanditState *state = PG_ARGISNULL(0) ? NULL : (BanditState *) PG_GETARG_POINTER(0);
	BanditArm  *arm;
	text	   *name;
	Size		length;
	int64		reward;
	size_t		offset;

	(void) cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	name = PG_GETARG_TEXT_PP(1);
	length = VARSIZE_ANY_EXHDR(name);
	check_name(VARDATA_ANY(name), length);
	if (get_fn_expr_argtype(fcinfo->flinfo, 2) == BOOLOID)
		reward = PG_GETARG_BOOL(2) ? BANDIT_MICROS : 0;
	else
	{
		double		given = PG_GETARG_FLOAT8(2);

		if (!(given >= 0 && given <= 1))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("reward must be between 0 and 1"),
					 errhint("Divide amounts by the largest that counts: least(amount / 500, 1).")));
		reward = (int64) rint(given * BANDIT_MICROS);
	}

	arm = state == NULL ? NULL : bandit_find(state, VARDATA_ANY(name), length, &offset);
	if (arm == NULL)
	{
		const BanditState *old = state == NULL ? &empty_state : state;
		Size		size = sizeof(BanditState) + old->used;

		if (state == NULL)
			offset = 0;
		if (old->count >= BANDIT_MAX_ARMS)
			too_many_arms();
		/* in the current context: the executor copies it from there */
		state = palloc(size + bandit_arm_size(length));
		memcpy(state, old, size);
		SET_VARSIZE(state, size + bandit_arm_size(length));
		arm = bandit_insert(state, offset, VARDATA_ANY(name), length);
	}
	if (!bandit_add(arm, 1, reward))
		too_many_trials();
	PG_RETURN_POINTER(state);
}

/*
 * cdp.beta_bandit_merge(a, b) returns cdp.beta_bandit
 *
 * The trials and rewards of both.  NULL is none.
 */
Datum
cdp_beta_bandit_merge(PG_FUNCTION_ARGS)
{
	BanditState *a = PG_ARGISNULL(0) ? NULL : bandit_get(PG_GETARG_DATUM(0));
	BanditState *b = PG_ARGISNULL(1) ? NULL : bandit_get(PG_GETARG_DATUM(1));
	BanditState *result;
	Size		size;

	if (a == NULL && b == NULL)
		PG_RETURN_NULL();
	if (a == NULL || b == NULL)
	{
		BanditState *source = a == NULL ? b : a;

		/* of another process's state, this is no place to stay */
		PG_RETURN_POINTER(memcpy(palloc(VARSIZE(source)), source, VARSIZE(source)));
	}
	size = bandit_merged_size(a, b);
	if (size == 0)
		too_many_arms();
	result = palloc(size);
	SET_VARSIZE(result, size);
	if (!bandit_merge(result, a, b))
		too_many_trials();
	PG_RETURN_POINTER(result);
}

/* ---- questions ---- */

typedef struct Candidate
{
	const char *name;
	Size		length;
	int64		trials;
	double		reward;
} Candidate;

typedef struct Candidates
{
	int			count;
	Candidate  *list;
	BanditBelief *beliefs;
} Candidates;

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *first = (const Candidate *) a;
	const Candidate *second = (const Candidate *) b;
	int			order = memcmp(first->name, second->name, Min(first->length, second->length));

	if (order != 0)
		return order;
	return first->length < second->length ? -1 : first->length > second->length;
}

static double
prior_parameter(FunctionCallInfo fcinfo, int argument, const char *name)
{
	double		value;

	if (PG_ARGISNULL(argument))
		return 1;
	value = PG_GETARG_FLOAT8(argument);
	if (!(value >= 0.01 && value <= 1e9))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be between 0.01 and 1000000000", name)));
	return value;
}

/*
 * The arms to choose from: those named in an argument, in order and once each, or
 * all that the value has.  The two arguments after it are the prior.
 */
static Candidates
read_candidates(FunctionCallInfo fcinfo, int arms_argument)
{
	const BanditState *state = PG_ARGISNULL(0) ? &empty_state : bandit_get(PG_GETARG_DATUM(0));
	double		prior_rewards = prior_parameter(fcinfo, arms_argument + 1, "prior_rewards");
	double		prior_failures = prior_parameter(fcinfo, arms_argument + 2, "prior_failures");
	Candidates	candidates = {0};
	int			kept = 0;

	if (!PG_ARGISNULL(arms_argument))
	{
		Datum	   *elements;
		bool	   *nulls;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(arms_argument), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &candidates.count);
		candidates.list = cdp_palloc0_array(Candidate, candidates.count + 1);
		for (int i = 0; i < candidates.count; i++)
		{
			text	   *name;

			if (nulls[i])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("names of arms must not be null")));
			name = DatumGetTextPP(elements[i]);
			candidates.list[i].name = VARDATA_ANY(name);
			candidates.list[i].length = VARSIZE_ANY_EXHDR(name);
			check_name(candidates.list[i].name, candidates.list[i].length);
		}
		qsort(candidates.list, candidates.count, sizeof(Candidate), compare_candidates);
		for (int i = 0; i < candidates.count; i++)
			if (kept == 0 || compare_candidates(&candidates.list[kept - 1], &candidates.list[i]) != 0)
				candidates.list[kept++] = candidates.list[i];
		candidates.count = kept;
		if (kept > BANDIT_MAX_ARMS)
			too_many_arms();
		for (int i = 0; i < kept; i++)
		{
			size_t		offset;
			BanditArm  *arm = bandit_find(state, candidates.list[i].name, candidates.list[i].length, &offset);

			if (arm != NULL)
			{
				candidates.list[i].trials = arm->trials;
				candidates.list[i].reward = (double) arm->reward / BANDIT_MICROS;
			}
		}
	}
	else
	{
		candidates.list = cdp_palloc0_array(Candidate, state->count + 1);
		for (Size offset = 0; offset < state->used;)
		{
			BanditArm  *arm = bandit_arm(state, offset);
			Candidate  *candidate = &candidates.list[candidates.count++];

			candidate->name = arm->name;
			candidate->length = arm->length;
			candidate->trials = arm->trials;
			candidate->reward = (double) arm->reward / BANDIT_MICROS;
			offset += bandit_arm_size(arm->length);
		}
	}
	candidates.beliefs = cdp_palloc_array(BanditBelief, candidates.count + 1);
	for (int i = 0; i < candidates.count; i++)
	{
		candidates.beliefs[i].alpha = prior_rewards + candidates.list[i].reward;
		candidates.beliefs[i].beta = prior_failures + ((double) candidates.list[i].trials - candidates.list[i].reward);
	}
	return candidates;
}

/*
 * cdp.beta_bandit_sample(bandit, seed bigint, arms text[], prior_rewards float8,
 *		prior_failures float8) returns text
 *
 * The arm to take: the one with the greatest of one draw for each from what is
 * believed of it.  The draw of an arm depends on the seed and its name, so that
 * leaving arms out does not change those of the others.  bandit: NULL is one
 * without trials.  arms: NULL is all that have trials; NULL where there are none.
 * prior: NULL is 1.  seed: NULL is an error.
 */
Datum
cdp_beta_bandit_sample(PG_FUNCTION_ARGS)
{
	Candidates	candidates = read_candidates(fcinfo, 2);
	int			best = -1;
	double		highest = 0;
	uint64		seed;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("seed must not be null"),
				 errhint("Make it of what the choice is for, such as hashtextextended(profile_id || ' ' || current_date, 0).")));
	seed = (uint64) PG_GETARG_INT64(1);
	for (int i = 0; i < candidates.count; i++)
	{
		double		draw = bandit_draw(hash_bytes_extended((const unsigned char *) candidates.list[i].name,
													  (int) candidates.list[i].length, seed),
								  &candidates.beliefs[i]);

		if (best < 0 || draw > highest)
		{
			best = i;
			highest = draw;
		}
	}
	if (best < 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(candidates.list[best].name, (int) candidates.list[best].length));
}

static bool
interrupted(void)
{
	return InterruptPending;
}

/*
 * cdp.beta_bandit_arms(bandit, arms text[], prior_rewards float8, prior_failures
 *		float8) returns table(arm, trials, rewards, mean, p_best)
 *
 * Each arm with the mean of what is believed of it and the probability that no
 * other is better.  Arguments as of cdp.beta_bandit_sample.
 */
Datum
cdp_beta_bandit_arms(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Candidates	candidates = read_candidates(fcinfo, 1);
	size_t		point_count;
	double	   *points;
	double	   *scratch;
	double	   *best = cdp_palloc0_array(double, candidates.count + 1);

	InitMaterializedSRF(fcinfo, 0);
	if (candidates.count == 0)
		PG_RETURN_NULL();
	if (!bandit_best_room(candidates.beliefs, candidates.count, &point_count))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many arms with a prior near zero"),
				 errhint("Give a prior of at least 0.5, or name the arms that matter.")));
	points = palloc_extended(mul_size(sizeof(double), point_count), MCXT_ALLOC_HUGE);
	scratch = cdp_palloc_array(double, BANDIT_SCRATCH(candidates.count));
	while (!bandit_best(candidates.beliefs, candidates.count, points, scratch, best, interrupted))
		CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < candidates.count; i++)
	{
		const BanditBelief *belief = &candidates.beliefs[i];
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = PointerGetDatum(cstring_to_text_with_len(candidates.list[i].name, (int) candidates.list[i].length));
		values[1] = Int64GetDatum(candidates.list[i].trials);
		values[2] = Float8GetDatum(candidates.list[i].reward);
		values[3] = Float8GetDatum(belief->alpha / (belief->alpha + belief->beta));
		values[4] = Float8GetDatum(best[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
