{{ cdp.connected_components(ref('contact_edges')) }}
