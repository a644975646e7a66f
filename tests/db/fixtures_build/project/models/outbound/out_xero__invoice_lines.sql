select
    orders.connection as _source_connection,
    orders.order_id as _source_id,
    orders.connection || '/order/' || orders.order_id || '/1' as _key,
    '1'::text as _line,
    1 as _line_order,
    orders._problems,
    'Goods'::text as "Description",
    1::numeric as "Quantity",
    orders.total as "UnitAmount",
    orders.account_code as "AccountCode"
from {{ ref('orders') }} as orders
