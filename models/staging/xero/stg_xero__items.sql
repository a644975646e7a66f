select
    source.connection,
    source.id as item_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."Description" as description,
    {{ yes_or_no('record."IsSold"') }} as is_sold,
    {{ yes_or_no('record."IsPurchased"') }} as is_purchased,
    {{ number('salesdetails."UnitPrice"') }} as sales_price,
    salesdetails."AccountCode" as sales_account_code,
    salesdetails."TaxType" as sales_tax_type,
    {{ number('purchasedetails."UnitPrice"') }} as purchase_price,
    {{ yes_or_no('record."IsTrackedAsInventory"') }} as is_tracked,
    {{ number('record."QuantityOnHand"') }} as quantity_on_hand,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    {{ problems([
        bad_numbers('record', [
            '"QuantityOnHand"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__items') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "Description" text,
    "IsSold" text,
    "IsPurchased" text,
    "IsTrackedAsInventory" text,
    "QuantityOnHand" text,
    "UpdatedDateUTC" text,
    "SalesDetails" jsonb,
    "PurchaseDetails" jsonb
)
cross join lateral jsonb_to_record({{ object_of('record."SalesDetails"') }}) as salesdetails (
    "UnitPrice" text,
    "AccountCode" text,
    "TaxType" text
)
cross join lateral jsonb_to_record({{ object_of('record."PurchaseDetails"') }}) as purchasedetails ("UnitPrice" text)
