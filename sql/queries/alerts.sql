-- Alerts: what they are made of, what was said of each, and who has heard it.

-- name: now
-- The database's clock.
select now() as now;

-- name: open
-- Events that are not over, each with the level that its last message told.
select
    alerts.alert,
    alerts.event,
    alerts.kind,
    alerts.condition,
    alerts.began_at,
    last.level
from cdc.alerts
inner join lateral (
    select alert_messages.level
    from cdc.alert_messages
    where alert_messages.alert = alerts.alert
    order by alert_messages.message desc
    limit 1
) as last on true
where alerts.over_at is null
order by alerts.alert
for update of alerts;

-- name: begin
-- A new event.
insert into cdc.alerts (event, kind, condition)
values (%(event)s, %(kind)s, %(condition)s)
returning alert;

-- name: see
-- An event that lasts, as it is now.
update cdc.alerts
set
    condition = %(condition)s,
    seen_at = now()
where
    alert = %(alert)s
    and condition is distinct from %(condition)s;

-- name: end
-- An event that is over.
update cdc.alerts
set over_at = now()
where alert = %(alert)s;

-- name: say
-- What is to be told of an event.
insert into cdc.alert_messages (alert, stage, level, title, body)
values (%(alert)s, %(stage)s, %(level)s, %(title)s, %(body)s);

-- name: pending
-- What a channel has not heard: of each event the last message, later ones stand for earlier ones. Of an event that is over
-- a channel hears only if it heard that it began.
with last as (
    select distinct on (alert_messages.alert)
        alert_messages.alert,
        alert_messages.message,
        alert_messages.stage,
        alert_messages.title,
        alert_messages.body
    from cdc.alert_messages
    inner join cdc.alerts
        on alert_messages.alert = alerts.alert
    where
        alerts.over_at is null
        or exists (
            select 1
            from cdc.alert_deliveries
            inner join cdc.alert_messages as heard
                on alert_deliveries.message = heard.message
            where
                heard.alert = alerts.alert
                and alert_deliveries.channel = %(channel)s
        )
    order by alert_messages.alert, alert_messages.message desc
)

select
    last.message,
    last.stage,
    last.title,
    last.body
from last
where
    not exists (
        select 1
        from cdc.alert_deliveries
        where
            alert_deliveries.message = last.message
            and alert_deliveries.channel = %(channel)s
    )
order by last.message;

-- name: delivered
-- A channel took a message.
with taken as (
    insert into cdc.alert_deliveries (message, channel)
    values (%(message)s, %(channel)s)
    on conflict do nothing
)

insert into cdc.alert_channels (channel, last_ok_at)
values (%(channel)s, now())
on conflict (channel) do update
    set
        last_ok_at = excluded.last_ok_at,
        failing_since = null,
        failures = 0,
        last_error = null;

-- name: failed
-- A channel did not take a message.
insert into cdc.alert_channels (channel, failing_since, failures, last_error)
values (%(channel)s, now(), 1, %(error)s)
on conflict (channel) do update
    set
        failing_since = coalesce(alert_channels.failing_since, excluded.failing_since),
        failures = alert_channels.failures + 1,
        last_error = excluded.last_error;

-- name: forget_channels
-- Channels that the settings no longer have do not fail any more.
delete from cdc.alert_channels
where not channel = any(%(channels)s::text[]);

-- name: channels
-- How each channel does.
select
    channel,
    last_ok_at,
    failing_since,
    failures,
    last_error
from cdc.alert_channels
order by channel;

-- name: list
-- Events that are not over, with what was told of them and who took it.
select
    alerts.alert,
    alerts.event,
    alerts.kind,
    alerts.condition,
    alerts.began_at,
    alerts.over_at,
    told.messages,
    told.title,
    told.channels
from cdc.alerts
inner join lateral (
    select
        count(*) as messages,
        (array_agg(alert_messages.title order by alert_messages.message desc))[1] as title,
        (
            select coalesce(array_agg(distinct alert_deliveries.channel), '{}'::text[])
            from cdc.alert_deliveries
            inner join cdc.alert_messages as heard
                on alert_deliveries.message = heard.message
            where heard.alert = alerts.alert
        ) as channels
    from cdc.alert_messages
    where alert_messages.alert = alerts.alert
) as told on true
where
    alerts.over_at is null
    or (%(days)s::integer > 0 and alerts.over_at > now() - make_interval(days => %(days)s))
