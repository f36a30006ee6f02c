/*
 * survivorship.c
 *		The type cdp.survivorship: which value of a trait wins, as JSON such as
 *		{"default": {"policy": "last"}, "traits": {"email": {"policy": "first"}}}.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "profile/profile_host.h"
#include "profile/survivorship.h"

PG_FUNCTION_INFO_V1(cdp_survivorship_in);
PG_FUNCTION_INFO_V1(cdp_survivorship_out);
PG_FUNCTION_INFO_V1(cdp_survivorship_recv);
PG_FUNCTION_INFO_V1(cdp_survivorship_send);
PG_FUNCTION_INFO_V1(cdp_survivorship_from_jsonb);
PG_FUNCTION_INFO_V1(cdp_survivorship_to_jsonb);
PG_FUNCTION_INFO_V1(cdp_survivorship_eq);
PG_FUNCTION_INFO_V1(cdp_survivorship_ne);

/* Version of the binary form for clients, which is this byte and the text form. */
#define WIRE_VERSION	1

const Survivorship cdp_survivorship_last = {.fallback = {.policy = SURVIVORSHIP_LAST}};

/*
 * invalid notes or raises an error about what a survivorship says; "trait" may
 * be NULL.  It returns false.
 */
static bool
invalid(struct Node *escontext, const char *trait, const char *problem)
{
	cdp_errsave(escontext,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type cdp.survivorship"),
				 trait == NULL ? errdetail("Within it %s.", problem) : errdetail("For trait \"%s\": %s.", trait, problem),
				 errhint("An example is {\"default\": {\"policy\": \"last\"}, \"traits\": {\"email\": {\"policy\": \"priority\", \"sources\": [\"crm\", \"shop\"], \"ignore_empty\": true}}}; the other policies are first, most_frequent, min, max and longest.")));
	return false;
}

static bool
is_string(const JsonbValue *value, const char *string)
{
	return value->type == jbvString && (size_t) value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, strlen(string)) == 0;
}

static bool
read_policy(const JsonbValue *value, SurvivorshipPolicy *policy)
{
	for (int i = 0; i < SURVIVORSHIP_POLICIES; i++)
	{
		if (is_string(value, survivorship_policy_name((SurvivorshipPolicy) i)))
		{
			*policy = (SurvivorshipPolicy) i;
			return true;
		}
	}
	return false;
}

static int
compare_names(const void *a, const void *b)
{
	const SurvivorshipName *left = a;
	const SurvivorshipName *right = b;

	return profile_compare_names(left->text, left->length, right->text, right->length);
}

/*
 * read_sources reads the array of a rule's sources.
 */
static bool
read_sources(const JsonbValue *value, SurvivorshipRule *rule, struct Node *escontext,
			 const char *trait)
{
	JsonbContainer *array;
	SurvivorshipName *sorted;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return invalid(escontext, trait, "\"sources\" is not an array of strings");
	array = value->val.binary.data;
	rule->source_count = JsonContainerSize(array);
	rule->sources = cdp_palloc_array(SurvivorshipName, add_size(rule->source_count, 1));
	for (uint32 i = 0; i < rule->source_count; i++)
	{
		JsonbValue *source = getIthJsonbValueFromContainer(array, i);

		if (source->type != jbvString)
			return invalid(escontext, trait, "\"sources\" is not an array of strings");
		rule->sources[i].text = source->val.string.val;
		rule->sources[i].length = (uint32_t) source->val.string.len;
	}
	sorted = cdp_palloc_array(SurvivorshipName, add_size(rule->source_count, 1));
	memcpy(sorted, rule->sources, sizeof(SurvivorshipName) * rule->source_count);
	qsort(sorted, rule->source_count, sizeof(SurvivorshipName), compare_names);
	for (uint32 i = 1; i < rule->source_count; i++)
	{
		if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
			return invalid(escontext, trait, "\"sources\" has a source twice");
	}
	return true;
}

