select
    source.connection,
    source.id as invoice_id,
    line.line_number::integer as line_number,
    record."LineItemID" as line_id,
    record."Description" as description,
    record."ItemCode" as item_code,
    record."AccountCode" as account_code,
    record."TaxType" as tax_type,
    {{ number('record."Quantity"') }} as quantity,
    {{ number('record."UnitAmount"') }} as unit_amount,
    {{ number_or_zero('record."LineAmount"') }} as line_amount,
    {{ number_or_zero('record."TaxAmount"') }} as tax_amount,
    header."LineAmountTypes" as line_amount_types,
    {{ problems([
        bad_numbers('record', ['"Quantity"', '"UnitAmount"', '"LineAmount"', '"TaxAmount"']),
    ]) }} as _problems
from {{ source('staging', 'xero__invoices') }} as source
cross join lateral jsonb_to_record(source.payload) as header ("LineItems" jsonb, "LineAmountTypes" text)
cross join lateral jsonb_array_elements({{ list_of('header."LineItems"') }}) with ordinality as line (item, line_number)
cross join lateral jsonb_to_record({{ object_of('line.item') }}) as record (
    "LineItemID" text,
    "Description" text,
    "ItemCode" text,
    "AccountCode" text,
    "TaxType" text,
    "Quantity" text,
    "UnitAmount" text,
    "LineAmount" text,
    "TaxAmount" text
)
