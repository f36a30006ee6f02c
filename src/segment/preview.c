/*
 * preview.c
 *		How many people a predicate or query selects, and some of them, with
 *		nothing registered.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "cdp.h"
#include "query.h"
#include "trait/expression.h"

PG_FUNCTION_INFO_V1(cdp_preview_segment);

#define MAX_SAMPLE	100000

/* Counts ids, and keeps as many as wanted, each set of them with equal chance. */
typedef struct Preview
{
	int64		members;
	int64	   *sample;
	int			wanted;
	int			kept;
} Preview;

static void
take_member(void *argument, TupleTableSlot *slot)
{
	Preview	   *preview = argument;
	bool		is_null;
	int64		id = DatumGetInt64(slot_getattr(slot, 1, &is_null));

	preview->members++;
	if (preview->kept < preview->wanted)
		preview->sample[preview->kept++] = id;
	else if (preview->wanted > 0)
	{
		uint64		place = pg_prng_uint64_range(&pg_global_prng_state, 0, (uint64) preview->members - 1);

		if (place < (uint64) preview->wanted)
			preview->sample[place] = id;
	}
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right ? 1
											: 0;
}

static int64
count_people(void)
{
	bool		is_null;
	int64		result;

	SPI_connect();
	if (SPI_execute("SELECT pg_catalog.count(*) FROM cdp.profiles", true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not count the people");
	result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	SPI_finish();
	return result;
}

/* The statement that yields the members by a query, which is checked by itself, so that errors show its own text. */
static char *
members_by_query(const char *query)
{
	CdpQuery   *checked = cdp_query_prepare(query, "cdp.preview_segment");
	bool		is_good = cdp_query_descriptor(checked)->natts == 1 && cdp_query_coerce(checked, 1, INT8OID);

	if (!is_good)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query of a segment must have one column, the profile ids"),
				 errhint("Write SELECT profile_id FROM ...; ids are of type bigint.")));
	cdp_query_free(checked);
	return expression_query_statement(query, true);
}

/*
 * cdp.preview_segment(predicate text, sample integer, query text,
 *		OUT members bigint, OUT people bigint, OUT share double precision,
 *		OUT sample bigint[]) returns record
 *
 * Evaluates a predicate, or a query that yields profile ids, with the caller's
 * rights.  share is NULL when there are no people.
 *
 * Errors: neither or both of predicate and query; a sample that is NULL,
 * negative or very large; what is wrong with the text, with the place in it.
 */
Datum
cdp_preview_segment(PG_FUNCTION_ARGS)
{
	Preview		preview = {0};
	Expression *expression;
	SourceOwner owner;
	CdpQuery   *query;
	TupleDesc	descriptor;
	Datum	   *elements;
	Datum		values[4];
	bool		nulls[4] = {false};
	char	   *sql = NULL;
	int64		people;

	if (PG_ARGISNULL(0) == PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cdp.preview_segment needs either a predicate or a query"),
				 errhint("Write cdp.preview_segment('profile.country = ''FR''') or cdp.preview_segment(query => 'SELECT profile_id FROM ...').")));
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 0 || PG_GETARG_INT32(1) > MAX_SAMPLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample must be a number from 0 to %d", MAX_SAMPLE)));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	preview.wanted = PG_GETARG_INT32(1);
	preview.sample = cdp_palloc_array(int64, add_size(preview.wanted, 1));

	expression = expression_of_caller(PG_GETARG_TEXT_PP(PG_ARGISNULL(0) ? 2 : 0));
	if (!PG_ARGISNULL(0))
		sql = expression_statement(list_make1(expression), EXPRESSION_MEMBERS, 0);
	expression_enter(expression, &owner);
	if (PG_ARGISNULL(0))
		sql = members_by_query(expression->definition);
	query = cdp_query_prepare(sql, "cdp.preview_segment");
	(void) cdp_query_run(query, CDP_QUERY_PARALLEL, take_member, &preview);
	cdp_query_free(query);
	source_owner_leave(&owner);
	people = count_people();

	qsort(preview.sample, preview.kept, sizeof(int64), compare_ids);
	elements = cdp_palloc_array(Datum, add_size(preview.kept, 1));
	for (int i = 0; i < preview.kept; i++)
		elements[i] = Int64GetDatum(preview.sample[i]);
	values[0] = Int64GetDatum(preview.members);
	values[1] = Int64GetDatum(people);
	nulls[2] = people == 0;
	values[2] = Float8GetDatum(people == 0 ? 0 : (double) preview.members / (double) people);
	values[3] = PointerGetDatum(construct_array(elements, preview.kept, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
