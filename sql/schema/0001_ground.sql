-- additive
-- Ground floor: what every part needs before the first record is loaded.
create schema if not exists cdc;
create schema if not exists staging;

comment on schema cdc is 'The engine: versions, changes, links, outbox, calls, audit. Private: read it through the commands.';
comment on schema staging is 'One table per stream of a system: the mirror of its records as its API sent them. Private to loaders.';

-- Every read and every write takes a number here before it leaves; a merge never replaces a higher one with a lower.
create sequence cdc.version as bigint;
comment on sequence cdc.version is 'Numbers in the order in which reads and writes left and rows changed';

create table cdc.installation (
    only_row boolean primary key default true check (only_row),
    installation_id uuid not null default gen_random_uuid(),
    system_identifier text not null,
    timeline_id bigint not null,
    last_call bigint not null default 0,
    created_at timestamptz not null default now()
);
comment on table cdc.installation is 'Which database this is: a mismatch with the witness file or the server means that it was restored or copied';

create table cdc.connections (
    connection text primary key,
    system text not null,
    target_identity text,
    target_name text,
    is_demo boolean,
    base_currency text,
    stopped_at timestamptz,
    stopped_reason text,
    paused_at timestamptz,
    paused_by text,
    pinned_at timestamptz not null default now()
);
comment on table cdc.connections is 'Each connection pinned to the identity that its target reported the first time; and why it is stopped or paused';

create table cdc.vault (
    name text primary key,
    ciphertext bytea not null,
    updated_at timestamptz not null default now()
);
comment on table cdc.vault is 'Tokens, encrypted with a key that is never in this database';

create table cdc.budget (
    connection text primary key,
    minute_started timestamptz,
    minute_used integer not null default 0,
    minute_limit integer,
    day_started timestamptz,
    day_used integer not null default 0,
    day_limit integer,
    in_flight integer not null default 0,
    concurrent_limit integer,
    blocked_until timestamptz,
    updated_at timestamptz not null default now()
);
comment on table cdc.budget is 'What all processes together may still call at one connection; counts only ever tighten within a window';

create table cdc.budget_slots (
    slot uuid primary key,
    connection text not null,
    worker text not null,
    drawn_at timestamptz not null default now(),
    expires_at timestamptz not null
);
comment on table cdc.budget_slots is 'Calls in flight; a slot of a dead process frees itself at expires_at, by the database clock';
create index budget_slots_connection on cdc.budget_slots (connection, expires_at);

create table cdc.runs (
    run uuid primary key,
    command text not null,
    arguments jsonb not null default '{}'::jsonb,
    host text not null,
    process_id integer not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    exit_code integer,
    summary jsonb
);
comment on table cdc.runs is 'Each command that changed something: when, where, how it ended';
