/*
 * compat.h
 *		The one place that knows how PostgreSQL 15 to 18 differ.
 */
#ifndef CDP_COMPAT_H
#define CDP_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "cdp needs PostgreSQL 15 or later"
#endif

/* VARDATA_ANY and its relatives: in postgres.h before PostgreSQL 16 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 18 has pg_noreturn in its place, which stands elsewhere */
#if PG_VERSION_NUM >= 180000
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/*
 * The library is compiled with hidden visibility.  Before PostgreSQL 16
 * PGDLLEXPORT expands to nothing on ELF platforms and PG_FUNCTION_INFO_V1
 * declares the function without it, so both are given the later meaning here.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname) \
extern PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS); \
extern PGDLLEXPORT const Pg_finfo_record * CppConcat(pg_finfo_,funcname)(void); \
const Pg_finfo_record * \
CppConcat(pg_finfo_,funcname) (void) \
{ \
	static const Pg_finfo_record my_finfo = { 1 }; \
	return &my_finfo; \
} \
extern int no_such_variable
#endif

/*
 * Run a plan to its end, once.  PostgreSQL 18 dropped ExecutorRun's execute_once.
 */
#if PG_VERSION_NUM >= 180000
#define cdp_executor_run(description, direction, count) \
	ExecutorRun((description), (direction), (count))
#else
#define cdp_executor_run(description, direction, count) \
	ExecutorRun((description), (direction), (count), true)
#endif

/*
 * Look-ups by index.  PostgreSQL 18 counts them per plan node.
 */
#if PG_VERSION_NUM >= 180000
#define cdp_index_beginscan(heap, index, snapshot, keys) \
	index_beginscan((heap), (index), (snapshot), NULL, (keys), 0)
#else
#define cdp_index_beginscan(heap, index, snapshot, keys) \
	index_beginscan((heap), (index), (snapshot), (keys), 0)
#endif

/*
 * Build an index of a table anew, its constraint taken for granted.  PostgreSQL
 * 17 wants the statement too.
 */
#if PG_VERSION_NUM >= 170000
#define cdp_reindex_index(index, persistence) \
	reindex_index(NULL, (index), true, (persistence), &(ReindexParams){0})
#else
#define cdp_reindex_index(index, persistence) \
	reindex_index((index), true, (persistence), &(ReindexParams){0})
#endif

/*
 * Rights on a schema.  PostgreSQL 16 has one function for all kinds of object.
 */
#if PG_VERSION_NUM >= 160000
#define cdp_namespace_aclcheck(schema, role, mode) \
	object_aclcheck(NamespaceRelationId, (schema), (role), (mode))
#else
#define cdp_namespace_aclcheck(schema, role, mode) \
	pg_namespace_aclcheck((schema), (role), (mode))
#endif

/*
 * Input functions that can note an error instead of raising it ("soft errors"):
 * from PostgreSQL 16 on.  Before, they raise it.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define cdp_ereturn(context, result, ...) ereturn(context, result, __VA_ARGS__)
#define cdp_errsave(context, ...) errsave(context, __VA_ARGS__)
#define cdp_input_call(function, string, context, result) \
	DirectInputFunctionCallSafe((function), (string), InvalidOid, -1, (context), (result))
#define cdp_unicode_to_server(character, output) \
	pg_unicode_to_server_noerror((character), (output))
#else
#define cdp_ereturn(context, result, ...) \
	do \
{ \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return result; \
	} while (0)
#define cdp_errsave(context, ...) \
	do \
{ \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#define cdp_input_call(function, string, context, result) \
	((void) (context), \
	 *(result) = DirectFunctionCall3((function), CStringGetDatum(string), \
									 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)), \
	 true)
#define cdp_unicode_to_server(character, output) \
	(pg_unicode_to_server((character), (output)), true)
#endif

/*
 * What an operator is in the operator families of B-trees: PostgreSQL 18 looks at
 * other ordered indexes as well.  For who includes utils/lsyscache.h.
 */
#if PG_VERSION_NUM >= 180000
#define CdpOperatorInterpretation OpIndexInterpretation
#define cdp_operator_interpretations(operator_id) get_op_index_interpretation(operator_id)
#define cdp_is_order(interpretation) ((interpretation)->cmptype != COMPARE_EQ && (interpretation)->cmptype != COMPARE_NE)
#else
#define CdpOperatorInterpretation OpBtreeInterpretation
#define cdp_operator_interpretations(operator_id) get_op_btree_interpretation(operator_id)
#define cdp_is_order(interpretation) ((interpretation)->strategy != ROWCOMPARE_EQ && (interpretation)->strategy != ROWCOMPARE_NE)
#endif

/*
 * The parts of a qualified name.  PostgreSQL 16 can report errors softly.
 */
#if PG_VERSION_NUM >= 160000
#define cdp_qualified_name_list(name) stringToQualifiedNameList((name), NULL)
#else
#define cdp_qualified_name_list(name) stringToQualifiedNameList(name)
#endif

/*
 * The rights on the relations of an analysed query, an error if one is missing.
 * PostgreSQL 16 keeps the columns that it reads beside its relations.
 */
#if PG_VERSION_NUM >= 160000
#define cdp_check_permissions(query) \
	((void) ExecCheckPermissions((query)->rtable, (query)->rteperminfos, true))
#else
#define cdp_check_permissions(query) \
	((void) ExecCheckRTPerms((query)->rtable, true))
#endif

/*
 * Whether a role may act as another one, an error if not.
 */
#if PG_VERSION_NUM < 160000
#define check_can_set_role(member, role) check_is_member_of_role((member), (role))
#endif

#endif							/* CDP_COMPAT_H */
