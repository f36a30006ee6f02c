-- Between the sources and all that reads people.
{{ config(materialized='cdp_refresh') }}
select * from {{ ref('crm') }}
union all
select * from {{ ref('orders') }}
union all
select * from {{ ref('web') }}
