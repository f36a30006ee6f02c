/*
 * state_core.h
 *		The states of the aggregates over a person's events, in C that needs no
 *		running server.
 *
 * A state is what is stored and what is worked on: a varlena whose first four
 * bytes are the server's, aligned to eight bytes.  While rows are added it is
 * "working": it may have room at its end, and entries that are not sorted yet.
 * Stored states never are; docs/trait.md specifies them.  State from outside is
 * checked by state_check() before anything else looks at it.
 */
#ifndef CDP_TRAIT_STATE_CORE_H
#define CDP_TRAIT_STATE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_VERSION			1

typedef enum StateKind
{
	STATE_SEQUENCE_OPTIONS = 'o',
	STATE_SEQUENCE = 'q',
	STATE_SESSIONS = 's',
	STATE_FREQUENCY = 'f',
	STATE_VALUE_AT = 'v',
	STATE_DECAYED = 'd'
} StateKind;

typedef struct StateHeader
{
	int32_t		length;			/* the server's */
	uint8_t		version;
	uint8_t		kind;
	uint8_t		working;
	uint8_t		zero;
} StateHeader;

/* Sessions: start and end.  Events of a sequence: time and step. */
typedef struct StatePair
{
	int64_t		time;
	int64_t		other;
} StatePair;

/* Times are PostgreSQL's: microseconds since 2000. */
#define STATE_MIN_TIME			INT64_C(-211813488000000000)
#define STATE_END_TIME			INT64_C(9223371331200000000)

/*
 * Sessions that are more than "gap" apart.  Each stands for all its events: what
 * more there is between them changes nothing.
 */
typedef struct SessionState
{
	StateHeader header;
	int64_t		gap;
	uint32_t	count;
	uint32_t	sorted;			/* how many of them are sorted and joined */
	StatePair	sessions[];
} SessionState;

/*
 * The events that are steps of a sequence, and the options before them.  The
 * options alone are the same with no events.
 */
typedef struct SequenceState
{
	StateHeader header;
	int64_t		within;			/* INT64_MAX without a window */
	uint32_t	steps;
	uint32_t	text_bytes;		/* a multiple of eight */
	uint8_t		strict;			/* each step later than the one before */
	uint8_t		zero[7];
	uint32_t	count;
	uint32_t	sorted;
	/* for each step the length (16 bits) and the bytes of its name; then events */
	char		text[];
} SequenceState;

#define SEQUENCE_MAX_STEPS		64

/* How often each value came. */
typedef struct FrequencyState
{
	StateHeader header;
	uint8_t		tag;			/* the class of the type, see value.h */
	uint8_t		zero[3];
	uint32_t	used;			/* bytes of the entries */
	uint32_t	sorted;			/* bytes of those that are sorted and unique */
	uint32_t	zero_too;
	char		entries[];
} FrequencyState;

typedef struct FrequencyEntry
{
	int64_t		count;
	uint32_t	length;
	char		bytes[];
} FrequencyEntry;

/* The first or the last value. */
typedef struct ValueAtState
{
	StateHeader header;
	int64_t		time;
	uint8_t		tag;
	uint8_t		last;
	uint8_t		zero[2];
	uint32_t	length;
	char		bytes[];
} ValueAtState;

/*
 * A sum of value * 2^(time / half_life).  It is kept in bins of 32 bits of the
 * binary number, of which the top ones matter: bin i, from the top one downwards,
 * is worth 2^(32 * (top - i)).  What a row adds to a bin does not depend on other
 * rows, and adding integers does not depend on the order.
 */
#define DECAYED_BINS			6

typedef struct DecayedBin
{
	uint64_t	low;
	int64_t		high;
} DecayedBin;

typedef struct DecayedState
{
	StateHeader header;
	int64_t		half_life;
	int64_t		at;				/* INT64_MAX where none was given */
	int64_t		newest;			/* time of the newest row, 0 without rows */
	int64_t		rows;
	int64_t		top;
	uint8_t		flags;
	uint8_t		zero[7];
	DecayedBin	bins[DECAYED_BINS];
} DecayedState;

#define DECAYED_ANY				1	/* there is a value other than zero */
#define DECAYED_NAN				2
#define DECAYED_PLUS			4	/* infinite */
#define DECAYED_MINUS			8
#define DECAYED_MIN_HALF_LIFE	1000	/* microseconds */
#define STATE_MAX_ROWS			(INT64_C(1) << 60)

#define STATE_ALIGN(size)		(((size_t) (size) + 7) & ~(size_t) 7)

/*
 * state_check returns NULL for a sound state of the kind, or what is wrong with
 * it.  Values inside are bytes to it.  Size counts the server's four bytes.
 */
extern const char *state_check(StateKind kind, const void *state, size_t size,
							   bool working_allowed);
/* The size of a state without the room at its end. */
extern size_t state_used(const void *state);
/*
 * Sorts, joins, and makes the state a stored one, of state_used() bytes; the
 * scratch has state_scratch() bytes.
 */
extern void state_compact(void *state, void *scratch);
extern size_t state_scratch(const void *state);
extern void state_sort_pairs(StatePair *pairs, size_t count);
extern bool state_is_time(int64_t time);

extern bool session_add_in_order(SessionState *state, int64_t first, int64_t last, bool has_room);
extern void session_compact(SessionState *state);

extern size_t sequence_events_offset(const SequenceState *state);
extern StatePair *sequence_events(SequenceState *state);
extern int	sequence_step_of(const SequenceState *state, const char *name, size_t length);
extern bool sequence_same_options(const SequenceState *a, const SequenceState *b);
extern const char *sequence_check_events(const SequenceState *state);
extern void sequence_compact(SequenceState *state);
extern int	sequence_furthest(SequenceState *state);

extern int64_t state_add_counts(int64_t a, int64_t b);
extern size_t frequency_entry_size(size_t length);
extern FrequencyEntry *frequency_entry(const FrequencyState *state, size_t offset);

extern const char *decayed_check(const DecayedState *state, size_t size);
extern void decayed_begin(DecayedState *state, int64_t half_life, int64_t at);
extern void decayed_add(DecayedState *state, double value, int64_t time);
extern bool decayed_merge(DecayedState *state, const DecayedState *other);
extern double decayed_value(const DecayedState *state, int64_t at);

#endif							/* CDP_TRAIT_STATE_CORE_H */
