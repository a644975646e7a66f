-- breaking: the counts of the budget move to other tables; the first answers of a vendor tell again what is left
-- The budget of a connection: calls in flight, calls of the last minute and day in small buckets, who waits for a turn.
drop table cdc.budget_slots;
drop table cdc.budget;

create table cdc.budget (
    owner text primary key,
    blocked_until timestamptz,
    last_backfill timestamptz
);
comment on table cdc.budget is 'One row a connection, and one an app that several connections share: the lock of their counts';

create table cdc.budget_windows (
    owner text not null references cdc.budget (owner),
    kind text not null check (kind in ('minute', 'day', 'bytes')),
    span interval not null,
    quota bigint,
    others bigint not null default 0,
    told_used bigint,
    told_at timestamptz,
    told_until timestamptz,
    primary key (owner, kind)
);
comment on table cdc.budget_windows is 'What a vendor allows in any span of time, and how much others used of it by what its answers told';

create table cdc.budget_used (
    owner text not null,
    kind text not null,
    at timestamptz not null,
    amount bigint not null,
    primary key (owner, kind, at)
);
comment on table cdc.budget_used is 'Calls (or bytes) that ended in the bucket before at: they count until a span later';

create table cdc.budget_slots (
    slot uuid primary key,
    connection text not null,
    app text,
    worker text not null,
    bytes bigint not null default 0,
    drawn_at timestamptz not null,
    expires_at timestamptz not null
);
comment on table cdc.budget_slots is 'Calls in flight; a slot of a dead process frees itself at expires_at, by the database clock';
create index budget_slots_connection on cdc.budget_slots (connection);
create index budget_slots_app on cdc.budget_slots (app) where app is not null;

create table cdc.budget_queue (
    ticket uuid primary key,
    connection text not null,
    class smallint not null,
    since timestamptz not null,
    due_at timestamptz not null
);
comment on table cdc.budget_queue is 'Who was told to come again, and when: a person first, then fresh changes, then backfill, each in order';
create index budget_queue_connection on cdc.budget_queue (connection);
