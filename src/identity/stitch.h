/*
 * stitch.h
 *		Taking in the rows of a query, in batches that fit into memory.  Used by
 *		cdp.stitch, whose query yields identifiers, and by cdp.take_in, whose
 *		query yields a payload beside them.
 */
#ifndef CDP_IDENTITY_STITCH_H
#define CDP_IDENTITY_STITCH_H

#include "identity/intake.h"
#include "query.h"

typedef struct StitchColumn
{
	int			namespace_index;	/* -1: no identifier */
	const char *name;
	Oid			type;			/* of the elements, for an array */
	bool		is_array;
	bool		is_text;
	FmgrInfo	output;
	int16		length;
	bool		by_value;
	char		align;
} StitchColumn;

typedef struct Stitch Stitch;

struct Stitch
{
	const char *source;
	const char *cause;
	CdpQuery   *query;

	/*
	 * For cdp.take_in: the first identifier column and the first one after
	 * them, by position.  0 and 0: every column but two is an identifier.
	 */
	int			first_identifier;
	int			first_payload;
	bool		is_event;		/* the source's rows are events */
	int			arrival_column; /* when the row happened, for rows without observed_at; 0: none */
	bool		is_realtime;	/* few rows: others may write at the same time */

	/* Called when a row counts for now; and after a batch was written, in stitch->context. */
	void		(*keep_row) (Stitch *stitch, TupleTableSlot *slot, uint32 record, uint32 row);
	void		(*batch_written) (Stitch *stitch);
	void	   *argument;

	GraphSettings *settings;
	struct NormalizeCache *cache;
	Intake		intake;
	Graph	   *graph;
	GraphCounts counts;			/* of the batches before */
	MemoryContext context;		/* of the call */
	TimestampTz started;		/* system time */
	struct SettledRecords *settled; /* NULL in the first go */
	int			key_column;
	int			time_column;	/* -1: none */
	int			deleted_column; /* -1: none */
	int			column_count;
	StitchColumn *columns;
	uint64		rows_in_batch;
	uint64		taken_since_check;	/* rows and identifiers */
};

extern bool stitch_holds_identifier(Oid type);
extern void stitch_begin(Stitch *stitch);
extern void stitch_prepare_columns(Stitch *stitch);
extern void stitch_take_row(Stitch *stitch, TupleTableSlot *slot);
extern void stitch_take_deleted(Stitch *stitch, const char *key, size_t key_length);
extern void stitch_end(Stitch *stitch);

#endif							/* CDP_IDENTITY_STITCH_H */
