-- additive
-- The engine: models, changed keys, links, outbox, calls, decisions.

create table cdc.builds (
    build text primary key,
    built_at timestamptz not null default now(),
    switched_at timestamptz,
    manifest jsonb not null default '{}'::jsonb
);
comment on table cdc.builds is 'Complete sets of models, by the hash of their compiled SQL and lookups; the newest switched one is in force';

create table cdc.models (
    model text primary key,
    kind text not null check (kind in ('outbound', 'mart')),
    system text,
    entity text,
    config jsonb not null,
    code_hash text not null,
    lookups_hash text not null,
    sweep_due boolean not null default true,
    is_new boolean not null default true,
    is_changed boolean not null default false,
    swept_at timestamptz,
    build text not null references cdc.builds (build)
);
comment on table cdc.models is 'Outbound models and marts of the build in force, with the meta of their yml';
comment on column cdc.models.is_new is 'No diff of it was ever approved: its first entries are held';
comment on column cdc.models.is_changed is 'Its code or lookups changed since the last complete sweep: changes to linked documents are held';

create table cdc.changed_keys (
    seq bigint generated always as identity primary key,
    model text not null,
    source_connection text not null,
    source_id text not null,
    because text not null,
    changed_at timestamptz not null default now()
);
comment on table cdc.changed_keys is 'Driving records that a model must look at again. Append-only, consumed by delete … returning';
create index changed_keys_model on cdc.changed_keys (model, seq);

-- The one lock of a key: diff, claim, settle, approve and edit lock this row, in key order.
create table cdc.links (
    connection text not null,
    entity text not null,
    key text not null,
    model text not null,
    source_connection text not null,
    source_id text not null,
    version bigint not null default 0,
    generation integer not null default 1,
    target_id text,
    said jsonb,
    returned jsonb,
    line_ids jsonb not null default '{}'::jsonb,
    mirror_version bigint,
    is_adopted boolean not null default false,
    is_gone boolean not null default false,
    if_taken boolean not null default false,
    overrides jsonb not null default '{}'::jsonb,
    yielded jsonb not null default '{}'::jsonb,
    identity jsonb,
    approved_hash text,
    declined_hash text,
    rejected_hash text,
    rejected_on jsonb,
    linked_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (connection, entity, key)
);
comment on table cdc.links is 'Our key and the record of the target; also the lock of the key';
comment on column cdc.links.version is 'Grows by 1 with each settlement or decision; an entry is sent only if it was computed from this version';
comment on column cdc.links.said is 'The last confirmed desired payload, references as keys: the diff compares the model with it';
comment on column cdc.links.returned is 'The same paths as the target gave them: changes by others are judged against it';
comment on column cdc.links.line_ids is 'Our _line of a child row -> the target''s line id';
comment on column cdc.links.mirror_version is 'Version of the target''s staging row that returned was taken from or last judged by';
comment on column cdc.links.rejected_on is 'Streams (and ids) whose change makes a rejected payload worth one more try';
create unique index links_target on cdc.links (connection, entity, target_id) where target_id is not null;
create index links_source on cdc.links (model, source_connection, source_id);

create table cdc.outbox (
    entry bigint generated always as identity primary key,
    connection text not null,
    entity text not null,
    key text not null,
    model text not null,
    source_connection text not null,
    source_id text not null,
    operation text not null check (operation in ('create', 'update', 'remove')),
    state text not null check (state in ('held', 'waiting', 'ready', 'sending', 'in_doubt', 'rejected')),
    held_for text check (
        held_for in ('problems', 'hold', 'guard', 'vanished', 'target changed', 'conflict', 'answer differs', 'frozen', 'moved', 'lock date')
    ),
    payload jsonb not null,
    payload_hash text not null,
    fields text[],
    control jsonb not null default '{}'::jsonb,
    link_version bigint not null,
    waits_for jsonb not null default '[]'::jsonb,
    serial_by text,
    amount numeric,
    currency text,
    document_date date,
    cause text,
    reason text,
    cure text,
    who text,
    answer jsonb,
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    call uuid,
    run uuid,
    told_at timestamptz,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    check ((state = 'held') = (held_for is not null)),
    check (state not in ('sending', 'in_doubt') or call is not null)
);
comment on table cdc.outbox is 'Open entries only, at most one a key; finished ones move to cdc.outbox_done';
comment on column cdc.outbox.fields is 'For an update: the top-level fields that differ and are sent; null for a create: all';
comment on column cdc.outbox.control is 'The control columns of the row: _hold, _gone, _total, _if_taken, _problems';
comment on column cdc.outbox.waits_for is 'References that must exist first: [{"entity","key","settled"}]';
comment on column cdc.outbox.cause is 'Short stable text by which dead letters are grouped';
comment on column cdc.outbox.who is 'Who can fix it: operator, accountant, shop, vendor or analyst';
comment on column cdc.outbox.told_at is 'When a run first reported it: exit code 5 is for newly dead records';
create unique index outbox_key on cdc.outbox (connection, entity, key);
create index outbox_ready on cdc.outbox (connection, entity, not_before, entry) where state = 'ready';
create index outbox_waiting on cdc.outbox using gin (waits_for jsonb_path_ops) where state = 'waiting';
create index outbox_call on cdc.outbox (call) where call is not null;
create index outbox_source on cdc.outbox (model, source_connection, source_id);

