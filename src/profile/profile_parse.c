/*
 * profile_parse.c
 *		Reading the text form of a profile, which is JSON.
 *
 * Each trait has an array of candidates, or a single one, or (as shorthand) a
 * bare value.  A candidate is an object with the key "value" and perhaps "type",
 * "source", "record" and "observed_at".  The form is described in
 * docs/profile.md.  Arrays and objects that are values are handed to the host,
 * which checks them.  No server here: see profile_core.h.
 */
#include "profile/profile_core.h"

#include <string.h>

typedef struct Parser
{
	ProfileBuilder *builder;
	ProfileHost *host;
	const char *start;
	const char *next;
	const char *end;
	uint32_t	steps;
} Parser;

/* A string of the input, its escapes resolved. */
typedef struct String
{
	const char *text;
	size_t		length;
} String;

/* A value of the input, before its type is known. */
typedef enum TokenKind
{
	TOKEN_NULL,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_NESTED				/* an array or an object */
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	String		text;
	const char *place;
} Token;

static bool
fail_at(Parser *parser, const char *place, ProfileStatus status, const char *problem)
{
	return profile_fail(parser->host, status, problem, (size_t) (place - parser->start));
}

static bool
syntax_error(Parser *parser, const char *problem)
{
	return fail_at(parser, parser->next, PROFILE_SYNTAX, problem);
}

static void
skip_white_space(Parser *parser)
{
	while (parser->next < parser->end &&
		   (*parser->next == ' ' || *parser->next == '\t' ||
			*parser->next == '\n' || *parser->next == '\r'))
		parser->next++;
}

/*
 * accept skips white space and then the character, if it is there.
 */
static bool
accept(Parser *parser, char character)
{
	skip_white_space(parser);
	if (parser->next == parser->end || *parser->next != character)
		return false;
	parser->next++;
	return true;
}

/*
 * read_hex reads the four digits of an escape.
 */
