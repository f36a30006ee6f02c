-- Which contact has which identifier.
{{ cdp.identity_edges(ref('stg_contacts'), 'id', {
    'email': cdp.normalize('email', 'email'),
    'phone': cdp.normalize('phone', 'phone', default_region='DE')
}) }}
