/*
 * audience_set.c
 *		Building audiences from ids in any order, and their text form.
 *
 * Part of the core that needs no server.
 */
#include "segment/audience_core.h"

#include <string.h>

/* Ids wait until they take as much memory as the compressed ones, within this. */
#define WAITING_MIN				8192
#define WAITING_MAX				(1024 * 1024)

/*
 * audience_set_begin makes an empty set, whose memory is that of the host.
 */
void
audience_set_begin(AudienceSet *set, const AudienceHost *host, void *owner)
{
	audience_buffer_begin(&set->bytes, host, owner);
	audience_buffer_begin(&set->waiting, host, owner);
}

/*
 * sort_ids sorts by radix, leaving out the bytes that all ids share.  The ids
 * come back in one of the two arrays, which is returned.
 */
static uint64_t *
sort_ids(uint64_t *ids, uint64_t *other, size_t count)
{
	uint64_t	any = 0;
	bool		sorted = true;

	for (size_t i = 1; i < count; i++)
	{
		any |= ids[i] ^ ids[0];
		sorted = sorted && ids[i - 1] <= ids[i];
	}
	if (sorted)
		return ids;
	for (int shift = 0; shift < 64; shift += 8)
	{
		size_t		places[256] = {0};
		size_t		place = 0;
		uint64_t   *swap = ids;

		if ((any >> shift & 0xFF) == 0)
			continue;
		for (size_t i = 0; i < count; i++)
			places[ids[i] >> shift & 0xFF]++;
		for (int i = 0; i < 256; i++)
		{
			size_t		size = places[i];

			places[i] = place;
			place += size;
		}
		for (size_t i = 0; i < count; i++)
			other[places[ids[i] >> shift & 0xFF]++] = ids[i];
		ids = other;
		other = swap;
	}
	return ids;
}

/*
 * set_union adds an audience, of the same host, to the compressed bytes.
 */
static AudienceStatus
set_union(AudienceSet *set, AudienceBytes audience, const char **problem)
{
	AudienceBuffer result;
	AudienceStatus status;

	audience_buffer_begin(&result, set->bytes.host, set->bytes.owner);
	status = audience_combine(AUDIENCE_OR, (AudienceBytes){set->bytes.data, set->bytes.length},
							  audience, &result, problem);
	if (status != AUDIENCE_OK)
	{
		audience_buffer_release(&result);
		return status;
	}
	audience_buffer_release(&set->bytes);
	set->bytes = result;
	return AUDIENCE_OK;
}

/*
 * audience_set_finish brings all ids into set->bytes, which are an audience then.
 * More can be added afterwards.
 */
AudienceStatus
audience_set_finish(AudienceSet *set)
{
	size_t		count = set->waiting.length / sizeof(uint64_t);
	size_t		room = set->waiting.length;
	AudienceBuffer other;
	AudienceBuffer written;
	AudienceWriter writer;
	AudienceStatus status;
	uint64_t   *ids;

	if (count == 0 && set->bytes.length > 0)
		return AUDIENCE_OK;
	audience_buffer_begin(&other, set->bytes.host, set->bytes.owner);
	audience_buffer_begin(&written, set->bytes.host, set->bytes.owner);
	if (room > 0 && !other.host->reserve(&other, room))
		return AUDIENCE_OUT_OF_MEMORY;
	ids = sort_ids((uint64_t *) set->waiting.data, (uint64_t *) other.data, count);

	status = audience_write_begin(&writer, &written);
	for (size_t i = 0; i < count && status == AUDIENCE_OK; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			status = audience_write_interval(&writer, ids[i], ids[i]);
	if (status == AUDIENCE_OK)
		status = audience_write_finish(&writer);
	audience_write_release(&writer);
	audience_buffer_release(&other);
	if (status == AUDIENCE_OK)
	{
		set->waiting.length = 0;
		if (set->bytes.length == 0)
		{
			audience_buffer_release(&set->bytes);
			set->bytes = written;
			return AUDIENCE_OK;
		}
		else
		{
			const char *problem;

			status = set_union(set, (AudienceBytes){written.data, written.length}, &problem);
		}
	}
	audience_buffer_release(&written);
	return status;
}

/*
 * audience_set_add adds an id, which must not exceed AUDIENCE_MAX_ID.
 */
AudienceStatus
audience_set_add(AudienceSet *set, uint64_t id)
{
	if (set->waiting.length == set->waiting.capacity)
	{
		size_t		limit = set->bytes.length / sizeof(uint64_t);

		if (limit < WAITING_MIN)
			limit = WAITING_MIN;
		if (limit > WAITING_MAX)
			limit = WAITING_MAX;
		if (set->waiting.length / sizeof(uint64_t) >= limit)
		{
			AudienceStatus status = audience_set_finish(set);

			if (status != AUDIENCE_OK)
				return status;
		}
	}
	return audience_append(&set->waiting, &id, sizeof(id));
}

/*
 * audience_set_add_all adds an audience.
 */
AudienceStatus
audience_set_add_all(AudienceSet *set, AudienceBytes audience, const char **problem)
{
	uint64_t	cardinality;
	AudienceStatus status = audience_cardinality(audience, &cardinality, problem);

	if (status != AUDIENCE_OK)
		return status;
	*problem = "CRoaring failed";
	if (set->bytes.length == 0)
	{
		status = audience_set_finish(set);
		if (status != AUDIENCE_OK)
			return status;
	}
	if (cardinality < 64 && audience.length * 16 < set->bytes.length)
	{
		/* few ids wait, rather than that all others are copied for them */
		AudienceReader reader;
		AudienceContainer container;
		AudienceRun runs[64];

		status = audience_read(&reader, audience.data, audience.length, true, true);
		while (status == AUDIENCE_OK)
		{
			uint32_t	count;

			status = audience_next(&reader, &container);
			count = status == AUDIENCE_OK ? audience_runs(&container, runs) : 0;
			for (uint32_t i = 0; i < count && status == AUDIENCE_OK; i++)
				for (uint32_t number = runs[i].first;
					 number <= runs[i].last && status == AUDIENCE_OK; number++)
					status = audience_set_add(set, container.key << 16 | number);
		}
		if (status == AUDIENCE_INVALID)
			*problem = reader.problem;
		return status == AUDIENCE_END ? AUDIENCE_OK : status;
	}
	return set_union(set, audience, problem);
}

/*
 * White space in the text form is that of ASCII.
 */
static const char *
skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
		at++;
	return at;
}

