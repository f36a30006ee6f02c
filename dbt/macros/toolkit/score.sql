{#- RFM and customer lifetime value: one macro for each model of a project. -#}

{% macro rfm_options(period=none, merge=none, observation_end=none, time_zone=none, refunds=none) -%}
    {%- set arguments = [] -%}
    {%- for name, value in {'period': period, 'merge': merge, 'observation_end': observation_end, 'time_zone': time_zone, 'refunds': refunds}.items() if value is not none -%}
        {%- do arguments.append(name ~ ' => ' ~ cdp.literal(value)) -%}
    {%- endfor -%}
    cdp.rfm_options({{ arguments | join(', ') }})
{%- endmacro %}

{% macro rfm(relation, key='profile_id', occurred_at='occurred_at', amount='amount', filter=none, options=none) -%}
    select {{ key }}, rfm, (rfm).frequency, (rfm).recency, (rfm).age, (rfm).monetary, (rfm).purchases, (rfm).total, (rfm).first_at, (rfm).last_at
    from (
        select {{ key }}, cdp.rfm({{ occurred_at }}, {{ amount }}, {{ cdp.rfm_options() if options is none else options }}) as rfm
        from {{ relation }}
        {%- if filter is not none %}
        where {{ filter }}
        {%- endif %}
        group by {{ key }}
    ) as customer
    where (rfm).purchases is not null
{%- endmacro %}

{% macro rfm_scores(relation, key='profile_id', rfm='rfm', bins=4) -%}
    with breakpoints as (
        select cdp.rfm_breakpoints({{ rfm }}, {{ bins }}) as breakpoints from {{ relation }}
    )
    select {{ key }}, (score).recency, (score).frequency, (score).monetary, (score).score, (score).segment
    from (
        select {{ key }}, cdp.rfm_score({{ rfm }}, breakpoints) as score from {{ relation }}, breakpoints
    ) as scored
{%- endmacro %}

{% macro lifetime_models(relation, family='mbgnbd', rfm='rfm', group_by=none, options=none) -%}
    {%- if family not in ['bgnbd', 'mbgnbd', 'pareto_nbd'] -%}
        {%- do exceptions.raise_compiler_error('no model of purchases is called "' ~ family ~ '": they are mbgnbd, pareto_nbd and bgnbd') -%}
    {%- endif -%}
    {%- set arguments = rfm ~ ('' if options is none else ', ' ~ options) -%}
    select {% if group_by is not none %}{{ group_by }}, {% endif %}count(*) as customers,
        cdp.{{ family }}_fit({{ arguments }}) as purchase_model,
        cdp.gamma_gamma_fit({{ arguments }}) as spend_model
    from {{ relation }}
    {%- if group_by is not none %}
    group by {{ group_by }}
    {%- endif %}
{%- endmacro %}

{% macro lifetime_value(relation, models, key='profile_id', rfm='rfm', horizon='1 year', discount_per_year=0.1, margin=1, join_by=none) -%}
    select customer.{{ key }},
        cdp.p_alive(models.purchase_model, customer.{{ rfm }}) as p_alive,
        cdp.p_no_purchase(models.purchase_model, {{ cdp.literal(horizon) }}, customer.{{ rfm }}) as churn_risk,
        cdp.expected_purchases(models.purchase_model, {{ cdp.literal(horizon) }}, customer.{{ rfm }}) as expected_purchases,
        cdp.expected_spend(models.spend_model, customer.{{ rfm }}) as expected_spend,
        cdp.lifetime_value(models.purchase_model, models.spend_model, customer.{{ rfm }}, {{ cdp.literal(horizon) }},
            discount_per_year => {{ discount_per_year }}, margin => {{ margin }}) as lifetime_value
    from (select * from {{ relation }}) as customer
    {%- if join_by is not none %}
    {#- As arrays, of which two with NULL are equal: customers without a group have a model, too. #}
    join (select * from {{ models }}) as models on array[models.{{ join_by }}] = array[customer.{{ join_by }}]
    {%- else %}
    cross join (select * from {{ models }}) as models
    {%- endif %}
{%- endmacro %}
