-- additive
-- The mirror: what loaders write, and the record of every change that they saw.

create table cdc.staging_template (
    connection text not null,
    id text not null,
    payload jsonb not null,
    content_hash text not null,
    form text not null default 'full',
    modified_at timestamptz,
    version bigint not null,
    loaded_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (connection, id)
);
comment on table cdc.staging_template is 'Columns that every staging table has; sql/staging/*.sql adds generated key columns';
comment on column cdc.staging_template.payload is 'The record as the API sent it, decimals exact';
comment on column cdc.staging_template.content_hash is 'sha256 of the raw record: equal means that nothing is sent or written';
comment on column cdc.staging_template.form is 'full, or the poorer form that a list gave (summary): a poorer form never replaces a richer one';
comment on column cdc.staging_template.modified_at is 'The time of change as the source told it (UTC)';
comment on column cdc.staging_template.version is 'From cdc.version, taken when the content really changed';

create table cdc.cursors (
    connection text not null,
    stream text not null,
    cursor jsonb,
    backfilled_at timestamptz,
    loaded_from timestamptz,
    loaded_version bigint,
    swept_at timestamptz,
    rows_total bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (connection, stream)
);
comment on table cdc.cursors is 'How far each stream is read. Committed together with the page that it follows';
comment on column cdc.cursors.loaded_from is 'Database time at which the last load that reached the end began: everything older is mirrored';
comment on column cdc.cursors.loaded_version is 'Number taken from cdc.version when that load began';

create unlogged table cdc.seen (
    connection text not null,
    stream text not null,
    sweep bigint not null,
    id text not null,
    primary key (connection, stream, sweep, id)
);
comment on table cdc.seen is 'Ids met by a running sweep; missing means: absent here and older than the sweep and asked for by id';

create table cdc.ask_again (
    connection text not null,
    stream text not null,
    id text not null,
    reason text not null,
    asked_at timestamptz not null default now(),
    primary key (connection, stream, id)
);
comment on table cdc.ask_again is 'Records to read again by id, because two answers crossed or one was too poor';

create table cdc.changes (
    seq bigint generated always as identity primary key,
    connection text not null,
    stream text not null,
    id text not null,
    version bigint not null,
    keys_before jsonb,
    keys_after jsonb,
    changed_at timestamptz not null default now()
);
comment on table cdc.changes is 'Append-only: each real change of a staging row, with its key columns before and after; consumed by the fan-out';

create table cdc.history (
    version bigint not null,
    connection text not null,
    stream text not null,
    id text not null,
    told_by text not null check (told_by in ('poll', 'webhook', 'write answer', 'backfill', 'sweep', 'ask again')),
    run uuid,
    before jsonb,
    after jsonb,
    changed_at timestamptz not null default now(),
    primary key (version, changed_at)
) partition by range (changed_at);
comment on table cdc.history is 'Each real change of a staging row: only the top-level fields that differ, before and after; who told us';
create table cdc.history_default partition of cdc.history default;
create index history_record on cdc.history (stream, connection, id, version);

create table cdc.bad_records (
    connection text not null,
    stream text not null,
    id text not null,
    raw bytea not null,
    reason text not null,
    cure text not null,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    primary key (connection, stream, id)
);
comment on table cdc.bad_records is 'Records that could not be stored (bytes that jsonb refuses, no id): the dead letters of loading, kept raw';
