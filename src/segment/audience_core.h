/*
 * audience_core.h
 *		Compressed sets of 63-bit ids, in C that needs no running server.
 *
 * These files include nothing of PostgreSQL, so that a fuzzer can drive them
 * (test/fuzz).  The bytes of an audience, which docs/segment.md specifies, are a
 * version and behind it Roaring's portable 64-bit format: bitmaps of 32-bit
 * numbers under sorted high halves, each cut into containers of 65,536 ids.
 *
 * Bytes are never trusted.  A reader checks each container before anything is
 * done with it, and CRoaring is handed one checked pair of containers at a time:
 * its own checks let bytes pass by which it then writes out of bounds.  So it
 * never holds more than some 30 kB, and nothing of it while something is called
 * that can leave by longjmp.
 */
#ifndef CDP_SEGMENT_AUDIENCE_CORE_H
#define CDP_SEGMENT_AUDIENCE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIENCE_VERSION		1
#define AUDIENCE_MAX_ID			((uint64_t) INT64_MAX)
#define AUDIENCE_CONTAINER_IDS	65536
/* no more runs than this fit into a container */
#define AUDIENCE_MAX_RUNS		32768

typedef enum AudienceStatus
{
	AUDIENCE_OK,
	AUDIENCE_END,				/* no more containers */
	AUDIENCE_INVALID,			/* bytes or text of no audience */
	AUDIENCE_OUT_OF_RANGE,		/* text with an id that is none */
	AUDIENCE_OUT_OF_MEMORY
} AudienceStatus;

struct AudienceBuffer;

/*
 * What the core asks of its surroundings.  "reserve" makes room for at least
 * the given number of bytes behind the current length, and returns false when
 * there is none.  "poll" is called for every container.  Both may leave by
 * longjmp; the memory of buffers is theirs to find again.
 */
typedef struct AudienceHost
{
	bool		(*reserve) (struct AudienceBuffer *buffer, size_t additional);
	void		(*release) (struct AudienceBuffer *buffer);
	void		(*poll) (void);
} AudienceHost;

typedef struct AudienceBuffer
{
	const AudienceHost *host;
	uint8_t	   *data;
	size_t		length;
	size_t		capacity;
	void	   *owner;			/* for the use of the host */
} AudienceBuffer;

typedef enum AudienceForm
{
	AUDIENCE_ARRAY,				/* up to 4,096 sorted 16-bit numbers */
	AUDIENCE_BITSET,			/* 65,536 bits */
	AUDIENCE_RUNS				/* their number, then pairs: start, length - 1 */
} AudienceForm;

/* The ids key * 65,536 + n, for each n of the container. */
typedef struct AudienceContainer
{
	uint64_t	key;
	AudienceForm form;
	uint32_t	cardinality;
	const uint8_t *data;
	size_t		size;
} AudienceContainer;

/* Both ends belong to it. */
typedef struct AudienceRun
{
	uint16_t	first;
	uint16_t	last;
} AudienceRun;

/*
 * Goes through the containers of an audience.  Without "contents" only the
 * sizes are checked, not the order and the number of what is in a container,
 * which does where a wrong answer to corrupt bytes is answer enough.  "strict"
 * refuses what is not in the one canonical form of its set.
 */
typedef struct AudienceReader
{
	const uint8_t *at;
	const uint8_t *end;
	bool		contents;
	bool		strict;
	const char *problem;		/* what is wrong, after AUDIENCE_INVALID */
	uint64_t	bitmaps_left;
	int64_t		high;			/* -1 before the first bitmap */
	const uint8_t *start;		/* of the current bitmap */
	const uint8_t *run_flags;	/* NULL where it has none */
	const uint8_t *descriptors;
	const uint8_t *offsets;		/* NULL where it has none */
	uint32_t	containers;
	uint32_t	index;
} AudienceReader;

extern AudienceStatus audience_read(AudienceReader *reader, const uint8_t *data,
									size_t length, bool contents, bool strict);
extern AudienceStatus audience_next(AudienceReader *reader,
									AudienceContainer *container);
