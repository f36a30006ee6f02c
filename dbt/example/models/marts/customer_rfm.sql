-- What each customer's orders come to.
-- depends_on: {{ ref('customer_refresh') }}
{{ cdp.rfm(
    source('cdp', 'events'),
    filter="event_name = 'purchase' and not is_refunded",
    options=cdp.rfm_options(observation_end='2025-12-31', time_zone='Europe/Berlin')
) }}
