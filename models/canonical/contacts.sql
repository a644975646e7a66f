with customers as (
    select * from {{ ref('stg_magento__customers') }}
),

xero_contacts as (
    select * from {{ ref('stg_xero__contacts') }}
)

select
    'magento'::text as system,
    customers.connection,
    customers.customer_id as contact_id,
    null::text as contact_number,
    nullif(trim(concat_ws(' ', trim(customers.first_name), trim(customers.last_name))), '') as name,
    customers.first_name,
    customers.last_name,
    nullif(trim(address.company), '') as company_name,
    customers.email_key as email,
    coalesce(nullif(trim(customers.vat_number), ''), nullif(trim(address.vat_id), '')) as vat_number,
    address.street,
    address.city,
    address.region,
    address.postcode,
    address.country_id as country_code,
    address.telephone,
    case when customers.deleted_at is null then 'active' else 'deleted' end as status,
    customers._problems
from customers
left join lateral (
    select
        fields.company,
        fields.vat_id,
        fields.street,
        fields.city,
        fields.region ->> 'region' as region,
        fields.postcode,
        fields.country_id,
        fields.telephone
    from jsonb_array_elements({{ list_of('customers.addresses') }}) with ordinality as entry (address, position)
    cross join lateral jsonb_to_record({{ object_of('entry.address') }}) as fields (
        id text,
        company text,
        vat_id text,
        street jsonb,
        city text,
        region jsonb,
        postcode text,
        country_id text,
        telephone text,
        default_billing text
    )
    order by
        coalesce(fields.default_billing = 'true' or fields.id = customers.default_billing_address_id, false) desc,
        entry.position
    limit 1
) as address on true

union all

select
    'xero'::text as system,
    xero_contacts.connection,
    xero_contacts.contact_id,
    xero_contacts.contact_number,
    xero_contacts.name,
    xero_contacts.first_name,
    xero_contacts.last_name,
    null::text as company_name,
    xero_contacts.email_key as email,
    xero_contacts.vat_number,
    null::jsonb as street,
    null::text as city,
    null::text as region,
    null::text as postcode,
    null::text as country_code,
    null::text as telephone,
    case
        when xero_contacts.deleted_at is not null then 'deleted'
        when xero_contacts.status = 'ARCHIVED' then 'archived'
        else 'active'
    end as status,
    xero_contacts._problems
from xero_contacts
