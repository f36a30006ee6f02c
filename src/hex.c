/*
 * hex.c
 *		The text form of states that nobody writes by hand (see hex.h).
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "cdp.h"
#include "hex.h"

/*
 * The bytes that a text stands for; false when it is not \x and pairs of
 * hexadecimal digits.
 */
bool
cdp_hex_read(const char *text, StringInfo bytes)
{
	Size		length = strlen(text);

	if (length < 2 || text[0] != '\\' || text[1] != 'x' || length % 2 != 0 ||
		strspn(text + 2, "0123456789abcdefABCDEF") != length - 2)
		return false;
	initStringInfo(bytes);
	enlargeStringInfo(bytes, (int) (length / 2 + 1));
	bytes->len = (int) hex_decode(text + 2, length - 2, bytes->data);
	return true;
}

char *
cdp_hex_write(const bytea *bytes)
{
	Size		length = VARSIZE_ANY_EXHDR(bytes);
	char	   *text = palloc(add_size(mul_size(length, 2), 3));

	text[0] = '\\';
	text[1] = 'x';
	hex_encode(VARDATA_ANY(bytes), length, text + 2);
	text[length * 2 + 2] = '\0';
	return text;
}
