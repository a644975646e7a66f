select
    source.connection,
    source.id as payment_id,
    source.invoice_id,
    source.credit_note_id,
    source.reference,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."PaymentType" as payment_type,
    record."Status" as status,
    {{ xero_date('record."Date"') }} as payment_date,
    {{ number('record."Amount"') }} as amount,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    account."AccountID" as account_id,
    account."Code" as account_code,
    {{ yes_or_no('record."IsReconciled"') }} as is_reconciled,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"Amount"', '"CurrencyRate"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__payments') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "PaymentType" text,
    "Status" text,
    "Date" text,
    "Amount" text,
    "CurrencyRate" text,
    "IsReconciled" text,
    "UpdatedDateUTC" text,
    "Account" jsonb
)
cross join lateral jsonb_to_record({{ object_of('record."Account"') }}) as account (
    "AccountID" text,
    "Code" text
)
