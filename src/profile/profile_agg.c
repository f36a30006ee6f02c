/*
 * profile_agg.c
 *		Merging: the operator || and the aggregate cdp.profile_agg.
 *
 * The aggregate's state keeps what came in, as it came, and merges all of it at
 * once at the end; or before, when what waits outgrows what is merged, so that
 * its memory follows the size of the result and not the number of rows.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "profile/profile.h"

PG_FUNCTION_INFO_V1(cdp_profile_concat);
PG_FUNCTION_INFO_V1(cdp_profile_agg_transition);
PG_FUNCTION_INFO_V1(cdp_profile_agg_combine);
PG_FUNCTION_INFO_V1(cdp_profile_agg_serialize);
PG_FUNCTION_INFO_V1(cdp_profile_agg_deserialize);
PG_FUNCTION_INFO_V1(cdp_profile_agg_final);

/* What waits is merged when it passes this many bytes and what is merged. */
#define MERGE_BYTES		(64 * 1024)

/* First room for what waits: a person has few records as a rule. */
#define FIRST_BYTES		240

/*
 * Packed profiles, each behind its length (a Size).  The first one is the
 * result of the last merge.
 */
typedef struct AggState
{
	char	   *bytes;
	Size		length;
	Size		capacity;
	Size		merged;			/* bytes of the first one */
	uint32		count;
} AggState;

/*
 * add_to_builder adds a profile, or raises an error.
 */
static void
add_to_builder(ProfileBuilder *builder, const void *data, Size size)
{
	if (!profile_builder_add_packed(builder, data, size))
		cdp_profile_fail((ProfileServerHost *) builder->host);
}

/*
 * cdp.profile_concat(cdp.profile, cdp.profile) returns cdp.profile
 *
 * The operator ||: all candidates of both, and of those with the same trait,
 * source and record the greatest.
 */
Datum
cdp_profile_concat(PG_FUNCTION_ARGS)
{
	Profile	   *a = PG_GETARG_PROFILE(0);
	Profile	   *b = PG_GETARG_PROFILE(1);
	ProfileServerHost host;
	ProfileBuilder builder;

	cdp_profile_host_init(&host);
	profile_builder_init(&builder, &host.host);
	add_to_builder(&builder, VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a));
	add_to_builder(&builder, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * merge_state merges all that is in a state into a profile in the current
 * context.  The state stays as it is.
 */
static Profile *
merge_state(const AggState *state)
{
	ProfileServerHost host;
	ProfileBuilder builder;
	Size		next = 0;

	cdp_profile_host_init(&host);
	if (state->count == 1)
	{
		/* It is packed already, and the only one. */
		Size		size = state->length - sizeof(Size);
		Profile	   *profile = palloc(size + VARHDRSZ);

		SET_VARSIZE(profile, size + VARHDRSZ);
		memcpy(VARDATA(profile), state->bytes + sizeof(Size), size);
		return profile;
	}
	profile_builder_init(&builder, &host.host);
	while (next < state->length)
	{
		Size		size;

		memcpy(&size, state->bytes + next, sizeof(Size));
		add_to_builder(&builder, state->bytes + next + sizeof(Size), size);
		next += sizeof(Size) + size;
	}
	return cdp_profile_from_builder(&builder);
}

/*
 * state_append keeps a packed profile in a state; "context" is the aggregate's.
 */
static void
state_append(AggState *state, MemoryContext context, const void *data, Size size)
{
	Size		room = add_size(sizeof(Size), size);

	if (state->count > 1 && state->length - state->merged > MERGE_BYTES &&
		state->length - state->merged > state->merged)
	{
		Profile	   *profile = merge_state(state);

		state->length = 0;
		state->count = 0;
		state_append(state, context, VARDATA(profile), VARSIZE(profile) - VARHDRSZ);
		state->merged = state->length;
		pfree(profile);
	}
	if (state->capacity - state->length < room)
	{
		Size		capacity = Max(add_size(state->length, room), state->capacity * 2);

		if (state->bytes == NULL)
		{
			capacity = Max(capacity, FIRST_BYTES);
			state->bytes = MemoryContextAllocHuge(context, capacity);
		}
		else
			state->bytes = repalloc_huge(state->bytes, capacity);
		state->capacity = capacity;
	}
	memcpy(state->bytes + state->length, &size, sizeof(Size));
	memcpy(state->bytes + state->length + sizeof(Size), data, size);
	state->length += room;
	state->count++;
}

static AggState *
new_state(MemoryContext context)
{
	return MemoryContextAllocZero(context, sizeof(AggState));
}

/*
 * cdp.profile_agg_transition(internal, cdp.profile) returns internal
 */
Datum
cdp_profile_agg_transition(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	AggState   *state = PG_ARGISNULL(0) ? NULL : (AggState *) PG_GETARG_POINTER(0);
	Profile	   *profile;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = new_state(context);
	profile = PG_GETARG_PROFILE(1);
	state_append(state, context, VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile));
	PG_RETURN_POINTER(state);
}

/*
 * cdp.profile_agg_combine(internal, internal) returns internal
 */
Datum
cdp_profile_agg_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = cdp_aggregate_context(fcinfo);
	AggState   *state = PG_ARGISNULL(0) ? NULL : (AggState *) PG_GETARG_POINTER(0);
	AggState   *other = PG_ARGISNULL(1) ? NULL : (AggState *) PG_GETARG_POINTER(1);
	Size		next = 0;

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = new_state(context);
	while (next < other->length)
	{
		Size		size;

		memcpy(&size, other->bytes + next, sizeof(Size));
		state_append(state, context, other->bytes + next + sizeof(Size), size);
		next += sizeof(Size) + size;
	}
	PG_RETURN_POINTER(state);
}

/*
 * cdp.profile_agg_serialize(internal) returns bytea
 *
 * The packed form of what is merged.
 */
Datum
cdp_profile_agg_serialize(PG_FUNCTION_ARGS)
{
	cdp_aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P((bytea *) merge_state((AggState *) PG_GETARG_POINTER(0)));
}

/*
 * cdp.profile_agg_deserialize(bytea, internal) returns internal
 */
Datum
cdp_profile_agg_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	AggState   *state;

	/* Not checked here, for speed: merging checks whatever it follows. */
	cdp_aggregate_context(fcinfo);
	state = new_state(CurrentMemoryContext);
	state_append(state, CurrentMemoryContext, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	PG_RETURN_POINTER(state);
}

/*
 * cdp.profile_agg_final(internal) returns cdp.profile
 *
 * NULL where there were no profiles.
 */
Datum
cdp_profile_agg_final(PG_FUNCTION_ARGS)
{
	cdp_aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_PROFILE(merge_state((AggState *) PG_GETARG_POINTER(0)));
}
