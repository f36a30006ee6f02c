-- What each customer is expected to bring within a year.
{{ cdp.lifetime_value(ref('customer_rfm'), ref('lifetime_models'), horizon='1 year', discount_per_year=0.1, margin=0.3) }}
