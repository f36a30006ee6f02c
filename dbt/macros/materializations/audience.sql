{#-
    Materialization cdp_audience: who a predicate or a query holds for, one row per
    person, with what a marketing tool needs to know them by.

    Where the run is registered, the body is a segment of the platform, and the
    relation is its membership.  Elsewhere nothing of the platform changes: the
    predicate is compiled, and the relation is built from the statement.
-#}
{% materialization cdp_audience, adapter='postgres' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set output = cdp.option('output', 'table') -%}
    {%- if output not in ['table', 'view', 'incremental'] -%}
        {%- do exceptions.raise_compiler_error('output of a cdp_audience model is table, view or incremental, not ' ~ output) -%}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='view' if output == 'view' else 'table') -%}
    {%- set segment = cdp.option('segment', this.identifier) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if cdp.is_registered() %}
        {% do cdp.register_segment(segment, sql) %}
        {% set members = cdp.registered_members_sql(segment) %}
    {% else %}
        {% set members = cdp.compiled_members_sql(sql, existing_relation, output) %}
    {% endif %}

    {% if output == 'view' %}
        {% do cdp.put_view(target_relation, existing_relation, members) %}
        {% do store_raw_result('main', message='VIEW', code='VIEW', rows_affected=0) %}
    {% else %}
        {% if not cdp.is_registered() %}
            {% do cdp.set_time_zone() %}
        {% endif %}
        {% do cdp.put_audience(target_relation, existing_relation, members, output == 'incremental') %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#-
    Whether a body without comments is a query.  One in parentheses is, unless what
    comes after them makes it an operand: (select ...) > 3 is a predicate.
-#}
{% macro is_query(body) %}
    {%- set found = namespace(depth=0, start=none, answer=none) -%}
    {%- for token in cdp.tokens(body) if found.answer is none and token.strip() -%}
        {%- if found.start is none and token | lower in ['select', 'with', 'table', 'values'] -%}
            {%- set found.start = found.depth -%}
        {%- elif token == '(' -%}
            {%- set found.depth = found.depth + 1 -%}
        {%- elif found.start is none -%}
            {%- set found.answer = false -%}
        {%- elif token == ')' -%}
            {%- set found.depth = found.depth - 1 -%}
        {%- elif found.depth < found.start -%}
            {%- set found.answer = token | lower in ['union', 'intersect', 'except', 'order', 'limit', 'offset', 'fetch'] -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found.start is not none and found.answer is not false) }}
{% endmacro %}

