/*
 * profile_ops.c
 *		Operators of cdp.profile: comparing and hashing, existence and
 *		containment, taking out traits and sources.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_profile_eq);
PG_FUNCTION_INFO_V1(cdp_profile_ne);
PG_FUNCTION_INFO_V1(cdp_profile_lt);
PG_FUNCTION_INFO_V1(cdp_profile_le);
PG_FUNCTION_INFO_V1(cdp_profile_gt);
PG_FUNCTION_INFO_V1(cdp_profile_ge);
PG_FUNCTION_INFO_V1(cdp_profile_cmp);
PG_FUNCTION_INFO_V1(cdp_profile_hash);
PG_FUNCTION_INFO_V1(cdp_profile_hash_extended);
PG_FUNCTION_INFO_V1(cdp_profile_exists);
PG_FUNCTION_INFO_V1(cdp_profile_exists_any);
PG_FUNCTION_INFO_V1(cdp_profile_exists_all);
PG_FUNCTION_INFO_V1(cdp_profile_contains);
PG_FUNCTION_INFO_V1(cdp_remove_trait);
PG_FUNCTION_INFO_V1(cdp_remove_traits);
PG_FUNCTION_INFO_V1(cdp_remove_source);

/*
 * compare orders two profiles by their bytes.  There is one packed form of the
 * same candidates, so equal profiles are equal bytes.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	Profile	   *a = PG_GETARG_PROFILE(0);
	Profile	   *b = PG_GETARG_PROFILE(1);
	int			result = profile_compare_names(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a),
									   VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result < 0 ? -1 : result > 0;
}

/*
 * are_equal compares sizes first, which needs no detoasting.
 */
static bool
are_equal(FunctionCallInfo fcinfo)
{
	return toast_raw_datum_size(PG_GETARG_DATUM(0)) == toast_raw_datum_size(PG_GETARG_DATUM(1)) &&
		compare(fcinfo) == 0;
}

/*
 * cdp.profile_eq(profile, profile) returns boolean: the same candidates
 */
Datum
cdp_profile_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(are_equal(fcinfo));
}

/*
 * cdp.profile_ne(profile, profile) returns boolean
 */
Datum
cdp_profile_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!are_equal(fcinfo));
}

/*
 * cdp.profile_lt(profile, profile) returns boolean, and so on: an order that has
 * no meaning but that sorting needs one
 */
Datum
cdp_profile_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
cdp_profile_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
cdp_profile_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
cdp_profile_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
cdp_profile_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

/*
 * cdp.profile_hash(profile) returns integer
 */
Datum
cdp_profile_hash(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	Datum		result = hash_any((unsigned char *) VARDATA_ANY(profile),
							(int) VARSIZE_ANY_EXHDR(profile));

	PG_FREE_IF_COPY(profile, 0);
	return result;
}

/*
 * cdp.profile_hash_extended(profile, seed bigint) returns bigint
 */
Datum
cdp_profile_hash_extended(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	Datum		result = hash_any_extended((unsigned char *) VARDATA_ANY(profile),
									 (int) VARSIZE_ANY_EXHDR(profile),
									 (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(profile, 0);
	return result;
}

/*
 * has_trait tells whether there is a value for a trait, if only NULL.
 */
static bool
has_trait(ProfileServerHost *host, const ProfileReader *reader, const text *trait)
{
	ProfileBlock block;
	bool		found;

	if (!profile_find(&host->host, reader, VARDATA_ANY(trait), VARSIZE_ANY_EXHDR(trait), &block, &found))
		cdp_profile_fail(host);
	return found;
}

/*
 * cdp.profile_exists(profile, trait text) returns boolean
 *
 * The operator ?.
 */
Datum
cdp_profile_exists(PG_FUNCTION_ARGS)
{
	text	   *trait = PG_GETARG_TEXT_PP(1);
	ProfileServerHost host;
	ProfileReader reader;

	cdp_profile_host_init(&host);
	cdp_profile_open_at(&host, &reader, PG_GETARG_DATUM(0), VARDATA_ANY(trait),
						VARSIZE_ANY_EXHDR(trait));
	PG_RETURN_BOOL(has_trait(&host, &reader, trait));
}

/*
 * count_existing counts the traits of the array of the second argument that
 * there are, and those that it lists; NULLs in it are left out.
 */
static int
count_existing(FunctionCallInfo fcinfo, int *listed)
{
	ProfileServerHost host;
	ProfileReader reader;
	Datum	   *traits;
	bool	   *nulls;
	int			count;
	int			existing = 0;

	cdp_profile_host_init(&host);
	cdp_profile_open(&host, &reader, PG_GETARG_PROFILE(0));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &traits, &nulls, &count);
	*listed = 0;
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		(*listed)++;
		existing += has_trait(&host, &reader, DatumGetTextPP(traits[i]));
	}
	return existing;
}

/*
 * cdp.profile_exists_any(profile, traits text[]) returns boolean
 *
 * The operator ?|.
 */
Datum
cdp_profile_exists_any(PG_FUNCTION_ARGS)
{
	int			listed;

	PG_RETURN_BOOL(count_existing(fcinfo, &listed) > 0);
}

/*
 * cdp.profile_exists_all(profile, traits text[]) returns boolean
 *
 * The operator ?&.
 */
