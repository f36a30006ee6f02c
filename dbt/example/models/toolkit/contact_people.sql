-- Contacts that an identifier connects are one person.
{{ cdp.connected_components(ref('contact_edges')) }}