/*
 * read_id reads an id, and returns NULL with the status set where there is none.
 */
static const char *
read_id(const char *at, const char *end, uint64_t *id, AudienceStatus *status)
{
	const char *start = at;
	bool		negative = false;

	if (at < end && *at == '-')
	{
		negative = true;
		start = ++at;
	}
	*id = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
	{
		uint64_t	digit = (uint64_t) (*at - '0');

		if (*id > (AUDIENCE_MAX_ID - digit) / 10)
		{
			*status = AUDIENCE_OUT_OF_RANGE;
			return NULL;
		}
		*id = *id * 10 + digit;
	}
	if (at == start || (negative && *id != 0))
	{
		*status = at == start ? AUDIENCE_INVALID : AUDIENCE_OUT_OF_RANGE;
		return NULL;
	}
	return at;
}

/*
 * While ids come in increasing order they are written at once; from the first
 * that does not on they go through a set.
 */
typedef struct Parser
{
	AudienceSet set;
	AudienceBuffer *output;
	size_t		start;			/* of the audience in the output */
	AudienceWriter writer;
	bool		in_order;
	bool		any;
	uint64_t	last;
} Parser;

/*
 * leave_order ends the writing of what came in order, and begins the set.
 */
static AudienceStatus
leave_order(Parser *parser)
{
	AudienceStatus status = audience_write_finish(&parser->writer);

	audience_write_release(&parser->writer);
	parser->in_order = false;
	if (status == AUDIENCE_OK)
		status = audience_append(&parser->set.bytes, parser->output->data + parser->start,
								 parser->output->length - parser->start);
	parser->output->length = parser->start;
	return status;
}

static AudienceStatus
add_interval(Parser *parser, uint64_t first, uint64_t last)
{
	AudienceStatus status = AUDIENCE_OK;

	if (parser->in_order && parser->any && first <= parser->last)
		status = leave_order(parser);
	if (status != AUDIENCE_OK)
		return status;
	parser->any = true;
	parser->last = last;
	if (parser->in_order)
		return audience_write_interval(&parser->writer, first, last);

	if (last - first < AUDIENCE_CONTAINER_IDS)
	{
		for (uint64_t id = first; id <= last && status == AUDIENCE_OK; id++)
			status = audience_set_add(&parser->set, id);
	}
	else
	{
		AudienceBuffer written;
		const char *problem;

		audience_buffer_begin(&written, parser->output->host, parser->output->owner);
		status = audience_write_begin(&parser->writer, &written);
		if (status == AUDIENCE_OK)
			status = audience_write_interval(&parser->writer, first, last);
		if (status == AUDIENCE_OK)
			status = audience_write_finish(&parser->writer);
		audience_write_release(&parser->writer);
		if (status == AUDIENCE_OK)
			status = set_union(&parser->set, (AudienceBytes){written.data, written.length}, &problem);
		audience_buffer_release(&written);
	}
	return status;
}

/*
 * parse_items reads what is between the braces.
 */