extern uint32_t audience_runs(const AudienceContainer *container,
							  AudienceRun *runs);
extern bool audience_container_has(const AudienceContainer *container,
								   uint16_t number);

/*
 * Writes an audience, in increasing order of ids: begin, then containers and
 * intervals, then finish.  What it writes is canonical.
 */
typedef struct AudienceWriter
{
	AudienceBuffer *output;
	AudienceBuffer descriptors;
	AudienceBuffer payload;
	AudienceBuffer runs;		/* of the container that is being filled */
	size_t		start;			/* of the audience in the output */
	uint64_t	bitmaps;
	uint64_t	high;
	uint64_t	runs_key;
	uint32_t	containers;
	uint8_t		run_flags[8192];
	bool		any_run;
} AudienceWriter;

extern AudienceStatus audience_write_begin(AudienceWriter *writer,
										   AudienceBuffer *output);
extern AudienceStatus audience_write_container(AudienceWriter *writer,
											   const AudienceContainer *container,
											   bool canonical);
extern AudienceStatus audience_write_interval(AudienceWriter *writer,
											  uint64_t first, uint64_t last);
extern AudienceStatus audience_write_finish(AudienceWriter *writer);
extern void audience_write_release(AudienceWriter *writer);

/* Operations.  Each takes audiences as bytes; one it writes is appended. */
typedef enum AudienceOperation
{
	AUDIENCE_AND,
	AUDIENCE_OR,
	AUDIENCE_MINUS,
	AUDIENCE_XOR
} AudienceOperation;

typedef struct AudienceBytes
{
	const uint8_t *data;
	size_t		length;
} AudienceBytes;

extern AudienceStatus audience_combine(AudienceOperation operation,
									   AudienceBytes left, AudienceBytes right,
									   AudienceBuffer *output,
									   const char **problem);
extern AudienceStatus audience_is_subset(AudienceBytes left, AudienceBytes right,
										 const AudienceHost *host, bool *result,
										 const char **problem);
extern AudienceStatus audience_overlaps(AudienceBytes left, AudienceBytes right,
										const AudienceHost *host, bool *result,
										const char **problem);
extern AudienceStatus audience_contains(AudienceBytes audience, uint64_t id,
										bool *result, const char **problem);
extern AudienceStatus audience_cardinality(AudienceBytes audience,
										   uint64_t *result,
										   const char **problem);
extern AudienceStatus audience_count_by_prefix(const uint8_t *data, size_t length,
											   uint64_t *result, size_t *needed);
extern AudienceStatus audience_canonical(AudienceBytes audience,
										 AudienceBuffer *output,
										 const char **problem);

/*
 * A set that ids are added to in any order: compressed bytes, and ids that wait
 * to be sorted into them, at most about as much memory as those take.
 */
typedef struct AudienceSet
{
	AudienceBuffer bytes;		/* empty, or an audience */
	AudienceBuffer waiting;		/* ids of 64 bits */
} AudienceSet;

extern void audience_set_begin(AudienceSet *set, const AudienceHost *host,
							   void *owner);
extern AudienceStatus audience_set_add(AudienceSet *set, uint64_t id);
extern AudienceStatus audience_set_add_all(AudienceSet *set,
										   AudienceBytes audience,
										   const char **problem);
extern AudienceStatus audience_set_finish(AudienceSet *set);

/* Text: {1,2,5-9}. */
extern AudienceStatus audience_parse(const char *text, size_t length,
									 AudienceBuffer *output,
									 const char **problem);
extern AudienceStatus audience_print(AudienceBytes audience,
									 AudienceBuffer *output,
									 const char **problem);

/* Shared by the files of the core. */
extern AudienceStatus audience_append(AudienceBuffer *buffer, const void *data,
									  size_t length);
extern void audience_buffer_begin(AudienceBuffer *buffer,
								  const AudienceHost *host, void *owner);
extern void audience_buffer_release(AudienceBuffer *buffer);

#endif							/* CDP_SEGMENT_AUDIENCE_CORE_H */
