-- name: facts
-- Which database this is according to itself, and where it really is. One row; the first part is null before the first write.
select
    installation.installation_id::text as installation_id,
    installation.system_identifier,
    installation.timeline_id,
    installation.database_oid,
    installation.environment,
    installation.data_folder,
    installation.data_inode,
    installation.machine,
    installation.predecessors::text[] as predecessors,
    installation.restored_at,
    installation.restored_from,
    server.system_identifier::text as server_identifier,
    pg_database.oid::bigint as server_database,
    case
        when pg_is_in_recovery() then (select control.timeline_id from pg_control_checkpoint() as control)
        -- The control file learns of a promotion only at the next checkpoint.
        else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
    end as server_timeline,
    greatest(coalesce(installation.last_call, 0), coalesce((select max(calls.number) from cdc.calls), 0)) as last_call,
    exists (select 1 from cdc.calls)
    or exists (select 1 from cdc.links where links.target_id is not null) as has_written
from pg_control_system() as server
cross join pg_database
left join cdc.installation
    on true
where pg_database.datname = current_database();

-- name: pin
-- The first process that may write says which database this is; the others find it said.
insert into cdc.installation (
    system_identifier, timeline_id, database_oid, environment, data_folder, data_inode, machine
)
values (
    %(system_identifier)s, %(timeline_id)s, %(database_oid)s, %(environment)s, %(data_folder)s, %(data_inode)s, %(machine)s
)
on conflict (only_row) do nothing;

-- name: take_over
-- This database goes on, as a new installation. The numbers of calls go on behind all that is known to have left.
insert into cdc.installation (
    system_identifier, timeline_id, database_oid, environment, data_folder, data_inode, machine, last_call, predecessors
)
values (
    %(system_identifier)s, %(timeline_id)s, %(database_oid)s, %(environment)s, %(data_folder)s, %(data_inode)s, %(machine)s,
    %(last_call)s, %(predecessors)s::uuid[]
)
on conflict (only_row) do update
    set
        installation_id = gen_random_uuid(),
        system_identifier = excluded.system_identifier,
        timeline_id = excluded.timeline_id,
        database_oid = excluded.database_oid,
        environment = excluded.environment,
        data_folder = excluded.data_folder,
        data_inode = excluded.data_inode,
        machine = excluded.machine,
        last_call = greatest(installation.last_call, excluded.last_call),
        predecessors = array(
            select distinct each.id
            from unnest(installation.predecessors || excluded.predecessors || array[installation.installation_id]) as each (id)
        ),
        restored_at = null,
        restored_from = null
returning installation_id::text as installation_id;

-- name: advance
-- Numbers are taken behind this one.
select setval('cdc.version', greatest((select last_value from cdc.version), %(number)s));

-- name: environment
-- The same database under settings of another environment.
update cdc.installation
set environment = %(environment)s
where environment is distinct from %(environment)s;

-- name: uncompare
-- Nothing is written to these targets until they were compared.
insert into cdc.uncompared (connection, because)
select
    given.connection,
    %(because)s
from unnest(%(connections)s::text[]) as given (connection)
on conflict (connection) do nothing;

-- name: uncompared
-- Targets that were not compared yet.
select
    connection,
    since,
    because
from cdc.uncompared
order by connection;

-- name: compared
-- A target was compared.
delete from cdc.uncompared
where connection = %(connection)s;

-- name: note_recovery
-- Who took a database over, and why.
insert into cdc.recoveries (run, recovered_by, because, former, installation_id, former_call, witnessed_call)
values (
    %(run)s, %(by)s, %(because)s, %(former)s, %(installation_id)s, %(former_call)s, %(witnessed_call)s
);

-- name: known_connections
-- Connections that this database knows.
select connection
from cdc.connections
union
select connection
from cdc.links
where target_id is not null;
