select
    'magento'::text as system,
    products.connection,
    products.product_id as item_id,
    products.sku as code,
    products.name,
    products.product_type as item_type,
    products.price as sales_price,
    null::text as description,
    null::text as sales_tax_type,
    true as is_sold,
    products.deleted_at is not null as is_deleted,
    products._problems
from {{ ref('stg_magento__products') }} as products

union all

select
    'xero'::text as system,
    xero_items.connection,
    xero_items.item_id,
    xero_items.code,
    xero_items.name,
    case when xero_items.is_tracked then 'tracked' else 'untracked' end as item_type,
    xero_items.sales_price,
    xero_items.description,
    xero_items.sales_tax_type,
    xero_items.is_sold,
    xero_items.deleted_at is not null as is_deleted,
    xero_items._problems
from {{ ref('stg_xero__items') }} as xero_items
