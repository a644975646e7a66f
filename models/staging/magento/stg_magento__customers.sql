select
    source.connection,
    source.id as customer_id,
    source.email as email_key,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.email,
    record.firstname as first_name,
    record.lastname as last_name,
    record.taxvat as vat_number,
    record.group_id as customer_group_id,
    record.website_id,
    record.store_id,
    record.default_billing as default_billing_address_id,
    {{ utc('record.created_at') }} as registered_at,
    record.addresses,
    null::jsonb as _problems
from {{ source('staging', 'magento__customers') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    email text,
    firstname text,
    lastname text,
    taxvat text,
    group_id text,
    website_id text,
    store_id text,
    default_billing text,
    created_at text,
    addresses jsonb
)
