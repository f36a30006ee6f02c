/*
 * lifetime_model.c
 *		The type cdp.lifetime_model: text form (JSON), binary form, casts.
 */
#include "postgres.h"

#include <math.h>

#include "cdp.h"
#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "score/lifetime_model.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(cdp_lifetime_model_in);
PG_FUNCTION_INFO_V1(cdp_lifetime_model_out);
PG_FUNCTION_INFO_V1(cdp_lifetime_model_recv);
PG_FUNCTION_INFO_V1(cdp_lifetime_model_send);
PG_FUNCTION_INFO_V1(cdp_lifetime_model_to_jsonb);
PG_FUNCTION_INFO_V1(cdp_lifetime_model_from_jsonb);

/*
 * lifetime_model_create makes a model that knows nothing yet.
 */
LifetimeModel *
lifetime_model_create(LifetimeFamily family)
{
	LifetimeModel *model = palloc0(sizeof(LifetimeModel));

	SET_VARSIZE(model, sizeof(LifetimeModel));
	model->version = LIFETIME_MODEL_VERSION;
	model->family = family;
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
	{
		model->parameters[i] = 1;
		model->standard_errors[i] = NAN;
	}
	model->correlation = NAN;
	return model;
}

/*
 * require_sound raises an error for what is wrong with a model, with this
 * SQLSTATE where no more can be said.
 */
static void
require_sound(LifetimeModelFault fault, const LifetimeModel *model, int parameter, int sqlstate)
{
	const LifetimeFamilyInfo *family = lifetime_family(model->family);

	switch (fault)
	{
		case LIFETIME_MODEL_SOUND:
			return;
		case LIFETIME_MODEL_UNKNOWN_VERSION:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("unknown version %d of a lifetime model", model->version)));
			return;
		case LIFETIME_MODEL_INVALID:
			ereport(ERROR,
					(errcode(sqlstate),
					 errmsg("not a valid lifetime model")));
			return;
		case LIFETIME_MODEL_OUT_OF_RANGE:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("parameter \"%s\" of a %s model must be greater than %g, by at least %g, and at most %g",
							family->keys[parameter], family->name, family->lower[parameter],
							LIFETIME_MODEL_SMALLEST, LIFETIME_MODEL_LARGEST),
					 family->lower[parameter] > 0 ? errhint("Without %s greater than %g the mean spend of the population does not exist.", family->keys[parameter], family->lower[parameter]) : 0));
			return;
	}
}

static void
check_model(const LifetimeModel *model, int sqlstate)
{
	int			parameter = 0;
	LifetimeModelFault fault = lifetime_model_check(model, &parameter);

	require_sound(fault, model, parameter, sqlstate);
}

/*
 * lifetime_model_get gives an argument as a checked model: values also come from
 * disk and over the wire.
 */
LifetimeModel *
lifetime_model_get(Datum value)
{
	LifetimeModel *model = (LifetimeModel *) PG_DETOAST_DATUM(value);

	if (VARSIZE(model) != sizeof(LifetimeModel))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("not a valid lifetime model")));
	check_model(model, ERRCODE_DATA_CORRUPTED);
	return model;
}

/*
 * lifetime_interval_days: the days of an interval, with months and years of mean
 * length (30.4375 and 365.25 days).
 */
double
lifetime_interval_days(const Interval *interval)
{
	return interval->time / (double) USECS_PER_DAY + interval->day + interval->month * LIFETIME_DAYS_PER_MONTH;
}

/*
 * lifetime_days_interval: the same, back.
 */
Interval *
lifetime_days_interval(double days)
{
	Interval   *interval = palloc0(sizeof(Interval));
	double		whole = floor(days);

	if (days <= 1e8)
	{
		interval->day = (int32) whole;
		interval->time = (TimeOffset) rint((days - whole) * USECS_PER_DAY);
	}
	else
		interval->month = (int32) fmin(days / LIFETIME_DAYS_PER_MONTH, PG_INT32_MAX - 1.0);
	return interval;
}

