-- One dead letter with everything that explains it.

-- name: letters
-- Dead letters, the oldest first, with the call that the target refused. Null means any.
with chains as (
    select
        stopped.head,
        count(*) as entries
    from cdc.stopped
    group by stopped.head
)

select
    outbox.entry,
    outbox.connection,
    outbox.entity,
    outbox.key,
    outbox.model,
    outbox.source_connection,
    outbox.source_id,
    outbox.operation,
    outbox.state,
    needs_person.cause,
    outbox.reason,
    outbox.cure,
    needs_person.who,
    needs_person.since,
    outbox.amount,
    outbox.currency,
    outbox.document_date,
    outbox.payload,
    outbox.control,
    outbox.answer,
    outbox.attempts,
    links.overrides,
    calls.method,
    calls.path,
    calls.body,
    calls.entries,
    calls.sent_at,
    calls.status,
    coalesce(chains.entries, 0) as waiting
from cdc.needs_person
inner join cdc.outbox
    on needs_person.entry = outbox.entry
inner join cdc.links
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
left join cdc.calls
    on outbox.call = calls.call
left join chains
    on outbox.entry = chains.head
where
    needs_person.is_dead
    and (%(keys)s::text[] is null or outbox.key = any(%(keys)s::text[]))
    and (%(connection)s::text is null or outbox.connection = %(connection)s)
    and (%(entity)s::text is null or outbox.entity = %(entity)s)
    and (%(model)s::text is null or outbox.model = %(model)s)
    and (%(cause)s::text is null or needs_person.cause = %(cause)s)
order by needs_person.since, outbox.entry
limit %(limit)s;

-- name: giving
-- Rows of a lookup that hold a text, in the order of its columns. {lookup}: its table.
select json_strip_nulls(to_json(lookup.*)) as content
from {lookup} as lookup
where exists (
    select 1
    from jsonb_each_text(to_jsonb(lookup.*)) as cell
    where cell.value = %(text)s
)
order by lookup.*::text
limit %(limit)s;
