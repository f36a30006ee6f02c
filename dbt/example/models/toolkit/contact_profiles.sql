{{ cdp.profile_agg(ref('contact_candidates'), 'person') }}
