-- Models of purchases and of spend, fitted to all customers.
{{ cdp.lifetime_models(ref('customer_rfm')) }}
