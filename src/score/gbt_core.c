/*
 * gbt_core.c
 *		Boosted trees: checking, prediction and contributions (see gbt_core.h).
 *
 * Contributions are SHAP values by the paths of the tree (Lundberg, Erion and Lee,
 * Consistent Individualized Feature Attribution for Tree Ensembles, 2018,
 * algorithm 2), which is what XGBoost computes.
 */
#include <math.h>
#include <string.h>

#include "score/gbt_core.h"

/*
 * What is wrong with a tree, or NULL; fills in the means.  Children come after
 * their parent and each node has one parent, so that every walk ends.
 */
const char *
gbt_check_tree(GbtTree *tree, int columns)
{
	if (tree->nodes < 1)
		return "a tree has no nodes";
	/* the means serve as the depth of nodes for a while; -1: no parent yet */
	for (int i = 0; i < tree->nodes; i++)
		tree->mean[i] = i == 0 ? 0 : -1;
	for (int i = 0; i < tree->nodes; i++)
	{
		if (tree->mean[i] < 0)
			return "a node has no parent";
		if (!isfinite(tree->value[i]) || !isfinite(tree->cover[i]) || tree->cover[i] < 0 || isnan(tree->threshold[i]))
			return "a number of a node is not finite";
		if (tree->left[i] == -1)
			continue;
		if (tree->left[i] <= i || tree->right[i] <= i || tree->left[i] >= tree->nodes || tree->right[i] >= tree->nodes ||
			tree->left[i] == tree->right[i])
			return "a child does not come after its parent";
		if (tree->mean[tree->left[i]] >= 0 || tree->mean[tree->right[i]] >= 0)
			return "a node has two parents";
		if (tree->feature[i] < 0 || tree->feature[i] >= columns)
			return "a node asks for a feature that there is not";
		if (tree->mean[i] >= GBT_MAX_DEPTH)
			return "a tree is too deep";
		tree->mean[tree->left[i]] = tree->mean[tree->right[i]] = tree->mean[i] + 1;
	}
	for (int i = tree->nodes - 1; i >= 0; i--)
		if (tree->left[i] == -1)
			tree->mean[i] = tree->value[i];
		else
		{
			double		left = tree->cover[tree->left[i]];
			double		right = tree->cover[tree->right[i]];

			if (!(left > 0 && right > 0))
				return "a node was reached by no rows";
			tree->mean[i] = (tree->mean[tree->left[i]] * left + tree->mean[tree->right[i]] * right) / (left + right);
		}
	return NULL;
}

/* The child that the row goes to */
static int
next_node(const GbtTree *tree, int node, const double *row)
{
	double		value = row[tree->feature[node]];
	bool		left = isnan(value) ? tree->missing_left[node] : (float) value < tree->threshold[node];

	return left ? tree->left[node] : tree->right[node];
}

double
gbt_tree_value(const GbtTree *tree, const double *row)
{
	int			node = 0;

	while (tree->left[node] != -1)
		node = next_node(tree, node, row);
	return tree->value[node];
}

/* A feature on the way from the root, with the shares of subsets of each size */
typedef struct PathElement
{
	int			feature;
	double		zero;			/* share of the rows that go this way when the feature is unknown */
	double		one;			/* 1 if the row goes this way */
	double		weight;
} PathElement;

static void
extend_path(PathElement *path, int depth, double zero, double one, int feature)
{
	path[depth].feature = feature;
	path[depth].zero = zero;
	path[depth].one = one;
	path[depth].weight = depth == 0 ? 1 : 0;
	for (int i = depth - 1; i >= 0; i--)
	{
		path[i + 1].weight += one * path[i].weight * (i + 1) / (depth + 1);
		path[i].weight = zero * path[i].weight * (depth - i) / (depth + 1);
	}
}

static void
unwind_path(PathElement *path, int depth, int place)
{
	double		one = path[place].one;
	double		zero = path[place].zero;
	double		next = path[depth].weight;

	for (int i = depth - 1; i >= 0; i--)
		if (one != 0)
		{
			double		here = path[i].weight;

			path[i].weight = next * (depth + 1) / ((i + 1) * one);
			next = here - path[i].weight * zero * (depth - i) / (depth + 1);
		}
		else
			path[i].weight = path[i].weight * (depth + 1) / (zero * (depth - i));
	for (int i = place; i < depth; i++)
	{
		path[i].feature = path[i + 1].feature;
		path[i].zero = path[i + 1].zero;
		path[i].one = path[i + 1].one;
	}
}

static double
unwound_sum(const PathElement *path, int depth, int place)
{
	double		one = path[place].one;
	double		zero = path[place].zero;
	double		next = path[depth].weight;
	double		total = 0;

	for (int i = depth - 1; i >= 0; i--)
		if (one != 0)
		{
			double		here = next * (depth + 1) / ((i + 1) * one);

			total += here;
			next = path[i].weight - here * zero * (depth - i) / (depth + 1);
		}
		else if (zero != 0)
			total += path[i].weight / (zero * (depth - i) / (depth + 1));
	return total;
}

/* The recursion is as deep as the tree, which is GBT_MAX_DEPTH at most. */
static void
walk(const GbtTree *tree, const double *row, double *contributions, int node, int depth,
	 const PathElement *parent_path, double zero, double one, int feature)
{
	PathElement path[GBT_MAX_DEPTH + 2];
	int			hot;
	int			cold;
	int			place;
	double		cover;
	double		incoming_zero = 1;
	double		incoming_one = 1;

	memcpy(path, parent_path, sizeof(PathElement) * depth);
	extend_path(path, depth, zero, one, feature);
	if (tree->left[node] == -1)
	{
		for (int i = 1; i <= depth; i++)
			contributions[path[i].feature] += unwound_sum(path, depth, i) * (path[i].one - path[i].zero) * tree->value[node];
		return;
	}

	hot = next_node(tree, node, row);
	cold = hot == tree->left[node] ? tree->right[node] : tree->left[node];
	cover = tree->cover[tree->left[node]] + tree->cover[tree->right[node]];
	/* a feature that was on the path already counts once */
	for (place = 1; place <= depth; place++)
		if (path[place].feature == tree->feature[node])
			break;
	if (place <= depth)
	{
		incoming_zero = path[place].zero;
		incoming_one = path[place].one;
		unwind_path(path, depth, place);
		depth--;
	}
	walk(tree, row, contributions, hot, depth + 1, path, incoming_zero * (tree->cover[hot] / cover), incoming_one, tree->feature[node]);
	walk(tree, row, contributions, cold, depth + 1, path, incoming_zero * (tree->cover[cold] / cover), 0, tree->feature[node]);
}

/*
 * Add what each column contributes to the value of the row, against the mean of
 * the tree.
 */
void
gbt_tree_contributions(const GbtTree *tree, const double *row, double *contributions)
{
	const PathElement none[1] = {{0}};

	walk(tree, row, contributions, 0, 0, none, 1, 1, -1);
}
