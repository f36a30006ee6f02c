-- Page views are events.
{{ config(
    materialized='cdp_source',
    record_key='view_id',
    occurred_at='viewed_at',
    event_name="'page viewed'",
    identifiers='browser AS anonymous_id, login AS email',
    properties='path',
    watermark='viewed_at'
) }}
{{ ref('stg_page_views') }}
