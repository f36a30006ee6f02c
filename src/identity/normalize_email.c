/*
 * normalize_email.c
 *		The email normaliser.
 *
 * There is one parser, for addresses whose domain is ASCII.  Nearly every
 * address of a real table goes straight to it and is done in one pass.  One
 * with bytes above 127 is prepared first: invisible characters removed, the
 * local part lower-cased and composed by libunistring, the domain brought to
 * its ASCII form by libidn2.
 *
 * No server here: see normalize_core.h.
 */
#include "identity/normalize_core.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>

/* RFC 5321, 4.5.3.1.1, and RFC 1035, 2.3.4 */
#define LOCAL_PART_LENGTH	64
#define LABEL_LENGTH		63

/*
 * Longer input is no address, whatever it would shrink to: characters outside
 * ASCII, escapes and removed characters may make an address of 254 bytes
 * longer than that, but not at will.  This keeps all work areas on the stack
 * and bounds the time that one value can take.
 */
#define RAW_ADDRESS_LENGTH	2048
#define RAW_LABEL_LENGTH	512

/*
 * Longest text that parse_address() may find an address in: quotes and escapes
 * are still in the local part, and the dot of the root at the end.
 */
#define PREPARED_LOCAL_LENGTH	(2 * LOCAL_PART_LENGTH + 2)
#define PREPARED_LENGTH	(PREPARED_LOCAL_LENGTH + 1 + NORMALIZE_EMAIL_LENGTH + 1)

/*
 * Non-transitional processing by Unicode TR46 before IDNA2008.  The flag
 * IDN2_USE_STD3_ASCII_RULES is left out on purpose: libidn2 then drops what is
 * no letter, digit or hyphen and makes another host of it.  Without the flag it
 * stays, and parse_host() refuses it.
 */
#define IDN_FLAGS (IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)

/* Classes of bytes */
#define BYTE_ATOM	0x01		/* may stand in an unquoted local part */
#define BYTE_HOST	0x02		/* letter, digit or hyphen */
#define BYTE_LETTER	0x04		/* letter or hyphen, so no number */

#define A	BYTE_ATOM
#define D	(BYTE_ATOM | BYTE_HOST)
#define L	(BYTE_ATOM | BYTE_HOST | BYTE_LETTER)

/*
 * The upper half counts as atom: whether it holds well-formed characters that
 * may stand there has been looked at before.
 */
