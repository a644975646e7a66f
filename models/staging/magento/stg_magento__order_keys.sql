select
    source.connection,
    source.id as order_id,
    source.customer_id,
    source.customer_email,
    source.store_id,
    source.company_key,
    source.product_ids,
    source.state,
    source.version,
    source.deleted_at
from {{ source('staging', 'magento__orders') }} as source
