select
    source.connection,
    source.id as account_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."Type" as account_type,
    record."Class" as account_class,
    record."Status" as status,
    record."TaxType" as tax_type,
    {{ yes_or_no('record."EnablePaymentsToAccount"') }} as takes_payments,
    record."BankAccountNumber" as bank_account_number,
    record."CurrencyCode" as currency_code,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    null::jsonb as _problems
from {{ source('staging', 'xero__accounts') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "Type" text,
    "Class" text,
    "Status" text,
    "TaxType" text,
    "EnablePaymentsToAccount" text,
    "BankAccountNumber" text,
    "CurrencyCode" text,
    "UpdatedDateUTC" text
)
