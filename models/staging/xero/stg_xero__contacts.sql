select
    source.connection,
    source.id as contact_id,
    source.contact_number,
    source.email_address as email_key,
    source.name_key,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."FirstName" as first_name,
    record."LastName" as last_name,
    record."EmailAddress" as email,
    record."TaxNumber" as vat_number,
    record."ContactStatus" as status,
    record."MergedToContactID" as merged_to_contact_id,
    {{ yes_or_no('record."IsCustomer"') }} as is_customer,
    {{ yes_or_no('record."IsSupplier"') }} as is_supplier,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    null::jsonb as _problems
from {{ source('staging', 'xero__contacts') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "FirstName" text,
    "LastName" text,
    "EmailAddress" text,
    "TaxNumber" text,
    "ContactStatus" text,
    "MergedToContactID" text,
    "IsCustomer" text,
    "IsSupplier" text,
    "UpdatedDateUTC" text
)
