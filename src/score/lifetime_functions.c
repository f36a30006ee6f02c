/*
 * lifetime_functions.c
 *		The SQL functions that score customers with a lifetime model.
 *
 * Each comes for columns, with times as numbers in the model's unit, and for
 * cdp.rfm_summary values, with horizons as intervals.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "cdp.h"
#include "score/lifetime_model.h"
#include "score/rfm.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cdp_expected_purchases);
PG_FUNCTION_INFO_V1(cdp_expected_purchases_rfm);
PG_FUNCTION_INFO_V1(cdp_p_alive);
PG_FUNCTION_INFO_V1(cdp_p_alive_rfm);
PG_FUNCTION_INFO_V1(cdp_p_no_purchase);
PG_FUNCTION_INFO_V1(cdp_p_no_purchase_rfm);
PG_FUNCTION_INFO_V1(cdp_p_purchases);
PG_FUNCTION_INFO_V1(cdp_customer_log_likelihood);
PG_FUNCTION_INFO_V1(cdp_discounted_purchases);
PG_FUNCTION_INFO_V1(cdp_discounted_purchases_rfm);
PG_FUNCTION_INFO_V1(cdp_expected_spend);
PG_FUNCTION_INFO_V1(cdp_expected_spend_rfm);
PG_FUNCTION_INFO_V1(cdp_lifetime_value);
PG_FUNCTION_INFO_V1(cdp_lifetime_value_rfm);
PG_FUNCTION_INFO_V1(cdp_survival);
PG_FUNCTION_INFO_V1(cdp_retention_rate);
PG_FUNCTION_INFO_V1(cdp_residual_life);

/* Discounted horizons are cut into months, so they end somewhere. */
#define MOST_MONTHS 1200

static const char *const buying_families = "bgnbd, mbgnbd, pareto_nbd or bgbb";

static void
require_family(const LifetimeModel *model, bool suits, const char *wanted)
{
	if (!suits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model is a %s model, and this needs %s", lifetime_family(model->family)->name, wanted)));
}

static bool
is_buying(const LifetimeModel *model)
{
	return model->family == LIFETIME_BGNBD || model->family == LIFETIME_MBGNBD ||
		model->family == LIFETIME_PARETO_NBD || model->family == LIFETIME_BGBB;
}

static void
check_customer(const LifetimeModel *model, const LifetimeRow *row)
{
	const char *wrong = lifetime_check_row(model->family, row);

	if (wrong)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s", wrong),
				 errdetail("The customer has frequency %g, recency %g and age %g.", row->x, row->y, row->z)));
}

static void
check_horizon(const LifetimeModel *model, double horizon)
{
	if (!(horizon >= 0 && horizon <= 1e12))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("horizon must be between 0 and 1e12 periods")));
	if (model->family == LIFETIME_BGBB && (horizon != floor(horizon) || horizon > 1e6))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("horizon of a bgbb model must be a whole number of opportunities, at most 1000000")));
}

/*
 * result makes sure that nothing else than a finite number is returned.
 */
static Datum
result(double value)
{
	if (!isfinite(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("score is out of range"),
				 errhint("Check the parameters of the model.")));
	return Float8GetDatum(value);
}

/*
 * customer_of takes frequency, recency and age from three arguments.
 */
static LifetimeRow
customer_of(FunctionCallInfo fcinfo, int argument, const LifetimeModel *model)
{
	LifetimeRow row;

	row.x = PG_GETARG_FLOAT8(argument);
	row.y = PG_GETARG_FLOAT8(argument + 1);
	row.z = PG_GETARG_FLOAT8(argument + 2);
	row.weight = 1;
	check_customer(model, &row);
	return row;
}

/*
 * The unit of a model's times in days: the model's own period, or that of the
 * customer, which it is then taken to have been fitted with.
 */
static double
model_period(const LifetimeModel *model, const RfmSummary *summary)
{
	return model->period_days > 0 ? model->period_days : summary->period_days;
}

/*
 * customer_of_rfm takes them from an rfm value, in the model's unit.
 */
static LifetimeRow
customer_of_rfm(const LifetimeModel *model, const RfmSummary *summary)
{
	LifetimeRow row;
	double		factor = summary->period_days / model_period(model, summary);

	row.x = summary->frequency;
	row.y = factor == 1 ? summary->recency : summary->recency * factor;
	row.z = factor == 1 ? summary->age : summary->age * factor;
	row.weight = 1;
	if (model->family == LIFETIME_BGBB)
	{
		row.y = rint(row.y);
		row.z = rint(row.z);
	}
	check_customer(model, &row);
	return row;
}

