/*
 * logit_inputs.c
 *		The inputs of a model from rows and arrays, with or without NULLs.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "cdp.h"
#include "score/logit_rows.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

/*
 * The elements of an array of float8, NAN where they are NULL.
 */
void
logit_numbers_with_nulls(ArrayType *array, double *numbers)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		numbers[i] = nulls[i] ? NAN : DatumGetFloat8(elements[i]);
		if (!nulls[i] && !isfinite(numbers[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("feature %d is not a finite number", i + 1),
					 errhint("Use NULL for what is not known.")));
	}
}

/*
 * The levels of an array of text, LOGIT_NULL_LEVEL where they are NULL.
 */
void
logit_levels_with_nulls(const LogitModel *model, ArrayType *array, int *levels)
{
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			count = 0;

	if (array != NULL)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count != model->categories)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of categories has %d elements, not %d", count, model->categories),
				 errhint("Pass the values of the model's categories, in its order.")));
	for (int i = 0; i < model->feature_count; i++)
	{
		const LogitFeature *feature = &model->features[i];

		if (feature->kind != LOGIT_CATEGORY)
			continue;
		levels[feature->input] = nulls[feature->input] ? LOGIT_NULL_LEVEL : logit_level(feature, VARDATA_ANY(elements[feature->input]), VARSIZE_ANY_EXHDR(elements[feature->input]));
	}
}

/*
 * The value of a column as a number; false if it is none.
 */
static bool
value_as_number(Datum value, Oid type, double *number)
{
	switch (type)
	{
		case FLOAT8OID:
			*number = DatumGetFloat8(value);
			return true;
		case FLOAT4OID:
			*number = DatumGetFloat4(value);
			return true;
		case INT2OID:
			*number = DatumGetInt16(value);
			return true;
		case INT4OID:
			*number = DatumGetInt32(value);
			return true;
		case INT8OID:
			*number = (double) DatumGetInt64(value);
			return true;
		case BOOLOID:
			*number = DatumGetBool(value) ? 1 : 0;
			return true;
		case NUMERICOID:
			*number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, value));
			return true;
		default:
			return false;
	}
}

/*
 * The inputs of a model from the columns of a row that are called like its
 * features.  False if one of them is NULL; with keep_nulls, such numbers are NAN
 * and such levels LOGIT_NULL_LEVEL instead.
 */
bool
logit_row_inputs(const LogitModel *model, HeapTupleHeader header, double *numbers, int *levels, bool keep_nulls)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple;
	Datum	   *values = cdp_palloc_array(Datum, descriptor->natts + 1);
	bool	   *nulls = cdp_palloc_array(bool, descriptor->natts + 1);
	bool		complete = true;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, descriptor, values, nulls);

	for (int i = 0; i < model->feature_count && complete; i++)
	{
		const LogitFeature *feature = &model->features[i];
		int			column;
		Oid			type;

		for (column = 0; column < descriptor->natts; column++)
			if (!TupleDescAttr(descriptor, column)->attisdropped &&
				strcmp(NameStr(TupleDescAttr(descriptor, column)->attname), feature->name) == 0)
				break;
		if (column == descriptor->natts)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("row has no column \"%s\", which the model needs", feature->name)));
		if (nulls[column])
		{
			if (!keep_nulls)
				complete = false;
			else if (feature->kind == LOGIT_CATEGORY)
				levels[feature->input] = LOGIT_NULL_LEVEL;
			else
				for (int j = 0; j < feature->length; j++)
					numbers[feature->input + j] = NAN;
			continue;
		}
		type = getBaseType(TupleDescAttr(descriptor, column)->atttypid);
		if (feature->kind == LOGIT_CATEGORY)
		{
			char	   *spelled;

			if (type == TEXTOID || type == VARCHAROID)
			{
				struct varlena *value = PG_DETOAST_DATUM_PACKED(values[column]);

				levels[feature->input] = logit_level(feature, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
				continue;
			}
			else
			{
				Oid			output;
				bool		is_varlena;

				getTypeOutputInfo(type, &output, &is_varlena);
				spelled = OidOutputFunctionCall(output, values[column]);
				/* as text, char(n) is without its padding */
				if (type == BPCHAROID)
					spelled = TextDatumGetCString(DirectFunctionCall1(rtrim1, PointerGetDatum(cstring_to_text(spelled))));
			}
			levels[feature->input] = logit_level(feature, spelled, strlen(spelled));
		}
		else if (feature->kind == LOGIT_VECTOR)
		{
			bool		has_null;
			const double *elements;

			if (type != FLOAT8ARRAYOID)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" is of type %s, not double precision[]", feature->name, format_type_be(type))));
			elements = logit_read_numbers(DatumGetArrayTypeP(values[column]), feature->length, NULL, &has_null);
			if (has_null && !keep_nulls)
				complete = false;
			else if (has_null)
				logit_numbers_with_nulls(DatumGetArrayTypeP(values[column]), numbers + feature->input);
			else
				memcpy(numbers + feature->input, elements, sizeof(double) * feature->length);
		}
		else
		{
			if (!value_as_number(values[column], type, &numbers[feature->input]))
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("column \"%s\" is of type %s, not a number", feature->name, format_type_be(type))));
			if (!isfinite(numbers[feature->input]))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("feature \"%s\" is not a finite number", feature->name)));
		}
	}
	ReleaseTupleDesc(descriptor);
	return complete;
}
