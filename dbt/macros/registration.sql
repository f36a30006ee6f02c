{#-
    Whether a run changes the platform, and small parts of the materializations.
-#}

{#- Not with --empty, where dbt puts empty relations in the place of those that the texts name. -#}
{% macro is_registered() %}
    {%- set value = var('cdp_register', target.name == 'prod') -%}
    {{ return((value | string | lower) in ['true', 'yes', 'on', '1'] and not flags.EMPTY) }}
{% endmacro %}

{#- An option of a model: of its config, or, as dbt would rather have what it does not know, of its meta. -#}
{% macro option(name, default=none) %}
    {#- An owner in meta is who looks after the model, and no role. -#}
    {%- if name == 'owner' -%}
        {{ return(model.config.get(name, default)) }}
    {%- endif -%}
    {#- Asked of meta first, since dbt warns when config is asked for what is in meta. -#}
    {%- set value = (config.get('meta') or {}).get(name) -%}
    {%- if value is none -%}
        {%- set value = config.get(name) -%}
    {%- endif -%}
    {{ return(default if value is none else value) }}
{% endmacro %}

{#- An option that is a list of names, of which one may stand alone. -#}
{% macro option_names(name) %}
    {%- set value = cdp.option(name) -%}
    {{ return([value] if value is string else value) }}
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

{#-
    An SQL text in pieces: comments, literals, quoted names, words, white space, and
    all else by the character.  What looks like a comment or a quote inside of another
    piece is part of that one.
-#}
{% macro tokens(text) %}
    {#- Comments nest, up to four of them here. -#}
    {%- set comment = namespace(pattern='/\\*(?:(?!/\\*|\\*/).)*\\*/') -%}
    {%- for depth in range(3) -%}
        {%- set comment.pattern = '/\\*(?:(?!/\\*|\\*/).|' ~ comment.pattern ~ ')*\\*/' -%}
    {%- endfor -%}
    {%- set pattern = [
        '--[^\\r\\n]*',
        comment.pattern,
        "[eE]'(?:[^'\\\\]|\\\\.|'')*'",
        "'[^']*'",
        '"[^"]*"',
        '\\$((?:[^\\W\\d]\\w*)?)\\$.*?\\$\\1\\$',
        '\\w[\\w$]*',
        '\\s+',
        '.'
    ] | join('|') -%}
    {%- set pieces = [] -%}
    {%- for match in modules.re.finditer(pattern, text, modules.re.DOTALL) -%}
        {%- do pieces.append(match.group(0)) -%}
    {%- endfor -%}
    {{ return(pieces) }}
{% endmacro %}

{#- The body of a model without its comments, and without semicolons at its end; each line keeps its number from the first one. -#}
{% macro strip_comments(body) %}
    {%- set kept = [] -%}
    {%- for token in cdp.tokens(body) -%}
        {%- if token.startswith('/*') -%}
            {%- do kept.append(' ' ~ '\n' * token.count('\n')) -%}
        {%- elif not token.startswith('--') -%}
            {%- do kept.append(token) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return((kept | join).strip().rstrip('; \t\r\n')) }}
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
    {% if config.get('contract').enforced %}
        {% do get_assert_columns_equivalent(sql) %}
    {% endif %}
    {% if existing_relation is not none and not existing_relation.is_view %}
        {% do adapter.drop_relation(existing_relation) %}
    {% endif %}
    {#- Columns can be added at the end; PostgreSQL says whether names or types changed. -#}
    {%- set create = cdp.literal('create or replace view ' ~ relation ~ ' as\n' ~ sql) -%}
    {% call statement('put_view') %}do {{ cdp.literal('begin
    execute ' ~ create ~ ';
exception when invalid_table_definition then
    drop view ' ~ relation ~ ' cascade;
    execute ' ~ create ~ ';
end') }}{% endcall %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode=False)) %}
    {% do persist_docs(relation, model) %}
{% endmacro %}

{#- Names and types of the columns of a relation, in their order. -#}
{% macro columns_of(relation) %}
    {%- set columns = [] -%}
    {%- for row in run_query('select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute as a
        where a.attrelid = ' ~ cdp.literal(relation | string) ~ '::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped order by a.attnum') -%}
        {%- do columns.append([row[0], row[1]]) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}
