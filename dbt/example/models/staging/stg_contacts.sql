-- Contacts as the CRM has them; built anew by each run.
select id, first_name, last_name, email, work_email, phone, country, newsletter, archived, updated_at, loaded_at
from {{ ref('raw_contacts') }}
