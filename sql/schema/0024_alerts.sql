-- additive
-- Proofs that can be looked at afterwards, pauses with their reason, reversals of a run, and what people are alerted of.

alter table cdc.proofs add column is_proved boolean;
comment on column cdc.proofs.is_proved
is 'Equal once the records that are explained are set aside, and none is left unexplained; null for proofs made before this column';
create index proofs_run on cdc.proofs (run);

alter table cdc.connections add column paused_reason text;

alter table cdc.links add column reversal jsonb;
comment on column cdc.links.reversal
is 'A person takes back what a run wrote here: run, by, reason, asked_at, after (what goes first); said: the hash of what the model says, for which it holds';
create index links_reversed on cdc.links (connection, entity, key) where reversal is not null;
create index calls_run on cdc.calls (run);

create table cdc.alerts (
    alert bigint generated always as identity primary key,
    event text not null,
    kind text not null,
    condition jsonb not null,
    began_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    over_at timestamptz
);
comment on table cdc.alerts is 'What people are told of: one row an event, from its first sight until it is over';
comment on column cdc.alerts.event is 'Names the event as long as it lasts: kind, connection, entity, cause or key';
comment on column cdc.alerts.condition is 'As it was last seen: title, lines, since, count, money by currency, who, command';
create unique index alerts_event on cdc.alerts (event) where over_at is null;

create table cdc.alert_messages (
    message bigint generated always as identity primary key,
    alert bigint not null references cdc.alerts (alert),
    stage text not null check (stage in ('new', 'worse', 'over')),
    level jsonb not null,
    title text not null,
    body text not null,
    made_at timestamptz not null default now()
);
comment on table cdc.alert_messages is 'What was said of an event: when it began, each time it had doubled, and when it was over';
comment on column cdc.alert_messages.level is 'Count, money by currency and age in seconds that it says: the next one is made when one of them has doubled';
create index alert_messages_alert on cdc.alert_messages (alert, message);

create table cdc.alert_deliveries (
    message bigint not null references cdc.alert_messages (message),
    channel text not null,
    delivered_at timestamptz not null default now(),
    primary key (message, channel)
);
comment on table cdc.alert_deliveries is 'Which channel took which message; committed one by one, so that a crash repeats at most the one under way';

create table cdc.alert_channels (
    channel text primary key,
    last_ok_at timestamptz,
    failing_since timestamptz,
    failures integer not null default 0,
    last_error text
);
comment on table cdc.alert_channels is 'How each channel does; its name says its kind and host, never its address in full, which may hold a password';

create view cdc.stopped as
with recursive chains as (
    select
        outbox.entry,
        outbox.connection,
        outbox.created_at,
        outbox.entity,
        outbox.source_connection,
        outbox.source_id,
        outbox.amount,
        outbox.currency,
        outbox.waits_for
    from cdc.outbox
    where outbox.state = 'waiting'
    union
    select
        chains.entry,
        head.connection,
        chains.created_at,
        chains.entity,
        chains.source_connection,
        chains.source_id,
        chains.amount,
        chains.currency,
        head.waits_for
    from chains
    cross join lateral jsonb_to_recordset(chains.waits_for) as needed (connection text, entity text, key text)
    inner join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, chains.connection)
            and head.entity = needed.entity
            and head.key = needed.key
            and head.state = 'waiting'
)

-- An entry that meets the same head by two ways waits for it once.
select distinct
    coalesce(needed.connection, chains.connection) as connection,
    needed.entity,
    needed.key,
    head.entry as head,
    coalesce(head.held_for, head.state, 'not in the outbox') as head_state,
    head.cause,
    head.reason,
    head.who,
    case when head.attempts > 1 then head.created_at else head.changed_at end as head_since,
    chains.entry,
    chains.created_at,
    chains.entity as waiting_entity,
    chains.source_connection,
    chains.source_id,
    chains.amount,
    chains.currency
from chains
cross join lateral jsonb_to_recordset(chains.waits_for) as needed (
    connection text, entity text, key text, settled boolean, gone boolean
)
left join cdc.outbox as head
    on
        head.connection = coalesce(needed.connection, chains.connection)
        and head.entity = needed.entity
        and head.key = needed.key
left join cdc.links
    on
        links.connection = coalesce(needed.connection, chains.connection)
        and links.entity = needed.entity
        and links.key = needed.key
where
    head.state is distinct from 'waiting'
    and case
        when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
        else
            links.target_id is null
            or links.is_gone
            or head.held_for = 'answer differs'
            or (coalesce(needed.settled, false) and head.entry is not null)
    end;
comment on view cdc.stopped is 'Each waiting entry beside the head of its chain: what itself waits is no head, its own head is';

create view cdc.needs_person as
select
    outbox.entry,
    outbox.connection,
    outbox.entity,
    outbox.key,
    outbox.model,
    outbox.operation,
    outbox.held_for,
    coalesce(outbox.cause, outbox.held_for, outbox.state) as cause,
    outbox.reason,
    outbox.cure,
    coalesce(outbox.who, 'operator') as who,
    outbox.state = 'rejected'
    or outbox.held_for in ('problems', 'conflict', 'answer differs', 'vanished', 'target changed') as is_dead,
    case when outbox.attempts > 1 then outbox.created_at else outbox.changed_at end as since
from cdc.outbox
where
    outbox.state in ('rejected', 'held')
    and outbox.cause is distinct from 'counting';
comment on view cdc.needs_person is 'Open entries that a person must look at: dead letters, where something is wrong, and holds, which wait for a yes';

create view cdc.stuck_money as
select
    outbox.entry as head,
    outbox.entry,
    outbox.entity,
    outbox.source_connection,
    outbox.source_id,
    outbox.amount,
    outbox.currency
from cdc.outbox
where outbox.state in ('rejected', 'held')
union all
select
    stopped.head,
    stopped.entry,
    stopped.waiting_entity,
    stopped.source_connection,
    stopped.source_id,
    stopped.amount,
    stopped.currency
from cdc.stopped
where stopped.head_state not in ('ready', 'sending', 'in_doubt', 'not in the outbox');
comment on view cdc.stuck_money
is 'Amounts that stand still because of an entry: its own and those that wait for it. An order''s invoice and payment are the same money: of a source record the entity with most of it counts';
