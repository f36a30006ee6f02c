{#- Each id is a person of today: no row is left of who was merged into another one or is gone. -#}
{% test no_orphan(model, column_name) %}
select id as profile_id
from (select {{ column_name }} as id from {{ model }}) as row_of_model
where id is not null
    and not exists (select from (select * from {{ source('cdp', 'profiles') }}) as profile where profile.profile_id = row_of_model.id)
{% endtest %}
