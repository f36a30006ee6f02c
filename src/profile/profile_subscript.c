/*
 * profile_subscript.c
 *		Subscripting: profile['country'] is profile -> 'country', and further
 *		subscripts lead into a value that is an array or object.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/execExpr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/subscripting.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "utils/jsonb.h"

#include "profile/profile_host.h"
#include "profile/profile_read.h"

PG_FUNCTION_INFO_V1(cdp_profile_subscript);

/*
 * transform checks the subscripts of an expression and makes them texts.
 */
static void
transform(SubscriptingRef *reference, List *indirection, ParseState *parse, bool is_slice,
		  bool is_assignment)
{
	List	   *subscripts = NIL;
	ListCell   *cell;

	if (is_assignment)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a trait of a profile cannot be assigned by subscript"),
				 errhint("Merge a new value into the profile with || and cdp.profile_build, which say where it comes from and since when."),
				 parser_errposition(parse, exprLocation((Node *) reference->refexpr))));
	foreach (cell, indirection)
	{
		A_Indices  *index = lfirst_node(A_Indices, cell);
		Node	   *expression;
		Node	   *coerced;

		if (is_slice || index->uidx == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a subscript of a profile must not be a slice"),
					 parser_errposition(parse, exprLocation(index->uidx != NULL ? index->uidx : index->lidx))));
		expression = transformExpr(parse, index->uidx, parse->p_expr_kind);
		coerced = coerce_to_target_type(parse, expression, exprType(expression), TEXTOID, -1,
										COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (coerced == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a subscript of a profile must be of type text"),
					 parser_errposition(parse, exprLocation(expression))));
		subscripts = lappend(subscripts, coerced);
	}
	reference->refupperindexpr = subscripts;
	reference->reflowerindexpr = NIL;
	reference->refrestype = JSONBOID;
	reference->reftypmod = -1;
}

/*
 * fetch finds the value of a trait, and what is below it.  The profile is not
 * NULL, as fetch_strict says.
 */
static void
fetch(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	SubscriptingRefState *reference = step->d.sbsref.state;
	ProfileServerHost host;
	ProfileValue value;
	text	   *trait;
	Datum		jsonb;

	for (int i = 0; i < reference->numupper; i++)
	{
		if (reference->upperindexnull[i])
		{
			*step->resnull = true;
			return;
		}
	}
	cdp_profile_host_init(&host);
	trait = DatumGetTextPP(reference->upperindex[0]);
	if (!cdp_profile_pick(&host, *step->resvalue, VARDATA_ANY(trait),
						  VARSIZE_ANY_EXHDR(trait), &cdp_survivorship_last, &value))
	{
		*step->resnull = true;
		return;
	}
	jsonb = cdp_profile_value_to_jsonb(&host.host, &value);
	if (reference->numupper > 1)
		jsonb = jsonb_get_element(DatumGetJsonbP(jsonb), reference->upperindex + 1,
								  reference->numupper - 1, step->resnull, false);
	*step->resvalue = jsonb;
}

static void
exec_setup(const SubscriptingRef *reference, SubscriptingRefState *state,
		   SubscriptExecSteps *methods)
{
	methods->sbs_check_subscripts = NULL;
	methods->sbs_fetch = fetch;
	methods->sbs_assign = NULL;
	methods->sbs_fetch_old = NULL;
}

/*
 * cdp.profile_subscript(internal) returns internal
 */
Datum
cdp_profile_subscript(PG_FUNCTION_ARGS)
{
	static const SubscriptRoutines routines = {
		.transform = transform,
		.exec_setup = exec_setup,
		.fetch_strict = true,
		.fetch_leakproof = false,
		.store_leakproof = false,
	};

	PG_RETURN_POINTER(&routines);
}
