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
