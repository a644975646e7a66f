select
    source.connection,
    source.id as prepayment_id,
    source.contact_id,
    source.invoice_ids,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Type" as document_type,
    record."Status" as status,
    {{ xero_date('record."Date"') }} as document_date,
    record."CurrencyCode" as currency_code,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    {{ number('record."Total"') }} as total_amount,
    {{ number('record."RemainingCredit"') }} as remaining_amount,
    record."Reference" as reference,
    record."Allocations" as allocations,
    record."Payments" as payments,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"CurrencyRate"', '"Total"', '"RemainingCredit"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__prepayments') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Type" text,
    "Status" text,
    "Date" text,
    "CurrencyCode" text,
    "CurrencyRate" text,
    "Total" text,
    "RemainingCredit" text,
    "Reference" text,
    "Allocations" jsonb,
    "Payments" jsonb,
    "UpdatedDateUTC" text
)
