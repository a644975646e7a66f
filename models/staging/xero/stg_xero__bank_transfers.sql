select
    source.connection,
    source.id as bank_transfer_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    {{ xero_date('record."Date"') }} as transfer_date,
    {{ number('record."Amount"') }} as amount,
    frombankaccount."AccountID" as from_account_id,
    tobankaccount."AccountID" as to_account_id,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    {{ xero_time('record."CreatedDateUTC"') }} as created_at,
    {{ problems([
        bad_numbers('record', [
            '"Amount"', '"CurrencyRate"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__bank_transfers') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Date" text,
    "Amount" text,
    "CurrencyRate" text,
    "CreatedDateUTC" text,
    "FromBankAccount" jsonb,
    "ToBankAccount" jsonb
)
cross join lateral jsonb_to_record({{ object_of('record."FromBankAccount"') }}) as frombankaccount (
    "AccountID" text
)
cross join lateral jsonb_to_record({{ object_of('record."ToBankAccount"') }}) as tobankaccount (
    "AccountID" text
)