static AudienceStatus
parse_items(const char *at, const char *end, Parser *parser, const char **problem)
{
	AudienceStatus status = AUDIENCE_OK;

	*problem = "An audience is written as ids and ranges of ids in braces, as in {1,2,5-9}.";
	if (at == end || *at++ != '{')
		return AUDIENCE_INVALID;
	at = skip_space(at, end);
	if (at == end || *at != '}')
	{
		for (;;)
		{
			uint64_t	first;
			uint64_t	last;

			at = read_id(skip_space(at, end), end, &first, &status);
			if (at == NULL)
				return status;
			at = skip_space(at, end);
			last = first;
			if (at < end && *at == '-')
			{
				at = read_id(skip_space(at + 1, end), end, &last, &status);
				if (at == NULL)
					return status;
				if (last < first)
				{
					*problem = "The first id of a range must not be greater than the last one.";
					return AUDIENCE_INVALID;
				}
				at = skip_space(at, end);
			}
			status = add_interval(parser, first, last);
			if (status != AUDIENCE_OK)
				return status;
			if (at == end)
				return AUDIENCE_INVALID;
			if (*at == '}')
				break;
			if (*at++ != ',')
				return AUDIENCE_INVALID;
		}
	}
	at = skip_space(at + 1, end);
	return at == end ? AUDIENCE_OK : AUDIENCE_INVALID;
}

/*
 * audience_parse reads the text form: ids and ranges in any order.  After
 * AUDIENCE_INVALID the problem is a sentence.
 */
AudienceStatus
audience_parse(const char *text, size_t length, AudienceBuffer *output, const char **problem)
{
	const char *end = text + length;
	Parser		parser;
	AudienceStatus status;

	memset(&parser, 0, sizeof(parser));
	parser.output = output;
	parser.start = output->length;
	parser.in_order = true;
	audience_set_begin(&parser.set, output->host, output->owner);
	status = audience_write_begin(&parser.writer, output);
	if (status == AUDIENCE_OK)
		status = parse_items(skip_space(text, end), end, &parser, problem);
	if (parser.in_order)
	{
		if (status == AUDIENCE_OK)
			status = audience_write_finish(&parser.writer);
		audience_write_release(&parser.writer);
	}
	else if (status == AUDIENCE_OK)
	{
		status = audience_set_finish(&parser.set);
		if (status == AUDIENCE_OK)
			status = audience_append(output, parser.set.bytes.data, parser.set.bytes.length);
	}
	audience_buffer_release(&parser.set.bytes);
	audience_buffer_release(&parser.set.waiting);
	return status;
}

/*
 * print_interval appends one id, two, or a range.
 */
static AudienceStatus
print_interval(AudienceBuffer *output, uint64_t first, uint64_t last, bool comma)
{
	char		text[2 * 20 + 2];
	char	   *at = text + sizeof(text);

	for (;;)
	{
		uint64_t	rest = last;

		do
		{
			*--at = (char) ('0' + rest % 10);
			rest /= 10;
		} while (rest > 0);
		if (first == last)
			break;
		*--at = last - first == 1 ? ',' : '-';
		last = first;
	}
	if (comma)
		*--at = ',';
	return audience_append(output, at, (size_t) (text + sizeof(text) - at));
}

/*
 * audience_print appends the text form, in which three ids or more in a row are a
 * range.
 */
AudienceStatus
audience_print(AudienceBytes audience, AudienceBuffer *output, const char **problem)
{
	AudienceReader reader;
	AudienceContainer container;
	AudienceBuffer room;
	AudienceRun *runs;
	AudienceStatus status;
	bool		any = false;
	bool		comma = false;
	uint64_t	first = 0;
	uint64_t	last = 0;

	status = audience_read(&reader, audience.data, audience.length, true, true);
	*problem = reader.problem;
	if (status != AUDIENCE_OK)
		return status;
	audience_buffer_begin(&room, output->host, output->owner);
	if (!room.host->reserve(&room, AUDIENCE_MAX_RUNS * sizeof(AudienceRun)))
		return AUDIENCE_OUT_OF_MEMORY;
	runs = (AudienceRun *) room.data;
	status = audience_append(output, "{", 1);
	while (status == AUDIENCE_OK)
	{
		uint32_t	count;

		output->host->poll();
		status = audience_next(&reader, &container);
		count = status == AUDIENCE_OK ? audience_runs(&container, runs) : 0;
		for (uint32_t i = 0; i < count && status == AUDIENCE_OK; i++)
		{
			uint64_t	start = container.key << 16 | runs[i].first;

			if (any && start == last + 1)
				last = container.key << 16 | runs[i].last;
			else
			{
				if (any)
				{
					status = print_interval(output, first, last, comma);
					comma = true;
				}
				any = true;
				first = start;
				last = container.key << 16 | runs[i].last;
			}
		}
	}
	*problem = reader.problem;
	if (status == AUDIENCE_END)
		status = any ? print_interval(output, first, last, comma) : AUDIENCE_OK;
	if (status == AUDIENCE_OK)
		status = audience_append(output, "}", 1);
	audience_buffer_release(&room);
	return status;
}
