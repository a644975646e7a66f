-- additive
-- Who waits for what in the end is judged by cdc.needs too. Until now the view went on from every reference of an entry, also from
-- one that is there already and has a waiting change of its own: a payment was then said to stand still for what only that change
-- waits for. And it did not know that a draft is no settled document: what waits for one was not shown at all.
-- Each entry's references are judged once, and the chains go over what was found.

create or replace view cdc.stopped as
with recursive unmet as materialized (
    select
        waiting.entry,
        needed.connection,
        needed.entity,
        needed.key,
        needed.is_nothing,
        head.entry as head,
        coalesce(head.state = 'waiting', false) as head_waits
    from cdc.outbox as waiting
    cross join lateral cdc.needs(waiting.connection, waiting.waits_for) as needed
    left join cdc.outbox as head
        on
            head.connection = needed.connection
            and head.entity = needed.entity
            and head.key = needed.key
    where
        waiting.state = 'waiting'
        and needed.is_waited_for
),

-- An entry that meets the same head by two ways waits for it once.
chains as (
    select
        unmet.entry,
        unmet.connection,
        unmet.entity,
        unmet.key,
        unmet.is_nothing,
        unmet.head,
        unmet.head_waits
    from unmet
    union
    select
        chains.entry,
        unmet.connection,
        unmet.entity,
        unmet.key,
        unmet.is_nothing,
        unmet.head,
        unmet.head_waits
    from chains
    inner join unmet
        on unmet.entry = chains.head
    where chains.head_waits
)

select
    chains.connection,
    chains.entity,
    chains.key,
    head.entry as head,
    coalesce(head.held_for, head.state, 'not in the outbox') as head_state,
    head.cause,
    case
        when head.entry is null and not chains.is_nothing then 'a draft in the target: somebody approves it there first'
        else head.reason
    end as reason,
    head.who,
    case when head.attempts > 1 then head.created_at else head.changed_at end as head_since,
    waiting.entry,
    waiting.created_at,
    waiting.entity as waiting_entity,
    waiting.source_connection,
    waiting.source_id,
    waiting.amount,
    waiting.currency
from chains
inner join cdc.outbox as waiting
    on waiting.entry = chains.entry
left join cdc.outbox as head
    on head.entry = chains.head
where not chains.head_waits;
