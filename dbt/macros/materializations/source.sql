{#-
    Materialization cdp_source: the relation in the model's body, usually a ref(),
    is a source of the platform.  The arguments of cdp.create_source are options of
    the model.  The relation of the model is its row of cdp.sources: whether it
    could be read, how far, and what was wrong.
-#}
{% materialization cdp_source, adapter='postgres' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set source_name = cdp.option('source', this.identifier) -%}
    {%- set source_relation = cdp.relation_of_body(sql) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if cdp.is_registered() %}
        {% do cdp.declare(cdp.create_source_sql(source_name, source_relation), name='main') %}
    {% else %}
        {# Nothing is declared, but all that is written is read by PostgreSQL against the relation. #}
        {% for query in cdp.source_check_queries(source_relation) %}
            {% do run_query(query) %}
        {% endfor %}
        {% do store_raw_result('main', message='CHECKED, NOT REGISTERED', code='CHECKED', rows_affected=0) %}
    {% endif %}

    {% do cdp.put_view(target_relation, existing_relation, cdp.source_status_sql(source_name)) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- The relation that the body of a cdp_source model names; an error when it is anything else. -#}
{% macro relation_of_body(body) %}
    {#- With --empty, dbt makes a subquery of a ref(). -#}
    {%- set text = modules.re.sub('^\\(select \\* from (.+) where false limit 0\\).*$', '\\1', cdp.strip_comments(body)) -%}
    {%- set name = modules.re.match('^(?:"(?:[^"]|"")+"|[\\w$]+)(?:\\s*\\.\\s*(?:"(?:[^"]|"")+"|[\\w$]+)){0,2}$', text) -%}
    {%- if not name -%}
        {%- do exceptions.raise_compiler_error("the body of a cdp_source model is one relation, for example {{ ref('stg_contacts') }}.  Put a query into a model of its own, and refer to that one here.") -%}
    {%- endif -%}
    {%- set row = run_query("select n.nspname, c.relname from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.oid = pg_catalog.to_regclass(" ~ cdp.literal(text) ~ ")") -%}
    {%- if row | length == 0 -%}
        {%- do exceptions.raise_compiler_error('relation ' ~ text ~ ' does not exist') -%}
    {%- endif -%}
    {{ return(cdp.quoted(row[0][0]) ~ '.' ~ cdp.quoted(row[0][1])) }}
{% endmacro %}

{% macro source_arguments() %}
    {{ return(['record_key', 'observed_at', 'occurred_at', 'event_name', 'identifiers', 'traits', 'properties', 'profile_id',
        'filter', 'deleted', 'watermark', 'watermark_overlap', 'time_zone', 'capture', 'owner']) }}
{% endmacro %}

{% macro create_source_sql(source_name, source_relation) -%}
    select cdp.create_source({{ cdp.literal(source_name) }}, {{ cdp.literal(source_relation) }}
    {%- for argument in cdp.source_arguments() if cdp.option(argument) is not none -%}
        ,
        {{ argument }} => {{ cdp.literal(cdp.option(argument) | string) }}
    {%- endfor -%}
    ,
        replace => true)
{%- endmacro %}

{#- One query for each argument, so that an error names the place in that text; none reads a row. -#}
{% macro source_check_queries(source_relation) %}
    {%- set queries = [] -%}
    {%- for argument in ['record_key', 'identifiers', 'traits', 'properties', 'profile_id', 'observed_at', 'occurred_at', 'event_name', 'watermark'] if cdp.option(argument) is not none -%}
        {%- do queries.append('select ' ~ cdp.option(argument) ~ '\nfrom ' ~ source_relation ~ ' where false') -%}
    {%- endfor -%}
    {%- for argument in ['filter', 'deleted'] if cdp.option(argument) is not none -%}
        {%- do queries.append('select from ' ~ source_relation ~ ' where false and (' ~ cdp.option(argument) ~ '\n)') -%}
    {%- endfor -%}
    {{ return(queries) }}
{% endmacro %}

{% macro source_status_sql(source_name) -%}
    select source, kind, relation, capture, owner, status, rows_read, rejected, watermark, lag, queued,
        last_refresh_at, last_success_at, last_full_at, last_error, last_sqlstate, last_hint, failed_since
    from cdp.sources where source = {{ cdp.literal(source_name) }}
{%- endmacro %}
