-- Orders are events.
{{ config(
    materialized='cdp_source',
    record_key='number',
    occurred_at='ordered_at',
    event_name="'purchase'",
    identifiers='email, loyalty_card AS loyalty_id',
    properties="total AS amount, status = 'refunded' AS is_refunded",
    watermark='changed_at',
    time_zone='Europe/Berlin'
) }}
{{ ref('stg_orders') }}