/*
 * read_rule reads a rule: an object, or the name of a policy alone.
 */
static bool
read_rule(JsonbValue *value, SurvivorshipRule *rule, struct Node *escontext, const char *trait)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	member;
	bool		has_policy = false;

	memset(rule, 0, sizeof(SurvivorshipRule));
	if (value->type == jbvString)
	{
		has_policy = true;
		if (!read_policy(value, &rule->policy))
			return invalid(escontext, trait, "the policy is unknown");
	}
	else if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return invalid(escontext, trait, "a rule is neither an object nor the name of a policy");
	else
	{
		iterator = JsonbIteratorInit(value->val.binary.data);
		while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
		{
			if (token != WJB_KEY)
				continue;
			JsonbIteratorNext(&iterator, &member, true);
			if (is_string(&key, "policy"))
			{
				has_policy = true;
				if (!read_policy(&member, &rule->policy))
					return invalid(escontext, trait, "the policy is unknown");
			}
			else if (is_string(&key, "ignore_empty"))
			{
				if (member.type != jbvBool)
					return invalid(escontext, trait, "\"ignore_empty\" is neither true nor false");
				rule->ignore_empty = member.val.boolean;
			}
			else if (is_string(&key, "sources"))
			{
				if (!read_sources(&member, rule, escontext, trait))
					return false;
			}
			else
				return invalid(escontext, trait, "a rule has a key other than \"policy\", \"sources\" and \"ignore_empty\"");
		}
	}
	if (!has_policy)
		return invalid(escontext, trait, "a rule has no \"policy\"");
	if (rule->policy == SURVIVORSHIP_PRIORITY && rule->source_count == 0)
		return invalid(escontext, trait, "the policy \"priority\" has no \"sources\"");
	if (rule->policy != SURVIVORSHIP_PRIORITY && rule->sources != NULL)
		return invalid(escontext, trait, "\"sources\" is there, but the policy is not \"priority\"");
	return true;
}

static int
compare_members(const void *a, const void *b)
{
	const JsonbValue *left = a;
	const JsonbValue *right = b;

	return profile_compare_names(left[0].val.string.val, (size_t) left[0].val.string.len,
								 right[0].val.string.val, (size_t) right[0].val.string.len);
}

/*
 * read_traits reads the object with a rule for each trait.
 */
static bool
read_traits(const JsonbValue *value, Survivorship *survivorship, struct Node *escontext)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue *members;
	uint32		count = 0;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return invalid(escontext, NULL, "\"traits\" is not an object");
	/* the name and the rule of each trait, sorted by the name's bytes */
	members = cdp_palloc_array(JsonbValue, add_size(mul_size(2, JsonContainerSize(value->val.binary.data)), 1));
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		members[2 * count] = key;
		JsonbIteratorNext(&iterator, &members[2 * count + 1], true);
		count++;
	}
	qsort(members, count, 2 * sizeof(JsonbValue), compare_members);
	survivorship->trait_count = count;
	survivorship->traits = cdp_palloc_array(SurvivorshipName, add_size(count, 1));
	survivorship->rules = cdp_palloc_array(SurvivorshipRule, add_size(count, 1));
	for (uint32 i = 0; i < count; i++)
	{
		const JsonbValue *name = &members[2 * i];

		survivorship->traits[i].text = name->val.string.val;
		survivorship->traits[i].length = (uint32_t) name->val.string.len;
		if (!read_rule(&members[2 * i + 1], &survivorship->rules[i], escontext,
					   pnstrdup(name->val.string.val, name->val.string.len)))
			return false;
	}
	return true;
}

/*
 * from_jsonb makes a survivorship; NULL where a soft error was noted.
 */
