/*
 * evaluate.h
 *		Evaluating computed traits and segments for everybody.
 */
#ifndef CDP_SEGMENT_EVALUATE_H
#define CDP_SEGMENT_EVALUATE_H

/* A refresh, as far as the evaluation at its end is concerned. */
typedef struct Evaluation
{
	int64		refresh_id;
	bool		may_commit;		/* each pass is a transaction of its own */
	MemoryContext context;		/* outlives transactions */
} Evaluation;

extern void evaluation_check_isolation(bool may_commit);
extern void evaluation_run(const Evaluation *evaluation, Datum names, bool has_names);

#endif							/* CDP_SEGMENT_EVALUATE_H */
