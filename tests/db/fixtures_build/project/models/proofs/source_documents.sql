select
    'invoices'::text as flow,
    'invoices'::text as entity,
    orders.connection || '/order/' || orders.order_id || '/1' as key,
    orders.connection as source_connection,
    orders.order_id as source_id,
    'books'::text as target_connection,
    'W-' || orders.increment_id as number,
    orders.increment_id as reference,
    'EUR'::text as currency,
    orders.order_date as day,
    orders.total as amount,
    0::numeric as tax,
    case when orders.order_date < date '2026-01-01' then 'before cut-over' end as skip
from {{ ref('orders') }} as orders
