-- Contacts are a source: who they are and what is known of them.
{{ config(
    materialized='cdp_source',
    record_key='id',
    observed_at='updated_at',
    identifiers='email, work_email AS email, phone, id AS crm_id',
    traits='first_name, last_name, country, newsletter',
    deleted='archived',
    watermark='loaded_at'
) }}
{{ ref('stg_contacts') }}
