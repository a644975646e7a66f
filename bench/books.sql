-- Statements of bench/books.py: a block of twenty orders and what it led to, copied under other marks.

-- name: connections
-- Shop and ledger, as `tieout connect` leaves them.
insert into cdc.connections (connection, system, target_identity, target_name, is_demo, base_currency)
values
('shop', 'magento', 'shop.example', 'a shop', true, 'GBP'),
('books', 'xero', 'books.example', 'a ledger', true, 'GBP')
on conflict do nothing;

-- name: limits
-- No model is new: entries of the first diff of these books are no first run.
update cdc.models
set is_new = false, is_changed = false, sweep_due = false
where kind = 'outbound';

-- name: entries
-- What the block still has to say.
select
    entry,
    connection,
    entity,
    key,
    model,
    operation,
    state,
    held_for,
    cause,
    reason,
    payload
from cdc.outbox
order by entry;

-- name: targets
-- What references are replaced by.
select
    entity,
    key,
    target_id,
    coalesce(said, '{}'::jsonb) || coalesce(returned, '{}'::jsonb) as returned
from cdc.links
where target_id is not null;

-- name: unseen
-- What a diff would look at.
select
    (
        select count(*)
        from cdc.changed_keys
        inner join cdc.models on changed_keys.model = models.model
        where models.kind = 'outbound'
    ) + (select count(*) from cdc.changes) as records;

-- name: unwatched
-- Links that are copied were never decided or sent: nothing for the audit.
set local session_replication_role = replica;

-- name: seeds
-- Where the block is kept as text: found once, while there is nothing else.
create schema if not exists bench;

-- name: seed
-- The rows of the block, as text.
create table if not exists {seed} as
select
    id,
    payload::text as payload,
    modified_at
from {table}
where id like '%%' || %(mark)s || '%%';

-- name: copy
-- The block, copied for each mark; ids and numbers by the mark, dates by the day.
insert into {table} (connection, id, payload, content_hash, form, modified_at, version)
select
    %(connection)s,
    replace(seed_rows.id, %(mark)s, copies.mark),
    replace(
        replace(replace(seed_rows.payload, %(mark)s, copies.mark), %(day)s, copies.day), %(instant)s, copies.instant
    )::jsonb,
    -- Of the length and variety of a hash, and the hash of nothing: a real record never looks unchanged beside it.
    md5(seed_rows.id || copies.mark) || md5(copies.mark),
    'full',
    case when seed_rows.modified_at is not null then copies.day::timestamp at time zone 'UTC' end,
    %(version)s
from (
    select
        number,
        (%(base)s::bigint + number)::text as mark,
        (%(first_day)s::date + (number * 7 %% %(days)s)::integer)::text as day,
        (extract(epoch from %(first_day)s::date + (number * 7 %% %(days)s)::integer)::bigint * 1000)::text as instant
    from generate_series(%(after)s::bigint + 1, %(until)s::bigint) as number
) as copies
cross join {seed} as seed_rows;

-- name: seed_links
-- The links of the block, as text.
create table if not exists {seed} as
select
    connection,
    entity,
    key,
    model,
    source_connection,
    source_id,
    target_id,
    said::text as said,
    returned::text as returned,
    line_ids::text as line_ids,
    identity::text as identity
from cdc.links
where key like '%%' || %(mark)s || '%%';

-- name: copy_links
-- The links of the block for each mark.
insert into cdc.links (
    connection, entity, key, model, source_connection, source_id, version, target_id, said, returned, line_ids, identity,
    mirror_version, linked_at
)
select
    seed_rows.connection,
    seed_rows.entity,
    replace(seed_rows.key, %(mark)s, copies.mark),
    seed_rows.model,
    seed_rows.source_connection,
    replace(seed_rows.source_id, %(mark)s, copies.mark),
    2,
    replace(seed_rows.target_id, %(mark)s, copies.mark),
    replace(replace(seed_rows.said, %(mark)s, copies.mark), %(day)s, copies.day)::jsonb,
    replace(
        replace(replace(seed_rows.returned, %(mark)s, copies.mark), %(day)s, copies.day), %(instant)s, copies.instant
    )::jsonb,
    replace(seed_rows.line_ids, %(mark)s, copies.mark)::jsonb,
    replace(replace(seed_rows.identity, %(mark)s, copies.mark), %(day)s, copies.day)::jsonb,
    %(version)s,
    now()
from (
    select
        (%(base)s::bigint + number)::text as mark,
        (%(first_day)s::date + (number * 7 %% %(days)s)::integer)::text as day,
        (extract(epoch from %(first_day)s::date + (number * 7 %% %(days)s)::integer)::bigint * 1000)::text as instant
    from generate_series(%(after)s::bigint + 1, %(until)s::bigint) as number
) as copies
cross join {seed} as seed_rows;

-- name: sample
-- Records of a stream, scattered over all of them, as the API would send them again. Not each so manieth: the books are copies of
-- twenty orders, and a step that has a divisor with twenty would meet only some of them.
select
    records.id,
    records.payload::text as raw
from (
    select id
    from {table}
    order by hashtext(id), id
    limit %(records)s
) as chosen
inner join {table} as records using (id);

-- name: settle
-- As the server does by itself a minute after so many rows came in; else it would clean beside what is measured.
vacuum (analyze);
