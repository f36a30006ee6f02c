/*
 * gbt_core.h
 *		Boosted trees: checking, prediction and contributions.  Needs no server.
 */
#ifndef CDP_GBT_CORE_H
#define CDP_GBT_CORE_H

#include <stdbool.h>

#define GBT_MAX_DEPTH	16
#define GBT_MAX_TREES	10000

/*
 * A tree: node 0 is the root, and the children of a node come after it.  A row
 * goes left where its value is below the threshold, both as float like in
 * XGBoost, and where the value is missing, as missing_left says.
 */
typedef struct GbtTree
{
	int			nodes;
	int		   *feature;		/* column of the row, from 0 */
	float	   *threshold;
	int		   *left;			/* -1: a leaf */
	int		   *right;
	bool	   *missing_left;
	double	   *value;			/* of leaves */
	double	   *cover;			/* weight of the rows that came here */
	double	   *mean;			/* of the leaves below, by cover */
} GbtTree;

extern const char *gbt_check_tree(GbtTree *tree, int columns);
extern double gbt_tree_value(const GbtTree *tree, const double *row);
extern void gbt_tree_contributions(const GbtTree *tree, const double *row, double *contributions);

#endif							/* CDP_GBT_CORE_H */