static void
append_number(StringInfo text, const char *key, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	appendStringInfo(text, ", \"%s\": ", key);
	if (isnan(value))
		appendStringInfoString(text, "null");
	else
	{
		double_to_shortest_decimal_buf(value, digits);
		appendStringInfoString(text, digits);
	}
}

static char *
model_text(const LifetimeModel *model)
{
	const LifetimeFamilyInfo *family = lifetime_family(model->family);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"version\": %d, \"family\": \"%s\"", model->version, family->name);
	for (int i = 0; i < family->parameter_count; i++)
		append_number(&text, family->keys[i], model->parameters[i]);
	if (model->period_days > 0)
		append_number(&text, "period_days", model->period_days);
	if (model->flags & LIFETIME_MODEL_FITTED)
	{
		StringInfoData errors;

		initStringInfo(&errors);
		for (int i = 0; i < family->parameter_count; i++)
			append_number(&errors, family->keys[i], model->standard_errors[i]);
		appendStringInfo(&text, ", \"standard_errors\": {%s}", errors.data + 2);
		append_number(&text, "log_likelihood", model->log_likelihood);
		append_number(&text, "n", model->weight);
		appendStringInfo(&text, ", \"iterations\": %d, \"converged\": %s", model->iterations,
						 model->flags & LIFETIME_MODEL_CONVERGED ? "true" : "false");
		append_number(&text, "gradient_norm", model->gradient_norm);
		if (model->flags & LIFETIME_MODEL_PRIOR)
			appendStringInfoString(&text, ", \"prior\": true");
		if (!isnan(model->correlation))
			append_number(&text, "correlation", model->correlation);
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}

/*
 * An object of JSON that is being read, and how many of its keys were asked for.
 */
typedef struct JsonReader
{
	JsonbContainer *object;
	int			found;
} JsonReader;

static bool
json_find(JsonReader *reader, const char *key, enum jbvType type, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(reader->object, key, strlen(key), value) == NULL)
		return false;
	reader->found++;
	if (value->type == jbvNull)
		return false;
	if (value->type != type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("\"%s\" of a lifetime model is of the wrong type", key)));
	return true;
}

static bool
json_number(JsonReader *reader, const char *key, double *number)
{
	JsonbValue	value;

	if (!json_find(reader, key, jbvNumeric, &value))
		return false;
	*number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value.val.numeric)));
	return true;
}

static bool
json_boolean(JsonReader *reader, const char *key)
{
	JsonbValue	value;

	return json_find(reader, key, jbvBool, &value) && value.val.boolean;
}

static void
json_end(const JsonReader *reader)
{
	if (reader->found != JsonContainerSize(reader->object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("lifetime model has keys that are not known"),
				 errhint("A model is written like {\"family\": \"bgnbd\", \"r\": 0.24, \"alpha\": 4.4, \"a\": 0.79, \"b\": 2.4}.")));
}

