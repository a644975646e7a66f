select
    source.connection,
    source.id as bank_transaction_id,
    source.contact_id,
    source.reference,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Type" as transaction_type,
    record."Status" as status,
    record."PrepaymentID" as prepayment_id,
    record."OverpaymentID" as overpayment_id,
    {{ xero_date('record."Date"') }} as transaction_date,
    record."CurrencyCode" as currency_code,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    {{ number('record."SubTotal"') }} as net_amount,
    {{ number('record."TotalTax"') }} as tax_amount,
    {{ number('record."Total"') }} as total_amount,
    bankaccount."AccountID" as bank_account_id,
    bankaccount."Code" as bank_account_code,
    {{ yes_or_no('record."IsReconciled"') }} as is_reconciled,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"CurrencyRate"', '"SubTotal"', '"TotalTax"', '"Total"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__bank_transactions') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Type" text,
    "Status" text,
    "PrepaymentID" text,
    "OverpaymentID" text,
    "Date" text,
    "CurrencyCode" text,
    "CurrencyRate" text,
    "SubTotal" text,
    "TotalTax" text,
    "Total" text,
    "IsReconciled" text,
    "UpdatedDateUTC" text,
    "BankAccount" jsonb
)
cross join lateral jsonb_to_record({{ object_of('record."BankAccount"') }}) as bankaccount (
    "AccountID" text,
    "Code" text
)
