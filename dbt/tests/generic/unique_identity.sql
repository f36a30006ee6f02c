{#- An identifier belongs to one person: no value of the column stands with two ids.  With a namespace, values are compared as it stores them. -#}
{% test unique_identity(model, column_name, profile_id='profile_id', namespace=none) %}
select identifier, count(distinct person) as people
from (
    select {{ profile_id }} as person,
        {{ column_name if namespace is none else 'cdp.normalize_identifier(' ~ cdp.literal(namespace) ~ ', ' ~ column_name ~ '::text)' }} as identifier
    from {{ model }}
) as holder
where identifier is not null
group by identifier
having count(distinct person) > 1
{% endtest %}
