/*
 * logit_rows.h
 *		From SQL values to rows of a logistic model, and what a fit is asked for.
 */
#ifndef CDP_LOGIT_ROWS_H
#define CDP_LOGIT_ROWS_H

#include "access/htup.h"
#include "score/logit_model.h"
#include "utils/array.h"

typedef struct LogitOptions
{
	double		l1;
	double		l2;
	bool		standardize;
	int			max_iterations;
	double		tolerance;
	double		class_weights[2];
	bool		balanced;
	bool		null_error;
	ArrayType  *names;			/* NULL: x1, x2 ... */
} LogitOptions;

/* One fit: the model that becomes, and the solver that works on its arrays */
typedef struct LogitFit
{
	LogitModel *model;
	LogitSolver solver;
	LogitOptions options;
} LogitFit;

extern void logit_options_read(Datum options, bool isnull, LogitOptions *result);
extern void logit_fit_begin(LogitFit *fit, LogitModel *model, const LogitOptions *options);
extern LogitOutcome logit_fit_start(LogitFit *fit, LogitSums *moments);
extern LogitOutcome logit_fit_advance(LogitFit *fit, LogitSums *sums);
extern Jsonb *logit_fit_finish(LogitFit *fit, LogitOutcome outcome);

/* The level of a category that is NULL; -1 is one that the model does not know */
#define LOGIT_NULL_LEVEL	(-2)

extern bool logit_row_inputs(const LogitModel *model, HeapTupleHeader header, double *numbers, int *levels, bool keep_nulls);
extern void logit_numbers_with_nulls(ArrayType *array, double *numbers);
extern void logit_levels_with_nulls(const LogitModel *model, ArrayType *array, int *levels);
extern void logit_check_label(double label, double weight);
extern const double *logit_read_numbers(ArrayType *array, int count, double *buffer, bool *has_null);
extern bool logit_read_levels(const LogitModel *model, ArrayType *array, int *levels);

#endif							/* CDP_LOGIT_ROWS_H */
