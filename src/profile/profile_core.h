/*
 * profile_core.h
 *		The type cdp.profile in C that needs no running server: its packed form,
 *		its text form, its binary form for clients, and merging.
 *
 * These files include nothing of PostgreSQL, so that a fuzzer can drive them
 * (test/fuzz).  What they need of a server (memory, JSON, encodings) comes
 * through the functions of a ProfileHost.  No input is assumed to be terminated
 * or well-formed; bytes of the packed form are checked before they are used.
 * The packed form is specified in docs/profile.md.
 */
#ifndef CDP_PROFILE_CORE_H
#define CDP_PROFILE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version byte of the packed form, and of the binary form for clients. */
#define PROFILE_VERSION			1
#define PROFILE_WIRE_VERSION	1

/* No value grows beyond this many bytes (PostgreSQL's MaxAllocSize, less headers). */
#define PROFILE_MAX_SIZE		((size_t) 0x3fffffff - 64)

/* Times in microseconds since 2000-01-01 00:00 UTC, as PostgreSQL has them. */
#define PROFILE_TIME_MINUS_INFINITY	INT64_MIN
#define PROFILE_TIME_INFINITY		INT64_MAX
#define PROFILE_TIME_FIRST			INT64_C(-211813488000000000)
#define PROFILE_TIME_END			INT64_C(9223371331200000000)

/* Longest results of the writers of scalars below, without a final zero. */
#define PROFILE_TIME_LENGTH		48
#define PROFILE_DOUBLE_LENGTH	32
#define PROFILE_INTEGER_LENGTH	20

/*
 * Types of values in the order of their rank: of two values that are equally
 * new, the one of the greater type supersedes.  The numbers are stored.
 */
typedef enum ProfileType
{
	PROFILE_NULL = 0,
	PROFILE_BOOLEAN = 1,
	PROFILE_BIGINT = 2,
	PROFILE_FLOAT8 = 3,
	PROFILE_NUMERIC = 4,
	PROFILE_TEXT = 5,
	PROFILE_TIMESTAMPTZ = 6,
	PROFILE_JSONB = 7
} ProfileType;

#define PROFILE_TYPES	8

typedef enum ProfileStatus
{
	PROFILE_OK,
	PROFILE_SYNTAX,				/* text that is not of the text form */
	PROFILE_OUT_OF_RANGE,		/* a number or time that the type cannot hold */
	PROFILE_INVALID_BINARY,		/* bytes that are not of the binary form */
	PROFILE_CORRUPT,			/* stored bytes that are not of the packed form */
	PROFILE_TOO_LARGE,			/* passes PROFILE_MAX_SIZE */
	PROFILE_OUT_OF_MEMORY,
	PROFILE_HOST_FAILED			/* a function of the host returned false */
} ProfileStatus;

/*
 * What the core needs of its surroundings.  Each function may leave by longjmp:
 * the core holds nothing that would leak.
 */
typedef struct ProfileHost
{
	/* Memory that is freed all at once, later, by the host; NULL if there is none. */
	void	   *(*allocate) (struct ProfileHost *host, size_t size);

	/* Called now and then in long work, to look for interrupts. */
	void		(*poll) (struct ProfileHost *host);

	/*
	 * Give the canonical text of a JSON array or object, in memory that lasts
	 * as long as what allocate returns; false if it is not valid.
	 */
	bool		(*canonical_json) (struct ProfileHost *host, const char *json, size_t length,
						   const char **canonical, size_t *canonical_length);

	/*
	 * Write a character (a Unicode code point above 127) in the encoding of
	 * texts, at most 16 bytes; 0 if it has none there.
	 */
	size_t		(*encode_character) (struct ProfileHost *host, uint32_t character, char *output);

	/* Give a text of the binary form in the encoding of texts; false if invalid. */
	bool		(*receive_text) (struct ProfileHost *host, const char *input, size_t length,
						 const char **text, size_t *text_length);

	/* Write the shortest decimal of a finite number that reads back the same. */
	size_t		(*write_double) (double number, char *output);

	/* Count the characters of a text; bytes are counted where this is NULL. */
	size_t		(*count_characters) (struct ProfileHost *host, const char *input, size_t length);

	/* Set by the core when it fails. */
	ProfileStatus status;
	const char *problem;		/* constant words for a DETAIL, without a full stop */
	size_t		position;		/* byte of the input at which it is, from 0 */
} ProfileHost;

