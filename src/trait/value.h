/*
 * value.h
 *		Values of the usual types as bytes, for the states of aggregates.
 *
 * The bytes depend on the value alone, not on any setting.  A class holds types
 * whose values convert into each other; the tag of the class is stored.
 */
#ifndef CDP_TRAIT_VALUE_H
#define CDP_TRAIT_VALUE_H

#include "fmgr.h"

typedef enum ValueTag
{
	VALUE_BOOLEAN = 'b',		/* one byte, 0 or 1 */
	VALUE_INTEGER = 'i',		/* smallint, integer, bigint: eight, most significant first, sign bit inverted */
	VALUE_FLOAT = 'f',			/* real, double precision: eight, so that bytes sort like numbers */
	VALUE_NUMERIC = 'n',		/* as numeric_send writes it */
	VALUE_TEXT = 't',			/* text, varchar, char(n) without blanks at its end */
	VALUE_DATE = 'd',			/* as integers */
	VALUE_TIMESTAMP = 's',
	VALUE_TIMESTAMPTZ = 'z',
	VALUE_UUID = 'u'			/* sixteen bytes */
} ValueTag;

typedef struct ValueType
{
	Oid			type;			/* as it was asked for */
	Oid			base;			/* without domains */
	ValueTag	tag;
} ValueType;

typedef struct ValueBytes
{
	const char *data;
	Size		length;
	char		room[16];		/* for short ones */
} ValueBytes;

extern ValueType *cdp_value_type(FunctionCallInfo fcinfo, Oid type);
extern void cdp_value_encode(const ValueType *type, Datum value, bool trim, ValueBytes *bytes);
extern Datum cdp_value_decode(FunctionCallInfo fcinfo, const ValueType *type, char tag, const char *data, Size length);
extern const char *cdp_value_check(char tag, const char *data, Size length);
extern int	cdp_value_compare(char tag, const char *a, Size a_length, const char *b, Size b_length);

#endif							/* CDP_TRAIT_VALUE_H */