static double
horizon_of_interval(const LifetimeModel *model, const RfmSummary *summary, const Interval *interval)
{
	double		horizon = lifetime_interval_days(interval) / model_period(model, summary);

	if (model->family == LIFETIME_BGBB)
		horizon = floor(horizon + 1e-9);
	check_horizon(model, horizon);
	return horizon;
}

/*
 * cdp.expected_purchases(model, horizon float8, frequency, recency, age) returns float8
 */
Datum
cdp_expected_purchases(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	double		horizon = PG_GETARG_FLOAT8(1);
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	check_horizon(model, horizon);
	row = customer_of(fcinfo, 2, model);
	return result(lifetime_expected_purchases(model->family, model->parameters, row.x, row.y, row.z, horizon));
}

/*
 * cdp.expected_purchases(model, horizon interval, customer cdp.rfm_summary) returns float8
 */
Datum
cdp_expected_purchases_rfm(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	RfmSummary	summary;
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(2), &summary))
		PG_RETURN_NULL();
	row = customer_of_rfm(model, &summary);
	return result(lifetime_expected_purchases(model->family, model->parameters, row.x, row.y, row.z,
											  horizon_of_interval(model, &summary, PG_GETARG_INTERVAL_P(1))));
}

/*
 * cdp.p_alive(model, frequency, recency, age, horizon float8) returns float8
 */
Datum
cdp_p_alive(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	double		horizon = PG_GETARG_FLOAT8(4);
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	check_horizon(model, horizon);
	row = customer_of(fcinfo, 1, model);
	return result(lifetime_alive(model->family, model->parameters, row.x, row.y, row.z, horizon));
}

/*
 * cdp.p_alive(model, customer cdp.rfm_summary) returns float8
 */
Datum
cdp_p_alive_rfm(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	RfmSummary	summary;
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary))
		PG_RETURN_NULL();
	row = customer_of_rfm(model, &summary);
	return result(lifetime_alive(model->family, model->parameters, row.x, row.y, row.z, 0));
}

/*
 * cdp.p_no_purchase(model, horizon float8, frequency, recency, age) returns float8
 */
Datum
cdp_p_no_purchase(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	double		horizon = PG_GETARG_FLOAT8(1);
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	check_horizon(model, horizon);
	row = customer_of(fcinfo, 2, model);
	return result(lifetime_no_purchase(model->family, model->parameters, row.x, row.y, row.z, horizon));
}

/*
 * cdp.p_no_purchase(model, horizon interval, customer cdp.rfm_summary) returns float8
 */
Datum
cdp_p_no_purchase_rfm(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	RfmSummary	summary;
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(2), &summary))
		PG_RETURN_NULL();
	row = customer_of_rfm(model, &summary);
	return result(lifetime_no_purchase(model->family, model->parameters, row.x, row.y, row.z,
									   horizon_of_interval(model, &summary, PG_GETARG_INTERVAL_P(1))));
}

/*
 * cdp.p_purchases(model, purchases integer, horizon float8) returns float8
 */
Datum
cdp_p_purchases(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	double		purchases = PG_GETARG_INT32(1);
	double		horizon = PG_GETARG_FLOAT8(2);

	require_family(model, model->family == LIFETIME_BGNBD || model->family == LIFETIME_MBGNBD, "bgnbd or mbgnbd");
	check_horizon(model, horizon);
	if (purchases < 0 || purchases > 1e6)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("purchases must be between 0 and 1000000")));
	return result(lifetime_purchase_probability(model->family, model->parameters, purchases, horizon));
}

/*
 * cdp.customer_log_likelihood(model, frequency, recency, age) returns float8
 */
Datum
cdp_customer_log_likelihood(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	LifetimeRow row;
	LifetimeSums sums;

	require_family(model, is_buying(model), buying_families);
	row = customer_of(fcinfo, 1, model);
	lifetime_likelihood(model->family, model->parameters, &row, 1, false, &sums, NULL);
	return result(sums.value);
}

static double
check_discount(double discount)
{
	if (!(discount >= 0 && discount <= 100))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("discount must be between 0 and 100"),
				 errhint("It is a share per year: 0.1 for 10 percent.")));
	return discount;
}

