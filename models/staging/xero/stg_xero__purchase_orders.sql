select
    source.connection,
    source.id as purchase_order_id,
    source.purchase_order_number,
    source.contact_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Status" as status,
    {{ xero_date('record."Date"') }} as order_date,
    {{ xero_date('record."DeliveryDate"') }} as delivery_date,
    record."Reference" as reference,
    record."CurrencyCode" as currency_code,
    {{ number('record."CurrencyRate"') }} as currency_rate,
    {{ number('record."SubTotal"') }} as net_amount,
    {{ number('record."TotalTax"') }} as tax_amount,
    {{ number('record."Total"') }} as total_amount,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"CurrencyRate"', '"SubTotal"', '"TotalTax"', '"Total"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__purchase_orders') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Status" text,
    "Date" text,
    "DeliveryDate" text,
    "Reference" text,
    "CurrencyCode" text,
    "CurrencyRate" text,
    "SubTotal" text,
    "TotalTax" text,
    "Total" text,
    "UpdatedDateUTC" text
)