/* Where a result of unknown length is written. */
typedef struct ProfileBuffer
{
	char	   *data;
	size_t		length;
	size_t		capacity;
	ProfileHost *host;
} ProfileBuffer;

/* One value with its type, in its canonical packed bytes. */
typedef struct ProfileValue
{
	ProfileType type;
	uint32_t	length;
	const char *bytes;
} ProfileValue;

/* Who says something: a source, and one record of it. */
typedef struct ProfileOrigin
{
	const char *source;
	uint32_t	source_length;
	int64_t		record;
	int64_t		newest;			/* greatest time of what it says */
} ProfileOrigin;

/* What one origin says about one trait. */
typedef struct ProfileCandidate
{
	uint64_t	prefix;			/* first bytes of the trait's name, for comparing */
	const char *trait;
	uint32_t	trait_length;
	uint32_t	origin;			/* index among the origins */
	int64_t		observed_at;
	ProfileValue value;
} ProfileCandidate;

/*
 * Reading packed bytes.  profile_open checks what can be checked in constant
 * time; each later step checks what it touches.
 */
typedef struct ProfileReader
{
	const unsigned char *data;
	size_t		size;
	unsigned	width;			/* bytes of a count or offset: 1, 2 or 4 */
	uint32_t	source_count;
	uint32_t	origin_count;
	uint32_t	trait_count;
	uint32_t	leaf_count;
	/* offsets of the parts */
	size_t		source_ends;
	size_t		origins;
	size_t		index;
	size_t		source_names;
	size_t		leaf_names;
	size_t		leaves;
} ProfileReader;

/* Where one is in reading the candidates of a trait. */
typedef struct ProfileBlock
{
	uint32_t	index;			/* of the trait, from 0 */
	const char *trait;
	uint32_t	trait_length;
	bool		has_more;		/* candidates */
	const unsigned char *next;
	const unsigned char *end;	/* of the leaf */
	ProfileValue last_value;	/* of the candidate before */
	char	   *room;			/* for names that are put together */
	size_t		room_left;
	size_t		made;			/* bytes of such names so far */
} ProfileBlock;

typedef struct ProfileBuilder
{
	ProfileHost *host;
	ProfileCandidate *candidates;
	size_t		candidate_count;
	size_t		candidate_capacity;
	ProfileOrigin *origins;
	uint32_t	origin_count;
	uint32_t	origin_capacity;
	uint32_t	last_origin;
	uint32_t   *origin_table;	/* hash table of indexes + 1, once there are many */
	uint32_t	origin_table_size;
	char	   *room;			/* for names that are put together, of all profiles */
	size_t		room_left;
	/* once it is finished */
	uint32_t	trait_count;
	size_t		size;
} ProfileBuilder;

/* profile_format.c: the packed form */
extern bool profile_open(ProfileHost *host, ProfileReader *reader, const void *data, size_t size);
extern bool profile_front(ProfileHost *host, const void *data, size_t available, size_t size,
						  size_t *needed);
extern bool profile_find_leaf(ProfileHost *host, const ProfileReader *reader, const char *trait,
							  size_t length, uint32_t *leaf, size_t *start, size_t *end, bool *found);
extern bool profile_find(ProfileHost *host, const ProfileReader *reader, const char *trait,
						 size_t length, ProfileBlock *block, bool *found);
