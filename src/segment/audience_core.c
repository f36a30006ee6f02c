/*
 * audience_core.c
 *		The bytes of an audience: reading, with every check, and writing.
 *
 * The format is Roaring's (github.com/RoaringBitmap/RoaringFormatSpec, with its
 * extension for 64 bits) behind a version byte.  See audience_core.h.
 */
#include "segment/audience_core.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "CRoaring reads and writes its format on little-endian machines only"
#endif

/* Of the format: a bitmap without runs, and one with them. */
#define COOKIE_NO_RUNS			12346
#define COOKIE_RUNS				12347
/* With runs, offsets are written from this number of containers on. */
#define OFFSETS_FROM			4
#define ARRAY_MAX				4096
#define BITSET_BYTES			8192
#define BITSET_WORDS			(BITSET_BYTES / 8)

#define HEADER_BYTES			9	/* version, number of bitmaps */

static inline uint16_t
get16(const uint8_t *at)
{
	uint16_t	value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint32_t
get32(const uint8_t *at)
{
	uint32_t	value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint64_t
get64(const uint8_t *at)
{
	uint64_t	value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static AudienceStatus
invalid(AudienceReader *reader, const char *problem)
{
	reader->problem = problem;
	return AUDIENCE_INVALID;
}

/*
 * audience_read begins to read.  The bytes must stay where they are.
 */
AudienceStatus
audience_read(AudienceReader *reader, const uint8_t *data, size_t length,
			  bool contents, bool strict)
{
	memset(reader, 0, sizeof(*reader));
	reader->contents = contents;
	reader->strict = strict;
	reader->high = -1;
	if (length < HEADER_BYTES)
		return invalid(reader, "it is too short");
	if (data[0] != AUDIENCE_VERSION)
		return invalid(reader, "its version is unknown");
	reader->bitmaps_left = get64(data + 1);
	reader->at = data + HEADER_BYTES;
	reader->end = data + length;
	return AUDIENCE_OK;
}

/*
 * next_bitmap reads the header of the next bitmap of 32-bit numbers.
 */
static AudienceStatus
next_bitmap(AudienceReader *reader)
{
	uint32_t	high;
	uint32_t	cookie;
	size_t		header;

	if (reader->end - reader->at < 8)
		return invalid(reader, "a bitmap is cut off");
	high = get32(reader->at);
	if (high > INT32_MAX)
		return invalid(reader, "an id is negative");
	if ((int64_t) high <= reader->high)
		return invalid(reader, "bitmaps are not in order");
	reader->high = high;
	reader->at += 4;
	reader->start = reader->at;

	cookie = get32(reader->at);
	reader->at += 4;
	reader->run_flags = NULL;
	reader->offsets = NULL;
	if ((cookie & 0xFFFF) == COOKIE_RUNS)
	{
		reader->containers = (cookie >> 16) + 1;
		header = (reader->containers + 7) / 8;
		if ((size_t) (reader->end - reader->at) < header)
			return invalid(reader, "a bitmap is cut off");
		reader->run_flags = reader->at;
		reader->at += header;
		if (reader->strict)
		{
			unsigned	any = 0;

			for (size_t i = 0; i < header; i++)
				any |= reader->run_flags[i];
			if (any == 0 ||
				(reader->containers % 8 != 0 &&
				 reader->run_flags[header - 1] >> (reader->containers % 8) != 0))
				return invalid(reader, "a bitmap is not in canonical form");
		}
	}
	else if (cookie == COOKIE_NO_RUNS)
	{
		if (reader->end - reader->at < 4)
			return invalid(reader, "a bitmap is cut off");
		reader->containers = get32(reader->at);
		reader->at += 4;
		if (reader->containers > 65536)
			return invalid(reader, "a bitmap has too many containers");
	}
	else
		return invalid(reader, "a bitmap begins with an unknown number");
	if (reader->containers == 0 && reader->strict)
		return invalid(reader, "a bitmap is empty");

	header = (size_t) reader->containers * 4;
	if ((size_t) (reader->end - reader->at) < header)
		return invalid(reader, "a bitmap is cut off");
	reader->descriptors = reader->at;
	reader->at += header;
	if (reader->run_flags == NULL || reader->containers >= OFFSETS_FROM)
	{
		if ((size_t) (reader->end - reader->at) < header)
			return invalid(reader, "a bitmap is cut off");
		reader->offsets = reader->at;
		reader->at += header;
	}
	reader->index = 0;
	reader->bitmaps_left--;
	return AUDIENCE_OK;
}

/*
 * smallest_form is the rule of the canonical form: runs where they take less
 * room than what else there would be.
 */
static AudienceForm
smallest_form(uint32_t cardinality, uint32_t runs)
{
	size_t		other = cardinality <= ARRAY_MAX ? 2 * (size_t) cardinality : BITSET_BYTES;

	if (2 + 4 * (size_t) runs < other)
		return AUDIENCE_RUNS;
	return cardinality <= ARRAY_MAX ? AUDIENCE_ARRAY : AUDIENCE_BITSET;
}

static uint32_t
count_array_runs(const uint8_t *data, uint32_t cardinality)
{
	uint32_t	runs = 1;

	for (uint32_t i = 1; i < cardinality; i++)
		runs += get16(data + 2 * i) != get16(data + 2 * i - 2) + 1;
	return runs;
}

static uint32_t
count_bitset_runs(const uint8_t *data, uint32_t *cardinality)
{
	uint32_t	runs = 0;
	uint64_t	carry = 0;

	*cardinality = 0;
	for (int i = 0; i < BITSET_WORDS; i++)
	{
		uint64_t	word = get64(data + 8 * i);

		*cardinality += (uint32_t) __builtin_popcountll(word);
		runs += (uint32_t) __builtin_popcountll(word & ~((word << 1) | carry));
		carry = word >> 63;
	}
	return runs;
}

/*
 * check_contents checks the order and the number of what is in a container.
 */
static AudienceStatus
check_contents(AudienceReader *reader, const AudienceContainer *container)
{
	const uint8_t *data = container->data;
	uint32_t	runs = 0;

	switch (container->form)
	{
		case AUDIENCE_ARRAY:
			for (uint32_t i = 1; i < container->cardinality; i++)
				if (get16(data + 2 * i) <= get16(data + 2 * i - 2))
					return invalid(reader, "ids are not in order");
			if (reader->strict)
				runs = count_array_runs(data, container->cardinality);
			break;

		case AUDIENCE_BITSET:
		{
			uint32_t	cardinality;

			runs = count_bitset_runs(data, &cardinality);
			if (cardinality != container->cardinality)
				return invalid(reader, "a container has another number of ids than it says");
			break;
		}

		case AUDIENCE_RUNS:
		{
			uint32_t	cardinality = 0;
			int32_t		previous = -1;

			runs = get16(data);
			for (uint32_t i = 0; i < runs; i++)
			{
				int32_t		first = get16(data + 2 + 4 * i);
				int32_t		length = get16(data + 4 + 4 * i);

				if (first <= previous)
					return invalid(reader, "runs are not in order");
				if (reader->strict && i > 0 && first == previous + 1)
					return invalid(reader, "a container is not in canonical form");
				previous = first + length;
				if (previous > UINT16_MAX)
					return invalid(reader, "a run leaves its container");
				cardinality += (uint32_t) length + 1;
			}
			if (cardinality != container->cardinality)
				return invalid(reader, "a container has another number of ids than it says");
			break;
		}
	}
	if (reader->strict &&
		smallest_form(container->cardinality, runs) != container->form)
		return invalid(reader, "a container is not in canonical form");
	return AUDIENCE_OK;
}

/*
 * audience_next gives the next container, checked, or says AUDIENCE_END.
 */
AudienceStatus
audience_next(AudienceReader *reader, AudienceContainer *container)
{
	const uint8_t *descriptor;
	size_t		available;
	size_t		size;

	while (reader->index >= reader->containers)
	{
		AudienceStatus status;

		if (reader->bitmaps_left == 0)
		{
			if (reader->at != reader->end)
				return invalid(reader, "there are bytes behind its end");
			return AUDIENCE_END;
		}
		status = next_bitmap(reader);
		if (status != AUDIENCE_OK)
			return status;
	}

	descriptor = reader->descriptors + 4 * (size_t) reader->index;
	if (reader->index > 0 && get16(descriptor) <= get16(descriptor - 4))
		return invalid(reader, "containers are not in order");
	if (reader->offsets != NULL &&
		get32(reader->offsets + 4 * (size_t) reader->index) != (uint64_t) (reader->at - reader->start))
		return invalid(reader, "a container is not where it is said to be");

	container->key = ((uint64_t) reader->high << 16) | get16(descriptor);
	container->cardinality = (uint32_t) get16(descriptor + 2) + 1;
	available = (size_t) (reader->end - reader->at);
	if (reader->run_flags != NULL &&
		(reader->run_flags[reader->index / 8] >> (reader->index % 8) & 1) != 0)
	{
		container->form = AUDIENCE_RUNS;
		if (available < 2)
			return invalid(reader, "a container is cut off");
		size = 2 + 4 * (size_t) get16(reader->at);
		if (size == 2 || size > 2 + 4 * (size_t) AUDIENCE_MAX_RUNS)
			return invalid(reader, "a container has an impossible number of runs");
	}
	else if (container->cardinality <= ARRAY_MAX)
	{
		container->form = AUDIENCE_ARRAY;
		size = 2 * (size_t) container->cardinality;
	}
	else
	{
		container->form = AUDIENCE_BITSET;
		size = BITSET_BYTES;
	}
	if (available < size)
		return invalid(reader, "a container is cut off");
	container->data = reader->at;
	container->size = size;
	reader->at += size;
	reader->index++;
	return reader->contents ? check_contents(reader, container) : AUDIENCE_OK;
}

/*
 * audience_count_by_prefix counts the ids of an audience with one bitmap, which
 * most have, by its first bytes.  AUDIENCE_END says that *needed bytes are wanted
 * for that, or, where these are SIZE_MAX, all.
 */
AudienceStatus
audience_count_by_prefix(const uint8_t *data, size_t length, uint64_t *result, size_t *needed)
{
	AudienceReader reader;
	AudienceStatus status = audience_read(&reader, data, length, false, true);
	uint32_t	cookie;
	uint32_t	containers;
	size_t		header = HEADER_BYTES + 12;

	if (status != AUDIENCE_OK)
		return status;
	*result = 0;
	if (reader.bitmaps_left == 0)
		return AUDIENCE_OK;
	*needed = SIZE_MAX;
	if (reader.bitmaps_left != 1)
		return AUDIENCE_END;
	*needed = header;
	if (length < header)
		return AUDIENCE_END;
	cookie = get32(data + HEADER_BYTES + 4);
	if ((cookie & 0xFFFF) == COOKIE_RUNS)
	{
		containers = (cookie >> 16) + 1;
		header = HEADER_BYTES + 8 + (containers + 7) / 8;
	}
	else
	{
		containers = get32(data + HEADER_BYTES + 8);
		if (cookie != COOKIE_NO_RUNS || containers > 65536)
			return AUDIENCE_INVALID;
	}
	*needed = header + 4 * (size_t) containers;
	if (length < *needed)
		return AUDIENCE_END;
	for (uint32_t i = 0; i < containers; i++)
		*result += (uint64_t) get16(data + header + 4 * (size_t) i + 2) + 1;
	return AUDIENCE_OK;
}

/*
 * audience_runs writes the runs of a container, which are AUDIENCE_MAX_RUNS at
 * most, and returns their number.  The container must be a checked one.
 */
uint32_t
audience_runs(const AudienceContainer *container, AudienceRun *runs)
{
	const uint8_t *data = container->data;
	uint32_t	count = 0;

	switch (container->form)
	{
		case AUDIENCE_ARRAY:
			for (uint32_t i = 0; i < container->cardinality; i++)
			{
				uint16_t	number = get16(data + 2 * i);

				if (count > 0 && runs[count - 1].last + 1 == number)
					runs[count - 1].last = number;
				else
					runs[count++] = (AudienceRun){number, number};
			}
			break;

		case AUDIENCE_BITSET:
			for (uint32_t i = 0; i < BITSET_WORDS; i++)
			{
				uint64_t	word = get64(data + 8 * i);
				uint32_t	base = 64 * i;

				while (word != 0)
				{
					uint32_t	first = (uint32_t) __builtin_ctzll(word);
					uint64_t	rest = ~(word >> first);
					uint32_t	length = rest == 0 ? 64 : (uint32_t) __builtin_ctzll(rest);
					uint16_t	last = (uint16_t) (base + first + length - 1);

					if (count > 0 && runs[count - 1].last + 1u == base + first)
						runs[count - 1].last = last;
					else
						runs[count++] = (AudienceRun){(uint16_t) (base + first), last};
					if (first + length == 64)
						break;
					word &= UINT64_MAX << (first + length);
				}
			}
			break;

		case AUDIENCE_RUNS:
			for (uint32_t i = 0; i < get16(data); i++)
			{
				uint16_t	first = get16(data + 2 + 4 * i);
				uint16_t	last = (uint16_t) (first + get16(data + 4 + 4 * i));

				if (count > 0 && runs[count - 1].last + 1 == first)
					runs[count - 1].last = last;
				else
					runs[count++] = (AudienceRun){first, last};
			}
			break;
	}
	return count;
}

/*
 * audience_container_has looks a number up in a container.
 */
bool
audience_container_has(const AudienceContainer *container, uint16_t number)
{
	const uint8_t *data = container->data;
	uint32_t	low = 0;
	uint32_t	high;

	if (container->form == AUDIENCE_BITSET)
		return (data[number / 8] >> (number % 8) & 1) != 0;

	/* the last entry that does not begin behind the number */
	high = container->form == AUDIENCE_ARRAY ? container->cardinality : get16(data);
	while (low < high)
	{
		uint32_t	middle = (low + high) / 2;
		uint16_t	first = container->form == AUDIENCE_ARRAY
			? get16(data + 2 * middle)
			: get16(data + 2 + 4 * middle);

		if (first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	low--;
	if (container->form == AUDIENCE_ARRAY)
		return get16(data + 2 * low) == number;
	return (uint32_t) get16(data + 2 + 4 * low) + get16(data + 4 + 4 * low) >= number;
}

/*
 * audience_buffer_begin makes an empty buffer.
 */
void
audience_buffer_begin(AudienceBuffer *buffer, const AudienceHost *host, void *owner)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->host = host;
	buffer->owner = owner;
}

/*
 * audience_buffer_release gives the memory of a buffer back.
 */
void
audience_buffer_release(AudienceBuffer *buffer)
{
	if (buffer->data != NULL)
		buffer->host->release(buffer);
	buffer->data = NULL;
	buffer->length = 0;
	buffer->capacity = 0;
}

/*
 * audience_append adds bytes to a buffer.
 */
AudienceStatus
audience_append(AudienceBuffer *buffer, const void *data, size_t length)
{
	if (buffer->capacity - buffer->length < length &&
		!buffer->host->reserve(buffer, length))
		return AUDIENCE_OUT_OF_MEMORY;
	if (length > 0)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	return AUDIENCE_OK;
}

/*
 * audience_write_begin begins an audience at the end of the output.
 */
AudienceStatus
audience_write_begin(AudienceWriter *writer, AudienceBuffer *output)
{
	static const uint8_t header[HEADER_BYTES] = {AUDIENCE_VERSION};

	memset(writer, 0, sizeof(*writer));
	writer->output = output;
	writer->start = output->length;
	audience_buffer_begin(&writer->descriptors, output->host, output->owner);
	audience_buffer_begin(&writer->payload, output->host, output->owner);
	audience_buffer_begin(&writer->runs, output->host, output->owner);
	return audience_append(output, header, sizeof(header));
}

/*
 * finish_bitmap writes the bitmap whose containers were gathered.
 */
static AudienceStatus
finish_bitmap(AudienceWriter *writer)
{
	AudienceBuffer *output = writer->output;
	uint32_t	count = writer->containers;
	size_t		flag_bytes = writer->any_run ? (count + 7) / 8 : 0;
	bool		offsets = !writer->any_run || count >= OFFSETS_FROM;
	size_t		header = (writer->any_run ? 4 : 8) + flag_bytes +
		4 * (size_t) count * (offsets ? 2 : 1);
	size_t		needed = 4 + header + writer->payload.length;
	uint32_t	high = (uint32_t) writer->high;
	uint8_t	   *at;

	if (count == 0)
		return AUDIENCE_OK;
	if (output->capacity - output->length < needed && !output->host->reserve(output, needed))
		return AUDIENCE_OUT_OF_MEMORY;
	at = output->data + output->length;
	memcpy(at, &high, 4);
	at += 4;
	if (writer->any_run)
	{
		uint32_t	cookie = COOKIE_RUNS | ((count - 1) << 16);

		memcpy(at, &cookie, 4);
		memcpy(at + 4, writer->run_flags, flag_bytes);
		at += 4 + flag_bytes;
	}
	else
	{
		uint32_t	cookie = COOKIE_NO_RUNS;

		memcpy(at, &cookie, 4);
		memcpy(at + 4, &count, 4);
		at += 8;
	}
	/* each descriptor was gathered with the size of its container */
	for (uint32_t i = 0; i < count; i++)
		memcpy(at + 4 * (size_t) i, writer->descriptors.data + 8 * (size_t) i, 4);
	at += 4 * (size_t) count;
	if (offsets)
	{
		uint32_t	offset = (uint32_t) header;

		for (uint32_t i = 0; i < count; i++)
		{
			memcpy(at, &offset, 4);
			at += 4;
			offset += get32(writer->descriptors.data + 8 * (size_t) i + 4);
		}
	}
	memcpy(at, writer->payload.data, writer->payload.length);
	output->length += needed;

	writer->bitmaps++;
	writer->containers = 0;
	writer->any_run = false;
	writer->descriptors.length = 0;
	writer->payload.length = 0;
	return AUDIENCE_OK;
}

/*
 * begin_container notes that a container of the given form and size follows in
 * the payload, and makes room for it there.
 */
static AudienceStatus
begin_container(AudienceWriter *writer, uint64_t key, AudienceForm form,
				uint32_t cardinality, size_t size)
{
	uint32_t	descriptor[2];

	writer->output->host->poll();
	if (writer->containers > 0 && writer->high != key >> 16)
	{
		AudienceStatus status = finish_bitmap(writer);

		if (status != AUDIENCE_OK)
			return status;
	}
	if (writer->containers == 0)
		memset(writer->run_flags, 0, sizeof(writer->run_flags));
	writer->high = key >> 16;
	descriptor[0] = (uint32_t) (key & 0xFFFF) | ((cardinality - 1) << 16);
	descriptor[1] = (uint32_t) size;
	if (audience_append(&writer->descriptors, descriptor, sizeof(descriptor)) != AUDIENCE_OK)
		return AUDIENCE_OUT_OF_MEMORY;
	if (form == AUDIENCE_RUNS)
	{
		writer->run_flags[writer->containers / 8] |= (uint8_t) (1 << (writer->containers % 8));
		writer->any_run = true;
	}
	writer->containers++;
	if (writer->payload.capacity - writer->payload.length < size &&
		!writer->payload.host->reserve(&writer->payload, size))
		return AUDIENCE_OUT_OF_MEMORY;
	return AUDIENCE_OK;
}

/*
 * write_runs writes a container given by its runs, in its canonical form.
 */
static AudienceStatus
write_runs(AudienceWriter *writer, uint64_t key, const AudienceRun *runs, uint32_t count)
{
	uint32_t	cardinality = 0;
	AudienceForm form;
	AudienceStatus status;
	uint8_t	   *at;
	size_t		size;

	for (uint32_t i = 0; i < count; i++)
		cardinality += (uint32_t) runs[i].last - runs[i].first + 1;
	form = smallest_form(cardinality, count);
	size = form == AUDIENCE_RUNS ? 2 + 4 * (size_t) count : form == AUDIENCE_ARRAY ? 2 * (size_t) cardinality
																				   : BITSET_BYTES;
	status = begin_container(writer, key, form, cardinality, size);
	if (status != AUDIENCE_OK)
		return status;
	at = writer->payload.data + writer->payload.length;
	writer->payload.length += size;

	switch (form)
	{
		case AUDIENCE_RUNS:
		{
			uint16_t	number = (uint16_t) count;

			memcpy(at, &number, 2);
			at += 2;
			for (uint32_t i = 0; i < count; i++)
			{
				uint16_t	pair[2] = {runs[i].first, (uint16_t) (runs[i].last - runs[i].first)};

				memcpy(at, pair, 4);
				at += 4;
			}
			break;
		}

		case AUDIENCE_ARRAY:
			for (uint32_t i = 0; i < count; i++)
			{
				for (uint32_t number = runs[i].first; number <= runs[i].last; number++)
				{
					uint16_t	entry = (uint16_t) number;

					memcpy(at, &entry, 2);
					at += 2;
				}
			}
			break;

		case AUDIENCE_BITSET:
			memset(at, 0, BITSET_BYTES);
			for (uint32_t i = 0; i < count; i++)
			{
				uint32_t	number = runs[i].first;
				uint32_t	end = (uint32_t) runs[i].last + 1;

				for (; number < end && number % 8 != 0; number++)
					at[number / 8] |= (uint8_t) (1 << (number % 8));
				for (; number + 8 <= end; number += 8)
					at[number / 8] = 0xFF;
				for (; number < end; number++)
					at[number / 8] |= (uint8_t) (1 << (number % 8));
			}
			break;
	}
	return AUDIENCE_OK;
}

/*
 * finish_runs writes the container that intervals were gathered for.
 */
static AudienceStatus
finish_runs(AudienceWriter *writer)
{
	uint32_t	count = (uint32_t) (writer->runs.length / sizeof(AudienceRun));

	if (count == 0)
		return AUDIENCE_OK;
	writer->runs.length = 0;
	return write_runs(writer, writer->runs_key, (const AudienceRun *) writer->runs.data, count);
}

/*
 * audience_write_container writes a container, which must have a greater key
 * than all that was written before; it need not be in canonical form.
 */
AudienceStatus
audience_write_container(AudienceWriter *writer, const AudienceContainer *container,
						 bool canonical)
{
	AudienceStatus status = finish_runs(writer);
	uint32_t	cardinality = container->cardinality;
	uint32_t	runs;

	if (status != AUDIENCE_OK)
		return status;
	if (!canonical)
	{
		if (container->form == AUDIENCE_ARRAY)
			runs = count_array_runs(container->data, cardinality);
		else if (container->form == AUDIENCE_BITSET)
			runs = count_bitset_runs(container->data, &cardinality);
		else
			runs = 0;
		canonical = container->form != AUDIENCE_RUNS &&
			smallest_form(cardinality, runs) == container->form;
	}
	if (!canonical)
	{
		size_t		room = AUDIENCE_MAX_RUNS * sizeof(AudienceRun);

		if (writer->runs.capacity < room && !writer->runs.host->reserve(&writer->runs, room))
			return AUDIENCE_OUT_OF_MEMORY;
		runs = audience_runs(container, (AudienceRun *) writer->runs.data);
		return write_runs(writer, container->key, (const AudienceRun *) writer->runs.data, runs);
	}
	status = begin_container(writer, container->key, container->form, cardinality, container->size);
	if (status == AUDIENCE_OK)
	{
		memcpy(writer->payload.data + writer->payload.length, container->data, container->size);
		writer->payload.length += container->size;
	}
	return status;
}

/*
 * audience_write_interval writes the ids from first to last, all of them greater
 * than what was written before.
 */
AudienceStatus
audience_write_interval(AudienceWriter *writer, uint64_t first, uint64_t last)
{
	for (;;)
	{
		uint64_t	key = first >> 16;
		uint64_t	end = last >> 16 == key ? last : key << 16 | 0xFFFF;
		size_t		count = writer->runs.length / sizeof(AudienceRun);
		AudienceRun *runs = (AudienceRun *) writer->runs.data;

		if (count > 0 && writer->runs_key != key)
		{
			AudienceStatus status = finish_runs(writer);

			if (status != AUDIENCE_OK)
				return status;
			count = 0;
		}
		writer->runs_key = key;
		if (count > 0 && runs[count - 1].last + 1u == (first & 0xFFFF))
			runs[count - 1].last = (uint16_t) end;
		else
		{
			AudienceRun run = {(uint16_t) first, (uint16_t) end};

			if (audience_append(&writer->runs, &run, sizeof(run)) != AUDIENCE_OK)
				return AUDIENCE_OUT_OF_MEMORY;
		}
		if (end == last)
			return AUDIENCE_OK;
		first = end + 1;
	}
}

/*
 * audience_write_finish completes the audience.
 */
AudienceStatus
audience_write_finish(AudienceWriter *writer)
{
	AudienceStatus status = finish_runs(writer);

	if (status == AUDIENCE_OK)
		status = finish_bitmap(writer);
	if (status == AUDIENCE_OK)
		memcpy(writer->output->data + writer->start + 1, &writer->bitmaps, 8);
	return status;
}

/*
 * audience_write_release gives back what the writer needed besides its output;
 * it may be called at any time after audience_write_begin.
 */
void
audience_write_release(AudienceWriter *writer)
{
	audience_buffer_release(&writer->descriptors);
	audience_buffer_release(&writer->payload);
	audience_buffer_release(&writer->runs);
}
