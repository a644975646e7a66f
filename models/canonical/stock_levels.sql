select
    'magento'::text as system,
    stock_items.connection,
    stock_items.stock_item_id as stock_level_id,
    stock_items.sku,
    stock_items.source_code as location_code,
    stock_items.quantity,
    stock_items.is_in_stock,
    stock_items._problems
from {{ ref('stg_magento__stock_items') }} as stock_items
where stock_items.deleted_at is null

union all

select
    'xero'::text as system,
    xero_items.connection,
    xero_items.item_id as stock_level_id,
    xero_items.code as sku,
    null::text as location_code,
    xero_items.quantity_on_hand as quantity,
    xero_items.quantity_on_hand > 0 as is_in_stock,
    xero_items._problems
from {{ ref('stg_xero__items') }} as xero_items
where xero_items.is_tracked and xero_items.deleted_at is null
