{#-
    Materialization cdp_refresh: calls cdp.refresh() where the run is registered,
    outside of a transaction block, so that each of its steps is committed when it
    is done.  Then the body of the model, a query over its cdp_source models that
    brings them into the DAG, becomes a view.
-#}
{% materialization cdp_refresh, adapter='postgres' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing_relation = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if cdp.is_registered() %}
        {% do cdp.run_outside_transaction(cdp.refresh_sql()) %}
        {% do cdp.log_refresh() %}
    {% else %}
        {% do store_raw_result('main', message='NOT REGISTERED, NOT CALLED', code='SKIPPED', rows_affected=0) %}
    {% endif %}

    {% do cdp.put_view(target_relation, existing_relation, sql) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro refresh_sql() -%}
    call cdp.refresh(
        sources => {{ cdp.literal(cdp.option_names('sources')) }},
        full_compare => {{ cdp.literal(cdp.option('full_compare', should_full_refresh())) }},
        allow_deletes => {{ cdp.literal(cdp.option('allow_deletes', false)) }},
        on_error => {{ cdp.literal('report' if cdp.option('report_errors', false) else 'error') }})
{%- endmacro %}

{#-
    Says in dbt's output what each step of the refresh did that this session called last.
    Another one may run beside it.
-#}
{% macro log_refresh() %}
    {%- set steps = run_query("select step, source, mode, status, rows_read, records_new, records_changed, retracted, rejected, message from cdp.refresh_log where refresh_id = pg_catalog.currval('cdp_data.refresh_id') order by log_id") -%}
    {%- for step in steps -%}
        {%- if step[1] is not none -%}
            {%- do log('    source ' ~ step[1] ~ ' (' ~ step[2] ~ '): ' ~ step[3] ~ ', ' ~ step[4] ~ ' rows read, ' ~ step[5] ~ ' new, ' ~ step[6] ~ ' changed, ' ~ step[7] ~ ' retracted, ' ~ step[8] ~ ' rejected' ~ ('' if step[9] is none else ': ' ~ step[9]), info=True) -%}
        {%- else -%}
            {%- do log('    ' ~ step[0] ~ ': ' ~ step[4] ~ ' brought up to date', info=True) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
