/*
 * profile_list.c
 *		The candidates of a profile as rows: cdp.profile_traits and
 *		cdp.explain_trait.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_profile_traits);
PG_FUNCTION_INFO_V1(cdp_explain_trait);

/* Columns that both have, after the name of the trait. */
#define CANDIDATE_COLUMNS	5

static Datum
to_text(const char *string, size_t length)
{
	return PointerGetDatum(cstring_to_text_with_len(string, (int) length));
}

/*
 * candidate_columns fills value, type, source, record and observed_at.
 */
static void
candidate_columns(ProfileServerHost *host, const ProfileReader *reader,
				  const ProfileCandidate *candidate, Datum *values)
{
	ProfileOrigin origin;

	if (!profile_origin(&host->host, reader, candidate->origin, &origin))
		cdp_profile_fail(host);
	values[0] = cdp_profile_value_to_jsonb(&host->host, &candidate->value);
	values[1] = CStringGetTextDatum(profile_type_name(candidate->value.type));
	values[2] = to_text(origin.source, origin.source_length);
	values[3] = Int64GetDatum(origin.record);
	values[4] = TimestampTzGetDatum(candidate->observed_at);
}

/*
 * cdp.profile_traits(profile [, cdp.survivorship])
 * returns table (trait, value, type, source, record, observed_at, is_winner)
 */
