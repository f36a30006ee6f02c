{#- Each id is a person of today: no row is left of who was merged into another one or is gone. -#}
{% test no_orphan(model, column_name) %}
select {{ column_name }} as profile_id
from {{ model }} as row_of_model
where {{ column_name }} is not null
    and not exists (select from {{ source('cdp', 'profiles') }} as profile where profile.profile_id = row_of_model.{{ column_name }})
{% endtest %}
