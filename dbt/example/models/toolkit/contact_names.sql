-- Of several spellings of a first name the longest.
select person, {{ cdp.trait_value('profile', 'first_name', survivorship=cdp.survivorship('longest')) }} as first_name
from {{ ref('contact_profiles') }}
