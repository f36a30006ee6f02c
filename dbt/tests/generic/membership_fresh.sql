{#-
    The rows of an audience are the members of its segment as of an evaluation that
    went through and is not older than max_age.  Where the run is not registered,
    there is no membership to compare with, and the test passes.
-#}
{% test membership_fresh(model, segment=none, max_age='1 day') %}
{%- set name = cdp.literal(model.identifier if segment is none else segment) -%}
{% if cdp.is_registered() %}
select 'segment is not evaluated' as failure, null::bigint as profile_id
where not exists (
    select from {{ source('cdp', 'segments') }}
    where name = {{ name }} and status = 'ok' and evaluated_at >= now() - {{ cdp.literal(max_age) }}::interval
)
union all
select case when audience.profile_id is null then 'member is missing' else 'row is not a member' end,
    coalesce(audience.profile_id, member.profile_id)
from (select profile_id from {{ model }}) as audience
full join (select profile_id from {{ source('cdp', 'segment_members') }} where segment = {{ name }}) as member
    on member.profile_id = audience.profile_id
where audience.profile_id is null or member.profile_id is null
{% else %}
select null::text as failure where false
{% endif %}
{% endtest %}
