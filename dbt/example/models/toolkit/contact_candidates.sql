-- What each contact says of its person.
select component as person,
    {{ cdp.profile_of('crm', 'updated_at', 'id', {'first_name': 'first_name', 'country': 'country'}) }} as profile
from {{ ref('stg_contacts') }}
join {{ ref('contact_people') }} on node = {{ cdp.record_node(ref('stg_contacts'), 'id') }}