Datum
cdp_profile_exists_all(PG_FUNCTION_ARGS)
{
	int			listed;
	int			existing = count_existing(fcinfo, &listed);

	PG_RETURN_BOOL(existing == listed);
}

/*
 * value_contains tells whether a value, as jsonb, contains what a member of the
 * right side of @> is.
 */
static bool
value_contains(ProfileServerHost *host, const ProfileValue *value, const JsonbValue *wanted)
{
	JsonbValue	scalar;

	if (value->type == PROFILE_JSONB)
	{
		Jsonb	   *jsonb;
		JsonbIterator *left;
		JsonbIterator *right;

		if (wanted->type != jbvBinary)
			return false;
		jsonb = DatumGetJsonbP(cdp_profile_value_to_jsonb(&host->host, value));
		if (JB_ROOT_IS_OBJECT(jsonb) != JsonContainerIsObject(wanted->val.binary.data))
			return false;
		left = JsonbIteratorInit(&jsonb->root);
		right = JsonbIteratorInit(wanted->val.binary.data);
		return JsonbDeepContains(&left, &right);
	}
	cdp_profile_value_to_jsonb_value(&host->host, value, &scalar);
	if (scalar.type != wanted->type)
		return false;
	switch (scalar.type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return scalar.val.boolean == wanted->val.boolean;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													NumericGetDatum(scalar.val.numeric),
													NumericGetDatum(wanted->val.numeric)));
		case jbvString:
			return scalar.val.string.len == wanted->val.string.len &&
				memcmp(scalar.val.string.val, wanted->val.string.val, scalar.val.string.len) == 0;
		default:
			return false;
	}
}

/*
 * cdp.profile_contains(profile, jsonb) returns boolean
 *
 * The operator @>: whether the winners, as the cast to jsonb gives them, contain
 * the object.
 */
Datum
cdp_profile_contains(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	Jsonb	   *wanted = PG_GETARG_JSONB_P(1);
	ProfileServerHost host;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	member;

	if (!JB_ROOT_IS_OBJECT(wanted))
		PG_RETURN_BOOL(false);
	cdp_profile_host_init(&host);
	iterator = JsonbIteratorInit(&wanted->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		ProfileValue value;

		if (token != WJB_KEY)
			continue;
		JsonbIteratorNext(&iterator, &member, true);
		if (!cdp_profile_pick(&host, PointerGetDatum(profile), key.val.string.val, (size_t) key.val.string.len,
							  &cdp_survivorship_last, &value) ||
			!value_contains(&host, &value, &member))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/*
 * begin_removal puts a profile into a builder.
 */
static void
begin_removal(ProfileServerHost *host, ProfileBuilder *builder, const Profile *profile)
{
	cdp_profile_host_init(host);
	profile_builder_init(builder, &host->host);
	if (!profile_builder_add_packed(builder, VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile)))
		cdp_profile_fail(host);
}

/*
 * remove_trait takes the candidates of a trait out of a builder.
 */
static void
remove_trait(ProfileBuilder *builder, const text *trait)
{
	size_t		kept = 0;

	CHECK_FOR_INTERRUPTS();
	for (size_t i = 0; i < builder->candidate_count; i++)
	{
		const ProfileCandidate *candidate = &builder->candidates[i];

		if (candidate->trait_length == VARSIZE_ANY_EXHDR(trait) &&
			memcmp(candidate->trait, VARDATA_ANY(trait), candidate->trait_length) == 0)
			continue;
		builder->candidates[kept++] = *candidate;
	}
	builder->candidate_count = kept;
}

/*
 * cdp.remove_trait(profile, trait text) returns profile
 *
 * And the operator -.  The profile without the values of a trait.
 */
Datum
cdp_remove_trait(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileBuilder builder;

	begin_removal(&host, &builder, PG_GETARG_PROFILE(0));
	remove_trait(&builder, PG_GETARG_TEXT_PP(1));
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * cdp.remove_traits(profile, traits text[]) returns profile
 *
 * And the operator -.  NULLs in the array are left out.
 */
Datum
cdp_remove_traits(PG_FUNCTION_ARGS)
{
	ProfileServerHost host;
	ProfileBuilder builder;
	Datum	   *traits;
	bool	   *nulls;
	int			count;

	begin_removal(&host, &builder, PG_GETARG_PROFILE(0));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &traits, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			remove_trait(&builder, DatumGetTextPP(traits[i]));
	}
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}

/*
 * cdp.remove_source(profile, source text) returns profile
 *
 * The profile without what a source says.
 */
Datum
cdp_remove_source(PG_FUNCTION_ARGS)
{
	text	   *source = PG_GETARG_TEXT_PP(1);
	ProfileServerHost host;
	ProfileBuilder builder;
	size_t		kept = 0;

	begin_removal(&host, &builder, PG_GETARG_PROFILE(0));
	for (size_t i = 0; i < builder.candidate_count; i++)
	{
		const ProfileOrigin *origin = &builder.origins[builder.candidates[i].origin];

		if (origin->source_length == VARSIZE_ANY_EXHDR(source) &&
			memcmp(origin->source, VARDATA_ANY(source), origin->source_length) == 0)
			continue;
		builder.candidates[kept++] = builder.candidates[i];
	}
	builder.candidate_count = kept;
	PG_RETURN_PROFILE(cdp_profile_from_builder(&builder));
}