static bytea *
from_jsonb(Jsonb *jsonb, struct Node *escontext)
{
	Survivorship survivorship = cdp_survivorship_last;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	member;
	ProfileServerHost host;
	ProfileBuffer buffer;

	if (JsonbExtractScalar(&jsonb->root, &member))
	{
		if (!read_rule(&member, &survivorship.fallback, escontext, NULL))
			return NULL;
	}
	else if (!JB_ROOT_IS_OBJECT(jsonb))
	{
		invalid(escontext, NULL, "there is no object");
		return NULL;
	}
	else
	{
		iterator = JsonbIteratorInit(&jsonb->root);
		while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
		{
			if (token != WJB_KEY)
				continue;
			JsonbIteratorNext(&iterator, &member, true);
			if (is_string(&key, "default"))
			{
				if (!read_rule(&member, &survivorship.fallback, escontext, NULL))
					return NULL;
			}
			else if (is_string(&key, "traits"))
			{
				if (!read_traits(&member, &survivorship, escontext))
					return NULL;
			}
			else
			{
				invalid(escontext, NULL, "a key is neither \"default\" nor \"traits\"");
				return NULL;
			}
		}
	}
	cdp_profile_host_init(&host);
	buffer = (ProfileBuffer){.host = &host.host};
	if (!survivorship_write(&buffer, &survivorship))
		cdp_profile_host_error(&host, "cdp.survivorship", NULL, 0);
	return (bytea *) cstring_to_text_with_len(buffer.data, (int) buffer.length);
}

/*
 * parse makes a survivorship of its text form; NULL where a soft error was
 * noted.
 */
static bytea *
parse(char *input, struct Node *escontext)
{
	Datum		jsonb;

	if (!cdp_input_call(jsonb_in, input, escontext, &jsonb))
		return NULL;
	return from_jsonb(DatumGetJsonbP(jsonb), escontext);
}

/*
 * unpack reads a stored survivorship, which must stay where it is.
 */
static void
unpack(const bytea *stored, Survivorship *survivorship)
{
	ProfileServerHost host;

	cdp_profile_host_init(&host);
	if (!survivorship_read(&host.host, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored), survivorship))
		cdp_profile_host_error(&host, "cdp.survivorship", NULL, 0);
}

static void
append(ProfileBuffer *buffer, const char *string)
{
	if (!profile_buffer_append(buffer, string, strlen(string)))
		cdp_profile_host_error((ProfileServerHost *) buffer->host, "cdp.survivorship", NULL, 0);
}

static void
append_string(ProfileBuffer *buffer, const SurvivorshipName *name)
{
	if (!profile_write_string(buffer, name->text, name->length))
		cdp_profile_host_error((ProfileServerHost *) buffer->host, "cdp.survivorship", NULL, 0);
}

static void
write_rule(ProfileBuffer *buffer, const SurvivorshipRule *rule)
{
	append(buffer, "{\"policy\": \"");
	append(buffer, survivorship_policy_name(rule->policy));
	append(buffer, "\"");
	for (uint32 i = 0; i < rule->source_count; i++)
	{
		append(buffer, i == 0 ? ", \"sources\": [" : ", ");
		append_string(buffer, &rule->sources[i]);
	}
	if (rule->source_count > 0)
		append(buffer, "]");
	if (rule->ignore_empty)
		append(buffer, ", \"ignore_empty\": true");
	append(buffer, "}");
}

/*
 * to_text writes the text form, with a zero at its end.
 */
static char *
to_text(const bytea *stored)
{
	Survivorship survivorship;
	ProfileServerHost host;
	ProfileBuffer buffer;

	unpack(stored, &survivorship);
	cdp_profile_host_init(&host);
	buffer = (ProfileBuffer){.host = &host.host};
	append(&buffer, "{\"default\": ");
	write_rule(&buffer, &survivorship.fallback);
	for (uint32 i = 0; i < survivorship.trait_count; i++)
	{
		append(&buffer, i == 0 ? ", \"traits\": {" : ", ");
		append_string(&buffer, &survivorship.traits[i]);
		append(&buffer, ": ");
		write_rule(&buffer, &survivorship.rules[i]);
	}
	append(&buffer, survivorship.trait_count > 0 ? "}}" : "}");
	if (!profile_buffer_append(&buffer, "", 1))
		cdp_profile_host_error(&host, "cdp.survivorship", NULL, 0);
	return buffer.data;
}