static LifetimeModel *
model_from_jsonb(Jsonb *json)
{
	JsonReader	reader = {&json->root, 0};
	JsonReader	errors = {NULL, 0};
	JsonbValue	value;
	const LifetimeFamilyInfo *family = NULL;
	LifetimeModel *model;
	double		number;

	if (JB_ROOT_IS_OBJECT(json) && json_find(&reader, "family", jbvString, &value))
		family = lifetime_family_by_name(pnstrdup(value.val.string.val, value.val.string.len));
	if (family == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("a lifetime model is a JSON object with a known \"family\""),
				 errhint("Families are bgnbd, mbgnbd, pareto_nbd, gamma_gamma, bgbb and sbg.")));
	model = lifetime_model_create(family->family);
	if (json_number(&reader, "version", &number) && number != LIFETIME_MODEL_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("unknown version %g of a lifetime model", number)));
	for (int i = 0; i < family->parameter_count; i++)
		if (!json_number(&reader, family->keys[i], &model->parameters[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("a %s model needs the parameter \"%s\"", family->name, family->keys[i])));
	json_number(&reader, "period_days", &model->period_days);

	if (json_find(&reader, "standard_errors", jbvBinary, &value))
	{
		errors.object = value.val.binary.data;
		if (!JsonContainerIsObject(errors.object))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("\"%s\" of a lifetime model is of the wrong type", "standard_errors")));
		for (int i = 0; i < family->parameter_count; i++)
			json_number(&errors, family->keys[i], &model->standard_errors[i]);
		json_end(&errors);
	}
	if (json_number(&reader, "log_likelihood", &model->log_likelihood))
		model->flags |= LIFETIME_MODEL_FITTED;
	json_number(&reader, "n", &model->weight);
	if (json_number(&reader, "iterations", &number))
	{
		if (!(number >= 0 && number <= PG_INT32_MAX && number == floor(number)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("\"%s\" of a lifetime model is of the wrong type", "iterations")));
		model->iterations = (int32) number;
	}
	if (json_boolean(&reader, "converged"))
		model->flags |= LIFETIME_MODEL_CONVERGED;
	json_number(&reader, "gradient_norm", &model->gradient_norm);
	if (json_boolean(&reader, "prior"))
		model->flags |= LIFETIME_MODEL_PRIOR;
	json_number(&reader, "correlation", &model->correlation);
	json_end(&reader);
	check_model(model, ERRCODE_INVALID_TEXT_REPRESENTATION);
	return model;
}

/*
 * cdp.lifetime_model_in(cstring) returns cdp.lifetime_model
 */
Datum
cdp_lifetime_model_in(PG_FUNCTION_ARGS)
{
	Datum		json = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(model_from_jsonb(DatumGetJsonbP(json)));
}

/*
 * cdp.lifetime_model_out(cdp.lifetime_model) returns cstring
 */
Datum
cdp_lifetime_model_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(model_text(PG_GETARG_LIFETIME_MODEL(0)));
}

/*
 * cdp.lifetime_model_recv(internal) returns cdp.lifetime_model
 */
Datum
cdp_lifetime_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	LifetimeModel *model = lifetime_model_create(LIFETIME_BGNBD);

	require_sound(lifetime_model_read_wire((const uint8 *) buffer->data + buffer->cursor, buffer->len - buffer->cursor, model),
				  model, 0, ERRCODE_INVALID_BINARY_REPRESENTATION);
	buffer->cursor = buffer->len;
	check_model(model, ERRCODE_INVALID_BINARY_REPRESENTATION);
	PG_RETURN_POINTER(model);
}

/*
 * cdp.lifetime_model_send(cdp.lifetime_model) returns bytea
 */
Datum
cdp_lifetime_model_send(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, model->version);
	pq_sendbyte(&buffer, model->family);
	pq_sendbyte(&buffer, model->flags);
	pq_sendint32(&buffer, model->iterations);
	pq_sendfloat8(&buffer, model->period_days);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		pq_sendfloat8(&buffer, model->parameters[i]);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		pq_sendfloat8(&buffer, model->standard_errors[i]);
	pq_sendfloat8(&buffer, model->log_likelihood);
	pq_sendfloat8(&buffer, model->weight);
	pq_sendfloat8(&buffer, model->gradient_norm);
	pq_sendfloat8(&buffer, model->correlation);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/*
 * Cast from cdp.lifetime_model to jsonb: the text form.
 */
Datum
cdp_lifetime_model_to_jsonb(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(model_text(PG_GETARG_LIFETIME_MODEL(0))));
}

/*
 * Cast from jsonb to cdp.lifetime_model.
 */
Datum
cdp_lifetime_model_from_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(model_from_jsonb(PG_GETARG_JSONB_P(0)));
}
