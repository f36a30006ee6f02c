/*
 * audience_aggregate.c
 *		The aggregates that build audiences.
 *
 * Their state is of type cdp.audience itself, so that it travels between
 * processes and servers as any value does; while rows are added it is an expanded
 * object around a set of the core.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#include "cdp.h"
#include "segment/audience.h"

PG_FUNCTION_INFO_V1(cdp_audience_agg_transition);
PG_FUNCTION_INFO_V1(cdp_audience_union_transition);

typedef struct ExpandedAudience
{
	ExpandedObjectHeader header;
	AudienceSet set;
} ExpandedAudience;

static Size
expanded_flat_size(ExpandedObjectHeader *header)
{
	ExpandedAudience *expanded = (ExpandedAudience *) header;

	cdp_audience_check(audience_set_finish(&expanded->set), NULL);
	return VARHDRSZ + expanded->set.bytes.length;
}

static void
expanded_flatten(ExpandedObjectHeader *header, void *result, Size size)
{
	ExpandedAudience *expanded = (ExpandedAudience *) header;

	Assert(size == VARHDRSZ + expanded->set.bytes.length);
	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), expanded->set.bytes.data, expanded->set.bytes.length);
}

static const ExpandedObjectMethods expanded_methods = {
	expanded_flat_size,
	expanded_flatten};

/*
 * get_state gives the state of an aggregate as an expanded object.
 */
static ExpandedAudience *
get_state(FunctionCallInfo fcinfo)
{
	MemoryContext aggregate_context;
	MemoryContext context;
	ExpandedAudience *expanded;

	if (!AggCheckCallContext(fcinfo, &aggregate_context))
		elog(ERROR, "audience transition function called in non-aggregate context");
	if (!PG_ARGISNULL(0) &&
		VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(PG_GETARG_DATUM(0))))
	{
		ExpandedObjectHeader *header = DatumGetEOHP(PG_GETARG_DATUM(0));

		if (header->eoh_methods != &expanded_methods)
			elog(ERROR, "expanded object is no audience");
		return (ExpandedAudience *) header;
	}

	context = AllocSetContextCreate(aggregate_context, "cdp audience", ALLOCSET_START_SMALL_SIZES);
	expanded = MemoryContextAlloc(context, sizeof(ExpandedAudience));
	EOH_init_header(&expanded->header, &expanded_methods, context);
	audience_set_begin(&expanded->set, &cdp_audience_host, context);
	if (!PG_ARGISNULL(0))
	{
		const char *problem = NULL;

		cdp_audience_check(audience_set_add_all(&expanded->set, cdp_audience_bytes(PG_GETARG_VARLENA_PP(0)), &problem),
						   problem);
	}
	return expanded;
}

/*
 * cdp.audience_agg_transition(cdp.audience, bigint) returns cdp.audience
 *
 * Adds an id to the state of cdp.audience_agg.  NULL is left out, a negative id
 * is an error.
 */
Datum
cdp_audience_agg_transition(PG_FUNCTION_ARGS)
{
	ExpandedAudience *expanded = get_state(fcinfo);

	if (!PG_ARGISNULL(1))
		cdp_audience_check(audience_set_add(&expanded->set, cdp_audience_id(PG_GETARG_INT64(1))), NULL);
	PG_RETURN_DATUM(EOHPGetRWDatum(&expanded->header));
}

/*
 * cdp.audience_union_transition(cdp.audience, cdp.audience) returns cdp.audience
 *
 * Adds an audience to the state of cdp.audience_agg or cdp.audience_union_agg.
 * NULL is left out.
 */
Datum
cdp_audience_union_transition(PG_FUNCTION_ARGS)
{
	ExpandedAudience *expanded = get_state(fcinfo);

	if (!PG_ARGISNULL(1))
	{
		const char *problem = NULL;

		cdp_audience_check(audience_set_add_all(&expanded->set, cdp_audience_bytes(PG_GETARG_VARLENA_PP(1)), &problem),
						   problem);
	}
	PG_RETURN_DATUM(EOHPGetRWDatum(&expanded->header));
}
