/*
 * rfm_core.c
 *		A customer's transactions as they are stored and sent: reading and checking
 *		(see rfm_core.h).
 *
 * Needs no running server.
 */
#include <string.h>

#include "score/rfm_core.h"
#include "score/wire.h"

#define SECOND			INT64_C(1000000)
#define DAY				(86400 * SECOND)

/* Enough for 294,276 years of seconds. */
#define LARGEST_KEY		INT64_C(20000000000000)

/*
 * rfm_rules_valid tells whether rules are as cdp.rfm_options makes them.
 */
bool
rfm_rules_valid(const RfmRules *rules)
{
	size_t		length = strnlen(rules->zone, RFM_ZONE_LENGTH + 1);

	if (rules->merge < SECOND || rules->merge > 36600 * DAY ||
		!(rules->period_days >= 1e-6 && rules->period_days <= 1e6) ||
		rules->refunds > RFM_REFUNDS_IGNORE || length == 0 || length > RFM_ZONE_LENGTH)
		return false;
	for (size_t i = 0; i < RFM_ZONE_LENGTH + 1; i++)
		if (i < length ? rules->zone[i] < ' ' || rules->zone[i] > '~' : rules->zone[i] != '\0')
			return false;
	return true;
}

/*
 * rfm_state_valid tells whether a state of known version may be read.  Size counts
 * the server's four bytes; there may be room behind the entries.
 */
bool
rfm_state_valid(const RfmState *state, size_t size)
{
	size_t		room;

	if (size < offsetof(RfmState, entries) || (size - offsetof(RfmState, entries)) % sizeof(RfmEntry) != 0)
		return false;
	room = (size - offsetof(RfmState, entries)) / sizeof(RfmEntry);
	if (state->canonical > 1 || state->unused[0] != 0 || state->unused[1] != 0 || state->unused_too != 0 ||
		state->count < 0 || (size_t) state->count > room || !rfm_rules_valid(&state->rules))
		return false;
	for (int32_t i = 0; i < state->count; i++)
	{
		const RfmEntry *entry = &state->entries[i];

		if (entry->key < -LARGEST_KEY || entry->key > LARGEST_KEY ||
			((entry->key & 1) ? entry->amount > 0 : entry->amount < 0) ||
			(state->canonical && i > 0 && entry->key <= entry[-1].key))
			return false;
	}
	return true;
}

/* What comes before the number of entries; the length of the zone, or -1. */
static int
read_rules(WireReader *reader, RfmRules *rules)
{
	size_t		length;
	const uint8_t *zone;

	memset(rules, 0, sizeof(*rules));
	wire_integer(reader, 1);
	rules->refunds = (uint8_t) wire_integer(reader, 1);
	rules->merge = (int64_t) wire_integer(reader, 8);
	rules->period_days = wire_double(reader);
	rules->observation_end = (int64_t) wire_integer(reader, 8);
	length = wire_integer(reader, 1);
	if (length > RFM_ZONE_LENGTH)
		return -1;
	zone = wire_bytes(reader, length);
	if (zone == NULL)
		return -1;
	memcpy(rules->zone, zone, length);
	return (int) length;
}

/*
 * rfm_state_measure_wire reads how many entries a binary form of known version
 * has, and returns false where it is not sound.
 */
bool
rfm_state_measure_wire(const uint8_t *bytes, size_t length, uint32_t *count)
{
	WireReader	reader = {bytes, length, false};
	RfmRules	rules;
	int			zone = read_rules(&reader, &rules);

	*count = (uint32_t) wire_integer(&reader, 4);
	return zone >= 0 && !reader.failed && strnlen(rules.zone, RFM_ZONE_LENGTH) == (size_t) zone &&
		rfm_rules_valid(&rules) && reader.left == (uint64_t) *count * sizeof(RfmEntry) && *count <= INT32_MAX;
}

/*
 * rfm_state_read_wire fills a state with room for as many entries as
 * rfm_state_measure_wire said; it still goes to rfm_state_valid.
 */
void
rfm_state_read_wire(const uint8_t *bytes, size_t length, RfmState *state)
{
	WireReader	reader = {bytes, length, false};

	memset(state->unused, 0, sizeof(state->unused));
	state->unused_too = 0;
	state->version = bytes[0];
	state->canonical = 1;
	read_rules(&reader, &state->rules);
	state->count = (int32_t) wire_integer(&reader, 4);
	for (int32_t i = 0; i < state->count; i++)
	{
		state->entries[i].key = (int64_t) wire_integer(&reader, 8);
		state->entries[i].amount = (int64_t) wire_integer(&reader, 8);
	}
}
