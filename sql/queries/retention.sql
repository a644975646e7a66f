-- Months of the tables that grow for ever: made ahead, moved out of the default partition, archived and dropped.

-- name: is_owner
-- May this user drop months?
select pg_has_role(current_user, class.relowner, 'USAGE') as is_owner
from pg_class as class
where class.oid = 'cdc.history'::regclass;

-- name: make_months
-- Months of this one and those ahead that are missing, for every table.
select cdc.make_months() as made;

-- name: begin
-- This transaction moves or takes away what is append-only, and does not wait for long. Parameters: milliseconds.
select
    set_config('tieout.retaining', 'on', true),
    set_config('lock_timeout', %(milliseconds)s, true);

-- name: repeatable
-- What is deleted is what was read: a row that changed in between ends the transaction.
set transaction isolation level repeatable read;

-- name: strays
-- Months that have rows in the default partition. {default}: that partition; {moment}: the column of the time.
select
    date_trunc('month', {moment})::date as month,
    count(*) as rows
from {default}
group by 1
order by 1;

-- name: lock_default
-- Nothing falls into it meanwhile.
lock table {default} in access exclusive mode;

-- name: make_table
-- A month by itself, to be filled and attached.
create table {partition} (like {parent} including defaults including constraints);

-- name: move
-- Rows of a month leave the default partition. Parameters: from, until.
with moved as (
    delete from {default}
    where
        {moment} >= %(from)s
        and {moment} < %(until)s
    returning *
)

insert into {partition}
select * from moved;

-- name: attach
-- The month is part of its table. Parameters: parent, partition (names), from.
select cdc.add_month(%(parent)s, %(partition)s, %(from)s);

-- name: partitions
-- Months of a table in months, the oldest first. Parameters: parent, before (a day).
select
    class.relname as name,
    to_date(right(class.relname, 7), 'YYYY_MM') as month,
    pg_total_relation_size(class.oid) as size
from pg_inherits as part
inner join pg_class as class on part.inhrelid = class.oid
where
    part.inhparent = to_regclass('cdc.' || %(parent)s::text)
    and class.relname ~ '_[0-9]{4}_[0-9]{2}$'
    and to_date(right(class.relname, 7), 'YYYY_MM') < %(before)s::date
order by month;

-- name: count
-- Rows of a relation. {where}: which.
select count(*) as rows
from {relation} as item
where {where};

-- name: plain_months
-- Months of a table that lies in one piece. {where}: what may go. Parameters: before.
select
    date_trunc('month', {moment})::date as month,
    count(*) as rows,
    coalesce(sum(pg_column_size(item.*)), 0)::bigint as size
from {relation} as item
where
    {moment} < %(before)s
    and {where}
group by 1
order by 1;

-- name: everything
-- Of a partition every row goes.
true

-- name: in_month
-- Rows of a month that may go. {may_go}: which.
{moment} >= {from_at}
and {moment} < {until_at}
and {may_go}

-- name: calls_may_go
-- Calls that nothing needs: settled, of no open entry, of no reversal under way, and not the one with the highest number,
-- by which a copied database is found out.
item.settled_at is not null
and item.number < (select max(newest.number) from cdc.calls as newest)
and not exists (
    select 1
    from cdc.outbox
    where outbox.call = item.call
)
and not exists (
    select 1
    from cdc.reversals_under_way as reversed
    where reversed.run = item.run::text
)

-- name: proofs_may_go
-- Totals of proofs but the last one of each target, by which `status` and the alerts go.
not exists (
    select 1
    from (
        select distinct on (newest.target_connection)
            newest.target_connection,
            newest.run
        from cdc.proofs as newest
        order by newest.target_connection, newest.proof desc
    ) as last
    where
        item.target_connection = last.target_connection
        and item.run = last.run
)

-- name: runs_may_go
-- Commands of which nothing is here any more that is asked for by the run: no call, no total, no reversal under way.
not exists (
    select 1
    from cdc.calls
    where calls.run = item.run
)
and not exists (
    select 1
    from cdc.proofs
    where proofs.run = item.run
)
and not exists (
    select 1
    from cdc.reversals_under_way as reversed
    where reversed.run = item.run::text
)

-- name: needed_outbox_done
-- Why a month of finished entries cannot go yet. {relation}: the month.
select
    'of calls in doubt' as because,
    count(*) as rows
from cdc.calls
cross join lateral unnest(calls.entries) as of_call (entry)
inner join {relation} as item on of_call.entry = item.entry
where calls.settled_at is null
having count(*) > 0
union all
select
    'of a reversal that is under way',
    count(*)
from cdc.links
inner join {relation} as item
    on
        links.connection = item.connection
        and links.entity = item.entity
        and links.key = item.key
where links.reversal is not null
having count(*) > 0
union all
select
    'of plans that have not ended',
    count(*)
from {relation} as item
inner join (
    select distinct on (plan_events.plan)
        plan_events.plan,
        plan_events.what
    from cdc.plan_events
    order by plan_events.plan, plan_events.event desc
) as latest on item.plan = latest.plan
where latest.what in ('started', 'resumed')
having count(*) > 0;

-- name: needed_audit
-- Why a month of the audit cannot go yet: the sealer goes first. {relation}: the month, which this does not depend on.
select
    'before facts that are not sealed yet' as because,
    count(*) as rows
from cdc.audit_inbox
where audit_inbox.noted_at < (select max(item.sealed_at) from {relation} as item)
having count(*) > 0;

