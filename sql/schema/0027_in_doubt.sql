-- additive
-- Calls whose outcome nobody knows: how often was asked, since when they stop nobody else, and the number of a repeat.
alter table cdc.calls add column repeat_number bigint;
alter table cdc.calls add column asked_rounds integer not null default 0;
alter table cdc.calls add column given_up_at timestamptz;
comment on column cdc.calls.repeat_number is 'From cdc.version: the number taken before the same call left once more, with the same key';
comment on column cdc.calls.asked is 'When the outcome was unknown: each question to the target, the records it showed, the verdict for each key; earlier rounds';
comment on column cdc.calls.asked_rounds is 'How often the target was asked without an outcome';
comment on column cdc.calls.given_up_at is 'Since when it is shown to a person and stops nothing but its own entries; each drain asks again';
create index calls_in_doubt on cdc.calls (connection, number) where settled_at is null and outcome = 'unknown';

-- What was given up to a person stands among the dead letters, and the money that waits for it stands still.
create or replace view cdc.needs_person as
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
    outbox.state in ('rejected', 'in_doubt')
    or outbox.held_for in ('problems', 'conflict', 'answer differs', 'vanished', 'target changed') as is_dead,
    case when outbox.attempts > 1 then outbox.created_at else outbox.changed_at end as since
from cdc.outbox
where
    (outbox.state in ('rejected', 'held') or (outbox.state = 'in_doubt' and outbox.cause is not null))
    and outbox.cause is distinct from 'counting';

create or replace view cdc.stuck_money as
select
    outbox.entry as head,
    outbox.entry,
    outbox.entity,
    outbox.source_connection,
    outbox.source_id,
    outbox.amount,
    outbox.currency
from cdc.outbox
where outbox.state in ('rejected', 'held') or (outbox.state = 'in_doubt' and outbox.cause is not null)
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
where
    stopped.head_state not in ('ready', 'sending', 'in_doubt', 'not in the outbox')
    or (stopped.head_state = 'in_doubt' and stopped.cause is not null);
