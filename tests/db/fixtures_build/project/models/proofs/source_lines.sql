select
    'invoices'::text as entity,
    orders.connection || '/order/' || orders.order_id || '/1' as key,
    'books'::text as target_connection,
    '200'::text as account_code,
    'NONE'::text as tax_type,
    orders.total as net_amount,
    0::numeric as tax_amount
from {{ ref('orders') }} as orders
where orders.order_date >= date '2026-01-01'
