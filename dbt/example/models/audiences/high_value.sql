-- Those who are expected to bring much.
{{ config(materialized='cdp_audience', output='table', columns=['first_name']) }}
select profile_id from {{ ref('customer_lifetime_value') }} where lifetime_value > 20
