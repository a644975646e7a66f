-- additive
-- Saved plans: an exact batch under the hash of its content, what became of it, and which entries it binds. All three tables
-- are only ever added to; `forget` may blank `content`, of which `digest` keeps the proof.

create table cdc.plans (
    plan text primary key,
    made_at timestamptz not null default now(),
    made_by text not null,
    run uuid,
    build text not null,
    chosen jsonb not null,
    entries integer not null check (entries > 0),
    summary jsonb not null
);
comment on table cdc.plans is 'An exact batch of entries, named by the hash of its content';
comment on column cdc.plans.plan is 'sha256 over the build (models and lookups) and the digests of its entries, in whatever order';
comment on column cdc.plans.chosen is 'How it was narrowed: connection, entity, beginning of keys, holds';
comment on column cdc.plans.summary is 'sums, accounts, cost (calls and bytes), left_out, afterwards: as they were when it was saved';

create table cdc.plan_entries (
    plan text not null references cdc.plans (plan),
    position integer not null,
    connection text not null,
    entity text not null,
    key text not null,
    model text not null,
    source_connection text not null,
    source_id text not null,
    operation text not null,
    state text not null,
    reason text,
    entry bigint not null,
    link_version bigint not null,
    payload_hash text not null,
    digest text not null,
    content jsonb,
    basis jsonb not null,
    needs jsonb not null,
    effects jsonb not null,
    amount numeric,
    currency text,
    document_date date,
    primary key (plan, connection, entity, key)
);
comment on table cdc.plan_entries is 'The entries of a saved plan, in the order in which they are sent';
comment on column cdc.plan_entries.content is 'before and after: the fields that are sent, lines among them';
comment on column cdc.plan_entries.basis is 'What else the digest covers: operation, fields, control, references, the link it starts from';
comment on column cdc.plan_entries.needs is 'Entries of the same plan that are sent first';
comment on column cdc.plan_entries.effects is 'What it does to the accounts, by month';
create index plan_entries_key on cdc.plan_entries (connection, entity, key);

create table cdc.plan_events (
    event bigint generated always as identity primary key,
    plan text not null references cdc.plans (plan),
    happened_at timestamptz not null default clock_timestamp(),
    what text not null check (what in ('saved', 'started', 'resumed', 'finished', 'released')),
    by_whom text not null,
    run uuid,
    reason text,
    detail jsonb not null default '{}'::jsonb
);
comment on table cdc.plan_events is 'What happened to plans; the latest event of a plan says how it stands';
create index plan_events_plan on cdc.plan_events (plan, event);

alter table cdc.outbox add column plan text;
comment on column cdc.outbox.plan is 'The started plan that binds this entry: only `drain --plan` sends it, and no diff replaces it';
create index outbox_plan on cdc.outbox (plan) where plan is not null;

alter table cdc.outbox_done add column plan text;
comment on column cdc.outbox_done.plan is 'The plan under which it was sent or ended';
create index outbox_done_plan on cdc.outbox_done (plan) where plan is not null;
