/*
 * gbt_xgboost.cc
 *		Training of boosted trees by XGBoost's C API (see gbt.h), with one thread.
 *
 * No exception leaves this file, and it calls nothing of the server.
 */
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <string>
#include <vector>

#include <xgboost/c_api.h>

extern "C"
{
#include "score/gbt.h"
}

namespace
{
/* What a result owns; freed by release */
struct Trained
{
	DMatrixHandle matrix = nullptr;
	DMatrixHandle checked = nullptr;
	BoosterHandle booster = nullptr;
	std::string model;
	std::vector<float> margins;
	std::vector<float> contributions;

	~Trained()
	{
		if (booster != nullptr)
			XGBoosterFree(booster);
		if (checked != nullptr)
			XGDMatrixFree(checked);
		if (matrix != nullptr)
			XGDMatrixFree(matrix);
	}
};

struct Failure
{
};

void
check(int status)
{
	if (status != 0)
		throw Failure();
}

void
quiet(const char *)
{
}

std::vector<float>
predict(const Trained &trained, const char *options)
{
	bst_ulong const *shape = nullptr;
	bst_ulong	dimensions = 0;
	float const *values = nullptr;
	size_t		size = 1;

	check(XGBoosterPredictFromDMatrix(trained.booster, trained.checked, options, &shape, &dimensions, &values));
	for (bst_ulong i = 0; i < dimensions; i++)
		size *= shape[i];
	return std::vector<float>(values, values + size);
}

/* False if it was interrupted */
bool
train(const GbtRequest &request, Trained &trained)
{
	const float missing = std::numeric_limits<float>::quiet_NaN();
	bst_ulong	length = 0;
	char const *bytes = nullptr;

	XGBRegisterLogCallback(quiet);
	check(XGBSetGlobalConfig("{\"verbosity\": 0}"));
	check(XGDMatrixCreateFromMat_omp(request.matrix, request.rows, request.columns, missing, &trained.matrix, 1));
	check(XGDMatrixSetFloatInfo(trained.matrix, "label", request.labels, request.rows));
	check(XGDMatrixSetFloatInfo(trained.matrix, "weight", request.weights, request.rows));
	check(XGBoosterCreate(&trained.matrix, 1, &trained.booster));
	check(XGBoosterSetParam(trained.booster, "nthread", "1"));
	for (size_t i = 0; request.parameters[i] != nullptr; i += 2)
		check(XGBoosterSetParam(trained.booster, request.parameters[i], request.parameters[i + 1]));
	for (int tree = 0; tree < request.trees; tree++)
	{
		if (request.interrupted())
			return false;
		check(XGBoosterUpdateOneIter(trained.booster, tree, trained.matrix));
	}
	check(XGBoosterSaveModelToBuffer(trained.booster, "{\"format\": \"json\"}", &length, &bytes));
	trained.model.assign(bytes, length);

	check(XGDMatrixCreateFromMat_omp(request.matrix, request.checked, request.columns, missing, &trained.checked, 1));
	trained.margins = predict(trained, "{\"type\": 1, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false}");
	trained.contributions = predict(trained, "{\"type\": 2, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false}");
	return true;
}

GbtStatus
run(const GbtRequest *request, GbtResult *result)
{
	Trained	   *trained = nullptr;

	result->handle = nullptr;
	result->message[0] = '\0';
	try
	{
		trained = new Trained;
		if (!train(*request, *trained))
		{
			delete trained;
			return GBT_INTERRUPTED;
		}
		result->model = trained->model.data();
		result->length = trained->model.size();
		result->margins = trained->margins.data();
		result->contributions = trained->contributions.data();
		result->handle = trained;
		return GBT_OK;
	}
	catch (const Failure &)
	{
		snprintf(result->message, sizeof(result->message), "%s", XGBGetLastError());
	}
	catch (const std::exception &exception)
	{
		snprintf(result->message, sizeof(result->message), "%s", exception.what());
	}
	catch (...)
	{
		snprintf(result->message, sizeof(result->message), "unknown exception");
	}
	delete trained;
	return GBT_FAILED;
}

void
release(GbtResult *result)
{
	delete static_cast<Trained *>(result->handle);
	result->handle = nullptr;
}
} // namespace

extern "C" __attribute__((visibility("default"))) const GbtInterface *
cdp_gbt_interface(void)
{
	static const GbtInterface interface = {GBT_INTERFACE_VERSION, run, release};

	return &interface;
}
