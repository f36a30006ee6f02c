/*
 * document.h
 *		Models as jsonb documents: the text, the binary form and the cast to jsonb
 *		are then PostgreSQL's own, and what has to be checked is only what a
 *		document says.
 *
 * A document is an object with "model", which names the kind, and "version".
 * Numbers are finite or null.  The reading functions raise an error for what is
 * not as it should be; their results do not point into the document.
 */
#ifndef CDP_DOCUMENT_H
#define CDP_DOCUMENT_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* Reads and checks a document; the result lives in the current memory context. */
typedef void *(*DocumentReader) (Jsonb *document);

extern void document_write_key(StringInfo text, const char *key);
extern void document_write_number(StringInfo text, const char *key, double value);
extern void document_write_integer(StringInfo text, const char *key, int64 value);
extern void document_write_boolean(StringInfo text, const char *key, bool value);
extern void document_write_string(StringInfo text, const char *key, const char *value);
extern Jsonb *document_finish(StringInfo text);

extern void *document_argument(FunctionCallInfo fcinfo, int argument, DocumentReader read);
extern void document_invalid(const char *problem) pg_attribute_noreturn();
extern void document_check_header(Jsonb *document, const char *model, int version);
extern JsonbValue *document_read_key(JsonbContainer *object, const char *key, bool required);
extern double document_read_number(JsonbContainer *object, const char *key, double null_value);
extern double document_read_number_between(JsonbContainer *object, const char *key, double null_value, double low, double high);
extern bool document_read_boolean(JsonbContainer *object, const char *key);
extern char *document_value_string(JsonbValue *value, const char *key);
extern JsonbContainer *document_read_array(JsonbContainer *object, const char *key, bool required);
extern int	document_read_numbers(JsonbContainer *object, const char *key, double **numbers);
extern JsonbContainer *document_element_object(JsonbContainer *array, int place, const char *key);

#endif							/* CDP_DOCUMENT_H */
