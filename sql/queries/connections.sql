-- The identity that each connection is pinned to.

-- name: pin
-- The first meeting: stores who answered. One row when it was the first.
insert into cdc.connections as known (connection, system, target_identity, target_name, is_demo, base_currency)
values (%(connection)s, %(system)s, %(identity)s, %(name)s, %(is_demo)s, %(base_currency)s)
on conflict (connection) do update
    set
        target_identity = excluded.target_identity,
        target_name = excluded.target_name,
        is_demo = excluded.is_demo,
        base_currency = excluded.base_currency,
        pinned_at = now()
    where known.target_identity is null
returning known.connection;

-- name: pinned
-- Who answered the first time.
select
    connections.system,
    connections.target_identity,
    connections.target_name
from cdc.connections
where connections.connection = %(connection)s;
