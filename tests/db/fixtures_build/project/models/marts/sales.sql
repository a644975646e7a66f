select
    orders.connection,
    orders.order_id,
    orders.increment_id,
    orders.order_date,
    orders.total,
    orders.account_code
from {{ ref('orders') }} as orders
