select
    orders.connection,
    orders.id as order_id,
    orders.increment_id,
    orders.payload ->> 'category' as category,
    orders.payload ->> 'state' as order_state,
    (orders.payload ->> 'total')::numeric as total,
    (orders.payload ->> 'day')::date as order_date,
    case when orders.payload ->> 'bad' is not null then jsonb_build_array(orders.payload -> 'bad') end as _problems
from {{ source('staging', 'magento__orders') }} as orders
where orders.deleted_at is null
