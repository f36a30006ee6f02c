{#- A predicate as the statement that finds whom it holds for; nothing is registered. -#}

{% macro compile_segment(predicate) %}
    {%- if not execute -%}
        {{ return('select null::bigint as profile_id') }}
    {%- endif -%}
    {{ return(run_query('select cdp.compile_segment(' ~ cdp.literal(predicate) ~ ')')[0][0]) }}
{% endmacro %}
