-- What each contact says of its person.
select people.component as person,
    {{ cdp.profile_of('crm', 'contact.updated_at', 'contact.id', {
        'first_name': 'contact.first_name', 'country': 'contact.country'
    }) }} as profile
from {{ ref('stg_contacts') }} as contact
join {{ ref('contact_people') }} as people on people.node = {{ cdp.record_node(ref('stg_contacts'), 'contact.id') }}
