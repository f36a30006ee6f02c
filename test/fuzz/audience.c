/*
 * audience.c
 *		Fuzz target for the bytes and the text of audiences.
 *
 * An input is a mode, a split and two values: bytes of audiences, or their text.
 * Whatever they are, nothing may be read or written out of bounds, what is
 * accepted must come out in canonical form, and the operations must agree with
 * each other.  With libFuzzer: test/fuzz/fuzz audience.  Without: test/fuzz/run
 * replays the corpus.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/audience_core.h"
#include "require.h"

/* An input of a few bytes can name billions of ids. */
#define MEMORY_LIMIT			(4 * 1024 * 1024)

/*
 * Room is made to the byte, so that the sanitizer sees what is written past what
 * was asked for; larger buffers grow faster.
 */
static bool
reserve(AudienceBuffer *buffer, size_t additional)
{
	size_t		capacity = buffer->length + additional;
	uint8_t	   *data;

	if (capacity > MEMORY_LIMIT)
		return false;
	if (capacity <= buffer->capacity)
		return true;
	if (capacity > 4096 && capacity < buffer->capacity + buffer->capacity / 2)
		capacity = buffer->capacity + buffer->capacity / 2;
	data = malloc(capacity > 0 ? capacity : 1);
	if (data == NULL)
		abort();
	if (buffer->length > 0)
		memcpy(data, buffer->data, buffer->length);
	free(buffer->data);
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

static void
release(AudienceBuffer *buffer)
{
	free(buffer->data);
}

static void
poll_nothing(void)
{
}

static const AudienceHost host = {reserve, release, poll_nothing};

static AudienceBytes
bytes_of(const AudienceBuffer *buffer)
{
	return (AudienceBytes){buffer->data, buffer->length};
}

static bool
same(AudienceBytes left, AudienceBytes right)
{
	return left.length == right.length && memcmp(left.data, right.data, left.length) == 0;
}

/*
 * combine returns false where the result is too large for this target.
 */
static bool
combine(AudienceOperation operation, AudienceBytes left, AudienceBytes right, AudienceBuffer *output)
{
	const char *problem;
	AudienceStatus status;

	audience_buffer_release(output);
	audience_buffer_begin(output, &host, NULL);
	status = audience_combine(operation, left, right, output, &problem);
	require(status == AUDIENCE_OK || status == AUDIENCE_OUT_OF_MEMORY, "sound audiences combine");
	return status == AUDIENCE_OK;
}

static uint64_t
cardinality(AudienceBytes audience)
{
	const char *problem;
	uint64_t	count = 0;

	require(audience_cardinality(audience, &count, &problem) == AUDIENCE_OK, "cardinality");
	return count;
}

/*
 * check_one: the canonical form is accepted by the strict reader, is its own
 * canonical form, goes through the text form, and has the ids it gives.
 */
static void
check_one(AudienceBytes audience)
{
	AudienceBuffer again;
	AudienceBuffer text;
	AudienceReader reader;
	AudienceContainer container;
	AudienceStatus status;
	AudienceRun *runs = calloc(AUDIENCE_MAX_RUNS, sizeof(AudienceRun));
	const char *problem = NULL;
	uint64_t	count = 0;

	if (runs == NULL)
		abort();
	audience_buffer_begin(&again, &host, NULL);
	status = audience_canonical(audience, &again, &problem);
	require(status == AUDIENCE_OUT_OF_MEMORY || (status == AUDIENCE_OK && same(audience, bytes_of(&again))),
			"canonical form stays");
	audience_buffer_release(&again);

	audience_buffer_begin(&text, &host, NULL);
	status = audience_print(audience, &text, &problem);
	require(status == AUDIENCE_OK || status == AUDIENCE_OUT_OF_MEMORY, "print");
	if (status == AUDIENCE_OK)
	{
		audience_buffer_begin(&again, &host, NULL);
		status = audience_parse((const char *) text.data, text.length, &again, &problem);
		require(status == AUDIENCE_OUT_OF_MEMORY || (status == AUDIENCE_OK && same(audience, bytes_of(&again))),
				"text is read back");
		audience_buffer_release(&again);
	}
	audience_buffer_release(&text);

	for (size_t length = 9; length <= audience.length;)
	{
		size_t		needed = 0;

		status = audience_count_by_prefix(audience.data, length, &count, &needed);
		require(status == AUDIENCE_OK ? count == cardinality(audience) : status == AUDIENCE_END && needed > length,
				"count by the first bytes");
		length = status == AUDIENCE_OK ? SIZE_MAX : needed;
	}
	count = 0;
	require(audience_read(&reader, audience.data, audience.length, true, true) == AUDIENCE_OK, "read");
	while ((status = audience_next(&reader, &container)) == AUDIENCE_OK)
	{
		uint32_t	run_count = audience_runs(&container, runs);
		uint32_t	ids = 0;

		for (uint32_t i = 0; i < run_count; i++)
		{
			ids += (uint32_t) runs[i].last - runs[i].first + 1;
			require(audience_container_has(&container, runs[i].first) &&
						audience_container_has(&container, runs[i].last),
					"ids are found");
			require(runs[i].last == UINT16_MAX ||
						!audience_container_has(&container, (uint16_t) (runs[i].last + 1)),
					"other ids are not found");
		}
		require(ids == container.cardinality, "runs have all ids");
		count += ids;
	}
	require(status == AUDIENCE_END, "end");
	require(count == cardinality(audience), "sum of the containers");
	free(runs);
}

/*
 * check_two: laws that hold for any two sets.
 */
static void
check_two(AudienceBytes left, AudienceBytes right)
{
	AudienceBuffer both;
	AudienceBuffer either;
	AudienceBuffer less;
	AudienceBuffer one;
	AudienceBuffer other;
	AudienceSet set;
	const char *problem;
	bool		answer;

	audience_buffer_begin(&both, &host, NULL);
	audience_buffer_begin(&either, &host, NULL);
	audience_buffer_begin(&less, &host, NULL);
	audience_buffer_begin(&one, &host, NULL);
	audience_buffer_begin(&other, &host, NULL);
	audience_set_begin(&set, &host, NULL);
	if (combine(AUDIENCE_AND, left, right, &both) && combine(AUDIENCE_OR, left, right, &either) &&
		combine(AUDIENCE_MINUS, left, right, &less) && combine(AUDIENCE_XOR, left, right, &one))
	{
		check_one(bytes_of(&both));
		check_one(bytes_of(&either));
		check_one(bytes_of(&less));
		check_one(bytes_of(&one));
		require(cardinality(left) + cardinality(right) ==
					cardinality(bytes_of(&both)) + cardinality(bytes_of(&either)),
				"sizes of intersection and union");
		require(cardinality(bytes_of(&one)) + cardinality(bytes_of(&both)) == cardinality(bytes_of(&either)),
				"size of the symmetric difference");
		if (combine(AUDIENCE_MINUS, bytes_of(&either), bytes_of(&one), &other))
			require(same(bytes_of(&other), bytes_of(&both)), "union less symmetric difference is intersection");
		if (combine(AUDIENCE_OR, bytes_of(&less), bytes_of(&both), &other))
			require(same(bytes_of(&other), left), "difference and intersection are the first");
		require(audience_is_subset(bytes_of(&both), left, &host, &answer, &problem) == AUDIENCE_OK && answer,
				"intersection is a subset");
		require(audience_is_subset(left, bytes_of(&less), &host, &answer, &problem) == AUDIENCE_OK &&
					answer == (cardinality(bytes_of(&both)) == 0),
				"subset of the difference");
		require(audience_overlaps(left, right, &host, &answer, &problem) == AUDIENCE_OK &&
					answer == (cardinality(bytes_of(&both)) > 0),
				"overlap");
		if (audience_set_add_all(&set, left, &problem) == AUDIENCE_OK &&
			audience_set_add_all(&set, right, &problem) == AUDIENCE_OK &&
			audience_set_finish(&set) == AUDIENCE_OK)
			require(same(bytes_of(&set.bytes), bytes_of(&either)), "a set is the union");
	}
	audience_buffer_release(&set.bytes);
	audience_buffer_release(&set.waiting);
	audience_buffer_release(&both);
	audience_buffer_release(&either);
	audience_buffer_release(&less);
	audience_buffer_release(&one);
	audience_buffer_release(&other);
}

/*
 * try_bytes does with bytes as they are what the server does with a stored
 * value: an error, or a sound answer.
 */
static void
try_bytes(AudienceBytes left, AudienceBytes right)
{
	AudienceBuffer output;
	const char *problem;
	uint64_t	count;
	size_t		size;
	bool		answer;

	audience_buffer_begin(&output, &host, NULL);
	for (int operation = AUDIENCE_AND; operation <= AUDIENCE_XOR; operation++)
	{
		if (audience_combine((AudienceOperation) operation, left, right, &output, &problem) == AUDIENCE_OK)
			check_one(bytes_of(&output));
		audience_buffer_release(&output);
		audience_buffer_begin(&output, &host, NULL);
	}
	audience_print(left, &output, &problem);
	audience_is_subset(left, right, &host, &answer, &problem);
	audience_overlaps(left, right, &host, &answer, &problem);
	audience_contains(left, right.length > 0 ? right.data[0] : 0, &answer, &problem);
	audience_cardinality(left, &count, &problem);
	audience_count_by_prefix(left.data, left.length, &count, &size);
	audience_buffer_release(&output);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AudienceBytes raw[2];
	AudienceBuffer values[2];
	AudienceStatus statuses[2];
	size_t		split;
	bool		text;

	if (size < 3)
		return 0;
	text = (data[0] & 1) != 0;
	split = (size_t) (data[1] | data[2] << 8) % (size - 2);
	/* copies, so that the sanitizer sees what is read past their ends */
	raw[0].length = split;
	raw[1].length = size - 3 - split;
	for (int i = 0; i < 2; i++)
	{
		uint8_t	   *copy = malloc(raw[i].length > 0 ? raw[i].length : 1);
		const char *problem;

		if (copy == NULL)
			abort();
		memcpy(copy, data + 3 + (i == 0 ? 0 : split), raw[i].length);
		raw[i].data = copy;
		audience_buffer_begin(&values[i], &host, NULL);
		statuses[i] = text ? audience_parse((const char *) copy, raw[i].length, &values[i], &problem)
						   : audience_canonical(raw[i], &values[i], &problem);
		if (statuses[i] == AUDIENCE_OK)
			check_one(bytes_of(&values[i]));
	}
	if (!text)
		try_bytes(raw[0], raw[1]);
	if (statuses[0] == AUDIENCE_OK && statuses[1] == AUDIENCE_OK)
		check_two(bytes_of(&values[0]), bytes_of(&values[1]));
	for (int i = 0; i < 2; i++)
	{
		audience_buffer_release(&values[i]);
		free((void *) raw[i].data);
	}
	return 0;
}