static void
require_period(double period_days)
{
	if (period_days == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model does not know its unit of time, so nothing can be discounted by the year"),
				 errhint("Fit it with cdp.lifetime_options(period => '1 week'), or from rfm values, which know theirs.")));
}

static double
discounted_purchases(const LifetimeModel *model, const LifetimeRow *row, double discount, double period_days)
{
	require_family(model, is_buying(model), buying_families);
	if (check_discount(discount) < 1e-6)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("purchases over all the future need a discount of at least 0.000001 a year"),
				 errhint("Without a discount use cdp.expected_purchases with a horizon.")));
	require_period(period_days);
	return lifetime_residual_transactions(model->family, model->parameters, row->x, row->y, row->z,
										  log1p(discount) * period_days / LIFETIME_DAYS_PER_YEAR);
}

/*
 * cdp.discounted_purchases(model, frequency, recency, age, discount float8) returns float8
 */
Datum
cdp_discounted_purchases(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	row = customer_of(fcinfo, 1, model);
	return result(discounted_purchases(model, &row, PG_GETARG_FLOAT8(4), model->period_days));
}

/*
 * cdp.discounted_purchases(model, customer cdp.rfm_summary, discount float8) returns float8
 */
Datum
cdp_discounted_purchases_rfm(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	RfmSummary	summary;
	LifetimeRow row;

	require_family(model, is_buying(model), buying_families);
	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary))
		PG_RETURN_NULL();
	row = customer_of_rfm(model, &summary);
	return result(discounted_purchases(model, &row, PG_GETARG_FLOAT8(2), model_period(model, &summary)));
}

static double
expected_spend(const LifetimeModel *model, double frequency, double monetary)
{
	require_family(model, model->family == LIFETIME_GAMMA_GAMMA, "gamma_gamma for the spend");
	if (!(frequency >= 0 && frequency <= 1e9 && frequency == floor(frequency)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("frequency must be a whole number from 0 to 1000000000")));
	if (frequency > 0 && !(monetary >= 0 && monetary <= 1e15))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("monetary must be between 0 and 1e15")));
	return lifetime_expected_spend(model->parameters, frequency, monetary);
}

/*
 * cdp.expected_spend(model, frequency, monetary) returns float8
 *
 * Monetary may be NULL where frequency is 0.
 */
Datum
cdp_expected_spend(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) ||
		(PG_ARGISNULL(2) && PG_GETARG_FLOAT8(1) != 0))
		PG_RETURN_NULL();
	return result(expected_spend(PG_GETARG_LIFETIME_MODEL(0), PG_GETARG_FLOAT8(1),
								 PG_ARGISNULL(2) ? 0 : PG_GETARG_FLOAT8(2)));
}

/*
 * cdp.expected_spend(model, customer cdp.rfm_summary) returns float8
 */
Datum
cdp_expected_spend_rfm(PG_FUNCTION_ARGS)
{
	RfmSummary	summary;

	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(1), &summary))
		PG_RETURN_NULL();
	return result(expected_spend(PG_GETARG_LIFETIME_MODEL(0), summary.frequency, summary.monetary));
}

/*
 * lifetime_value: expected purchases of each month within the horizon (for BG/BB:
 * at each opportunity), discounted from its end, times expected spend and margin.
 */
static double
lifetime_value(const LifetimeModel *model, const LifetimeRow *row, double horizon,
			   double discount, double period_days, double spend, double margin)
{
	double		horizons[MOST_MONTHS];
	double		weights[MOST_MONTHS];
	double		step;
	double		rate;
	int			count = 0;

	if (!isfinite(margin) || fabs(margin) > 1e9)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("margin must be between -1e9 and 1e9"),
				 errhint("It is the share of the spend that is earned: 0.3 for 30 percent.")));
	if (check_discount(discount) == 0)
		return margin * spend * lifetime_expected_purchases(model->family, model->parameters, row->x, row->y, row->z, horizon);

	require_period(period_days);
	step = model->family == LIFETIME_BGBB ? 1 : LIFETIME_DAYS_PER_MONTH / period_days;
	rate = log1p(discount) * period_days / LIFETIME_DAYS_PER_YEAR;
	if (horizon > MOST_MONTHS * step)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("horizon is longer than %d months", MOST_MONTHS),
				 errhint("For all the future multiply cdp.discounted_purchases by cdp.expected_spend and the margin.")));
	for (double end = 0; end < horizon; count++)
	{
		end = (count + 1) * step < horizon * (1 - 1e-9) && count + 1 < MOST_MONTHS ? (count + 1) * step : horizon;
		horizons[count] = end;
		weights[count] = exp(-rate * end);
		/* what came until the end of the month before counted with that month */
		if (count > 0)
			weights[count - 1] -= weights[count];
	}
	return margin * spend * lifetime_weighted_purchases(model->family, model->parameters, row->x, row->y, row->z, horizons, weights, count);
}

