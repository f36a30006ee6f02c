/*
 * hex.h
 *		The text form of states that nobody writes by hand: \x and hexadecimal
 *		digits, whatever bytea_output says.
 */
#ifndef CDP_HEX_H
#define CDP_HEX_H

#include "lib/stringinfo.h"

extern bool cdp_hex_read(const char *text, StringInfo bytes);
extern char *cdp_hex_write(const bytea *bytes);

#endif							/* CDP_HEX_H */
