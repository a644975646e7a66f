-- Marts: tables for BI, refreshed from their live views by changed keys.

-- name: prepare
-- The schema that BI reads.
create schema if not exists marts;

-- name: columns
-- Columns of a mart's table, without as_of; is_key for those of its primary key. Parameters: mart.
select
    attribute.attname as name,
    format_type(attribute.atttypid, attribute.atttypmod) as type,
    coalesce(attribute.attnum = any(constraint_key.conkey), false) as is_key
from pg_attribute as attribute
left join pg_constraint as constraint_key
    on attribute.attrelid = constraint_key.conrelid and constraint_key.contype = 'p'
where
    attribute.attrelid = to_regclass(format('marts.%%I', %(mart)s::text))
    and attribute.attnum > 0
    and not attribute.attisdropped
    and attribute.attname <> 'as_of'
order by attribute.attnum;

-- name: create
-- The table of a mart, empty.
create table {table} as
select
    {columns},
    now() as as_of
from {view}
with no data;

-- name: key
-- A mart has one row a key, and says of each since when it is true.
alter table {table}
add primary key ({key}),
alter column as_of set not null;

-- name: index
-- Rows of a changed driver are found by this.
create index on {table} ({connection_column}, {id_column});

-- name: comment
-- For those who look with psql.
comment on column {table}.as_of is 'When this row was made from its sources';

-- name: grants
-- Who may read a mart, so that its new form lets them in too. Parameters: mart.
select distinct grantee.rolname as role
from pg_class as class
cross join lateral aclexplode(class.relacl) as acl
inner join pg_roles as grantee on acl.grantee = grantee.oid
where
    class.oid = to_regclass(format('marts.%%I', %(mart)s::text))
    and acl.privilege_type = 'SELECT'
    and grantee.oid <> class.relowner;

-- name: grant
-- Let a role read a mart.
grant select on {table} to {role};

-- name: drop
-- Remove a mart's table; refused while something else is built on it.
drop table if exists {table};

-- name: clear_keys
-- A full refresh looks at every key: those noted before it began are done with it. Parameters: mart.
delete from cdc.changed_keys
where changed_keys.model = %(mart)s;

-- name: take_keys
-- Consume changed keys. Parameters: mart, limit.
with oldest as (
    select changed_keys.seq
    from cdc.changed_keys
    where changed_keys.model = %(mart)s
    order by changed_keys.seq
    limit %(limit)s
),

taken as (
    delete from cdc.changed_keys
    using oldest
    where changed_keys.seq = oldest.seq
    returning changed_keys.source_connection, changed_keys.source_id
)

select distinct
    taken.source_connection,
    taken.source_id
from taken;

-- name: delete_all
-- Before a full refresh; readers see the old rows until it commits.
delete from {table};

-- name: fill_all
-- Every row of the live view.
insert into {table} ({columns}, as_of)
select
    {columns},
    now()
from {view};

-- name: delete_keys
-- Rows of changed drivers. Parameters: connections, ids (equally long).
delete from {table} as mart
using unnest(%(connections)s::text[], %(ids)s::text[]) as changed (connection, id)
where
    mart.{connection_column} = changed.connection
    and mart.{id_column} = changed.id;

-- name: fill_keys
-- The same rows made again; `offset 0` lets each key reach the base tables (design, section 7). Parameters as above.
insert into {table} ({columns}, as_of)
select
    {columns},
    now()
from (
    select desired.*
    from unnest(%(connections)s::text[], %(ids)s::text[]) as changed (connection, id)
    cross join lateral (
        select live.*
        from {view} as live
        where
            live.{connection_column} = changed.connection
            and live.{id_column} = changed.id
        offset 0
    ) as desired
) as made;

-- name: state
-- How fresh a mart is; no row when it was never made. Parameters: mart.
select
    mart_state.as_of,
    mart_state.refreshed_rows
from cdc.mart_state
where mart_state.mart = %(mart)s;

-- name: note_fresh
-- The mart is as fresh as this transaction. Parameters: mart, rows.
insert into cdc.mart_state (mart, as_of, refreshed_rows)
values (%(mart)s, now(), %(rows)s)
on conflict (mart) do update
    set
        as_of = excluded.as_of,
        refreshed_rows = excluded.refreshed_rows
returning mart_state.as_of;

-- name: note_swept
-- A full refresh of this build is done. Parameters: mart, build.
update cdc.models
set
    sweep_due = false,
    is_new = false,
    is_changed = false,
    swept_at = now()
where
    models.model = %(mart)s
    and models.build = %(build)s;

-- name: forget
-- A mart that the set no longer has. Parameters: mart.
delete from cdc.mart_state
where mart_state.mart = %(mart)s;
