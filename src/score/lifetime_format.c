/*
 * lifetime_format.c
 *		A fitted model as it is stored and sent: reading and checking (see
 *		lifetime_format.h).
 *
 * Needs no running server.
 */
#include <math.h>

#include "score/lifetime_format.h"
#include "score/wire.h"

static bool
is_figure(double value)
{
	return isnan(value) || isfinite(value);
}

/*
 * lifetime_model_check says whether a model holds what every model does, and
 * which parameter is out of range, where one is.
 */
LifetimeModelFault
lifetime_model_check(const LifetimeModel *model, int *parameter)
{
	const LifetimeFamilyInfo *family = lifetime_family(model->family);

	if (model->version != LIFETIME_MODEL_VERSION)
		return LIFETIME_MODEL_UNKNOWN_VERSION;
	if (family == NULL || (model->flags & ~LIFETIME_MODEL_FLAGS) != 0 ||
		model->unused != 0 || model->unused_too != 0 || model->iterations < 0 ||
		!(model->period_days >= 0 && model->period_days <= LIFETIME_MODEL_LARGEST) ||
		!isfinite(model->log_likelihood) || !(model->weight >= 0) || !isfinite(model->weight) ||
		!(model->gradient_norm >= 0) || !isfinite(model->gradient_norm) || !is_figure(model->correlation))
		return LIFETIME_MODEL_INVALID;
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
	{
		bool		used = i < family->parameter_count;

		if (!is_figure(model->standard_errors[i]) || model->standard_errors[i] < 0 ||
			(!used && (model->parameters[i] != 1 || !isnan(model->standard_errors[i]))))
			return LIFETIME_MODEL_INVALID;
		if (used && !(model->parameters[i] - family->lower[i] >= LIFETIME_MODEL_SMALLEST && model->parameters[i] <= LIFETIME_MODEL_LARGEST))
		{
			*parameter = i;
			return LIFETIME_MODEL_OUT_OF_RANGE;
		}
	}
	return LIFETIME_MODEL_SOUND;
}

/*
 * lifetime_model_read_wire reads the binary form, all of it; what it passes still
 * goes to lifetime_model_check.  The server's four bytes are left alone.
 */
LifetimeModelFault
lifetime_model_read_wire(const uint8_t *bytes, size_t length, LifetimeModel *model)
{
	WireReader	reader = {bytes, length, false};

	model->version = (uint8_t) wire_integer(&reader, 1);
	if (reader.failed)
		return LIFETIME_MODEL_INVALID;
	if (model->version != LIFETIME_MODEL_VERSION)
		return LIFETIME_MODEL_UNKNOWN_VERSION;
	model->family = (uint8_t) wire_integer(&reader, 1);
	model->flags = (uint8_t) wire_integer(&reader, 1);
	model->unused = 0;
	model->iterations = (int32_t) wire_integer(&reader, 4);
	model->unused_too = 0;
	model->period_days = wire_double(&reader);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		model->parameters[i] = wire_double(&reader);
	for (int i = 0; i < LIFETIME_PARAMETERS; i++)
		model->standard_errors[i] = wire_double(&reader);
	model->log_likelihood = wire_double(&reader);
	model->weight = wire_double(&reader);
	model->gradient_norm = wire_double(&reader);
	model->correlation = wire_double(&reader);
	return wire_done(&reader) ? LIFETIME_MODEL_SOUND : LIFETIME_MODEL_INVALID;
}
