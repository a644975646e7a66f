-- Marts: tables for BI, refreshed from their live views by changed keys.

-- name: prepare
-- The schema that BI reads.
create schema if not exists marts;

-- name: columns
-- Columns of a mart's table, without as_of; is_key for those of its primary key. Parameters: mart.
select
    attribute.attname as name,
    format_type(attribute.atttypid, attribute.atttypmod) as type,
    coalesce(attribute.attnum = any(constraint_key.conkey), false) as is_key
from pg_attribute as attribute
left join pg_constraint as constraint_key
    on attribute.attrelid = constraint_key.conrelid and constraint_key.contype = 'p'
where
    attribute.attrelid = to_regclass(format('marts.%%I', %(mart)s::text))
    and attribute.attnum > 0
    and not attribute.attisdropped
    and attribute.attname <> 'as_of'
order by attribute.attnum;

-- name: create
-- The table of a mart, empty.
create table {table} as
select
    {columns},
    now() as as_of
from {view}
with no data;

-- name: key
-- A mart has one row a key, and says of each since when it is true.
alter table {table}
add primary key ({key}),
alter column as_of set not null;

-- name: index
-- Rows of a changed driver are found by this.
create index on {table} ({connection_column}, {id_column});

-- name: indexes
-- Indexes that a mart has beside its key and that of its drivers. Parameters: mart, name (how their names begin).
select class.relname as name
from pg_index
inner join pg_class as class on pg_index.indexrelid = class.oid
where
    pg_index.indrelid = to_regclass(format('marts.%%I', %(mart)s::text))
    and starts_with(class.relname, %(name)s::text);

-- name: add_index
-- An index that the yml of the mart asks for. {definition}: what stands after the table.
create index {name} on {table} {definition};

-- name: drop_index
-- The yml of the mart does not ask for it any more.
drop index marts.{name};

-- name: analyze
-- So many rows are new that what the server knows of the table is wrong.
analyze {table};

-- name: comment
-- For those who look with psql.
comment on column {table}.as_of is 'When this row was made from its sources';

-- name: grants
-- Who may read a mart, so that its new form lets them in too. Parameters: mart.
select distinct grantee.rolname as role
from pg_class as class
cross join lateral aclexplode(class.relacl) as acl
inner join pg_roles as grantee on acl.grantee = grantee.oid
where
    class.oid = to_regclass(format('marts.%%I', %(mart)s::text))
    and acl.privilege_type = 'SELECT'
    and grantee.oid <> class.relowner;

-- name: grant
-- Let a role read a mart.
grant select on {table} to {role};

-- name: drop
-- Remove a mart's table; refused while something else is built on it.
drop table if exists {table};

-- name: clear_keys
-- A full refresh looks at every key: those noted before it began are done with it. Parameters: mart.
delete from cdc.changed_keys
where changed_keys.model = %(mart)s;

-- name: take_keys
-- Consume changed keys. Parameters: mart, limit.
with last as (
    select max(oldest.seq) as seq
    from (
        select changed_keys.seq
        from cdc.changed_keys
        where changed_keys.model = %(mart)s
        order by changed_keys.seq
        limit %(limit)s
    ) as oldest
),

taken as (
    delete from cdc.changed_keys
    using last
    where
        changed_keys.model = %(mart)s
        and changed_keys.seq <= last.seq
    returning changed_keys.source_connection, changed_keys.source_id
)

select distinct
    taken.source_connection,
    taken.source_id
from taken;

-- name: delete_all
-- Before a full refresh; readers see the old rows until it commits.
delete from {table};

-- name: fill_all
-- Every row of the live view.
insert into {table} ({columns}, as_of)
select
    {columns},
    now()
from {view};

-- name: refresh_keys
-- Rows of changed drivers, made again; a row that is as it was is left alone, as_of and all. `offset 0` lets each key reach the
-- base tables and the mart's own indexes (design, section 7): nothing here grows with the mart. Parameters: connections, ids
-- (equally long). {key}: its primary key; {is_same_key}, {is_same}: mart and made compared.
with changed as (
    select
        given.connection,
        given.id
    from unnest(%(connections)s::text[], %(ids)s::text[]) as given (connection, id)
),

made as materialized (
    select
        desired.*,
        -- Two rows of one key are both written, so that the primary key refuses them.
        count(*) over (partition by {key}) as of_key
    from changed
    cross join lateral (
        select {columns}
        from {view} as live
        where
            live.{connection_column} = changed.connection
            and live.{id_column} = changed.id
        offset 0
    ) as desired
),

