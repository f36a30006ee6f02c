/*
 * intake.h
 *		From one row of a source to a record in the working set.
 */
#ifndef CDP_IDENTITY_INTAKE_H
#define CDP_IDENTITY_INTAKE_H

#include "identity/graph.h"

typedef struct IntakeValue
{
	int			namespace_index;
	uint32		length;
	uint32		hash;
	const char *value;			/* normalised, in the row's memory */
} IntakeValue;

/*
 * A row that was found good but is not in the working set yet: while those
 * before it are taken in, memory fetches what it will touch.
 */
typedef struct IntakeRow
{
	StringInfoData bytes;		/* the key and the values */
	uint32		key_length;
	uint32		hash;			/* of source and key */
	TimestampTz observed_at;
	bool		has_time;
	uint32		row;
	uint32		value_count;
	uint32		value_capacity;
	IntakeValue *values;
} IntakeRow;

#define INTAKE_ROWS_AHEAD	16

typedef struct Intake
{
	Graph	   *graph;
	const char *source;
	TimestampTz arrival;		/* time of rows that have none; may be set for each row */
	struct NormalizeCache *cache;
	StringInfoData buffer;
	IntakeValue *values;		/* of the row at hand */
	uint32		value_count;
	uint32		value_capacity;
	bool		is_event;		/* records are rows of an event source */
	uint32		row;			/* of the batch, counted from 1 */
	bool		is_kept;		/* the row at hand is what its record says, for now */
	uint32		source_hash;
	IntakeRow  *ahead;			/* rows to be taken in, in a ring; NULL: each at once */
	uint32		ahead_taken;	/* how many went in and out */
	uint32		ahead_added;
} Intake;

/* Why a row is not taken in; NULL members when it is. */
typedef struct Rejection
{
	const char *reason;
	char	   *detail;
} Rejection;

extern const char *intake_check_source(text *source);
extern void intake_init(Intake *intake, Graph *graph, const char *source, struct NormalizeCache *cache);
extern void intake_look_ahead(Intake *intake);
extern void intake_take_ahead(Intake *intake);
extern void intake_begin_row(Intake *intake);
extern void intake_value(Intake *intake, int namespace_index, const char *value, size_t length);
extern Rejection intake_finish_row(Intake *intake, const char *key, size_t key_length,
								   TimestampTz observed_at, bool has_time, uint32 *record);
extern uint32 intake_deleted(Intake *intake, const char *key, size_t key_length,
							 TimestampTz observed_at, bool has_time);
extern void intake_reject(Intake *intake, const char *key, TimestampTz observed_at, bool has_time,
						  const Rejection *rejection, const char *identifiers);
extern void intake_remember(const Graph *graph, struct SettledRecords **remembered, MemoryContext context);
extern void intake_settle(Graph *graph, uint32 record);
extern void intake_clear_rejections(Graph *graph, const char *source, TimestampTz since);

#endif							/* CDP_IDENTITY_INTAKE_H */