static bool
read_hex(Parser *parser, uint32_t *number)
{
	*number = 0;
	for (int i = 0; i < 4; i++)
	{
		char		digit;

		if (parser->next == parser->end)
			return syntax_error(parser, "a string does not end");
		digit = *parser->next;
		*number <<= 4;
		if (digit >= '0' && digit <= '9')
			*number |= (uint32_t) (digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			*number |= (uint32_t) (digit - 'a' + 10);
		else if (digit >= 'A' && digit <= 'F')
			*number |= (uint32_t) (digit - 'A' + 10);
		else
			return syntax_error(parser, "\\u is not followed by four hexadecimal digits");
		parser->next++;
	}
	return true;
}

/*
 * read_escape reads what follows a backslash.
 */
static bool
read_escape(Parser *parser, ProfileBuffer *buffer)
{
	const char *place = parser->next - 1;
	char		character;
	uint32_t	number;
	char		encoded[16];
	size_t		length;

	if (parser->next == parser->end)
		return syntax_error(parser, "a string does not end");
	character = *parser->next++;
	switch (character)
	{
		case '"':
		case '\\':
		case '/':
			break;
		case 'b':
			character = '\b';
			break;
		case 'f':
			character = '\f';
			break;
		case 'n':
			character = '\n';
			break;
		case 'r':
			character = '\r';
			break;
		case 't':
			character = '\t';
			break;
		case 'u':
			if (!read_hex(parser, &number))
				return false;
			if (number >= 0xD800 && number < 0xDC00)
			{
				uint32_t	low;

				if (parser->end - parser->next < 2 || parser->next[0] != '\\' || parser->next[1] != 'u')
					return fail_at(parser, place, PROFILE_SYNTAX, "half of a surrogate pair is missing");
				parser->next += 2;
				if (!read_hex(parser, &low))
					return false;
				if (low < 0xDC00 || low >= 0xE000)
					return fail_at(parser, place, PROFILE_SYNTAX, "half of a surrogate pair is missing");
				number = 0x10000 + ((number - 0xD800) << 10) + (low - 0xDC00);
			}
			else if (number >= 0xDC00 && number < 0xE000)
				return fail_at(parser, place, PROFILE_SYNTAX, "half of a surrogate pair is missing");
			if (number == 0)
				return fail_at(parser, place, PROFILE_SYNTAX, "\\u0000 cannot be stored");
			if (number < 0x80)
			{
				character = (char) number;
				break;
			}
			length = parser->host->encode_character(parser->host, number, encoded);
			if (length == 0)
				return fail_at(parser, place, PROFILE_SYNTAX,
							   "a character does not exist in the encoding of the database");
			return profile_buffer_append(buffer, encoded, length);
		default:
			return fail_at(parser, place, PROFILE_SYNTAX, "a backslash is followed by what is no escape");
	}
	return profile_buffer_append(buffer, &character, 1);
}

/*
 * read_string reads a string, whose opening quote is next.  Without escapes it
 * is left in the input.
 */
static bool
read_string(Parser *parser, String *string)
{
	const char *piece = ++parser->next;
	ProfileBuffer buffer = {.host = parser->host};
	bool		has_escapes = false;

	for (;;)
	{
		unsigned char byte;

		if (parser->next == parser->end)
			return syntax_error(parser, "a string does not end");
		byte = (unsigned char) *parser->next;
		if (byte == '"')
			break;
		if (byte < 0x20)
			return syntax_error(parser, "a control character in a string is not escaped");
		if (byte != '\\')
		{
			parser->next++;
			continue;
		}
		has_escapes = true;
		if (!profile_buffer_append(&buffer, piece, (size_t) (parser->next - piece)))
			return false;
		parser->next++;
		if (!read_escape(parser, &buffer))
			return false;
		piece = parser->next;
	}
	if (has_escapes)
	{
		if (!profile_buffer_append(&buffer, piece, (size_t) (parser->next - piece)))
			return false;
		*string = (String){buffer.data, buffer.length};
	}
	else
		*string = (String){piece, (size_t) (parser->next - piece)};
	parser->next++;
	return true;
}

/*
 * skip_nested finds the end of an array or object.  Whether it is valid inside,
 * the host tells.
 */
static bool
skip_nested(Parser *parser)
{
	size_t		depth = 0;
	bool		in_string = false;

	for (; parser->next < parser->end; parser->next++)
	{
		char		character = *parser->next;

		if (in_string)
		{
			if (character == '\\' && parser->next + 1 < parser->end)
				parser->next++;
			else if (character == '"')
				in_string = false;
		}
		else if (character == '"')
			in_string = true;
		else if (character == '[' || character == '{')
			depth++;
		else if ((character == ']' || character == '}') && --depth == 0)
		{
			parser->next++;
			return true;
		}
	}
	return syntax_error(parser, "an array or an object does not end");
}

/*
 * read_token reads a value.
 */
static bool
read_token(Parser *parser, Token *token)
{
	static const struct
	{
		const char *word;
		TokenKind	kind;
	}			words[] = {{"null", TOKEN_NULL}, {"true", TOKEN_TRUE}, {"false", TOKEN_FALSE}};

	skip_white_space(parser);
	if (parser->next == parser->end)
		return syntax_error(parser, "the input ends too early");
	token->place = parser->next;
	token->text = (String){"", 0};
	if (*parser->next == '"')
	{
		token->kind = TOKEN_STRING;
		return read_string(parser, &token->text);
	}
	if (*parser->next == '[' || *parser->next == '{')
	{
		token->kind = TOKEN_NESTED;
		if (!skip_nested(parser))
			return false;
	}
	else if (*parser->next == '-' || (*parser->next >= '0' && *parser->next <= '9'))
	{
		token->kind = TOKEN_NUMBER;
		while (parser->next < parser->end && *parser->next != '\0' &&
			   strchr("0123456789+-.eE", *parser->next) != NULL)
			parser->next++;
	}
	else
	{
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		{
			size_t		length = strlen(words[i].word);

			if ((size_t) (parser->end - parser->next) >= length &&
				memcmp(parser->next, words[i].word, length) == 0)
			{
				token->kind = words[i].kind;
				parser->next += length;
				return true;
			}
		}
		return syntax_error(parser, "a value was expected");
	}
	token->text = (String){token->place, (size_t) (parser->next - token->place)};
	return true;
}

/*
 * set_position puts the place of a token into an error that the core found in
 * it.
 */
static bool
set_position(Parser *parser, const Token *token)
{
	parser->host->position = (size_t) (token->place - parser->start);
	return false;
}

static bool
make_integer(Parser *parser, ProfileType type, int64_t number, ProfileValue *value)
{
	char	   *bytes = parser->host->allocate(parser->host, 8);

	if (bytes == NULL)
		return profile_fail(parser->host, PROFILE_OUT_OF_MEMORY, NULL, 0);
	*value = (ProfileValue){type, (uint32_t) profile_pack_integer(number, bytes), bytes};
	return true;
}

/*
 * make_number makes a value of a number without a type: an integer in range is
 * a bigint, any other a numeric.
 */
static bool
make_number(Parser *parser, const Token *token, ProfileValue *value)
{
	bool		is_integer;
	int64_t		integer;

	if (!profile_pack_decimal(parser->host, token->text.text, token->text.length, value, &is_integer))
		return set_position(parser, token);
	if (is_integer && profile_decimal_to_integer(value, &integer))
		return make_integer(parser, PROFILE_BIGINT, integer, value);
	return true;
}

static bool
make_text(Parser *parser, const Token *token, ProfileValue *value)
{
	if (token->text.length > PROFILE_MAX_SIZE)
		return profile_fail(parser->host, PROFILE_TOO_LARGE, NULL, 0);
	*value = (ProfileValue){PROFILE_TEXT, (uint32_t) token->text.length, token->text.text};
	return true;
}

/*
 * make_value makes a value of a token without a type.
 */
static bool
make_value(Parser *parser, const Token *token, ProfileValue *value)
{
	const char *json;
	size_t		length;

	switch (token->kind)
	{
		case TOKEN_NULL:
			*value = (ProfileValue){PROFILE_NULL, 0, ""};
			return true;
		case TOKEN_TRUE:
			*value = (ProfileValue){PROFILE_BOOLEAN, 1, "\001"};
			return true;
		case TOKEN_FALSE:
			*value = (ProfileValue){PROFILE_BOOLEAN, 1, "\000"};
			return true;
		case TOKEN_NUMBER:
			return make_number(parser, token, value);
		case TOKEN_STRING:
			return make_text(parser, token, value);
		case TOKEN_NESTED:
			break;
	}
	if (!parser->host->canonical_json(parser->host, token->text.text, token->text.length,
									  &json, &length))
		return set_position(parser, token);
	if (length > PROFILE_MAX_SIZE)
		return profile_fail(parser->host, PROFILE_TOO_LARGE, NULL, 0);
	*value = (ProfileValue){PROFILE_JSONB, (uint32_t) length, json};
	return true;
}

/*
 * make_typed_value makes a value of a token whose type is given.  Numbers may be
 * strings, since JSON has neither NaN nor infinities.
 */
static bool
make_typed_value(Parser *parser, const Token *token, const String *type_name,
				 const char *type_place, ProfileValue *value)
{
	int			type;
	bool		is_number = token->kind == TOKEN_NUMBER || token->kind == TOKEN_STRING;
	bool		is_integer;
	int64_t		integer;
	double		number;
	const char *problem;
	char	   *bytes;

	for (type = 0; type < PROFILE_TYPES; type++)
	{
		const char *name = profile_type_name((ProfileType) type);

		if (strlen(name) == type_name->length && memcmp(name, type_name->text, type_name->length) == 0)
			break;
	}
	if (type == PROFILE_TYPES)
		return fail_at(parser, type_place, PROFILE_SYNTAX,
					   "\"type\" is none of boolean, bigint, float8, numeric, text, timestamptz and jsonb");
	/* A NULL is one whatever it was to be, and so is a scalar of jsonb. */
	if (token->kind == TOKEN_NULL || type == PROFILE_JSONB)
		return make_value(parser, token, value);

	switch ((ProfileType) type)
	{
		case PROFILE_BOOLEAN:
			if (token->kind == TOKEN_TRUE || token->kind == TOKEN_FALSE)
				return make_value(parser, token, value);
			break;
		case PROFILE_BIGINT:
			if (!is_number)
				break;
			if (!profile_pack_decimal(parser->host, token->text.text, token->text.length, value,
									  &is_integer))
				return set_position(parser, token);
			if (!profile_decimal_to_integer(value, &integer))
				return fail_at(parser, token->place, PROFILE_OUT_OF_RANGE,
							   "a number is not an integer in the range of bigint");
			return make_integer(parser, PROFILE_BIGINT, integer, value);
		case PROFILE_NUMERIC:
			if (!is_number)
				break;
			if (!profile_pack_decimal(parser->host, token->text.text, token->text.length, value,
									  &is_integer))
				return set_position(parser, token);
			return true;
		case PROFILE_FLOAT8:
			if (!is_number)
				break;
			if (!profile_parse_double(token->text.text, token->text.length, &number))
				return fail_at(parser, token->place, PROFILE_OUT_OF_RANGE,
							   "a number is malformed or out of the range of float8");
			bytes = parser->host->allocate(parser->host, 8);
			if (bytes == NULL)
				return profile_fail(parser->host, PROFILE_OUT_OF_MEMORY, NULL, 0);
			profile_pack_double(number, bytes);
			*value = (ProfileValue){PROFILE_FLOAT8, 8, bytes};
			return true;
		case PROFILE_TEXT:
			if (token->kind == TOKEN_STRING)
				return make_text(parser, token, value);
			break;
		case PROFILE_TIMESTAMPTZ:
			if (token->kind != TOKEN_STRING)
				break;
			if (!profile_parse_time(token->text.text, token->text.length, &integer, &problem))
				return fail_at(parser, token->place, PROFILE_SYNTAX, problem);
			return make_integer(parser, PROFILE_TIMESTAMPTZ, integer, value);
		default:
			break;
	}
	return fail_at(parser, token->place, PROFILE_SYNTAX, "the value is not of the type that \"type\" names");
}

static bool
is_key(const String *string, const char *key)
{
	return strlen(key) == string->length && memcmp(key, string->text, string->length) == 0;
}

/*
 * read_candidate reads the object of one candidate, whose brace is next, and
 * adds it.
 */
static bool
read_candidate(Parser *parser, const String *trait)
{
	static const char *const keys[] = {"value", "type", "source", "record", "observed_at"};
	enum
	{
		KEY_VALUE,
		KEY_TYPE,
		KEY_SOURCE,
		KEY_RECORD,
		KEY_OBSERVED_AT,
		KEYS
	};
	Token		tokens[KEYS] = {{TOKEN_NULL, {NULL, 0}, NULL}};
	bool		is_given[KEYS] = {false};
	const char *start = parser->next++;
	ProfileValue value;
	String		source = {"", 0};
	int64_t		record = 0;
	int64_t		observed_at = PROFILE_TIME_MINUS_INFINITY;
	bool		is_integer;
	uint32_t	origin;
	const char *problem;

	for (bool is_first = true; !accept(parser, '}'); is_first = false)
	{
		String		name = {"", 0};
		const char *place;
		int			key = 0;

		if (!is_first && !accept(parser, ','))
			return syntax_error(parser, "a comma or a closing brace was expected");
		skip_white_space(parser);
		if (parser->next == parser->end || *parser->next != '"')
			return syntax_error(parser, "a key in double quotes was expected");
		place = parser->next;
		if (!read_string(parser, &name))
			return false;
		while (key < KEYS && !is_key(&name, keys[key]))
			key++;
		if (key == KEYS)
			return fail_at(parser, place, PROFILE_SYNTAX,
						   "a candidate has a key other than \"value\", \"type\", \"source\", \"record\" and \"observed_at\"");
		if (is_given[key])
			return fail_at(parser, place, PROFILE_SYNTAX, "a candidate has a key twice");
		is_given[key] = true;
		if (!accept(parser, ':'))
			return syntax_error(parser, "a colon was expected");
		if (!read_token(parser, &tokens[key]))
			return false;
	}
	if (!is_given[KEY_VALUE])
		return fail_at(parser, start, PROFILE_SYNTAX, "a candidate has no \"value\"");
	if (is_given[KEY_TYPE])
	{
		if (tokens[KEY_TYPE].kind != TOKEN_STRING)
			return fail_at(parser, tokens[KEY_TYPE].place, PROFILE_SYNTAX, "\"type\" is not a string");
		if (!make_typed_value(parser, &tokens[KEY_VALUE], &tokens[KEY_TYPE].text,
							  tokens[KEY_TYPE].place, &value))
			return false;
	}
	else if (!make_value(parser, &tokens[KEY_VALUE], &value))
		return false;
	if (is_given[KEY_SOURCE])
	{
		if (tokens[KEY_SOURCE].kind != TOKEN_STRING)
			return fail_at(parser, tokens[KEY_SOURCE].place, PROFILE_SYNTAX, "\"source\" is not a string");
		source = tokens[KEY_SOURCE].text;
	}
	if (is_given[KEY_RECORD])
	{
		ProfileValue number;
		const Token *token = &tokens[KEY_RECORD];

		if (token->kind != TOKEN_NUMBER && token->kind != TOKEN_STRING)
			return fail_at(parser, token->place, PROFILE_SYNTAX, "\"record\" is not an integer");
		if (!profile_pack_decimal(parser->host, token->text.text, token->text.length, &number,
								  &is_integer))
			return set_position(parser, token);
		if (!profile_decimal_to_integer(&number, &record))
			return fail_at(parser, token->place, PROFILE_OUT_OF_RANGE,
						   "\"record\" is not an integer in the range of bigint");
	}
	if (is_given[KEY_OBSERVED_AT])
	{
		const Token *token = &tokens[KEY_OBSERVED_AT];

		if (token->kind != TOKEN_STRING)
			return fail_at(parser, token->place, PROFILE_SYNTAX, "\"observed_at\" is not a string");
		if (!profile_parse_time(token->text.text, token->text.length, &observed_at, &problem))
			return fail_at(parser, token->place, PROFILE_SYNTAX, problem);
	}
	return profile_builder_origin(parser->builder, source.text, source.length, record, &origin) &&
		profile_builder_add(parser->builder, trait->text, trait->length, origin, observed_at, &value);
}

/*
 * read_bare adds a value that says nothing of where it comes from.
 */
static bool
read_bare(Parser *parser, const String *trait)
{
	Token		token;
	ProfileValue value;
	uint32_t	origin;

	return read_token(parser, &token) && make_value(parser, &token, &value) &&
		profile_builder_origin(parser->builder, "", 0, 0, &origin) &&
		profile_builder_add(parser->builder, trait->text, trait->length, origin,
							PROFILE_TIME_MINUS_INFINITY, &value);
}

/*
 * read_candidates reads what follows the name of a trait.
 */
static bool
read_candidates(Parser *parser, const String *trait)
{
	skip_white_space(parser);
	if (parser->next < parser->end && *parser->next == '{')
		return read_candidate(parser, trait);
	if (!accept(parser, '['))
		return read_bare(parser, trait);
	do
	{
		if (parser->steps++ % 1024 == 1023)
			parser->host->poll(parser->host);
		skip_white_space(parser);
		if (parser->next == parser->end || *parser->next != '{')
			return syntax_error(parser, "the array of a trait holds other things than candidates, which are objects with a \"value\"");
		if (!read_candidate(parser, trait))
			return false;
	} while (accept(parser, ','));
	if (!accept(parser, ']'))
		return syntax_error(parser, "a comma or a closing bracket was expected");
	return true;
}

/*
 * profile_parse adds what the text says to a builder.  The text must stay as
 * long as the builder is used.
 */
bool
profile_parse(ProfileBuilder *builder, const char *input, size_t length)
{
	Parser		parser = {builder, builder->host, input, input, input + length, 0};

	if (!accept(&parser, '{'))
		return syntax_error(&parser, "it is not an object");
	for (bool is_first = true; !accept(&parser, '}'); is_first = false)
	{
		String		trait = {"", 0};

		if (parser.steps++ % 1024 == 1023)
			parser.host->poll(parser.host);
		if (!is_first && !accept(&parser, ','))
			return syntax_error(&parser, "a comma or a closing brace was expected");
		skip_white_space(&parser);
		if (parser.next == parser.end || *parser.next != '"')
			return syntax_error(&parser, "the name of a trait in double quotes was expected");
		if (!read_string(&parser, &trait))
			return false;
		if (!accept(&parser, ':'))
			return syntax_error(&parser, "a colon was expected");
		if (!read_candidates(&parser, &trait))
			return false;
	}
	skip_white_space(&parser);
	if (parser.next != parser.end)
		return syntax_error(&parser, "something follows the object");
	return true;
}
