-- The shadow proof: what a month's documents would have said, for books that we do not write yet.

-- name: buyers
-- Who bought, by order: no contact needs to be linked or even made for it.
select
    orders.connection,
    orders.order_id,
    array[orders.company_name, nullif(concat_ws(' ', orders.first_name, orders.last_name), '')] as names
from unnest(%(source_connections)s::text[], %(source_ids)s::text[]) as given (source_connection, source_id)
cross join lateral (
    select known.*
    from canonical.orders as known
    where
        known.connection = given.source_connection
        and known.order_id = given.source_id
    offset 0
) as orders;
