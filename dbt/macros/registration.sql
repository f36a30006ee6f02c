{#-
    Whether a run changes the platform, and small parts of the materializations.
-#}

{% macro is_registered() %}
    {%- set value = var('cdp_register', target.name == 'prod') -%}
    {{ return((value | string | lower) in ['true', 'yes', 'on', '1']) }}
{% endmacro %}

{#- An option of a model: of its config, or, as dbt would rather have what it does not know, of its meta. -#}
{% macro option(name, default=none) %}
    {#- Asked of meta first, since dbt warns when config is asked for what is in meta. -#}
    {%- set value = (config.get('meta') or {}).get(name) -%}
    {%- if value is none -%}
        {%- set value = config.get(name) -%}
    {%- endif -%}
    {{ return(default if value is none else value) }}
{% endmacro %}

{#- A text, a boolean or a list as SQL; none is NULL. -#}
{% macro literal(value) %}
    {%- if value is none -%}
        {{ return('NULL') }}
    {%- elif value is boolean -%}
        {{ return('true' if value else 'false') }}
    {%- elif value is string -%}
        {{ return("'" ~ value.replace("'", "''") ~ "'") }}
    {%- elif value is sequence -%}
        {%- set elements = [] -%}
        {%- for element in value -%}
            {%- do elements.append(cdp.literal(element)) -%}
        {%- endfor -%}
        {{ return('ARRAY[' ~ elements | join(', ') ~ ']::text[]') }}
    {%- else -%}
        {{ return("'" ~ value ~ "'") }}
    {%- endif -%}
{% endmacro %}

{#- A name as an SQL identifier; that of the adapter takes no quotes inside. -#}
{% macro quoted(name) %}
    {{ return('"' ~ name.replace('"', '""') ~ '"') }}
{% endmacro %}

{#- The body of a model without lines that are comments. -#}
{% macro strip_comments(body) %}
    {%- set lines = [] -%}
    {%- for line in body.split('\n') if not line.strip().startswith('--') -%}
        {%- do lines.append(line) -%}
    {%- endfor -%}
    {{ return(lines | join('\n') | trim | trim(';') | trim) }}
{% endmacro %}

{#-
    Runs a declaration.  Declarations change the columns of the same views, so those of
    models that dbt builds at the same time go one after the other.
-#}
{% macro declare(sql, name='declare') %}
    {% call statement('declarations_lock') %}select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dbt package of cdp', 0)){% endcall %}
    {% call statement(name) %}{{ sql }}{% endcall %}
{% endmacro %}

{#-
    Runs one statement outside of any transaction block, and begins one for what
    follows.  psycopg2 sends a BEGIN before the first statement of a connection, and
    none after a COMMIT that it was given as text, as dbt gives it; so after such a
    COMMIT the server is in no transaction block, and nothing but a BEGIN of our own
    opens one.  What was done before in this model is committed.
-#}
{% macro run_outside_transaction(sql, name='main') %}
    {% call statement('leave_transaction', auto_begin=False) %}commit{% endcall %}
    {% call statement(name, auto_begin=False) %}{{ sql }}{% endcall %}
    {% call statement('enter_transaction') %}{{ 'select 1' if target.get('autocommit') else 'begin' }}{% endcall %}
{% endmacro %}

{#-
    Makes the view of a model without dropping it, where its columns allow that, so
    that nothing that is built on it goes away.
-#}
{% macro put_view(relation, existing_relation, sql) %}
    {% if existing_relation is not none and not existing_relation.is_view %}
        {% do adapter.drop_relation(existing_relation) %}
    {% elif existing_relation is not none %}
        {% set has_columns = adapter.get_columns_in_relation(existing_relation) | map(attribute='name') | list %}
        {% set wants_columns = get_columns_in_query(sql) %}
        {% if wants_columns[:has_columns | length] != has_columns %}
            {% do adapter.drop_relation(existing_relation) %}
        {% endif %}
    {% endif %}
    {% call statement('put_view') %}create or replace view {{ relation }} as
{{ sql }}{% endcall %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode=True)) %}
    {% do persist_docs(relation, model) %}
{% endmacro %}
