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
