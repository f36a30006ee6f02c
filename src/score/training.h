/*
 * training.h
 *		What cdp.train_logit and cdp.train_gbt have in common: a query, the columns
 *		of it that are label, weight and features, and the levels of categories.
 */
#ifndef CDP_TRAINING_H
#define CDP_TRAINING_H

#include "score/logit_rows.h"

typedef struct Training
{
	const char *function;		/* for messages */
	char	   *query;			/* without what follows the statement */
	char	   *label;			/* expressions over the row "given" */
	char	   *weight;
	LogitModel *model;			/* its features */
	Oid			model_type;
	char	   *numbers;		/* expression: an array of float8 */
	char	   *categories;		/* expression: an array of text, or NULL */
} Training;

extern void training_prepare(Training *training, const char *query, char *label, ArrayType *features, char *weight,
							 const char *function);
extern void training_find_levels(Training *training, bool keep_nulls);

#endif							/* CDP_TRAINING_H */
