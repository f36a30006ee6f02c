-- Orders; a run takes those that changed since the latest one.
{{ config(materialized='incremental', unique_key='number') }}
select number, email, loyalty_card, total, status, ordered_at, changed_at
from {{ ref('raw_orders') }}
{% if is_incremental() %}
where changed_at > (select max(changed_at) from {{ this }})
{% endif %}
