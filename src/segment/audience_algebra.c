/*
 * audience_algebra.c
 *		Operations on audiences: a merge of their containers in which CRoaring
 *		works on the pairs with the same key.
 *
 * Part of the core that needs no server.  CRoaring allocates by malloc() and has
 * no way back from a failure, so each of its calls begins with a trial of more
 * memory than it can need, and ends with everything freed.
 */
#include "segment/audience_core.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

/* What two containers, their combination and its copy can take, and more. */
#define ROARING_MEMORY			(256 * 1024)

/*
 * The portable form of a bitmap with one container: without runs four numbers
 * of 32 bits precede the container, with runs less.
 */
#define IMAGE_HEADER			16
#define IMAGE_BYTES				(IMAGE_HEADER + 8192)
/* behind the version, the number of bitmaps and a high half */
#define IMAGE_START				13

/*
 * load_container gives one checked container to CRoaring.
 */
static roaring_bitmap_t *
load_container(const AudienceContainer *container)
{
	uint8_t		image[IMAGE_HEADER + 2 + 4 * AUDIENCE_MAX_RUNS];
	uint32_t	descriptor = (container->cardinality - 1) << 16;
	size_t		header;

	if (container->form == AUDIENCE_RUNS)
	{
		static const uint8_t cookie[5] = {0x3B, 0x30, 0, 0, 1};

		memcpy(image, cookie, 5);
		memcpy(image + 5, &descriptor, 4);
		header = 9;
	}
	else
	{
		static const uint8_t cookie[8] = {0x3A, 0x30, 0, 0, 1, 0, 0, 0};
		static const uint8_t offset[4] = {IMAGE_HEADER, 0, 0, 0};

		memcpy(image, cookie, 8);
		memcpy(image + 8, &descriptor, 4);
		memcpy(image + 12, offset, 4);
		header = IMAGE_HEADER;
	}
	memcpy(image + header, container->data, container->size);
	return roaring_bitmap_portable_deserialize_safe((const char *) image, header + container->size);
}

/*
 * A pair of containers in CRoaring.  Nothing is called between load_pair and
 * free_pair that could leave by longjmp.
 */
typedef struct Pair
{
	roaring_bitmap_t *left;
	roaring_bitmap_t *right;
} Pair;

static void
free_pair(Pair *pair)
{
	if (pair->left != NULL)
		roaring_bitmap_free(pair->left);
	if (pair->right != NULL)
		roaring_bitmap_free(pair->right);
}

static bool
load_pair(Pair *pair, const AudienceContainer *left, const AudienceContainer *right)
{
	void	   *trial = malloc(ROARING_MEMORY);

	if (trial == NULL)
		return false;
	free(trial);
	pair->left = load_container(left);
	pair->right = load_container(right);
	if (pair->left != NULL && pair->right != NULL)
		return true;
	free_pair(pair);
	return false;
}

/*
 * combine_containers writes the combination of two containers with one key,
 * unless it is empty.
 */
static AudienceStatus
combine_containers(AudienceOperation operation, const AudienceContainer *left,
				   const AudienceContainer *right, AudienceWriter *writer)
{
	uint8_t		image[IMAGE_START + IMAGE_BYTES] = {AUDIENCE_VERSION, 1};
	AudienceReader reader;
	AudienceContainer container;
	AudienceStatus status;
	Pair		pair;
	roaring_bitmap_t *result = NULL;
	size_t		size = 0;

	if (!load_pair(&pair, left, right))
		return AUDIENCE_OUT_OF_MEMORY;
	switch (operation)
	{
		case AUDIENCE_AND:
			result = roaring_bitmap_and(pair.left, pair.right);
			break;
		case AUDIENCE_OR:
			result = roaring_bitmap_or(pair.left, pair.right);
			break;
		case AUDIENCE_MINUS:
			result = roaring_bitmap_andnot(pair.left, pair.right);
			break;
		case AUDIENCE_XOR:
			result = roaring_bitmap_xor(pair.left, pair.right);
			break;
	}
	free_pair(&pair);
	if (result == NULL)
		return AUDIENCE_OUT_OF_MEMORY;
	if (!roaring_bitmap_is_empty(result))
	{
		size = roaring_bitmap_portable_size_in_bytes(result);
		if (size > IMAGE_BYTES)
		{
			roaring_bitmap_remove_run_compression(result);
			size = roaring_bitmap_portable_size_in_bytes(result);
		}
		if (size <= IMAGE_BYTES)
			roaring_bitmap_portable_serialize(result, (char *) image + IMAGE_START);
	}
	roaring_bitmap_free(result);
	if (size == 0)
		return AUDIENCE_OK;
	if (size > IMAGE_BYTES)
		return AUDIENCE_INVALID;

	status = audience_read(&reader, image, IMAGE_START + size, false, false);
	if (status == AUDIENCE_OK)
		status = audience_next(&reader, &container);
	if (status != AUDIENCE_OK)
		return AUDIENCE_INVALID;
	container.key = left->key;
	return audience_write_container(writer, &container, false);
}

