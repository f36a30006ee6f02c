/*
 * profile_gin.c
 *		Support for GIN indexes on profiles: ?, ?|, ?& and @>.
 *
 * An index holds hashes: of the name of each trait, and of each name with the
 * value that wins, if that is a scalar.  What a search finds is always
 * rechecked.
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_profile_gin_extract);
PG_FUNCTION_INFO_V1(cdp_profile_gin_extract_query);
PG_FUNCTION_INFO_V1(cdp_profile_gin_consistent);
PG_FUNCTION_INFO_V1(cdp_profile_gin_triconsistent);

#define CONTAINS_STRATEGY		7
#define EXISTS_STRATEGY			9
#define EXISTS_ANY_STRATEGY		10
#define EXISTS_ALL_STRATEGY		11

/* Seeds of the hashes: of names, and of names with values of each kind of JSON. */
#define NAME_SEED		1
#define NULL_SEED		2
#define BOOLEAN_SEED	3
#define NUMBER_SEED		4
#define STRING_SEED		5

/*
 * name_key is the key of a trait's name.
 */
static uint64
name_key(const char *trait, size_t length)
{
	return profile_hash(trait, length, NAME_SEED);
}

/*
 * value_key is the key of a trait's name with a scalar value.  Values that are
 * equal as jsonb have the same key.
 */
static uint64
value_key(ProfileHost *host, uint64 name, const JsonbValue *scalar)
{
	ProfileValue number;

	switch (scalar->type)
	{
		case jbvNull:
			return profile_hash(&name, sizeof(name), NULL_SEED);
		case jbvBool:
			return profile_hash(&scalar->val.boolean, 1, name ^ BOOLEAN_SEED);
		case jbvNumeric:
			cdp_profile_pack_numeric(host, NumericGetDatum(scalar->val.numeric), false, &number);
			return profile_hash(number.bytes, number.length, name ^ NUMBER_SEED);
		default:
			Assert(scalar->type == jbvString);
			return profile_hash(scalar->val.string.val, (size_t) scalar->val.string.len,
								name ^ STRING_SEED);
	}
}

/*
 * cdp.profile_gin_extract(cdp.profile, internal) returns internal
 */
Datum
cdp_profile_gin_extract(PG_FUNCTION_ARGS)
{
	Profile	   *profile = PG_GETARG_PROFILE(0);
	int32	   *count = (int32 *) PG_GETARG_POINTER(1);
	ProfileServerHost host;
	ProfileReader reader;
	ProfileBlock block = {0};
	Datum	   *keys;

	cdp_profile_host_init(&host);
	cdp_profile_open(&host, &reader, profile);
	keys = cdp_palloc_array(Datum, add_size(mul_size(2, reader.trait_count), 1));
	*count = 0;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		ProfileCandidate winner;
		bool		found;
		uint64		name;
		JsonbValue	scalar;

		if (!profile_block(&host.host, &reader, i, &block) ||
			!survivorship_pick(&host.host, &reader, block, &cdp_survivorship_last.fallback,
							   &winner, &found))
			cdp_profile_fail(&host);
		name = name_key(block.trait, block.trait_length);
		keys[(*count)++] = Int64GetDatum((int64) name);
		if (winner.value.type == PROFILE_JSONB)
			continue;
		cdp_profile_value_to_jsonb_value(&host.host, &winner.value, &scalar);
		keys[(*count)++] = Int64GetDatum((int64) value_key(&host.host, name, &scalar));
	}
	PG_RETURN_POINTER(keys);
}

/*
 * contains_keys gives the keys that a profile must have to contain an object.
 */
