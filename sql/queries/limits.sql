-- What the guard counts and holds, and what it let pass lately.

-- name: counted
-- Entries of a model whose diff is ending, by operation and currency, with the money of their documents.
select
    operation,
    currency,
    count(*) as entries,
    coalesce(sum(abs(amount)), 0) as amount,
    coalesce(max(abs(amount)), 0) as largest,
    count(*) filter (where amount is null or currency is null) as without_amount
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and held_for = 'guard'
    and cause = 'counting'
group by operation, currency
order by operation, currency;

-- name: passed_lately
-- What limits let pass of a model in the last `seconds`, one row an operation and currency.
select
    operation,
    currency,
    sum(entries)::bigint as entries,
    sum(amount) as amount,
    max(largest) as largest,
    sum(without_amount)::bigint as without_amount
from cdc.passed
where
    model = %(model)s
    and passed_at > now() - make_interval(secs => %(seconds)s)
group by operation, currency;

-- name: note_passed
-- Remember what passes in this transaction. rows: one an operation and currency.
insert into cdc.passed (model, operation, currency, entries, amount, largest, without_amount)
select
    %(model)s,
    given.operation,
    given.currency,
    given.entries,
    given.amount,
    given.largest,
    given.without_amount
from jsonb_to_recordset(%(rows)s) as given (
    operation text, currency text, entries bigint, amount numeric, largest numeric, without_amount bigint
);

-- name: forget_passed
-- What is too long ago to count.
delete from cdc.passed
where
    model = %(model)s
    and passed_at <= now() - make_interval(secs => %(seconds)s);

-- name: linked
-- How many records a model has in its targets; counted until there are `enough` (null: all).
select count(*) as records
from (
    select 1
    from cdc.links
    where
        model = %(model)s
        and target_id is not null
        and not is_gone
    limit %(enough)s::bigint
) as found;

-- name: posted
-- How much money a model has in its targets, by currency, and of how many records nobody knows: each as it was last sent.
select
    done.currency,
    coalesce(sum(abs(done.amount)), 0) as amount,
    count(*) filter (where done.amount is null or done.currency is null) as unknown
from cdc.links
left join lateral (
    select
        last.amount,
        last.currency
    from (
        select
            ended.entry,
            ended.amount,
            ended.currency
        from cdc.outbox_done as ended
        where
            ended.connection = links.connection
            and ended.entity = links.entity
            and ended.key = links.key
            and ended.outcome in ('applied', 'unchanged', 'satisfied')
        union all
        -- What is kept of archived months.
        select
            kept.entry,
            kept.amount,
            kept.currency
        from cdc.last_entries as kept
        where
            kept.connection = links.connection
            and kept.entity = links.entity
            and kept.key = links.key
    ) as last
    order by last.entry desc
    limit 1
) as done on true
where
    links.model = %(model)s
    and links.target_id is not null
    and not links.is_gone
group by done.currency;

-- name: vanished
-- How many rows of a model are held because they vanished.
select count(*) as entries
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and held_for = 'vanished'
    and cause in (%(one)s, %(many)s);

-- name: name_vanished
-- Say of them whether it was one by one or many at once.
update cdc.outbox
set
    cause = %(cause)s,
    cure = coalesce(%(cure)s, cure),
    changed_at = now()
where
    model = %(model)s
    and state = 'held'
    and held_for = 'vanished'
    and cause in (%(one)s, %(many)s)
    and cause <> %(cause)s;

-- name: guard
-- Hold the counted entries of these operations for a person.
update cdc.outbox
set
    cause = %(cause)s,
    reason = %(reason)s,
    cure = %(cure)s,
    who = 'operator',
    changed_at = now()
where
    model = %(model)s
    and state = 'held'
    and held_for = 'guard'
    and cause = 'counting'
    and operation = any(%(operations)s)
    and (%(currency)s::text is null or currency = %(currency)s)
    and (%(above)s::numeric is null or abs(amount) > %(above)s)
    and (not %(without_amount)s or amount is null or currency is null);

-- name: held_counts
-- Entries of a model that need a person, by why.
select
    connection,
    held_for,
    cause,
    count(*) as entries
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and run = %(run)s
group by connection, held_for, cause;
