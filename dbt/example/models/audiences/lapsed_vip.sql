-- Spent much, and has not been seen for 60 days.
-- depends_on: {{ ref('customer_refresh') }}
{{ config(
    materialized='cdp_audience',
    output='incremental',
    columns=['first_name', 'country'],
    description='spent much, has not been seen for 60 days'
) }}
profile.country IN ('DE', 'AT', 'CH')
AND sum(event.amount) FILTER (WHERE event.event_name = 'purchase' AND NOT event.is_refunded) > 400
AND count(*) FILTER (WHERE event.occurred_at > now() - interval '60 days') = 0