static Datum *
contains_keys(Jsonb *wanted, int32 *count, int32 *mode)
{
	ProfileServerHost host;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	member;
	Datum	   *keys;

	*count = 0;
	/* no profile contains another kind of JSON */
	if (!JB_ROOT_IS_OBJECT(wanted))
		return NULL;
	if (JB_ROOT_COUNT(wanted) == 0)
		*mode = GIN_SEARCH_MODE_ALL;
	cdp_profile_host_init(&host);
	keys = cdp_palloc_array(Datum, add_size(JB_ROOT_COUNT(wanted), 1));
	iterator = JsonbIteratorInit(&wanted->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		uint64		name;

		if (token != WJB_KEY)
			continue;
		JsonbIteratorNext(&iterator, &member, true);
		name = name_key(key.val.string.val, (size_t) key.val.string.len);
		keys[(*count)++] = Int64GetDatum((int64) (member.type == jbvBinary ? name : value_key(&host.host, name, &member)));
	}
	return keys;
}

/*
 * cdp.profile_gin_extract_query(internal, internal, smallint, internal, internal, internal, internal)
 * returns internal
 */
Datum
cdp_profile_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32	   *count = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	int32	   *mode = (int32 *) PG_GETARG_POINTER(6);
	Datum	   *keys;

	if (strategy == CONTAINS_STRATEGY)
		keys = contains_keys(PG_GETARG_JSONB_P(0), count, mode);
	else if (strategy == EXISTS_STRATEGY)
	{
		text	   *trait = PG_GETARG_TEXT_PP(0);

		keys = cdp_palloc_array(Datum, 1);
		keys[0] = Int64GetDatum((int64) name_key(VARDATA_ANY(trait), VARSIZE_ANY_EXHDR(trait)));
		*count = 1;
	}
	else
	{
		Datum	   *traits;
		bool	   *nulls;
		int			listed;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
						  &traits, &nulls, &listed);
		keys = cdp_palloc_array(Datum, add_size(listed, 1));
		*count = 0;
		for (int i = 0; i < listed; i++)
		{
			text	   *trait;

			if (nulls[i])
				continue;
			trait = DatumGetTextPP(traits[i]);
			keys[(*count)++] = Int64GetDatum((int64) name_key(VARDATA_ANY(trait),
															  VARSIZE_ANY_EXHDR(trait)));
		}
		/* every profile has all of no traits */
		if (*count == 0 && strategy == EXISTS_ALL_STRATEGY)
			*mode = GIN_SEARCH_MODE_ALL;
	}
	PG_RETURN_POINTER(keys);
}

/*
 * match combines what is known of the keys of a search: one of them suffices,
 * or all are needed.
 */
static GinTernaryValue
match(StrategyNumber strategy, const GinTernaryValue *check, int32 count)
{
	bool		needs_all = strategy == CONTAINS_STRATEGY || strategy == EXISTS_ALL_STRATEGY;

	for (int32 i = 0; i < count; i++)
	{
		if (needs_all && check[i] == GIN_FALSE)
			return GIN_FALSE;
		if (!needs_all && check[i] != GIN_FALSE)
			return GIN_MAYBE;
	}
	return needs_all ? GIN_MAYBE : GIN_FALSE;
}

/*
 * cdp.profile_gin_consistent(internal, smallint, internal, integer, internal, internal, internal, internal)
 * returns boolean
 */
Datum
cdp_profile_gin_consistent(PG_FUNCTION_ARGS)
{
	/* a boolean is 0 or 1, which are GIN_FALSE and GIN_TRUE */
	GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	bool	   *recheck = (bool *) PG_GETARG_POINTER(5);

	*recheck = true;
	PG_RETURN_BOOL(match(PG_GETARG_UINT16(1), check, PG_GETARG_INT32(3)) != GIN_FALSE);
}

/*
 * cdp.profile_gin_triconsistent(internal, smallint, internal, integer, internal, internal, internal)
 * returns "char"
 */
Datum
cdp_profile_gin_triconsistent(PG_FUNCTION_ARGS)
{
	PG_RETURN_GIN_TERNARY_VALUE(match(PG_GETARG_UINT16(1),
									  (GinTernaryValue *) PG_GETARG_POINTER(0),
									  PG_GETARG_INT32(3)));
}
