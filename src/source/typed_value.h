/*
 * typed_value.h
 *		Values of JSON brought to the type of a column, or left alone when they
 *		do not fit: a direct call never fails because of a value.
 */
#ifndef CDP_SOURCE_TYPED_VALUE_H
#define CDP_SOURCE_TYPED_VALUE_H

#include "fmgr.h"
#include "pgtime.h"
#include "utils/jsonb.h"

typedef struct TypedTarget
{
	Oid			type;
	int32		typmod;
	Oid			base;			/* the type itself, or what a domain is over */
	Oid			input_parameter;
	FmgrInfo	input;
} TypedTarget;

extern pg_tz *typed_time_zone(const char *name);
extern void typed_target_init(TypedTarget *target, Oid type, int32 typmod, MemoryContext context);
extern bool typed_value(TypedTarget *target, const JsonbValue *value, pg_tz *time_zone, Datum *result);

#endif							/* CDP_SOURCE_TYPED_VALUE_H */
