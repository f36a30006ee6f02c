{{ cdp.lifetime_models(ref('customer_rfm')) }}
