select
    'books'::text as _to,
    orders.connection || '/order/' || orders.order_id || '/1' as _key,
    orders.connection as _source_connection,
    orders.order_id as _source_id,
    case when orders.order_date < date '2026-01-01' then 'before cut-over' end as _skip,
    null::text as _hold,
    case when orders.order_state = 'canceled' then 'the order is cancelled' end as _gone,
    orders._problems,
    orders.total as _total,
    'EUR'::text as _currency,
    orders.order_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    'W-' || orders.increment_id as "InvoiceNumber",
    orders.order_date as "Date",
    jsonb_build_object('ContactID', {{ linked('contacts', "orders.connection || '/contact/' || orders.order_id") }}) as "Contact"
from {{ ref('orders') }} as orders