standing as materialized (
    select mart.*
    from changed
    cross join lateral (
        select
            mart.ctid as place,
            {mart_columns}
        from {table} as mart
        where
            mart.{connection_column} = changed.connection
            and mart.{id_column} = changed.id
        offset 0
    ) as mart
),

gone as (
    delete from {table}
    where ctid = any(
        array(
            select mart.place
            from standing as mart
            left join made
                on
                    {is_same_key}
                    and {is_same}
                    and made.of_key = 1
            where made.of_key is null
        )
    )
    returning 1
)

insert into {table} ({columns}, as_of)
select
    {made_columns},
    now()
from made
left join standing as mart
    on
        {is_same_key}
        and {is_same}
        and made.of_key = 1
where
    mart.place is null
    -- What is replaced is gone before.
    and (select count(*) from gone) >= 0;

-- name: state
-- How fresh a mart is; no row when it was never made. Parameters: mart.
select
    mart_state.as_of,
    mart_state.refreshed_rows
from cdc.mart_state
where mart_state.mart = %(mart)s;

-- name: note_fresh
-- The mart is as fresh as this transaction. Parameters: mart, rows.
insert into cdc.mart_state (mart, as_of, refreshed_rows)
values (%(mart)s, now(), %(rows)s)
on conflict (mart) do update
    set
        as_of = excluded.as_of,
        refreshed_rows = excluded.refreshed_rows
returning mart_state.as_of;

-- name: note_swept
-- A full refresh of this build is done. Parameters: mart, build.
update cdc.models
set
    sweep_due = false,
    is_new = false,
    is_changed = false,
    swept_at = now()
where
    models.model = %(mart)s
    and models.build = %(build)s;

-- name: forget
-- A mart that the set no longer has. Parameters: mart.
delete from cdc.mart_state
where mart_state.mart = %(mart)s;

-- name: reports
-- Ready questions on the tables of receivables, as functions of a day and as views of today. Bodies are texts and are only
-- looked at when they run, so that a table may be made anew below them.
set local check_function_bodies = off;

create or replace function marts.receivables_on(day date)
returns table (
    source_connection text,
    contact_id text,
    contact_name text,
    document_id text,
    document_type text,
    document_number text,
    store_code text,
    document_date date,
    due_date date,
    days_overdue integer,
    age text,
    currency_code text,
    open_amount numeric,
    base_currency_code text,
    base_open_amount numeric,
    as_of timestamptz
)
language sql stable
as $$
select
    balances.source_connection,
    balances.contact_id,
    balances.contact_name,
    balances.document_id,
    balances.document_type,
    documents.document_number,
    documents.store_code,
    balances.document_date,
    balances.due_date,
    receivables_on.day - coalesce(balances.due_date, balances.document_date),
    case
        when balances.open_amount < 0 then 'credit'
        when receivables_on.day <= coalesce(balances.due_date, balances.document_date) then 'not due'
        when receivables_on.day <= coalesce(balances.due_date, balances.document_date) + 30 then '1 to 30 days'
        when receivables_on.day <= coalesce(balances.due_date, balances.document_date) + 60 then '31 to 60 days'
        when receivables_on.day <= coalesce(balances.due_date, balances.document_date) + 90 then '61 to 90 days'
        else 'over 90 days'
    end,
    balances.currency_code,
    balances.open_amount,
    balances.base_currency_code,
    balances.base_open_amount,
    balances.as_of
from marts.receivable_balances as balances
-- By its key: where neither number nor store is asked for, nobody looks there.
left join marts.receivables as documents
    on balances.source_connection = documents.source_connection and balances.document_id = documents.document_id
where
    -- As the index of the mart says it.
    daterange(balances.from_date, balances.until_date) @> receivables_on.day
    and balances.open_amount <> 0
$$;

create or replace view marts.receivables_today as
select * from marts.receivables_on(current_date);