order by alerts.over_at is not null, alerts.alert;

-- name: chains
-- Chains that stand still for longer than so many minutes, by what their heads have in common, so that a thousand heads of
-- one cause are one event. Each order's money once.
with long as (
    select
        stopped.*,
        -- A cause that only repeats the reason is the vendor's words, which may name people.
        case
            when stopped.head_state = 'rejected' and starts_with(stopped.reason, stopped.cause) then 'refused, see there'
            else coalesce(stopped.cause, stopped.head_state)
        end as why
    from cdc.stopped
    where
        stopped.head_state not in ('ready', 'sending', 'in_doubt', 'not in the outbox')
        and least(stopped.created_at, stopped.head_since) < now() - make_interval(mins => %(minutes)s)
),

of_entries as (
    select distinct
        connection,
        entity,
        why,
        entry,
        waiting_entity,
        source_connection,
        source_id,
        amount,
        currency
    from long
),

of_entities as (
    select
        connection,
        entity,
        why,
        source_connection,
        source_id,
        currency,
        sum(amount) as amount
    from of_entries
    where
        currency is not null
        and amount is not null
    group by connection, entity, why, source_connection, source_id, waiting_entity, currency
),

of_sources as (
    select
        connection,
        entity,
        why,
        currency,
        max(amount) as amount
    from of_entities
    group by connection, entity, why, source_connection, source_id, currency
),

of_currencies as (
    select
        connection,
        entity,
        why,
        currency,
        sum(amount) as amount
    from of_sources
    group by connection, entity, why, currency
),

money as (
    select
        connection,
        entity,
        why,
        jsonb_object_agg(currency, amount) as money
    from of_currencies
    group by connection, entity, why
)

select
    long.connection,
    long.entity,
    long.why,
    count(distinct long.key) as heads,
    count(distinct long.entry) as entries,
    least(min(long.created_at), min(long.head_since)) as since,
    (array_agg(long.key order by long.created_at, long.key))[1] as key,
    (array_agg(long.who order by long.created_at, long.key))[1] as who,
    coalesce(min(money.money::text)::jsonb, '{}'::jsonb) as money
from long
left join money
    on
        long.connection = money.connection
        and long.entity = money.entity
        and long.why = money.why
group by long.connection, long.entity, long.why
order by long.connection, long.entity, long.why;

-- name: stuck_settlements
-- Documents that stand in the target while what settles them (a payment) is open for longer than so many hours.
with stuck as (
    select
        outbox.connection,
        outbox.entity,
        outbox.key,
        outbox.amount,
        outbox.currency,
        outbox.created_at,
        coalesce(outbox.who, 'operator') as who
    from cdc.outbox
    where
        outbox.operation = 'create'
        and outbox.created_at < now() - make_interval(hours => %(hours)s)
        and exists (
            select 1
            from jsonb_to_recordset(outbox.waits_for) as needed (connection text, entity text, key text, settled boolean)
            inner join cdc.links
                on
                    links.connection = coalesce(needed.connection, outbox.connection)
                    and links.entity = needed.entity
                    and links.key = needed.key
            where
                needed.settled
                and links.target_id is not null
                and not links.is_gone
        )
),

of_currencies as (
    select
        connection,
        entity,
        currency,
        sum(amount) as amount
    from stuck
    where
        currency is not null
        and amount is not null
    group by connection, entity, currency
),

money as (
    select
        connection,
        entity,
        jsonb_object_agg(currency, amount) as money
    from of_currencies
    group by connection, entity
)

select
    stuck.connection,
    stuck.entity,
    count(*) as count,
    min(stuck.created_at) as since,
    (array_agg(stuck.key order by stuck.created_at, stuck.key))[1] as key,
    (array_agg(stuck.who order by stuck.created_at, stuck.key))[1] as who,
    coalesce(min(money.money::text)::jsonb, '{}'::jsonb) as money
from stuck
left join money
    on
        stuck.connection = money.connection
        and stuck.entity = money.entity
group by stuck.connection, stuck.entity
order by stuck.connection, stuck.entity;

-- name: missed
-- Models of which the last sweep found differences that no change had announced.
select
    model,
    (missed ->> 'records')::integer as records,
    array(select jsonb_array_elements_text(missed -> 'keys')) as keys,
    (missed ->> 'at')::timestamptz as since
from cdc.models
where missed is not null
order by model;
