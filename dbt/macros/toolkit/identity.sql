{#- Normalisers and connected components: identity without the platform. -#}

{% macro normalize(kind, value, default_region=none, provider_rules=none) -%}
    {%- if kind == 'phone' -%}
        cdp.normalize_phone({{ value }}, {{ cdp.literal('ZZ' if default_region is none else default_region) }})
    {%- elif kind == 'email' and provider_rules is not none -%}
        cdp.normalize_email({{ value }}, {{ cdp.literal(provider_rules) }})
    {%- elif kind in ['email', 'uuid', 'digits', 'lower', 'exact'] -%}
        cdp.normalize_{{ kind }}({{ value }})
    {%- else -%}
        {%- do exceptions.raise_compiler_error('no normaliser is called "' ~ kind ~ '": they are email, phone, uuid, digits, lower and exact') -%}
    {%- endif -%}
{%- endmacro %}

{#-
    Nodes are texts: what they are, the name of that in quotes, and the key or value.
    So no two things have the same node, whatever words and spaces are in their names.
-#}
{% macro record_node(relation, key, source=none) -%}
    {{ cdp.literal('record ' ~ cdp.quoted(relation.identifier if source is none else source) ~ ' ') }} || ({{ key }})::text
{%- endmacro %}

{% macro identity_edges(relation, key, identifiers, source=none) -%}
    {%- for namespace, value in identifiers.items() %}
    select {{ cdp.record_node(relation, key, source) }} as a, {{ cdp.literal('identifier ' ~ cdp.quoted(namespace) ~ ' ') }} || ({{ value }})::text as b
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
