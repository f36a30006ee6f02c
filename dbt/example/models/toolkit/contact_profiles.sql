-- All of that as one value per person.
{{ cdp.profile_agg(ref('contact_candidates'), 'person') }}
