/*
 * gbt_model.h
 *		The value cdp.gbt_model in C.
 *
 * Stored, a model is a jsonb document, which docs/score.md specifies.
 */
#ifndef CDP_GBT_MODEL_H
#define CDP_GBT_MODEL_H

#include "score/gbt_core.h"
#include "score/logit_model.h"

#define GBT_MODEL_VERSION	1

typedef struct GbtModel
{
	LogitModel *inputs;			/* features only; columns of rows are its terms but the intercept */
	double		base;			/* log odds before the trees */
	int			tree_count;
	GbtTree	   *trees;
} GbtModel;

extern void gbt_write_trees(StringInfo text, const GbtTree *trees, int count);
extern void gbt_allocate_tree(GbtTree *tree, int nodes);
extern void gbt_fill_row(const LogitModel *inputs, const double *numbers, const int *levels, double *row);
extern double gbt_log_odds(const GbtModel *model, const double *row);
extern double gbt_contributions(const GbtModel *model, const double *row, double *contributions);

#endif							/* CDP_GBT_MODEL_H */
