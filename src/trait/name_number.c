/*
 * name_number.c
 *		cdp.name_number: which of several names a text is.
 *
 * A refresh asks it once for each event, so that a hundred filters compare
 * numbers and not texts.  Names that are a constant of the statement are kept
 * in a hash table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/primnodes.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "cdp.h"

PG_FUNCTION_INFO_V1(cdp_name_number);

/* A text and its place. */
typedef struct NumberedName
{
	const char *bytes;
	uint32		length;
	int32		number;			/* 0: the slot is free */
} NumberedName;

/* Open addressing, at most a quarter of the slots are taken. */
typedef struct NameTable
{
	uint32		mask;
	NumberedName slots[FLEXIBLE_ARRAY_MEMBER];
} NameTable;

/* The slot that holds the text, or a free one. */
static NumberedName *
find_slot(NameTable *table, const char *bytes, uint32 length)
{
	uint32		place = hash_bytes((const unsigned char *) bytes, (int) length);

	for (;; place++)
	{
		NumberedName *slot = &table->slots[place & table->mask];

		if (slot->number == 0 || (slot->length == length && memcmp(slot->bytes, bytes, length) == 0))
			return slot;
	}
}

static NameTable *
build_table(ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	uint32		size;
	NameTable  *table;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	size = pg_nextpower2_32((uint32) Max(count, 1)) * 4;
	table = palloc0(add_size(offsetof(NameTable, slots), mul_size(sizeof(NumberedName), size)));
	table->mask = size - 1;
	for (int i = 0; i < count; i++)
	{
		NumberedName *slot;
		text	   *name;

		if (nulls[i])
			continue;
		name = DatumGetTextPP(elements[i]);
		slot = find_slot(table, VARDATA_ANY(name), (uint32) VARSIZE_ANY_EXHDR(name));
		if (slot->number != 0)
			continue;
		slot->bytes = VARDATA_ANY(name);
		slot->length = (uint32) VARSIZE_ANY_EXHDR(name);
		slot->number = i + 1;
	}
	return table;
}

/*
 * Whether the names are written in the statement.  A parameter would not do: in
 * PL/pgSQL its value may change while the state of the call is kept.
 */
static bool
names_are_constant(FmgrInfo *function)
{
	Node	   *call = function->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(lsecond(castNode(FuncExpr, call)->args), Const);
}

/*
 * cdp.name_number(name text, names text[]) returns integer
 *
 * The place of the first element that has the same bytes as the name, counted
 * from 1 whatever the bounds of the array; 0: none has.  NULL when an argument
 * is; NULL elements are never it.
 */
Datum
cdp_name_number(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	NameTable  *table = fcinfo->flinfo->fn_extra;

	if (table == NULL)
	{
		bool		is_kept = names_are_constant(fcinfo->flinfo);
		MemoryContext caller = MemoryContextSwitchTo(is_kept ? fcinfo->flinfo->fn_mcxt : CurrentMemoryContext);

		table = build_table(PG_GETARG_ARRAYTYPE_P_COPY(1));
		MemoryContextSwitchTo(caller);
		if (is_kept)
			fcinfo->flinfo->fn_extra = table;
	}
	PG_RETURN_INT32(find_slot(table, VARDATA_ANY(name), (uint32) VARSIZE_ANY_EXHDR(name))->number);
}
