-- Page views; a run takes those since the latest one.
{{ config(materialized='incremental', unique_key='view_id') }}
select view_id, browser, login, path, viewed_at
from {{ ref('raw_page_views') }}
{% if is_incremental() %}
where viewed_at > (select max(viewed_at) from {{ this }})
{% endif %}
