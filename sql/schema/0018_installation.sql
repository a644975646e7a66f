-- additive
-- Time travel is noticed: which database this is and where it runs, and which targets are not compared with it yet.
alter table cdc.installation
    add column database_oid bigint,
    add column environment text,
    add column data_folder text,
    add column data_inode bigint,
    add column machine text,
    add column predecessors uuid [] not null default '{}'::uuid [],
    add column restored_at timestamptz,
    add column restored_from text;
comment on column cdc.installation.last_call is 'The highest number of a call that is known to have left when this was recovered';
comment on column cdc.installation.database_oid is 'Of the database in its server: another one means that it was copied or put back under it';
comment on column cdc.installation.environment is 'Of the settings that wrote from here first: production is never taken over by development';
comment on column cdc.installation.data_folder is 'Of the embedded server; null for a server by URL';
comment on column cdc.installation.predecessors is 'Installations that this one took over from, by `tieout recover`';
comment on column cdc.installation.restored_at is 'When `tieout restore` put a backup here, until `tieout recover` has compared it with the targets';

create table cdc.uncompared (
    connection text primary key,
    since timestamptz not null default now(),
    because text not null
);
comment on table cdc.uncompared is 'Targets that nothing is written to until `tieout recover` has rebuilt the links from what they hold';

create table cdc.recoveries (
    recovery bigint generated always as identity primary key,
    run uuid,
    recovered_at timestamptz not null default now(),
    recovered_by text not null,
    because text not null,
    former uuid,
    installation_id uuid not null,
    former_call bigint not null,
    witnessed_call bigint not null
);
comment on table cdc.recoveries is 'Append-only: each time that this database was taken for another one than it was, by whom and why';

-- The highest number is asked for before every drain.
create index calls_number on cdc.calls (number);