Datum
cdp_profile_traits(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Profile	   *profile = PG_GETARG_PROFILE(0);
	const Survivorship *survivorship = PG_NARGS() > 1 ? cdp_survivorship_argument(fcinfo, 1) : &cdp_survivorship_last;
	ProfileServerHost host;
	ProfileReader reader;
	ProfileBlock block = {0};
	MemoryContext row;
	MemoryContext outer;

	InitMaterializedSRF(fcinfo, 0);
	cdp_profile_host_init(&host);
	cdp_profile_open(&host, &reader, profile);
	row = AllocSetContextCreate(CurrentMemoryContext, "cdp profile_traits", ALLOCSET_SMALL_SIZES);
	outer = CurrentMemoryContext;
	for (uint32_t i = 0; i < reader.trait_count; i++)
	{
		ProfileCandidate candidate;
		ProfileCandidate winner;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (!profile_block(&host.host, &reader, i, &block))
			cdp_profile_fail(&host);
		MemoryContextReset(row);
		MemoryContextSwitchTo(row);
		if (!survivorship_pick(&host.host, &reader, block,
							   survivorship_rule(survivorship, block.trait, block.trait_length),
							   &winner, &found))
			cdp_profile_fail(&host);
		while (block.has_more)
		{
			Datum		values[CANDIDATE_COLUMNS + 2];
			bool		nulls[CANDIDATE_COLUMNS + 2] = {false};

			if (!profile_next(&host.host, &reader, &block, &candidate))
				cdp_profile_fail(&host);
			values[0] = to_text(candidate.trait, candidate.trait_length);
			candidate_columns(&host, &reader, &candidate, values + 1);
			values[CANDIDATE_COLUMNS + 1] = BoolGetDatum(found && candidate.origin == winner.origin);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
		MemoryContextSwitchTo(outer);
	}
	MemoryContextDelete(row);
	return (Datum) 0;
}

/*
 * winner_reason says why the first of the candidates wins.
 */
static char *
winner_reason(const SurvivorshipRule *rule, const SurvivorshipEntry *entries, uint32_t count,
			  uint32_t rivals)
{
	const SurvivorshipEntry *winner = &entries[0];

	if (rivals == 0)
		return pstrdup(count == 1 ? "the only value" : "the only value that is not empty");
	switch (rule->policy)
	{
		case SURVIVORSHIP_LAST:
			return pstrdup("newest value");
		case SURVIVORSHIP_FIRST:
			return pstrdup("oldest value");
		case SURVIVORSHIP_PRIORITY:
			if (winner->key == rule->source_count)
				return pstrdup("newest value, as no source with a rank has one");
			return psprintf("source of rank %d", (int) winner->key + 1);
		case SURVIVORSHIP_MOST_FREQUENT:
			if (winner->key == 0)
				return pstrdup("no record has a value");
			return psprintf("most frequent value, in %lld of %u records", (long long) winner->key, count);
		case SURVIVORSHIP_MIN:
			return pstrdup("smallest value");
		case SURVIVORSHIP_MAX:
			return pstrdup("greatest value");
		case SURVIVORSHIP_LONGEST:
			return psprintf("longest value, of %lld character%s", (long long) Max(winner->key, 0),
							winner->key == 1 ? "" : "s");
	}
	return NULL;
}

/*
 * loser_reason says why another candidate does not win.
 */
static char *
loser_reason(ProfileHost *host, const SurvivorshipRule *rule, const SurvivorshipEntry *winner,
			 const SurvivorshipEntry *other)
{
	switch (survivorship_reason(host, rule, winner, other))
	{
		case SURVIVORSHIP_BY_EMPTINESS:
			return pstrdup("empty, which is ignored");
		case SURVIVORSHIP_BY_POLICY:
			break;
		case SURVIVORSHIP_BY_TIME:
			return pstrdup(rule->policy == SURVIVORSHIP_LAST ? "older" : "as good, but older");
		case SURVIVORSHIP_BY_TYPE:
			return pstrdup("as new, but of a type that ranks lower");
		case SURVIVORSHIP_BY_VALUE:
			return pstrdup("as new, but a smaller value");
		case SURVIVORSHIP_BY_ORIGIN:
			return pstrdup("the same value, as new, of another record");
	}
	switch (rule->policy)
	{
		case SURVIVORSHIP_LAST:
			break;
		case SURVIVORSHIP_FIRST:
			return pstrdup("newer");
		case SURVIVORSHIP_PRIORITY:
			if (other->key == rule->source_count)
				return pstrdup("source without a rank");
			return psprintf("source of rank %d", (int) other->key + 1);
		case SURVIVORSHIP_MOST_FREQUENT:
			if (other->key == 0)
				return pstrdup("no value");
			return psprintf("less frequent, in %lld record%s", (long long) other->key,
							other->key == 1 ? "" : "s");
		case SURVIVORSHIP_MIN:
			return pstrdup(other->candidate.value.type == PROFILE_NULL ? "no value" : "greater");
		case SURVIVORSHIP_MAX:
			return pstrdup(other->candidate.value.type == PROFILE_NULL ? "no value" : "smaller");
		case SURVIVORSHIP_LONGEST:
			if (other->key < 0)
				return pstrdup("no value");
			return psprintf("shorter, of %lld character%s", (long long) other->key,
							other->key == 1 ? "" : "s");
	}
	return NULL;
}

/*
 * cdp.explain_trait(profile, trait text [, cdp.survivorship])
 * returns table (place, value, type, source, record, observed_at, is_winner, reason)
 *
 * The candidates of a trait, the winner first, each with the reason for its
 * place; no row where there are none.
 */
Datum
cdp_explain_trait(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Profile	   *profile = PG_GETARG_PROFILE(0);
	text	   *trait = PG_GETARG_TEXT_PP(1);
	const Survivorship *survivorship = PG_NARGS() > 2 ? cdp_survivorship_argument(fcinfo, 2) : &cdp_survivorship_last;
	const SurvivorshipRule *rule;
	ProfileServerHost host;
	ProfileReader reader;
	ProfileBlock block;
	SurvivorshipEntry *entries;
	uint32_t	count;
	uint32_t	rivals = 0;
	bool		found;

	InitMaterializedSRF(fcinfo, 0);
	cdp_profile_host_init(&host);
	cdp_profile_open(&host, &reader, profile);
	rule = survivorship_rule(survivorship, VARDATA_ANY(trait), VARSIZE_ANY_EXHDR(trait));
	if (!profile_find(&host.host, &reader, VARDATA_ANY(trait), VARSIZE_ANY_EXHDR(trait), &block, &found))
		cdp_profile_fail(&host);
	if (!found)
		return (Datum) 0;
	if (!survivorship_rank(&host.host, &reader, block, rule, &entries, &count))
		cdp_profile_fail(&host);
	for (uint32_t i = 1; i < count; i++)
		rivals += !entries[i].is_ignored;
	for (uint32_t i = 0; i < count; i++)
	{
		Datum		values[CANDIDATE_COLUMNS + 3];
		bool		nulls[CANDIDATE_COLUMNS + 3] = {false};
		bool		is_winner = i == 0 && !entries[i].is_ignored;

		values[0] = Int32GetDatum((int32) i + 1);
		candidate_columns(&host, &reader, &entries[i].candidate, values + 1);
		values[CANDIDATE_COLUMNS + 1] = BoolGetDatum(is_winner);
		values[CANDIDATE_COLUMNS + 2] =
			CStringGetTextDatum(is_winner ? winner_reason(rule, entries, count, rivals) : loser_reason(&host.host, rule, &entries[0], &entries[i]));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