{#-
    Declares the segment, and evaluates it where that is due: a new or changed one,
    and each that reads other relations, which may have been built after the refresh.
-#}
{% macro register_segment(segment, body) %}
    {%- set definition = cdp.strip_comments(body) -%}
    {%- set is_query = cdp.is_query(definition) -%}
    {% do cdp.declare(cdp.create_segment_sql(segment, definition, is_query)) %}
    {%- set state = cdp.segment_state(segment) -%}
    {% if is_query or state.reads_relations or state.status != 'ok' or cdp.option('evaluate', false) %}
        {% do cdp.run_outside_transaction('call cdp.refresh_segments(ARRAY[' ~ cdp.literal(segment) ~ '])', name='evaluate') %}
        {%- set state = cdp.segment_state(segment) -%}
        {% if state.status != 'ok' %}
            {% do exceptions.raise_compiler_error('segment "' ~ segment ~ '" could not be evaluated: ' ~ state.error ~ '\n' ~ state.hint) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro create_segment_sql(segment, definition, is_query) -%}
    select cdp.create_segment({{ cdp.literal(segment) }},
        {{ 'query' if is_query else 'predicate' }} => {{ cdp.literal(definition) }},
        {%- for argument in ['refresh', 'include_anonymous', 'description', 'time_zone', 'owner'] if cdp.option(argument) is not none %}
        {{ argument }} => {{ cdp.literal(cdp.option(argument)) }},
        {%- endfor %}
        replace => true)
{%- endmacro %}

{% macro segment_state(segment) %}
    {%- set row = run_query("select s.status, s.error, s.hint,
        exists (select from cdp.segment_dependencies as d where d.name = s.name and d.kind = 'segment' and d.depends_on_kind = 'relation')
        from cdp.segments as s where s.name = " ~ cdp.literal(segment))[0] -%}
    {{ return({'status': row[0], 'error': row[1], 'hint': row[2] or '', 'reads_relations': row[3]}) }}
{% endmacro %}

{#- The columns of an audience beside profile_id and entered_at; an identifier that the platform does not have is NULL. -#}
{% macro audience_columns_sql(profile) %}
    {%- set has_columns = run_query("select a.attname from pg_catalog.pg_attribute as a where a.attrelid = pg_catalog.to_regclass('cdp.profiles') and a.attnum > 0 and not a.attisdropped").columns[0].values() | list -%}
    {%- set columns = [] -%}
    {%- for name in ['email', 'phone', 'crm_id'] -%}
        {%- do columns.append(profile ~ '.' ~ name if name in has_columns else 'null::text as ' ~ name) -%}
    {%- endfor -%}
    {%- for name in cdp.option_names('columns') or [] if name not in ['profile_id', 'entered_at', 'email', 'phone', 'crm_id'] -%}
        {%- do columns.append(profile ~ '.' ~ cdp.quoted(name)) -%}
    {%- endfor -%}
    {{ return(columns | join(', ')) }}
{% endmacro %}

{% macro registered_members_sql(segment) %}
    {%- set sql -%}
select member.profile_id, member.entered_at, {{ cdp.audience_columns_sql('profile') }}
from cdp.segment_members as member
join cdp.profiles as profile on profile.profile_id = member.profile_id
where member.segment = {{ cdp.literal(segment) }}
    {%- endset -%}
    {{ return(sql) }}
{% endmacro %}

{#- Days and hours of the statement that is built next are those of the segment, until the transaction ends. -#}
{% macro set_time_zone() %}
    {% call statement('time_zone') %}select pg_catalog.set_config('TimeZone',
        coalesce({{ cdp.literal(cdp.option('time_zone')) }}, (select value from cdp.options where name = 'time_zone')), true){% endcall %}
{% endmacro %}

{#- Who enters keeps that time from build to build, where there is a table that knows it. -#}
{% macro compiled_members_sql(body, existing_relation, output) %}
    {%- set definition = cdp.strip_comments(body) -%}
    {%- set statement = definition if cdp.is_query(definition) else cdp.compile_segment(definition) -%}
    {%- set known = existing_relation is not none and existing_relation.is_table and output != 'view' and not should_full_refresh()
        and 'entered_at' in (adapter.get_columns_in_relation(existing_relation) | map(attribute='name') | list) -%}
    {%- set now = "timestamptz '" ~ run_started_at.isoformat() ~ "'" -%}
    {%- set sql -%}
select profile.profile_id, {{ 'coalesce(known.entered_at, ' ~ now ~ ')' if known else now }} as entered_at, {{ cdp.audience_columns_sql('profile') }}
from cdp.profiles as profile
{%- if known %}
left join {{ existing_relation }} as known on known.profile_id = profile.profile_id
{%- endif %}
where profile.profile_id in (
    select compiled.profile_id from (
{{ statement }}
    ) as compiled)
{%- if cdp.option('include_anonymous') is false %} and profile.is_known{% endif %}
    {%- endset -%}
    {{ return(sql) }}
{% endmacro %}

{#-
    A table of members.  Incremental: only rows that differ are written, so views,
    grants and readers of the table are left alone; otherwise it is built anew and
    takes the place of the old one in one transaction.
-#}
{% macro put_audience(target_relation, existing_relation, members, incremental) %}
    {%- set merges = false -%}
    {%- set temporary = none -%}
    {% if incremental and existing_relation is not none and existing_relation.is_table and not should_full_refresh() %}
        {#- A contract says in which order the table has its columns. -#}
        {%- set members = get_select_subquery(members) if config.get('contract').enforced else members -%}
        {%- set temporary = make_temp_relation(target_relation) -%}
        {% call statement('members') %}{{ get_create_table_as_sql(True, temporary, members) }}{% endcall %}
        {%- set members = 'select * from ' ~ temporary -%}
        {%- set columns = cdp.columns_of(temporary) -%}
        {%- set merges = columns == cdp.columns_of(existing_relation) -%}
    {% endif %}
    {% if merges %}
        {% set changes = cdp.merge_audience(target_relation, temporary, columns | map('first') | list) %}
        {% set message = 'ADDED %s, CHANGED %s, REMOVED %s' | format(changes[0], changes[1], changes[2]) %}
        {% do store_raw_result('main', message=message, code='MERGE', rows_affected=(changes[0] | int) + (changes[1] | int) + (changes[2] | int)) %}
    {% else %}
        {%- set intermediate_relation = make_intermediate_relation(target_relation) -%}
        {% do adapter.drop_relation(intermediate_relation) %}
        {% call statement('main') %}{{ get_create_table_as_sql(False, intermediate_relation, members) }}{% endcall %}
        {% call statement('unique_key') %}create unique index on {{ intermediate_relation }} (profile_id){% endcall %}
        {% do create_indexes(intermediate_relation) %}
        {% if existing_relation is not none %}
            {% do adapter.drop_relation(existing_relation) %}
        {% endif %}
        {% do adapter.rename_relation(intermediate_relation, target_relation) %}
    {% endif %}
    {% if temporary is not none %}
        {% do run_query('drop table ' ~ temporary) %}
    {% endif %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode=not merges)) %}
    {% do persist_docs(target_relation, model) %}
{% endmacro %}

{#- Writes the rows of a temporary table that differ; how many were added, changed and removed. -#}
{% macro merge_audience(relation, temporary, columns) %}
    {%- set names = [] -%}
    {%- set assignments = [] -%}
    {%- for column in columns -%}
        {%- do names.append(cdp.quoted(column)) -%}
        {%- do assignments.append(cdp.quoted(column) ~ ' = new.' ~ cdp.quoted(column)) -%}
    {%- endfor -%}
    {%- set names = names | join(', ') -%}
    {% do run_query('analyze ' ~ temporary) %}
    {%- set counts = run_query('with removed as (
        delete from ' ~ relation ~ ' as old where not exists (select from ' ~ temporary ~ ' as new where new.profile_id = old.profile_id) returning 1
    ), changed as (
        update ' ~ relation ~ ' as old set ' ~ assignments | join(', ') ~ ' from ' ~ temporary ~ ' as new
        where new.profile_id = old.profile_id and row(new.*) is distinct from row(old.*) returning 1
    ), added as (
        insert into ' ~ relation ~ ' (' ~ names ~ ')
        select new.* from ' ~ temporary ~ ' as new
        where not exists (select from ' ~ relation ~ ' as old where old.profile_id = new.profile_id) returning 1
    ) select (select count(*) from added), (select count(*) from changed), (select count(*) from removed)') -%}
    {{ return([counts[0][0], counts[0][1], counts[0][2]]) }}
{% endmacro %}
