-- additive
-- Who waits for what in the end is judged by cdc.needs too. Until now the view went on from every reference of an entry, also from
-- one that is there already and has a waiting change of its own: a payment was then said to stand still for what only that change
-- waits for. And it did not know that a draft is no settled document: what waits for one was not shown at all.

create or replace view cdc.stopped as
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
    cross join lateral cdc.needs(chains.connection, chains.waits_for) as needed
    inner join cdc.outbox as head
        on
            head.connection = needed.connection
            and head.entity = needed.entity
            and head.key = needed.key
            and head.state = 'waiting'
    where needed.is_waited_for
)

-- An entry that meets the same head by two ways waits for it once.
select distinct
    needed.connection,
    needed.entity,
    needed.key,
    head.entry as head,
    coalesce(head.held_for, head.state, 'not in the outbox') as head_state,
    head.cause,
    case
        when head.entry is null and not needed.is_nothing then 'a draft in the target: somebody approves it there first'
        else head.reason
    end as reason,
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
cross join lateral cdc.needs(chains.connection, chains.waits_for) as needed
left join cdc.outbox as head
    on
        head.connection = needed.connection
        and head.entity = needed.entity
        and head.key = needed.key
where
    needed.is_waited_for
    and head.state is distinct from 'waiting';
