-- Statements of bench/marts.py.

-- name: documents
-- How many documents the mart has.
select count(*) as documents
from marts.receivables;

-- name: fill_documents
-- Copies of the refreshed rows under other ids, spread over the days of the books; open, due after thirty days. Parameters: copies.
insert into marts.receivables (
    source_connection, document_id, document_type, document_number, reference, contact_id, contact_name, status, is_void, is_draft,
    document_date, due_date, currency_code, total_amount, open_amount, base_total_amount, base_open_amount, base_currency_code,
    shop_connection, order_id, store_code, is_paid, settled_date, days_late, is_explained, as_of
)
select
    source_connection,
    document_id || '-' || copy,
    document_type,
    document_number || '-' || copy,
    reference,
    contact_id,
    contact_name,
    'AUTHORISED',
    is_void,
    is_draft,
    document_date + copy %% 7,
    document_date + copy %% 7 + 30,
    currency_code,
    total_amount,
    total_amount,
    base_total_amount,
    base_total_amount,
    base_currency_code,
    shop_connection,
    order_id,
    store_code,
    false,
    null,
    null,
    true,
    as_of
from marts.receivables
cross join generate_series(2, %(copies)s) as copy
order by copy;

-- name: fill_balances
-- What those had open: a tenth for ever, the rest for 25 to 40 days.
insert into marts.receivable_balances (
    source_connection, document_id, document_type, contact_id, contact_name, document_date, due_date, from_date, until_date,
    currency_code, moved_amount, open_amount, base_currency_code, base_open_amount, as_of
)
select
    documents.source_connection,
    documents.document_id,
    documents.document_type,
    documents.contact_id,
    documents.contact_name,
    documents.document_date,
    documents.due_date,
    span.from_date,
    span.until_date,
    documents.currency_code,
    span.amount,
    greatest(span.amount, 0),
    documents.base_currency_code,
    greatest(span.amount, 0),
    documents.as_of
from (
    select
        receivables.*,
        case
            when abs(hashtext(receivables.document_id)) % 10 > 0
                then receivables.document_date + 25 + abs(hashtext(receivables.document_id)) % 15
        end as paid_date
    from marts.receivables
    where receivables.open_amount <> 0
) as documents
cross join lateral (
    select
        documents.document_date as from_date,
        documents.paid_date as until_date,
        documents.base_total_amount as amount
    union all
    select
        documents.paid_date,
        null,
        -documents.base_total_amount
    where documents.paid_date is not null
) as span;

-- name: make_by_hand
-- Tables with only the columns that the questions need.
create schema hand;
create table hand.receivables as
select
    contact_id,
    contact_name,
    document_date,
    base_currency_code,
    base_total_amount,
    base_open_amount
from marts.receivables
where not is_void and not is_draft;
create table hand.balances as
select
    contact_id,
    contact_name,
    from_date,
    until_date,
    due_date,
    base_currency_code,
    base_open_amount
from marts.receivable_balances
where open_amount <> 0;

-- name: index_receivables
-- As a DBA would.
create index on hand.receivables (document_date) include (
    contact_id, contact_name, base_currency_code, base_total_amount, base_open_amount
);

-- name: index_balances
-- As a DBA would.
create index on hand.balances (from_date, until_date) include (contact_id, contact_name, base_currency_code, base_open_amount);

-- name: month_of_marts
-- What was billed in March and is open, by contact: the example of docs/marts.md.
select
    contact_id,
    contact_name,
    base_currency_code,
    count(*) as documents,
    sum(base_total_amount) as billed,
    sum(base_open_amount) as still_open
from marts.receivables
where
    document_date >= '2026-03-01'
    and document_date < '2026-04-01'
    and not is_void
    and not is_draft
group by contact_id, contact_name, base_currency_code
order by still_open desc, contact_id
limit 100;

-- name: month_by_hand
-- The same.
select
    contact_id,
    contact_name,
    base_currency_code,
    count(*) as documents,
    sum(base_total_amount) as billed,
    sum(base_open_amount) as still_open
from hand.receivables
where
    document_date >= '2026-03-01'
    and document_date < '2026-04-01'
group by contact_id, contact_name, base_currency_code
order by still_open desc, contact_id
limit 100;

-- name: day_of_marts
-- What contacts owe on a day, with the function for BI.
select
    contact_id,
    contact_name,
    base_currency_code,
    sum(base_open_amount) as owed
from marts.receivables_on('2026-06-30')
group by contact_id, contact_name, base_currency_code
order by owed desc, contact_id
limit 100;

-- name: day_by_hand
-- The same.
select
    contact_id,
    contact_name,
    base_currency_code,
    sum(base_open_amount) as owed
from hand.balances
where
    from_date <= '2026-06-30'
    and (until_date is null or until_date > '2026-06-30')
group by contact_id, contact_name, base_currency_code
order by owed desc, contact_id
limit 100;
