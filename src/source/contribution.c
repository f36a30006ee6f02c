/*
 * contribution.c
 *		What one record says about the traits of its person, in real time.
 *
 * Traits come as JSON, which knows few types.  Those that are declared with
 * another one (cdp.create_trait) are brought to it; a value that does not fit
 * is left out, and noted by the caller.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/timestamp.h"

#include "cdp.h"
#include "identity/settings.h"
#include "profile/profile.h"
#include "profile/profile_host.h"
#include "source/contribution.h"
#include "source/typed_value.h"
#include "statement.h"

PG_FUNCTION_INFO_V1(cdp_profile_of_json);

/* Before anything is written. */
void
contribution_check(Jsonb *traits)
{
	if (!JB_ROOT_IS_OBJECT(traits))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("traits must be a JSON object"),
				 errhint("Name each value: '{\"country\": \"FR\", \"plan\": \"gold\"}'.")));
}

static Datum
bigint_array(const int64 *numbers, int count)
{
	Datum	   *elements = cdp_palloc_array(Datum, count + 1);

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * Puts the traits in the place of what the record said before, and brings the
 * row of its person up to date, and those of the people between whom it moved
 * identifiers.  Returns whose rows those are: nobody's when nothing changed, two
 * when the record went from one to the other.
 */
int64 *
contribution_store(const SingleRecord *record, Jsonb *traits, int *count)
{
	MemoryContext caller = CurrentMemoryContext;
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, JSONBOID, INT8ARRAYOID};
	Datum		arguments[] = {CStringGetTextDatum(record->source), CStringGetTextDatum(record->key),
						 TimestampTzGetDatum(record->resolved_at), Int64GetDatum(record->hub), JsonbPGetDatum(traits),
						 bigint_array(record->moved, record->moved_count)};
	Datum		people;
	bool		is_null = true;
	int64	   *result = NULL;

	SPI_connect();
	cdp_statement(&plan, "SELECT cdp.store_contribution($1, $2, $3, $4, $5, $6)", 6, types);
	if (SPI_execute_plan(plan, arguments, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not store the traits of a record");
	people = SPI_processed != 1 ? (Datum) 0 : SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	*count = 0;
	if (!is_null)
	{
		ArrayType  *array = DatumGetArrayTypeP(people);

		*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		result = MemoryContextAlloc(caller, mul_size(sizeof(int64), *count + 1));
		memcpy(result, ARR_DATA_PTR(array), mul_size(sizeof(int64), *count));
	}
	SPI_finish();
	return result;
}

/*
 * After people merged in real time: whose id retired must not stand beside the one
 * who took over, so both are derived at once.  Most calls move nobody who has a row.
 *
 * Nobody is waited for.  While a refresh derives everybody, and under REPEATABLE READ
 * and SERIALIZABLE, where rows that others derived since would be a serialization
 * failure, both rows stay until the next refresh; it finds them in the queue.
 */
void
contribution_join(const int64 *moved, int count)
{
	static SPIPlanPtr find = NULL;
	static SPIPlanPtr derive = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		people;
	bool		several = false;
	bool		found;
	int			level;

	for (int i = 1; i < count && !several; i++)
		several = moved[i] != moved[0];
	if (!several || IsolationUsesXactSnapshot())
		return;
	SPI_connect();
	people = bigint_array(moved, count);
	level = NewGUCNestLevel();
	/* Plans made while a table is empty must serve when it is large. */
	cdp_set_option("enable_seqscan", "off");
	cdp_statement(&find, "SELECT FROM cdp_data.profile_row AS r JOIN cdp_data.profile AS p ON p.profile_id OPERATOR(pg_catalog.=) r.profile_id"
						 " WHERE r.profile_id OPERATOR(pg_catalog.=) ANY ($1) AND p.state OPERATOR(pg_catalog.=) 'r'",
				  1, types);
	if (SPI_execute_plan(find, &people, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the rows of retired profiles");
	found = SPI_processed > 0;
	AtEOXact_GUC(true, level);
	if (found && ConditionalLockRelationOid(storage_relation(get_namespace_oid("cdp_data", false), "profile_row"), RowExclusiveLock))
	{
		cdp_statement(&derive, "SELECT cdp.materialize_profiles($1)", 1, types);
		if (SPI_execute_plan(derive, &people, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not derive the rows of people who merged");
	}
	SPI_finish();
}

/* A value of one of the types that a trait can have; false when it does not fit. */
static bool
pack_typed(ProfileHost *host, TypedTarget *target, const JsonbValue *scalar, pg_tz *zone, ProfileValue *value)
{
	Datum		datum;
	text	   *string;

	if (target == NULL || scalar->type == jbvNull || target->type == JSONBOID)
	{
		cdp_profile_pack_scalar(host, scalar, value);
		return true;
	}
	if (!typed_value(target, scalar, zone, &datum))
		return false;
	switch (target->type)
	{
		case BOOLOID:
			*value = (ProfileValue){PROFILE_BOOLEAN, 1, DatumGetBool(datum) ? "\001" : "\000"};
			break;
		case INT8OID:
			cdp_profile_pack_integer(host, PROFILE_BIGINT, DatumGetInt64(datum), value);
			break;
		case FLOAT8OID:
			cdp_profile_pack_double(host, DatumGetFloat8(datum), value);
			break;
		case NUMERICOID:
			cdp_profile_pack_numeric(host, datum, false, value);
			break;
		case TEXTOID:
			string = DatumGetTextPP(datum);
			cdp_profile_pack_text(host, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string), value);
			break;
		case TIMESTAMPTZOID:
			cdp_profile_pack_integer(host, PROFILE_TIMESTAMPTZ, DatumGetTimestampTz(datum), value);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a trait cannot be of type %s", format_type_be(target->type))));
	}
	return true;
}

/*
 * cdp.profile_of_json(source text, observed_at timestamptz, traits jsonb,
 *					   record bigint, names text[], types text[], time_zone text,
 *					   OUT said cdp.profile, OUT unfit text[])
 *
 * What cdp.profile_build gives, with the named traits brought to these types,
 * and the names of those whose value does not fit, which are left out.  Times
 * without a zone are read in the given one.  NULL when an argument is.
 *
 * Errors: traits that are no object; types that a trait cannot have; a time
 * zone that does not exist.
 */
Datum
cdp_profile_of_json(PG_FUNCTION_ARGS)
{
	text	   *source = PG_GETARG_TEXT_PP(0);
	TimestampTz observed_at = PG_GETARG_TIMESTAMPTZ(1);
	Jsonb	   *traits = PG_GETARG_JSONB_P(2);
	pg_tz	   *zone = typed_time_zone(text_to_cstring(PG_GETARG_TEXT_PP(6)));
	ProfileServerHost host;
	ProfileBuilder builder;
	TupleDesc	descriptor;
	uint32_t	origin;
	JsonbIterator *iterator;
	JsonbValue	name;
	JsonbValue	scalar;
	Datum	   *names;
	Datum	   *types;
	int			name_count;
	int			type_count;
	TypedTarget *targets;
	Datum	   *unfit;
	int			unfit_count = 0;
	Datum		result[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	contribution_check(traits);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &name_count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(5), TEXTOID, -1, false, TYPALIGN_INT, &types, NULL, &type_count);
	if (name_count != type_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("names and types must have the same length")));
	targets = cdp_palloc0_array(TypedTarget, name_count + 1);
	unfit = cdp_palloc_array(Datum, add_size(JB_ROOT_COUNT(traits), 1));

	cdp_profile_host_init(&host);
	profile_builder_init(&builder, &host.host);
	if (!profile_builder_origin(&builder, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source), PG_GETARG_INT64(3), &origin))
		cdp_profile_fail(&host);
	iterator = JsonbIteratorInit(&traits->root);
	(void) JsonbIteratorNext(&iterator, &scalar, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		TypedTarget *target = NULL;
		ProfileValue value;

		(void) JsonbIteratorNext(&iterator, &scalar, true);
		for (int i = 0; i < name_count && target == NULL; i++)
		{
			text	   *declared = DatumGetTextPP(names[i]);

			if (VARSIZE_ANY_EXHDR(declared) != name.val.string.len ||
				memcmp(VARDATA_ANY(declared), name.val.string.val, name.val.string.len) != 0)
				continue;
			target = &targets[i];
			if (!OidIsValid(target->type))
			{
				Oid			type = DatumGetObjectId(DirectFunctionCall1(regtypein, CStringGetDatum(text_to_cstring(DatumGetTextPP(types[i])))));

				if (!OidIsValid(type))
					ereport(ERROR,
							(errcode(ERRCODE_UNDEFINED_OBJECT),
							 errmsg("type \"%s\" does not exist", text_to_cstring(DatumGetTextPP(types[i])))));
				typed_target_init(target, type, -1, CurrentMemoryContext);
			}
		}
		if (!pack_typed(&host.host, target, &scalar, zone, &value))
		{
			unfit[unfit_count++] = PointerGetDatum(cstring_to_text_with_len(name.val.string.val, name.val.string.len));
			continue;
		}
		if (!profile_builder_add(&builder, name.val.string.val, name.val.string.len, origin, observed_at, &value))
			cdp_profile_fail(&host);
	}
	result[0] = PointerGetDatum(cdp_profile_from_builder(&builder));
	result[1] = PointerGetDatum(construct_array(unfit, unfit_count, TEXTOID, -1, false, TYPALIGN_INT));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), result, nulls)));
}
