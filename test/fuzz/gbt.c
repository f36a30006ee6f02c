/*
 * gbt.c
 *		Fuzz target for boosted trees: whatever passes the check can be walked, and
 *		contributions add up to the value.  With libFuzzer: test/fuzz/fuzz gbt.
 *		Without: test/fuzz/run replays the corpus.
 *
 * The input is the number of nodes less one, then six bytes for each node.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "score/gbt_core.h"

#define COLUMNS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *
room(size_t count, size_t size)
{
	void	   *memory = calloc(count > 0 ? count : 1, size);

	if (memory == NULL)
		abort();
	return memory;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GbtTree		tree;

	if (size < 1)
		return 0;
	/* room to the byte, so that the sanitizer sees what is read past it */
	tree.nodes = data[0] + 1;
	tree.feature = room(tree.nodes, sizeof(int));
	tree.threshold = room(tree.nodes, sizeof(float));
	tree.left = room(tree.nodes, sizeof(int));
	tree.right = room(tree.nodes, sizeof(int));
	tree.missing_left = room(tree.nodes, sizeof(bool));
	tree.value = room(tree.nodes, sizeof(double));
	tree.cover = room(tree.nodes, sizeof(double));
	tree.mean = room(tree.nodes, sizeof(double));
	for (int i = 0; i < tree.nodes; i++)
	{
		uint8_t		bytes[6] = {0, 255, 255, 0, 0, 1};

		for (size_t j = 0; j < sizeof(bytes); j++)
			if (1 + (size_t) i * sizeof(bytes) + j < size)
				bytes[j] = data[1 + (size_t) i * sizeof(bytes) + j];
		tree.feature[i] = (int8_t) bytes[0];
		tree.left[i] = bytes[1] == 255 ? -1 : bytes[1];
		tree.right[i] = bytes[2] == 255 ? -1 : bytes[2];
		tree.threshold[i] = (float) bytes[3] / 16;
		tree.missing_left[i] = bytes[3] % 2 == 1;
		tree.value[i] = ((double) bytes[4] - 128) / 8;
		tree.cover[i] = bytes[5];
	}
	if (gbt_check_tree(&tree, COLUMNS) == NULL)
		for (int i = 0; i < 8; i++)
		{
			double		row[COLUMNS] = {i, i % 2 == 0 ? NAN : 15 - i, i * 2.5, -i};
			double		contributions[COLUMNS] = {0, 0, 0, 0};
			double		value = gbt_tree_value(&tree, row);
			double		sum = tree.mean[0];

			gbt_tree_contributions(&tree, row, contributions);
			for (int j = 0; j < COLUMNS; j++)
				sum += contributions[j];
			if (!(fabs(sum - value) < 1e-6))
			{
				fprintf(stderr, "broken: contributions add up to %g, not to %g\n", sum, value);
				abort();
			}
		}
	free(tree.feature);
	free(tree.threshold);
	free(tree.left);
	free(tree.right);
	free(tree.missing_left);
	free(tree.value);
	free(tree.cover);
	free(tree.mean);
	return 0;
}
