select
    source.connection,
    source.id as credit_note_id,
    source.credit_note_number,
    source.contact_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Type" as document_type,
    record."Status" as status,
    record."Reference" as reference,
    {{ xero_date('record."Date"') }} as document_date,
    {{ xero_date('record."DueDate"') }} as due_date,
    record."LineAmountTypes" as line_amount_types,
    record."CurrencyCode" as currency_code,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    {{ number_or_zero('record."SubTotal"') }} as net_amount,
    {{ number_or_zero('record."TotalTax"') }} as tax_amount,
    {{ number('record."Total"') }} as total_amount,
    {{ number_or_zero('record."RemainingCredit"') }} as remaining_amount,
    record."Allocations" as allocations,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"CurrencyRate"', '"SubTotal"', '"TotalTax"', '"Total"', '"RemainingCredit"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__credit_notes') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Type" text,
    "Status" text,
    "Reference" text,
    "Date" text,
    "DueDate" text,
    "LineAmountTypes" text,
    "CurrencyCode" text,
    "CurrencyRate" text,
    "SubTotal" text,
    "TotalTax" text,
    "Total" text,
    "RemainingCredit" text,
    "Allocations" jsonb,
    "UpdatedDateUTC" text
)