/* clang-format off */
static const unsigned char byte_class[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, A, 0, A, A, A, A, A, 0, 0, A, A, 0, L, 0, A, /* !"#$%&'()*+,-./ */
	D, D, D, D, D, D, D, D, D, D, 0, 0, 0, A, 0, A, /* 0-9 :;<=>? */
	0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* @ A-O */
	L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, A, A, /* P-Z [\]^_ */
	A, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* ` a-o */
	L, L, L, L, L, L, L, L, L, L, L, A, A, A, A, 0, /* p-z {|}~ */
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
	A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
};
/* clang-format on */

#undef A
#undef D
#undef L

/* An address while it is put together, in its normalised spelling */
typedef struct Address
{
	char	   *data;			/* room for NORMALIZE_EMAIL_LENGTH bytes */
	size_t		local_length;
	size_t		length;			/* of local part, "@" and domain */
	bool		quoted;			/* the local part needs its quotes */
} Address;

/* What parse_address() is given for an address that is not ASCII */
typedef struct Prepared
{
	char		data[PREPARED_LENGTH];
	size_t		length;
} Prepared;

/*
 * is_dot_atom tells whether a local part can stand without quotes: atoms with
 * single dots between them.
 */
static bool
is_dot_atom(const char *input, size_t length)
{
	bool		after_dot = true;

	for (size_t i = 0; i < length; i++)
	{
		if ((byte_class[(unsigned char) input[i]] & BYTE_ATOM) != 0)
			after_dot = false;
		else if (input[i] == '.' && !after_dot)
			after_dot = true;
		else
			return false;
	}
	return !after_dot;
}

/*
 * parse_quoted reads a quoted local part at the start of the input and returns
 * how many bytes it takes, 0 where it is none.
 *
 * Quotes and backslashes are a matter of spelling (RFC 5321, 4.1.2), so the
 * quotes go where the content can do without, and only quotes and backslashes
 * keep a backslash before them.
 */
static size_t
parse_quoted(Address *address, const char *input, size_t length)
{
	char		content[LOCAL_PART_LENGTH];
	size_t		content_length = 0;
	size_t		written = 0;
	size_t		i;

	for (i = 1; i < length && input[i] != '"'; i++)
	{
		unsigned char byte;

		if (input[i] == '\\' && ++i == length)
			return 0;
		byte = (unsigned char) input[i];
		if (byte < ' ' || byte == 0x7F || content_length == sizeof(content))
			return 0;
		content[content_length++] = normalize_ascii_lower((char) byte);
	}
	if (i >= length || content_length == 0)
		return 0;

	if (is_dot_atom(content, content_length))
	{
		memcpy(address->data, content, content_length);
		address->local_length = content_length;
		return i + 1;
	}

	address->quoted = true;
	address->data[written++] = '"';
	for (size_t j = 0; j < content_length; j++)
	{
		if (content[j] == '"' || content[j] == '\\')
			address->data[written++] = '\\';
		address->data[written++] = content[j];
	}
	address->data[written++] = '"';
	if (written > LOCAL_PART_LENGTH)
		return 0;
	address->local_length = written;
	return i + 1;
}

/*
 * parse_unquoted reads an unquoted local part at the start of the input and
 * returns how many bytes it takes, 0 where it is none.
 */
static size_t
parse_unquoted(Address *address, const char *input, size_t length)
{
	bool		after_dot = true;
	size_t		i;

	if (length > LOCAL_PART_LENGTH)
		length = LOCAL_PART_LENGTH;
	for (i = 0; i < length; i++)
	{
		unsigned char byte = (unsigned char) input[i];

		if ((byte_class[byte] & BYTE_ATOM) != 0)
			after_dot = false;
		else if (byte == '.' && !after_dot)
			after_dot = true;
		else
			break;
		address->data[i] = normalize_ascii_lower((char) byte);
	}
	if (after_dot)
		return 0;
	address->local_length = i;
	return i;
}

/*
 * parse_host appends a host name: at least two labels, none of them empty,
 * longer than 63 bytes, or with a hyphen at an end, and the last one no
 * number, so that a bare IP address is not taken for a name.  One dot at the
 * end, which stands for the root, is dropped.
 */
static bool
parse_host(Address *address, const char *input, size_t length)
{
	char	   *target = address->data + address->length;
	size_t		label_start = 0;
	unsigned char label_class = 0;

	if (length > 0 && input[length - 1] == '.')
		length--;
	if (length == 0 || length > NORMALIZE_EMAIL_LENGTH - address->length)
		return false;

	for (size_t i = 0; i < length; i++)
	{
		unsigned char byte = (unsigned char) input[i];

		if (byte == '.')
		{
			if (i - label_start > LABEL_LENGTH || i == label_start ||
				input[label_start] == '-' || input[i - 1] == '-')
				return false;
			label_start = i + 1;
			label_class = 0;
		}
		else if ((byte_class[byte] & BYTE_HOST) != 0)
			label_class |= byte_class[byte];
		else
			return false;
		target[i] = normalize_ascii_lower((char) byte);
	}
	if (length - label_start > LABEL_LENGTH || length == label_start ||
		input[label_start] == '-' || input[length - 1] == '-' ||
		label_start == 0 || (label_class & BYTE_LETTER) == 0)
		return false;
	address->length += length;
	return true;
}

/*
 * parse_literal appends an address literal, [192.0.2.1] or [IPv6:2001:db8::1],
 * in the one spelling that the C library gives to that address.
 */
static bool
parse_literal(Address *address, const char *input, size_t length)
{
	static const char tag[] = "ipv6:";
	char		text[INET6_ADDRSTRLEN];
	unsigned char binary[sizeof(struct in6_addr)];
	int			family = AF_INET;
	size_t		tag_length = 0;
	size_t		text_length;

	if (length < 2 || input[length - 1] != ']')
		return false;
	input++;
	length -= 2;

	while (tag_length < sizeof(tag) - 1 && tag_length < length &&
		   normalize_ascii_lower(input[tag_length]) == tag[tag_length])
		tag_length++;
	if (tag_length == sizeof(tag) - 1)
	{
		family = AF_INET6;
		input += tag_length;
		length -= tag_length;
	}
	else
		tag_length = 0;

	if (length >= sizeof(text))
		return false;
	memcpy(text, input, length);
	text[length] = '\0';
	if (memchr(text, '\0', length) != NULL ||
		inet_pton(family, text, binary) != 1 ||
		inet_ntop(family, binary, text, sizeof(text)) == NULL)
		return false;
	text_length = strlen(text);

	if (text_length + tag_length + 2 > NORMALIZE_EMAIL_LENGTH - address->length)
		return false;
	address->data[address->length++] = '[';
	memcpy(address->data + address->length, tag, tag_length);
	address->length += tag_length;
	memcpy(address->data + address->length, text, text_length);
	address->length += text_length;
	address->data[address->length++] = ']';
	return true;
}

/*
 * parse_address reads a trimmed address with an ASCII domain.
 */
static bool
parse_address(Address *address, const char *input, size_t length)
{
	size_t		local;

	address->quoted = false;
	address->local_length = 0;
	if (length > 0 && input[0] == '"')
		local = parse_quoted(address, input, length);
	else
		local = parse_unquoted(address, input, length);
	if (local == 0 || local == length || input[local] != '@')
		return false;

	address->data[address->local_length] = '@';
	address->length = address->local_length + 1;
	input += local + 1;
	length -= local + 1;
	if (length > 0 && input[0] == '[')
		return parse_literal(address, input, length);
	return parse_host(address, input, length);
}

/*
 * local_part_length returns the length of what stands before the "@" that
 * separates local part and domain, or the whole length where there is none.
 */
static size_t
local_part_length(const char *input, size_t length)
{
	size_t		i = 0;

	if (length > 0 && input[0] == '"')
	{
		for (i = 1; i < length && input[i] != '"'; i++)
			if (input[i] == '\\')
				i++;
	}
	while (i < length && input[i] != '@')
		i++;
	return i < length ? i : length;
}

/*
 * prepared_append appends to a prepared address, and returns false where it
 * gets too long for an address.
 */
static bool
prepared_append(Prepared *prepared, const void *data, size_t length)
{
	if (length > sizeof(prepared->data) - prepared->length)
		return false;
	memcpy(prepared->data + prepared->length, data, length);
	prepared->length += length;
	return true;
}

/*
 * drop_needless_escapes removes from a quoted local part the backslashes that
 * parse_quoted() would remove, and returns the new length.
 *
 * This comes before composing, because what follows such a backslash may
 * compose with what is before it.
 */
static size_t
drop_needless_escapes(char *local, size_t length)
{
	size_t		kept = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (local[i] == '\\' && i + 1 < length)
		{
			i++;
			if (local[i] == '"' || local[i] == '\\')
				local[kept++] = '\\';
		}
		local[kept++] = local[i];
	}
	return kept;
}

/*
 * may_stand_in_local_part tells whether a character outside ASCII may stand in a
 * local part.
 */
static bool
may_stand_in_local_part(uint32_t character)
{
	return character >= 0xA0 &&
		!normalize_is_white_space(character) &&
		!normalize_is_invisible(character) &&
		(character & 0xFFFE) != 0xFFFE &&
		!(character >= 0xFDD0 && character <= 0xFDEF);
}

/*
 * prepare_local_part lower-cases and composes a local part and appends it.
 * White space outside ASCII, control characters, joiners and noncharacters may
 * not stand in it.
 */
static NormalizeStatus
prepare_local_part(char *input, size_t length, Prepared *prepared)
{
	uint8_t		room[RAW_ADDRESS_LENGTH];
	size_t		result_length = sizeof(room);
	uint8_t	   *result;
	NormalizeStatus status = NORMALIZE_OK;

	if (length > 0 && input[0] == '"')
		length = drop_needless_escapes(input, length);
	result = u8_tolower((const uint8_t *) input, length, NULL, UNINORM_NFC,
						room, &result_length);
	if (result == NULL)
		return NORMALIZE_OUT_OF_MEMORY;

	for (size_t i = 0; i < result_length;)
	{
		uint32_t	character;
		size_t		bytes = normalize_decode((const char *) result + i,
										result_length - i, &character);

		if (bytes == 0 || (bytes > 1 && !may_stand_in_local_part(character)))
		{
			status = NORMALIZE_INVALID;
			break;
		}
		i += bytes;
	}

	if (status == NORMALIZE_OK &&
		(result_length > PREPARED_LOCAL_LENGTH ||
		 !prepared_append(prepared, result, result_length)))
		status = NORMALIZE_INVALID;
	if (result != room)
		free(result);
	return status;
}

/*
 * prepare_label appends one label of a domain, in its ASCII form.
 *
 * A label that is ASCII already stays as it is, also an "xn--" one: it is how
 * the domain name system knows the host.
 */
static NormalizeStatus
prepare_label(const char *input, size_t length, Prepared *prepared)
{
	uint8_t		label[RAW_LABEL_LENGTH];
	uint8_t	   *result = NULL;
	int			code;
	bool		fits;

	if (normalize_is_ascii(input, length))
		return prepared_append(prepared, input, length) ? NORMALIZE_OK : NORMALIZE_INVALID;

	if (length >= sizeof(label) || memchr(input, '\0', length) != NULL)
		return NORMALIZE_INVALID;
	memcpy(label, input, length);
	label[length] = '\0';
	code = idn2_lookup_u8(label, &result, IDN_FLAGS);
	if (code == IDN2_MALLOC)
		return NORMALIZE_OUT_OF_MEMORY;
	if (code != IDN2_OK)
		return NORMALIZE_INVALID;
	fits = prepared_append(prepared, result, strlen((const char *) result));
	idn2_free(result);
	return fits ? NORMALIZE_OK : NORMALIZE_INVALID;
}

/*
 * prepare_domain appends a domain in its ASCII form, label by label.
 */
static NormalizeStatus
prepare_domain(const char *input, size_t length, Prepared *prepared)
{
	size_t		label_start = 0;

	for (size_t i = 0; i < length;)
	{
		uint32_t	character;
		size_t		bytes = normalize_decode(input + i, length - i, &character);

		/* the full stops that TR46 takes for a dot */
		if (character == '.' || character == 0x3002 || character == 0xFF0E ||
			character == 0xFF61)
		{
			NormalizeStatus status = prepare_label(input + label_start,
												   i - label_start, prepared);

			if (status != NORMALIZE_OK)
				return status;
			if (!prepared_append(prepared, ".", 1))
				return NORMALIZE_INVALID;
			label_start = i + bytes;
		}
		i += bytes;
	}
	return prepare_label(input + label_start, length - label_start, prepared);
}

/*
 * prepare_address turns well-formed UTF-8 into what parse_address() reads.
 */
static NormalizeStatus
prepare_address(const char *input, size_t length, Prepared *prepared)
{
	char		visible[RAW_ADDRESS_LENGTH];
	size_t		visible_length = 0;
	size_t		local;
	NormalizeStatus status;

	/*
	 * Remove what cannot be seen, as TR46 does in domains, except the joiners
	 * (U+200C and U+200D), which mean something in some scripts.
	 */
	for (size_t i = 0; i < length;)
	{
		uint32_t	character;
		size_t		bytes = normalize_decode(input + i, length - i, &character);

		if (bytes == 0)
			return NORMALIZE_INVALID;
		if (!normalize_is_invisible(character) ||
			character == 0x200C || character == 0x200D)
		{
			memcpy(visible + visible_length, input + i, bytes);
			visible_length += bytes;
		}
		i += bytes;
	}

	local = local_part_length(visible, visible_length);
	if (local == visible_length)
		return NORMALIZE_INVALID;
	prepared->length = 0;
	status = prepare_local_part(visible, local, prepared);
	if (status != NORMALIZE_OK)
		return status;
	if (!prepared_append(prepared, "@", 1))
		return NORMALIZE_INVALID;
	return prepare_domain(visible + local + 1, visible_length - local - 1,
						  prepared);
}

/*
 * domain_is compares the domain of an address.
 */
static bool
domain_is(const Address *address, const char *domain)
{
	size_t		length = strlen(domain);

	return address->length - address->local_length - 1 == length &&
		memcmp(address->data + address->local_length + 1, domain, length) == 0;
}

/*
 * apply_provider_rules removes what providers ignore: the +tag, and at Gmail,
 * which has two names, the dots.  A "+" at the very start begins no tag.  The
 * dots of a local part outside ASCII stay, since Gmail has none of those and
 * what a dot kept apart could compose.
 */
static void
apply_provider_rules(Address *address)
{
	static const char gmail[] = "gmail.com";
	bool		is_gmail = domain_is(address, gmail) ||
		domain_is(address, "googlemail.com");
	char	   *local = address->data;
	char	   *domain = address->data + address->local_length + 1;
	size_t		domain_length = address->length - address->local_length - 1;
	size_t		length = address->local_length;
	const char *tag;

	if (!address->quoted)
	{
		tag = memchr(local + 1, '+', length - 1);
		if (tag != NULL)
			length = (size_t) (tag - local);
		if (is_gmail && normalize_is_ascii(local, length))
		{
			size_t		kept = 0;

			for (size_t i = 0; i < length; i++)
				if (local[i] != '.')
					local[kept++] = local[i];
			length = kept;
		}
		else
		{
			/* "name.+tag" */
			while (local[length - 1] == '.')
				length--;
		}
	}
	if (is_gmail)
		domain_length = sizeof(gmail) - 1;

	local[length] = '@';
	if (is_gmail)
		memcpy(local + length + 1, gmail, domain_length);
	else
		memmove(local + length + 1, domain, domain_length);
	address->local_length = length;
	address->length = length + 1 + domain_length;
}

/*
 * normalize_email appends the normalised address: trimmed, in lower case, the
 * domain in ASCII.  With provider_rules, addresses that a provider delivers to
 * one mailbox become one.
 */
NormalizeStatus
normalize_email(const char *input, size_t length, NormalizeEncoding encoding,
				bool provider_rules, NormalizeBuffer *output)
{
	Prepared	prepared;
	Address		address;

	normalize_trim(&input, &length, encoding, true);
	if (length > RAW_ADDRESS_LENGTH)
		return NORMALIZE_INVALID;
	if (!normalize_reserve(output, NORMALIZE_EMAIL_LENGTH))
		return NORMALIZE_OUT_OF_MEMORY;
	address.data = output->data + output->length;

	if (!normalize_is_ascii(input, length))
	{
		NormalizeStatus status;

		if (encoding != NORMALIZE_UTF8)
			return NORMALIZE_INVALID;
		status = prepare_address(input, length, &prepared);
		if (status != NORMALIZE_OK)
			return status;
		input = prepared.data;
		length = prepared.length;
	}

	if (!parse_address(&address, input, length))
		return NORMALIZE_INVALID;
	if (provider_rules)
		apply_provider_rules(&address);
	output->length += address.length;
	return NORMALIZE_OK;
}