/*
 * cdp.survivorship_in(cstring) returns cdp.survivorship
 */
Datum
cdp_survivorship_in(PG_FUNCTION_ARGS)
{
	bytea	   *result = parse(PG_GETARG_CSTRING(0), (struct Node *) fcinfo->context);

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

/*
 * cdp.survivorship_out(cdp.survivorship) returns cstring
 */
Datum
cdp_survivorship_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(to_text(PG_GETARG_BYTEA_PP(0)));
}

/*
 * cdp.survivorship_recv(internal) returns cdp.survivorship
 */
Datum
cdp_survivorship_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(message);
	int			length;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version %d of the binary form of type cdp.survivorship", version)));
	PG_RETURN_BYTEA_P(parse(pq_getmsgtext(message, message->len - message->cursor, &length), NULL));
}

/*
 * cdp.survivorship_send(cdp.survivorship) returns bytea
 */
Datum
cdp_survivorship_send(PG_FUNCTION_ARGS)
{
	char	   *string = to_text(PG_GETARG_BYTEA_PP(0));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbyte(&message, WIRE_VERSION);
	pq_sendtext(&message, string, (int) strlen(string));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * cdp.survivorship_from_jsonb(jsonb) returns cdp.survivorship
 */
Datum
cdp_survivorship_from_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(from_jsonb(PG_GETARG_JSONB_P(0), NULL));
}

/*
 * cdp.survivorship_to_jsonb(cdp.survivorship) returns jsonb
 */
Datum
cdp_survivorship_to_jsonb(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(to_text(PG_GETARG_BYTEA_PP(0))));
}

/*
 * The stored form of a survivorship is the only one of what it says (traits are
 * sorted), so it is compared and hashed as bytes.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	bytea	   *a = PG_GETARG_BYTEA_PP(0);
	bytea	   *b = PG_GETARG_BYTEA_PP(1);
	int			result = profile_compare_names(VARDATA_ANY(a), VARSIZE_ANY_EXHDR(a),
									   VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b));

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result < 0 ? -1 : result > 0;
}

/*
 * cdp.survivorship_eq(cdp.survivorship, cdp.survivorship) returns boolean
 */
Datum
cdp_survivorship_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

/*
 * cdp.survivorship_ne(cdp.survivorship, cdp.survivorship) returns boolean
 */
Datum
cdp_survivorship_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

/*
 * cdp_survivorship_argument returns the rules of an argument, which is not NULL.
 * They are kept from call to call, since they seldom change.
 */
const Survivorship *
cdp_survivorship_argument(FunctionCallInfo fcinfo, int argument)
{
	struct
	{
		Survivorship survivorship;
		MemoryContext context;
		bytea	   *stored;
	} *known = fcinfo->flinfo->fn_extra;
	bytea	   *stored = PG_GETARG_BYTEA_PP(argument);
	Size		size = VARSIZE_ANY(stored);
	MemoryContext old;

	if (known != NULL && known->stored != NULL && VARSIZE_ANY(known->stored) == size &&
		memcmp(known->stored, stored, size) == 0)
		return &known->survivorship;
	if (known == NULL)
	{
		known = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(*known));
		known->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "cdp survivorship",
											   ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = known;
	}
	known->stored = NULL;
	MemoryContextReset(known->context);
	old = MemoryContextSwitchTo(known->context);
	{
		bytea	   *copy = palloc(size);

		memcpy(copy, stored, size);
		unpack(copy, &known->survivorship);
		known->stored = copy;
	}
	MemoryContextSwitchTo(old);
	return &known->survivorship;
}