-- name: carry_outbox_done
-- What is still needed of a month of finished entries: the money of living links. {relation}: the month.
insert into cdc.last_entries (connection, entity, key, entry, amount, currency, finished_at)
select distinct on (item.connection, item.entity, item.key)
    item.connection,
    item.entity,
    item.key,
    item.entry,
    item.amount,
    item.currency,
    item.finished_at
from {relation} as item
inner join cdc.links
    on
        item.connection = links.connection
        and item.entity = links.entity
        and item.key = links.key
where
    item.outcome in ('applied', 'unchanged', 'satisfied')
    and links.target_id is not null
    and not links.is_gone
order by item.connection, item.entity, item.key, item.entry desc
on conflict (connection, entity, key) do update
    set
        entry = excluded.entry,
        amount = excluded.amount,
        currency = excluded.currency,
        finished_at = excluded.finished_at
    where last_entries.entry < excluded.entry;

-- name: carry_audit
-- Facts of a month about what is still there are noted once more, with the digest that was recorded: the chain that stays
-- proves all that stays. {relation}: the month.
insert into cdc.audit_inbox (kind, subject, fact)
select
    latest.kind,
    latest.subject,
    (latest.fact::jsonb || jsonb_build_object('carried', latest.position))::text
from (
    select distinct on (item.kind, item.subject)
        item.kind,
        item.subject,
        item.position,
        item.fact
    from {relation} as item
    order by item.kind, item.subject, item.position desc
) as latest
where
    not exists (
        select 1
        from cdc.audit as later
        where
            later.kind = latest.kind
            and later.subject = latest.subject
            and later.position > latest.position
    )
    and not exists (
        select 1
        from cdc.audit_inbox as waiting
        where
            waiting.kind = latest.kind
            and waiting.subject = latest.subject
    )
    and case latest.kind
        when 'entry' then exists (select 1 from cdc.outbox_done as entry where entry.entry = latest.subject::bigint)
        when 'call sent' then exists (select 1 from cdc.calls where calls.call = latest.subject::uuid)
        when 'call ended' then exists (select 1 from cdc.calls where calls.call = latest.subject::uuid)
        -- A call leaves its trace in the facts about its entries; links, decisions, builds and the rest stay for ever.
        else true
    end
order by latest.position;

-- name: ends_audit
-- First and last of a month of the chain. {relation}: the month.
select
    min(item.position) as first_position,
    max(item.position) as last_position,
    (array_agg(item.digest order by item.position desc))[1] as last_digest
from {relation} as item;

-- name: copy_out
-- Rows as CSV, in a fixed order.
copy (
    select {columns}
    from {relation} as item
    where {where}
    order by {ordered}
) to stdout (format csv, header)

-- name: lock_month
-- Nobody changes a row of it any more; reading goes on. {relation}: the month.
lock table {relation} in exclusive mode;

-- name: detach
-- The month is no longer part of its table.
alter table {parent} detach partition {relation};

-- name: drop
-- It stands in a file that was read back.
drop table {relation};

-- name: delete
-- Rows that stand in a file that was read back.
delete from {relation} as item
where {where};

-- name: tidy
-- Money of links that are gone, or of which a later entry is kept.
delete from cdc.last_entries
where not exists (
    select 1
    from cdc.links
    where
        links.connection = last_entries.connection
        and links.entity = last_entries.entity
        and links.key = last_entries.key
        and links.target_id is not null
        and not links.is_gone
);

-- name: columns
-- Columns of a table, with types, in order. Parameters: relation (name).
select
    attribute.attname as name,
    format_type(attribute.atttypid, attribute.atttypmod) as type
from pg_attribute as attribute
where
    attribute.attrelid = to_regclass('cdc.' || %(relation)s::text)
    and attribute.attnum > 0
    and not attribute.attisdropped
order by attribute.attnum;

-- name: note
-- What stands in a file from now on.
insert into cdc.archives (
    relation, month, from_at, until_at, file, rows, bytes, sha256, columns, migration, first_position, last_position, last_digest,
    archived_by
)
values (
    %(relation)s, %(month)s, %(from_at)s, %(until_at)s, %(file)s, %(rows)s, %(bytes)s, %(sha256)s, %(columns)s, %(migration)s,
    %(first_position)s, %(last_position)s, %(last_digest)s, %(archived_by)s
);

-- name: archives
-- What stands in files, by table and month. Null means any. Parameters: relation, since (rows until later than it).
select
    archive,
    relation,
    month,
    from_at,
    until_at,
    file,
    rows,
    bytes,
    sha256,
    first_position,
    last_position,
    last_digest,
    archived_at,
    archived_by
from cdc.archives
where
    (%(relation)s::text is null or relation = %(relation)s)
    and (%(since)s::timestamptz is null or until_at > %(since)s)
order by relation, from_at, archived_at;

-- name: type
-- The name of a type as the server knows it; null when it does not. Parameters: type.
select format_type(to_regtype(%(type)s), null) as type;

-- name: side_schema
-- Where archived months are put back to be looked at. Nothing reads it but people.
create schema if not exists archive;

-- name: side_drop
-- The same file was put back before.
drop table if exists {table};

-- name: side_table
-- A table for an archived month. {columns}: with their types.
create table {table} ({columns});

-- name: copy_in
-- Rows of a file.
copy {table} ({columns}) from stdin (format csv, header match)