/*
 * audience_combine writes left operation right.
 *
 * After AUDIENCE_INVALID, here and below, the problem says what is wrong with
 * one of the two.
 */
AudienceStatus
audience_combine(AudienceOperation operation, AudienceBytes left, AudienceBytes right,
				 AudienceBuffer *output, const char **problem)
{
	bool		keep_left = operation != AUDIENCE_AND;
	bool		keep_right = operation == AUDIENCE_OR || operation == AUDIENCE_XOR;
	AudienceReader readers[2];
	AudienceContainer containers[2];
	AudienceStatus ends[2];
	AudienceWriter writer;
	AudienceStatus status;

	*problem = "CRoaring failed";
	status = audience_write_begin(&writer, output);
	ends[0] = audience_read(&readers[0], left.data, left.length, true, true);
	ends[1] = audience_read(&readers[1], right.data, right.length, true, true);
	for (int i = 0; i < 2; i++)
		if (ends[i] == AUDIENCE_OK)
			ends[i] = audience_next(&readers[i], &containers[i]);

	while (status == AUDIENCE_OK && (ends[0] == AUDIENCE_OK || ends[1] == AUDIENCE_OK))
	{
		bool		advance[2] = {false, false};

		output->host->poll();
		if (ends[0] == AUDIENCE_INVALID || ends[1] == AUDIENCE_INVALID)
			break;
		if (ends[1] == AUDIENCE_END ||
			(ends[0] == AUDIENCE_OK && containers[0].key < containers[1].key))
		{
			if (keep_left)
				status = audience_write_container(&writer, &containers[0], true);
			advance[0] = true;
		}
		else if (ends[0] == AUDIENCE_END || containers[1].key < containers[0].key)
		{
			if (keep_right)
				status = audience_write_container(&writer, &containers[1], true);
			advance[1] = true;
		}
		else
		{
			status = combine_containers(operation, &containers[0], &containers[1], &writer);
			advance[0] = advance[1] = true;
		}
		for (int i = 0; i < 2; i++)
			if (advance[i])
				ends[i] = audience_next(&readers[i], &containers[i]);
	}
	for (int i = 0; i < 2; i++)
	{
		if (status == AUDIENCE_OK && ends[i] == AUDIENCE_INVALID)
		{
			*problem = readers[i].problem;
			status = AUDIENCE_INVALID;
		}
	}
	if (status == AUDIENCE_OK)
		status = audience_write_finish(&writer);
	audience_write_release(&writer);
	return status;
}

/*
 * compare_pairs asks CRoaring whether left is a subset of right, or whether the
 * two overlap.
 */
static AudienceStatus
compare_pairs(const AudienceContainer *left, const AudienceContainer *right,
			  bool subset, bool *result)
{
	Pair		pair;

	if (!load_pair(&pair, left, right))
		return AUDIENCE_OUT_OF_MEMORY;
	*result = subset ? roaring_bitmap_is_subset(pair.left, pair.right)
					 : roaring_bitmap_intersect(pair.left, pair.right);
	free_pair(&pair);
	return AUDIENCE_OK;
}

/*
 * compare_audiences goes through two audiences until the answer is known.
 */
