{#- The type cdp.profile: candidates of traits, and which one wins. -#}

{% macro profile_of(source, observed_at, record, traits) -%}
    cdp.profile_of({{ cdp.literal(source) }}, ({{ observed_at }})::timestamptz, ({{ record }})::bigint
    {%- for trait, value in traits.items() -%}
        , {{ cdp.literal(trait) }}, {{ value }}
    {%- endfor -%}
    )
{%- endmacro %}

{% macro profile_agg(relation, key, profile='profile') -%}
    select {{ key }}, cdp.profile_agg({{ profile }}) as profile
    from {{ relation }}
    group by {{ key }}
{%- endmacro %}

{% macro survivorship(default='last', traits={}) -%}
    {{ cdp.literal(tojson({'default': default, 'traits': traits})) }}::cdp.survivorship
{%- endmacro %}

{% macro trait_value(profile, trait, type='text', survivorship=none) -%}
    cdp.trait_value({{ profile }}, {{ cdp.literal(trait) }}, {{ cdp.survivorship() if survivorship is none else survivorship }}, null::{{ type }})
{%- endmacro %}
