-- Wants news, and gets no other mail from us.
{{ config(materialized='cdp_audience', output='view') }}
profile.newsletter
AND NOT EXISTS (SELECT FROM {{ ref('lapsed_vip') }} AS vip WHERE vip.profile_id = profile.profile_id)