extern bool profile_block(ProfileHost *host, const ProfileReader *reader, uint32_t index,
						  ProfileBlock *block);
extern bool profile_next(ProfileHost *host, const ProfileReader *reader, ProfileBlock *block,
						 ProfileCandidate *candidate);
extern bool profile_origin(ProfileHost *host, const ProfileReader *reader, uint32_t index,
						   ProfileOrigin *origin);
extern bool profile_check(ProfileHost *host, const void *data, size_t size);
extern bool profile_fail(ProfileHost *host, ProfileStatus status, const char *problem,
						 size_t position);

/* profile_builder.c: making packed bytes, and merging */
extern void profile_builder_init(ProfileBuilder *builder, ProfileHost *host);
extern bool profile_builder_reserve(ProfileBuilder *builder, size_t candidates);
extern bool profile_builder_origin(ProfileBuilder *builder, const char *source, size_t length,
								   int64_t record, uint32_t *origin);
extern bool profile_builder_add(ProfileBuilder *builder, const char *trait, size_t length,
								uint32_t origin, int64_t observed_at, const ProfileValue *value);
extern bool profile_builder_add_packed(ProfileBuilder *builder, const void *data, size_t size);
extern bool profile_builder_finish(ProfileBuilder *builder);
extern size_t profile_builder_size(const ProfileBuilder *builder);
extern void profile_builder_write(const ProfileBuilder *builder, void *output);
extern int	profile_compare_names(const char *a, size_t a_length, const char *b, size_t b_length);

/* profile_number.c: canonical bytes of numbers, and the order of values */
extern size_t profile_pack_integer(int64_t number, char *output);
extern int64_t profile_unpack_integer(const ProfileValue *value);
extern void profile_pack_double(double number, char *output);
extern double profile_unpack_double(const ProfileValue *value);
extern bool profile_pack_decimal(ProfileHost *host, const char *text, size_t length,
								 ProfileValue *value, bool *is_integer);
extern bool profile_pack_wire_decimal(ProfileHost *host, const void *data, size_t size,
									  ProfileValue *value, unsigned *scale);
extern bool profile_decimal_to_integer(const ProfileValue *value, int64_t *number);
extern size_t profile_wire_decimal_size(const ProfileValue *value);
extern void profile_write_wire_decimal(const ProfileValue *value, void *output);
extern bool profile_is_finite_decimal(const ProfileValue *value);
extern bool profile_check_decimal(const ProfileValue *value);
extern bool profile_write_decimal(ProfileBuffer *buffer, const ProfileValue *value);
extern int	profile_compare_decimals(const ProfileValue *a, const ProfileValue *b);

/* profile_time.c */
extern bool profile_parse_time(const char *text, size_t length, int64_t *time,
							   const char **problem);
extern size_t profile_write_time(int64_t time, char *output);
extern size_t profile_write_integer(int64_t number, char *output);
extern bool profile_parse_double(const char *text, size_t length, double *number);
extern int	profile_compare_values(const ProfileValue *a, const ProfileValue *b);

/* profile_text.c: the text form and texts of values */
extern bool profile_parse(ProfileBuilder *builder, const char *input, size_t length);
extern bool profile_write(ProfileBuffer *buffer, const void *data, size_t size);
extern bool profile_write_value_text(ProfileBuffer *buffer, const ProfileValue *value);
extern bool profile_write_value_json(ProfileBuffer *buffer, const ProfileValue *value);
extern bool profile_buffer_append(ProfileBuffer *buffer, const void *data, size_t length);
extern bool profile_write_string(ProfileBuffer *buffer, const char *text, size_t length);
extern const char *profile_type_name(ProfileType type);

/* profile_wire.c: the binary form for clients */
extern bool profile_receive(ProfileBuilder *builder, const void *input, size_t length);

/* profile_hash.c */
extern uint64_t profile_hash(const void *data, size_t length, uint64_t seed);

#endif							/* CDP_PROFILE_CORE_H */
