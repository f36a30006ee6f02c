{#- Normalisers and connected components: identity without the platform. -#}

{% macro normalize(kind, value, default_region=none, provider_rules=none) -%}
    {%- if kind == 'phone' -%}
        cdp.normalize_phone({{ value }}, {{ cdp.literal(default_region) }})
    {%- elif kind == 'email' and provider_rules is not none -%}
        cdp.normalize_email({{ value }}, {{ cdp.literal(provider_rules) }})
    {%- elif kind in ['email', 'uuid', 'digits', 'lower', 'exact'] -%}
        cdp.normalize_{{ kind }}({{ value }})
    {%- else -%}
        {%- do exceptions.raise_compiler_error('no normaliser is called "' ~ kind ~ '": they are email, phone, uuid, digits, lower and exact') -%}
    {%- endif -%}
{%- endmacro %}

{% macro identity_edges(relation, key, identifiers, source=none) -%}
    {%- set prefix = (source if source is not none else relation.identifier) ~ ' ' -%}
    {%- for namespace, value in identifiers.items() %}
    select {{ cdp.literal(prefix) }} || ({{ key }}) as a, {{ cdp.literal(namespace ~ ' ') }} || ({{ value }}) as b
    from {{ relation }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}

{% macro connected_components(relation, a='a', b='b', node_type='text') -%}
    {%- set type_argument = {'bigint': '', 'text': ', null::text', 'uuid': ', null::uuid'}.get(node_type) -%}
    {%- if type_argument is none -%}
        {%- do exceptions.raise_compiler_error('nodes are of type bigint, text or uuid, not ' ~ node_type) -%}
    {%- endif -%}
    select node, component
    from cdp.connected_components({{ cdp.literal('select ' ~ a ~ ', ' ~ b ~ ' from ' ~ relation) }}{{ type_argument }})
{%- endmacro %}