create table cdc.outbox_done (
    entry bigint not null,
    connection text not null,
    entity text not null,
    key text not null,
    model text not null,
    source_connection text not null,
    source_id text not null,
    operation text not null,
    outcome text not null check (outcome in ('applied', 'unchanged', 'replaced', 'discarded', 'satisfied')),
    payload jsonb not null,
    payload_hash text not null,
    fields text[],
    link_version bigint not null,
    target_id text,
    amount numeric,
    currency text,
    reason text,
    attempts integer not null,
    call uuid,
    run uuid,
    created_at timestamptz not null,
    finished_at timestamptz not null default now(),
    primary key (entry, finished_at)
) partition by range (finished_at);
comment on table cdc.outbox_done is 'What became of each entry';
create table cdc.outbox_done_default partition of cdc.outbox_done default;
create index outbox_done_key on cdc.outbox_done (connection, entity, key, entry);

create table cdc.calls (
    call uuid primary key,
    number bigint not null,
    connection text not null,
    entity text not null,
    operation text not null,
    entries bigint[] not null,
    keys text[] not null,
    method text not null,
    path text not null,
    body jsonb,
    body_hash text not null,
    serial_by text,
    worker uuid not null,
    run uuid,
    sent_at timestamptz not null default clock_timestamp(),
    deadline timestamptz not null,
    status integer,
    answer jsonb,
    outcome text check (outcome in ('answered', 'not sent', 'refused', 'unknown', 'settled by asking')),
    asked jsonb,
    settled_at timestamptz
);
comment on table cdc.calls is 'Each write request, recorded before it leaves; call is random and is the idempotency key';
comment on column cdc.calls.number is 'From cdc.version: the number taken before it left';
comment on column cdc.calls.asked is 'When the outcome was unknown: what the target was asked, and what it said';
create index calls_open on cdc.calls (connection, sent_at) where settled_at is null;
create index calls_sent on cdc.calls (sent_at);
create index calls_keys on cdc.calls using gin (keys);

create table cdc.workers (
    worker uuid primary key,
    host text not null,
    process_id integer not null,
    lock_key bigint not null,
    started_at timestamptz not null default now()
);
comment on table cdc.workers is 'Senders; alive while their advisory lock is held on a direct connection, and until the deadline of their call';

create table cdc.decisions (
    decision bigint generated always as identity primary key,
    decided_at timestamptz not null default now(),
    decided_by text not null,
    verb text not null,
    connection text not null,
    entity text not null,
    key text not null,
    payload_hash text,
    reason text,
    detail jsonb
);
comment on table cdc.decisions is 'Append-only: approve, refuse, discard, edit, accept as is, link: who, when, of which payload, why';
create index decisions_key on cdc.decisions (connection, entity, key);

create table cdc.drift (
    connection text not null,
    entity text not null,
    key text not null,
    model text not null,
    frozen_because text not null,
    desired jsonb not null,
    fields text[] not null,
    amount_effect numeric,
    currency text,
    found_at timestamptz not null default now(),
    primary key (connection, entity, key)
);
comment on table cdc.drift is 'Differences on documents that may no longer change: shown, never sent';

create table cdc.mart_state (
    mart text primary key,
    as_of timestamptz not null,
    refreshed_rows bigint not null default 0
);
comment on table cdc.mart_state is 'How fresh each mart is';

create table cdc.proofs (
    proof bigint generated always as identity primary key,
    run uuid not null,
    proved_at timestamptz not null default now(),
    flow text not null,
    source_connection text not null,
    target_connection text not null,
    currency text not null,
    day date not null,
    measure text not null,
    source_count bigint not null,
    source_amount numeric not null,
    target_count bigint not null,
    target_amount numeric not null,
    explained_count bigint not null default 0,
    explained_amount numeric not null default 0,
    is_equal boolean not null,
    named jsonb not null default '[]'::jsonb
);
comment on table cdc.proofs is 'Append-only: control totals of both sides, by currency and day, and the named records behind each difference';
