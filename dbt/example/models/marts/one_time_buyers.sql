-- Who bought once: a predicate without an audience of its own.
-- depends_on: {{ ref('customer_refresh') }}
select profile_id, last_seen
from {{ source('cdp', 'profiles') }}
where profile_id in (
    {{ cdp.compile_segment("count(*) FILTER (WHERE event.event_name = 'purchase') = 1") }}
)
