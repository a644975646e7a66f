select
    'books'::text as _to,
    orders.connection || '/contact/' || orders.order_id as _key,
    orders.connection as _source_connection,
    orders.order_id as _source_id,
    null::text as _skip,
    null::text as _hold,
    null::text as _gone,
    orders._problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    'Buyer ' || orders.increment_id as "Name"
from {{ ref('stg_magento__orders') }} as orders
