-- Wants news, and gets no other mail from us.
{{ config(materialized='cdp_audience', output='view') }}
profile.newsletter
AND profile.profile_id NOT IN (SELECT profile_id FROM {{ ref('lapsed_vip') }})
