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
    true as is_customer,
    customers.registered_at,
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
    address.street,
    address.city,
    address.region,
    address.postcode,
    address.country_code,
    phone.telephone,
    xero_contacts.is_customer,
    null::timestamptz as registered_at,
    case
        when xero_contacts.deleted_at is not null then 'deleted'
        when xero_contacts.status = 'ARCHIVED' then 'archived'
        else 'active'
    end as status,
    xero_contacts._problems
from xero_contacts
left join lateral (
    select
        nullif(
            jsonb_path_query_array(
                jsonb_build_array(fields."AddressLine1", fields."AddressLine2", fields."AddressLine3", fields."AddressLine4"),
                '$[*] ? (@ != null && @ != "")'
            ),
            '[]'::jsonb
        ) as street,
        nullif(trim(fields."City"), '') as city,
        nullif(trim(fields."Region"), '') as region,
        nullif(trim(fields."PostalCode"), '') as postcode,
        nullif(trim(fields."Country"), '') as country_code
    from jsonb_array_elements({{ list_of('xero_contacts.addresses') }}) as entry (address)
    cross join lateral jsonb_to_record({{ object_of('entry.address') }}) as fields (
        "AddressType" text,
        "AddressLine1" text,
        "AddressLine2" text,
        "AddressLine3" text,
        "AddressLine4" text,
        "City" text,
        "Region" text,
        "PostalCode" text,
        "Country" text
    )
    where fields."AddressType" = 'STREET'
    limit 1
) as address on true
left join lateral (
    select
        nullif(
            trim(
                concat_ws(
                    ' ',
                    nullif(trim(fields."PhoneCountryCode"), ''),
                    nullif(trim(fields."PhoneAreaCode"), ''),
                    nullif(trim(fields."PhoneNumber"), '')
                )
            ),
            ''
        ) as telephone
    from jsonb_array_elements({{ list_of('xero_contacts.phones') }}) as entry (phone)
    cross join lateral jsonb_to_record({{ object_of('entry.phone') }}) as fields (
        "PhoneType" text,
        "PhoneNumber" text,
        "PhoneAreaCode" text,
        "PhoneCountryCode" text
    )
    where fields."PhoneType" = 'DEFAULT'
    limit 1
) as phone on true