/*
 * cdp.lifetime_value(model, spend_model, frequency, recency, age, monetary,
 *	horizon float8, discount float8, margin float8) returns float8
 *
 * Monetary may be NULL where frequency is 0.
 */
Datum
cdp_lifetime_value(PG_FUNCTION_ARGS)
{
	LifetimeModel *model;
	LifetimeRow row;
	double		horizon;
	double		spend;

	for (int i = 0; i < 9; i++)
		if (PG_ARGISNULL(i) && !(i == 5 && !PG_ARGISNULL(2) && PG_GETARG_FLOAT8(2) == 0))
			PG_RETURN_NULL();
	model = PG_GETARG_LIFETIME_MODEL(0);
	require_family(model, is_buying(model), buying_families);
	horizon = PG_GETARG_FLOAT8(6);
	check_horizon(model, horizon);
	row = customer_of(fcinfo, 2, model);
	spend = expected_spend(PG_GETARG_LIFETIME_MODEL(1), row.x, PG_ARGISNULL(5) ? 0 : PG_GETARG_FLOAT8(5));
	return result(lifetime_value(model, &row, horizon, PG_GETARG_FLOAT8(7), model->period_days, spend, PG_GETARG_FLOAT8(8)));
}

/*
 * cdp.lifetime_value(model, spend_model, customer cdp.rfm_summary,
 *	horizon interval, discount float8, margin float8) returns float8
 */
Datum
cdp_lifetime_value_rfm(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);
	RfmSummary	summary;
	LifetimeRow row;
	double		spend;

	require_family(model, is_buying(model), buying_families);
	if (!rfm_summary_read(PG_GETARG_HEAPTUPLEHEADER(2), &summary))
		PG_RETURN_NULL();
	row = customer_of_rfm(model, &summary);
	spend = expected_spend(PG_GETARG_LIFETIME_MODEL(1), summary.frequency, summary.monetary);
	return result(lifetime_value(model, &row, horizon_of_interval(model, &summary, PG_GETARG_INTERVAL_P(3)),
								 PG_GETARG_FLOAT8(4), model_period(model, &summary), spend, PG_GETARG_FLOAT8(5)));
}

static LifetimeModel *
contract_model(FunctionCallInfo fcinfo, int first)
{
	LifetimeModel *model = PG_GETARG_LIFETIME_MODEL(0);

	require_family(model, model->family == LIFETIME_SBG, "sbg");
	if (PG_GETARG_INT32(1) < first || PG_GETARG_INT32(1) > 1000000)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("periods must be between %d and 1000000", first)));
	return model;
}

/*
 * cdp.survival(model, renewals integer) returns float8
 */
Datum
cdp_survival(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = contract_model(fcinfo, 0);

	return result(lifetime_survival(model->parameters, PG_GETARG_INT32(1)));
}

/*
 * cdp.retention_rate(model, renewal integer) returns float8
 */
Datum
cdp_retention_rate(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = contract_model(fcinfo, 1);
	double		stayed = model->parameters[1] + PG_GETARG_INT32(1) - 1;

	return result(stayed / (model->parameters[0] + stayed));
}

/*
 * cdp.residual_life(model, periods integer, discount float8) returns float8
 */
Datum
cdp_residual_life(PG_FUNCTION_ARGS)
{
	LifetimeModel *model = contract_model(fcinfo, 0);
	double		discount = PG_GETARG_FLOAT8(2);

	if (!(discount >= 0 && discount <= 100) || (discount > 0 && discount < 1e-9))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("discount must be 0 or between 1e-9 and 100"),
				 errhint("It is a share per contract period.")));
	if (discount == 0 && model->parameters[0] <= 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("without a discount the expected life is infinite where alpha is at most 1"),
				 errhint("Give a discount per contract period.")));
	return result(lifetime_residual_life(model->parameters, PG_GETARG_INT32(1), discount));
}