-- An invoice is expected when it is due plus the median delay of its contact (at least three paid invoices), else of its
-- store (at least five), else of all; only what was paid by that day is known, so that a past day can be tested.
create or replace function marts.cash_flow_forecast_on(day date)
returns table (
    source_connection text,
    contact_id text,
    contact_name text,
    document_id text,
    document_number text,
    store_code text,
    due_date date,
    expected_delay_days integer,
    delay_of text,
    expected_date date,
    currency_code text,
    open_amount numeric,
    base_currency_code text,
    base_open_amount numeric,
    as_of timestamptz
)
language sql stable
as $$
with paid as (
    select
        documents.source_connection,
        documents.contact_id,
        documents.store_code,
        documents.days_late
    from marts.receivables as documents
    where
        documents.document_type = 'invoice'
        and documents.is_paid
        and not documents.is_void
        and documents.settled_date <= cash_flow_forecast_on.day
        and documents.days_late is not null
),

by_contact as (
    select
        paid.source_connection,
        paid.contact_id,
        percentile_disc(0.5) within group (order by paid.days_late) as delay
    from paid
    group by paid.source_connection, paid.contact_id
    having count(*) >= 3
),

by_store as (
    select
        paid.source_connection,
        paid.store_code,
        percentile_disc(0.5) within group (order by paid.days_late) as delay
    from paid
    where paid.store_code is not null
    group by paid.source_connection, paid.store_code
    having count(*) >= 5
),

by_all as (
    select
        paid.source_connection,
        percentile_disc(0.5) within group (order by paid.days_late) as delay
    from paid
    group by paid.source_connection
)

select
    unpaid.source_connection,
    unpaid.contact_id,
    unpaid.contact_name,
    unpaid.document_id,
    unpaid.document_number,
    unpaid.store_code,
    unpaid.due_date,
    coalesce(by_contact.delay, by_store.delay, by_all.delay, 0),
    case
        when by_contact.delay is not null then 'contact'
        when by_store.delay is not null then 'store'
        when by_all.delay is not null then 'all'
        else 'nobody yet'
    end,
    greatest(
        coalesce(unpaid.due_date, unpaid.document_date) + coalesce(by_contact.delay, by_store.delay, by_all.delay, 0),
        cash_flow_forecast_on.day
    ),
    unpaid.currency_code,
    unpaid.open_amount,
    unpaid.base_currency_code,
    unpaid.base_open_amount,
    unpaid.as_of
from marts.receivables_on(cash_flow_forecast_on.day) as unpaid
left join by_contact
    on unpaid.source_connection = by_contact.source_connection and unpaid.contact_id = by_contact.contact_id
left join by_store
    on unpaid.source_connection = by_store.source_connection and unpaid.store_code = by_store.store_code
left join by_all
    on unpaid.source_connection = by_all.source_connection
where unpaid.document_type = 'invoice' and unpaid.open_amount > 0
$$;

create or replace view marts.cash_flow_forecast as
select * from marts.cash_flow_forecast_on(current_date);

-- The back-test: what the forecast would have said on each of the last Mondays before `day`, and what came.
create or replace function marts.cash_flow_accuracy_until(day date, weeks integer default 13)
returns table (
    source_connection text,
    base_currency_code text,
    forecast_date date,
    open_documents bigint,
    settled_documents bigint,
    mean_absolute_days numeric,
    base_expected_amount numeric,
    base_settled_amount numeric,
    base_absolute_error numeric,
    as_of timestamptz
)
language sql stable
as $$
select
    forecast.source_connection,
    forecast.base_currency_code,
    mondays.monday,
    count(*),
    count(documents.settled_date),
    round(avg(abs(documents.settled_date - forecast.expected_date)), 1),
    coalesce(sum(forecast.base_open_amount) filter (where forecast.expected_date < mondays.monday + 7), 0),
    coalesce(sum(forecast.base_open_amount) filter (where documents.settled_date < mondays.monday + 7), 0),
    abs(
        coalesce(sum(forecast.base_open_amount) filter (where forecast.expected_date < mondays.monday + 7), 0)
        - coalesce(sum(forecast.base_open_amount) filter (where documents.settled_date < mondays.monday + 7), 0)
    ),
    max(documents.as_of)
from (
    select date_trunc('week', cash_flow_accuracy_until.day::timestamp)::date - 7 * back.number as monday
    from generate_series(1, cash_flow_accuracy_until.weeks) as back (number)
) as mondays
cross join lateral marts.cash_flow_forecast_on(mondays.monday) as forecast
inner join marts.receivables as documents
    on forecast.source_connection = documents.source_connection and forecast.document_id = documents.document_id
group by forecast.source_connection, forecast.base_currency_code, mondays.monday
$$;

create or replace view marts.cash_flow_accuracy as
select * from marts.cash_flow_accuracy_until(current_date);