static AudienceStatus
compare_audiences(AudienceBytes left, AudienceBytes right, const AudienceHost *host,
				  bool subset, bool *result, const char **problem)
{
	AudienceReader readers[2];
	AudienceContainer containers[2];
	AudienceStatus ends[2];

	*problem = "CRoaring failed";
	ends[0] = audience_read(&readers[0], left.data, left.length, true, true);
	ends[1] = audience_read(&readers[1], right.data, right.length, true, true);
	for (int i = 0; i < 2; i++)
		if (ends[i] == AUDIENCE_OK)
			ends[i] = audience_next(&readers[i], &containers[i]);

	while (ends[0] == AUDIENCE_OK && ends[1] == AUDIENCE_OK)
	{
		bool		advance[2] = {false, false};

		host->poll();
		if (containers[0].key < containers[1].key)
		{
			if (subset)
			{
				*result = false;
				return AUDIENCE_OK;
			}
			advance[0] = true;
		}
		else if (containers[1].key < containers[0].key)
			advance[1] = true;
		else
		{
			bool		answer;

			if (compare_pairs(&containers[0], &containers[1], subset, &answer) != AUDIENCE_OK)
				return AUDIENCE_OUT_OF_MEMORY;
			if (answer != subset)
			{
				*result = answer;
				return AUDIENCE_OK;
			}
			advance[0] = advance[1] = true;
		}
		for (int i = 0; i < 2; i++)
			if (advance[i])
				ends[i] = audience_next(&readers[i], &containers[i]);
	}
	for (int i = 0; i < 2; i++)
	{
		if (ends[i] == AUDIENCE_INVALID)
		{
			*problem = readers[i].problem;
			return AUDIENCE_INVALID;
		}
	}
	*result = subset && ends[0] == AUDIENCE_END;
	return AUDIENCE_OK;
}

/*
 * audience_is_subset: whether right has every id of left.
 */
AudienceStatus
audience_is_subset(AudienceBytes left, AudienceBytes right, const AudienceHost *host,
				   bool *result, const char **problem)
{
	return compare_audiences(left, right, host, true, result, problem);
}

/*
 * audience_overlaps: whether the two have an id in common.
 */
AudienceStatus
audience_overlaps(AudienceBytes left, AudienceBytes right, const AudienceHost *host,
				  bool *result, const char **problem)
{
	return compare_audiences(left, right, host, false, result, problem);
}

/*
 * audience_contains: whether the audience has the id.  Reads the headers and one
 * container.
 */
AudienceStatus
audience_contains(AudienceBytes audience, uint64_t id, bool *result, const char **problem)
{
	AudienceReader reader;
	AudienceContainer container;
	AudienceStatus status;

	*result = false;
	status = audience_read(&reader, audience.data, audience.length, false, true);
	while (status == AUDIENCE_OK)
	{
		status = audience_next(&reader, &container);
		if (status == AUDIENCE_OK && container.key >= id >> 16)
		{
			*result = container.key == id >> 16 &&
				audience_container_has(&container, (uint16_t) id);
			return AUDIENCE_OK;
		}
	}
	*problem = reader.problem;
	return status == AUDIENCE_END ? AUDIENCE_OK : status;
}

/*
 * audience_cardinality counts the ids, as the headers give them.
 */
AudienceStatus
audience_cardinality(AudienceBytes audience, uint64_t *result, const char **problem)
{
	AudienceReader reader;
	AudienceContainer container;
	AudienceStatus status;

	*result = 0;
	status = audience_read(&reader, audience.data, audience.length, false, true);
	while (status == AUDIENCE_OK)
	{
		status = audience_next(&reader, &container);
		if (status == AUDIENCE_OK)
			*result += container.cardinality;
	}
	*problem = reader.problem;
	return status == AUDIENCE_END ? AUDIENCE_OK : status;
}

/*
 * audience_canonical checks bytes from outside, in any form that the format
 * knows, and writes them in the canonical one.
 */
AudienceStatus
audience_canonical(AudienceBytes audience, AudienceBuffer *output, const char **problem)
{
	AudienceReader reader;
	AudienceContainer container;
	AudienceWriter writer;
	AudienceStatus status;

	status = audience_read(&reader, audience.data, audience.length, true, false);
	*problem = reader.problem;
	if (status != AUDIENCE_OK)
		return status;
	status = audience_write_begin(&writer, output);
	while (status == AUDIENCE_OK)
	{
		status = audience_next(&reader, &container);
		if (status == AUDIENCE_OK)
			status = audience_write_container(&writer, &container, false);
	}
	if (status == AUDIENCE_END)
		status = audience_write_finish(&writer);
	*problem = reader.problem;
	audience_write_release(&writer);
	return status;
}
