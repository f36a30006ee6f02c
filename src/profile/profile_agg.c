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

/*
 * A worker merges so many profiles of a group before it hands them over; fewer
 * it hands over as they came.  Where other workers have more of the group, the
 * leader merges all of it in any case, and the work of the worker is lost; that
 * is likely where the worker has but few.
 */
#define MERGE_COUNT		4

/* Size of a new state: a person has few records as a rule. */
#define FIRST_BYTES		256

/*
 * Packed profiles, each behind its length (a uint32).  The first one is the
 * result of the last merge.  It grows as one piece of memory, so that the many
 * states of a hash aggregate are each in few places.
 */
typedef struct AggState
{
	Size		capacity;		/* of bytes, or 0: they are not the state's own */
	Size		length;
	Size		merged;			/* length of the result of the last merge */
	uint32		count;
	const char *bytes;			/* own or not */
} AggState;

/* The bytes of its own stand behind a state. */
#define OWN_BYTES(state)	((char *) ((state) + 1))

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
 * next_profile gives the profile that begins at an offset in a state, and sets
 * the offset to where the next one begins.
 */
static inline const char *
next_profile(const AggState *state, Size *offset, uint32 *size)
{
	const char *profile = state->bytes + *offset + sizeof(uint32);

	memcpy(size, state->bytes + *offset, sizeof(uint32));
	*offset += sizeof(uint32) + *size;
	return profile;
}

/*
 * read_state begins a builder with all that is in a state.
 */
static void
read_state(const AggState *state, ProfileServerHost *host, ProfileBuilder *builder)
{
	cdp_profile_host_init(host);
	profile_builder_init(builder, &host->host);
	/* Room for a few traits of each, so that it rarely grows. */
	if (!profile_builder_reserve(builder, (size_t) state->count * 4))
		cdp_profile_fail(host);
	for (Size offset = 0; offset < state->length;)
	{
		uint32		size;
		const char *profile = next_profile(state, &offset, &size);

		add_to_builder(builder, profile, size);
	}
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

	if (state->count == 1)
	{
		/* It is packed already, and the only one. */
		Size		offset = 0;
		uint32		size;
		const char *only = next_profile(state, &offset, &size);
		Profile	   *profile = palloc(size + VARHDRSZ);

		SET_VARSIZE(profile, size + VARHDRSZ);
		memcpy(VARDATA(profile), only, size);
		return profile;
	}
	read_state(state, &host, &builder);
	return cdp_profile_from_builder(&builder);
}

/*
 * new_state makes a state in the aggregate's context, with room for so many
 * bytes at least.
 */
static AggState *
new_state(MemoryContext context, Size room)
{
	Size		size = Max(add_size(sizeof(AggState), room), FIRST_BYTES);
	AggState   *state = MemoryContextAllocHuge(context, size);

	*state = (AggState){
		.capacity = size - sizeof(AggState),
		.bytes = OWN_BYTES(state),
	};
	return state;
}

/*
 * state_append keeps a packed profile in a state, and returns the state, which
 * may have moved.
 */
static AggState *
state_append(AggState *state, const void *data, uint32 size)
{
	Size		room = sizeof(uint32) + (Size) size;

	Assert(state->bytes == OWN_BYTES(state));
	if (state->count > 1 && state->length - state->merged > MERGE_BYTES &&
		state->length - state->merged > state->merged)
	{
		Profile	   *profile = merge_state(state);

		state->length = 0;
		state->count = 0;
		state = state_append(state, VARDATA(profile), VARSIZE(profile) - VARHDRSZ);
		state->merged = state->length;
		pfree(profile);
	}
	if (state->capacity - state->length < room)
	{
		Size		wanted = add_size(sizeof(AggState), add_size(state->length, room));
		Size		bytes = Max(wanted, mul_size(sizeof(AggState) + state->capacity, 2));

		state = repalloc_huge(state, bytes);
		state->capacity = bytes - sizeof(AggState);
		state->bytes = OWN_BYTES(state);
	}
	memcpy(OWN_BYTES(state) + state->length, &size, sizeof(uint32));
	memcpy(OWN_BYTES(state) + state->length + sizeof(uint32), data, size);
	state->length += room;
	state->count++;
	return state;
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
	profile = PG_GETARG_PROFILE(1);
	if (state == NULL)
		state = new_state(context, add_size(sizeof(uint32), VARSIZE_ANY_EXHDR(profile)));
	PG_RETURN_POINTER(state_append(state, VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile)));
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

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = new_state(context, other->length);
	for (Size offset = 0; offset < other->length;)
	{
		uint32		size;
		const char *profile = next_profile(other, &offset, &size);

		state = state_append(state, profile, size);
	}
	PG_RETURN_POINTER(state);
}

/*
 * cdp.profile_agg_serialize(internal) returns bytea
 *
 * Packed profiles, each behind its length: few as they came, more as one.
 */
Datum
cdp_profile_agg_serialize(PG_FUNCTION_ARGS)
{
	AggState   *state = (AggState *) PG_GETARG_POINTER(0);
	bytea	   *bytes;

	cdp_aggregate_context(fcinfo);
	if (state->count >= MERGE_COUNT || (state->count > 1 && state->length > MERGE_BYTES))
	{
		ProfileServerHost host;
		ProfileBuilder builder;
		uint32		size;

		read_state(state, &host, &builder);
		if (!profile_builder_finish(&builder))
			cdp_profile_fail(&host);
		size = (uint32) profile_builder_size(&builder);
		bytes = palloc(VARHDRSZ + sizeof(uint32) + (Size) size);
		SET_VARSIZE(bytes, VARHDRSZ + sizeof(uint32) + size);
		memcpy(VARDATA(bytes), &size, sizeof(uint32));
		profile_builder_write(&builder, VARDATA(bytes) + sizeof(uint32));
		PG_RETURN_BYTEA_P(bytes);
	}
	bytes = palloc(VARHDRSZ + state->length);
	SET_VARSIZE(bytes, VARHDRSZ + state->length);
	memcpy(VARDATA(bytes), state->bytes, state->length);
	PG_RETURN_BYTEA_P(bytes);
}

/*
 * cdp.profile_agg_deserialize(bytea, internal) returns internal
 *
 * A state to be combined from, of the very bytes that were passed.
 */
Datum
cdp_profile_agg_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	AggState   *state = palloc(sizeof(AggState));
	const char *next = VARDATA_ANY(bytes);
	const char *end = next + VARSIZE_ANY_EXHDR(bytes);

	cdp_aggregate_context(fcinfo);
	*state = (AggState){
		.length = VARSIZE_ANY_EXHDR(bytes),
		.bytes = VARDATA_ANY(bytes),
	};
	/* Only the lengths are checked here: merging checks whatever it follows. */
	while (next < end)
	{
		uint32		size;

		if (end - next < sizeof(uint32))
			elog(ERROR, "malformed state of cdp.profile_agg");
		memcpy(&size, next, sizeof(uint32));
		next += sizeof(uint32);
		if (end - next < size)
			elog(ERROR, "malformed state of cdp.profile_agg");
		next += size;
		state->count++;
	}
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
