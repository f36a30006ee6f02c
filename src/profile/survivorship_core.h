/*
 * survivorship_core.h
 *		Which of several values of a trait wins: policies, and their packed form.
 *
 * No server here: see profile_core.h.
 */
#ifndef CDP_SURVIVORSHIP_CORE_H
#define CDP_SURVIVORSHIP_CORE_H

#include "profile/profile_core.h"

/* The version byte of the packed form. */
#define SURVIVORSHIP_VERSION	1

/* The numbers are stored. */
typedef enum SurvivorshipPolicy
{
	SURVIVORSHIP_LAST = 0,
	SURVIVORSHIP_FIRST = 1,
	SURVIVORSHIP_PRIORITY = 2,
	SURVIVORSHIP_MOST_FREQUENT = 3,
	SURVIVORSHIP_MIN = 4,
	SURVIVORSHIP_MAX = 5,
	SURVIVORSHIP_LONGEST = 6
} SurvivorshipPolicy;

#define SURVIVORSHIP_POLICIES	7

typedef struct SurvivorshipName
{
	const char *text;
	uint32_t	length;
} SurvivorshipName;

typedef struct SurvivorshipRule
{
	SurvivorshipPolicy policy;
	bool		ignore_empty;
	uint32_t	source_count;	/* of SURVIVORSHIP_PRIORITY: the sources, best first */
	SurvivorshipName *sources;
} SurvivorshipRule;

typedef struct Survivorship
{
	SurvivorshipRule fallback;	/* of traits that are not listed */
	uint32_t	trait_count;
	SurvivorshipName *traits;	/* in the order of their bytes */
	SurvivorshipRule *rules;
} Survivorship;

/* A candidate in a contest. */
typedef struct SurvivorshipEntry
{
	ProfileCandidate candidate;
	bool		is_ignored;		/* empty, where that is ignored */
	int64_t		key;			/* rank of the source, length or number of records */
} SurvivorshipEntry;

/* What decided between the winner and another candidate. */
typedef enum SurvivorshipReason
{
	SURVIVORSHIP_BY_EMPTINESS,
	SURVIVORSHIP_BY_POLICY,
	SURVIVORSHIP_BY_TIME,
	SURVIVORSHIP_BY_TYPE,
	SURVIVORSHIP_BY_VALUE,
	SURVIVORSHIP_BY_ORIGIN
} SurvivorshipReason;

extern bool survivorship_read(ProfileHost *host, const void *data, size_t size,
							  Survivorship *survivorship);
extern bool survivorship_write(ProfileBuffer *buffer, const Survivorship *survivorship);
extern const char *survivorship_policy_name(SurvivorshipPolicy policy);
extern const SurvivorshipRule *survivorship_rule(const Survivorship *survivorship,
												 const char *trait, size_t length);
extern bool survivorship_pick(ProfileHost *host, const ProfileReader *reader, ProfileBlock block,
							  const SurvivorshipRule *rule, ProfileCandidate *winner, bool *found);
extern bool survivorship_rank(ProfileHost *host, const ProfileReader *reader, ProfileBlock block,
							  const SurvivorshipRule *rule, SurvivorshipEntry **entries,
							  uint32_t *count);
extern SurvivorshipReason survivorship_reason(ProfileHost *host, const SurvivorshipRule *rule,
											  const SurvivorshipEntry *winner,
											  const SurvivorshipEntry *other);

#endif							/* CDP_SURVIVORSHIP_CORE_H */
