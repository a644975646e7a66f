-- What was paid before anything was invoiced for it, and what of it each invoice uses up later.
select
    driver.connection,
    driver.order_id,
    money.*
from {{ ref('stg_magento__order_keys') }} as driver
cross join lateral (
    with invoices as materialized (
        select documents.*
        from {{ ref('int_invoices') }} as documents
        where documents.connection = driver.connection and documents.order_id = driver.order_id
    ),

    posted as materialized (
        {{ posted_money('driver') }}
    ),

    shares as materialized (
        {{ deposit_shares() }}
    )

    -- What was received already, and what the shop says was paid beyond all invoices while something is left to invoice.
    select
        orders.order_number,
        orders.ordered_at,
        orders.re_date,
        orders.locked_until,
        'deposit'::text as flow,
        'cash'::text as kind,
        deposit.key,
        null::text as parent_key,
        deposit.key as deposit_key,
        null::integer as position,
        orders.to_connection,
        orders.contact_key,
        case
            when orders.billing <> 'shop' then 'billed by ' || orders.billing
            when to_char(orders.order_date, 'YYYY-MM-DD') < orders.cut_over then 'before cut-over'
            when method.settlement in ('none', 'zero') then 'no gateway: ' || orders.payment_method || ' is paid outside the shop'
            when orders.deposits = 'wait' and not deposit.is_posted then 'the deposit waits for its invoice'
        end as skip,
        null::text as hold,
        null::text as gone,
        orders.payment_method,
        method.method is not null as has_method,
        method.settlement,
        orders.deposit_account_code as settlement_account_code,
        coalesce(nullif(method.settles_in, ''), 'document') as settles_in,
        deposit.amount,
        round(deposit.amount * orders.base_cash_amount / nullif(orders.cash_amount, 0), 2) as base_amount,
        case orders.document_currency when 'base' then orders.base_currency_code else orders.currency_code end
            as currency_code,
        null::numeric as currency_rate,
        orders.ledger_base_currency_code,
        orders.base_currency_code as shop_base_currency_code,
        orders.order_date as document_date,
        {{ business_date('orders.ordered_at', 'orders.ledger_time_zone') }} as ledger_date,
        orders.transaction_id
    from {{ of_order(ref('int_orders_routed'), 'driver', 'orders') }}
    cross join lateral (
        select
            posted.key,
            posted.amount,
            true as is_posted
        from posted
        where posted.key ~ '/deposit/[0-9]+$'
        union all
        select
            -- The first number that no deposit has, whichever were taken out again.
            driver.connection || '/order/' || driver.order_id || '/deposit/' || (
                select min(free.number)
                from generate_series(1, received.number + 1) as free (number)
                where
                    not exists (
                        select 1
                        from posted
                        where posted.key = driver.connection || '/order/' || driver.order_id || '/deposit/' || free.number
                    )
            ) as key,
            told.paid_amount - billed.amount - received.amount as amount,
            false as is_posted
        from (
            select
                case orders.document_currency when 'base' then orders.base_paid_amount else orders.paid_amount end
                    as paid_amount,
                case orders.document_currency when 'base' then orders.base_cash_amount else orders.cash_amount end
                    as cash_amount
        ) as told
        cross join (
            select coalesce(sum(invoices.cash_amount), 0) as amount
            from invoices
            where invoices.status = 'paid' and not invoices.is_void
        ) as billed
        cross join (
            select
                coalesce(sum(posted.amount), 0) as amount,
                count(*) as number
            from posted
            where posted.key ~ '/deposit/[0-9]+$'
        ) as received
        where
            told.paid_amount - billed.amount - received.amount > 0
            -- Magento counts some payments twice: more than the order's total is no deposit.
            and told.paid_amount <= told.cash_amount
            and not orders.is_cancelled
            and not orders.is_deleted
            and orders.has_route
    ) as deposit
    left join lateral (
        {{ method_in_force('driver.connection', 'orders.payment_method', 'orders.order_date') }}
    ) as method on true

    union all

    select
        invoices.order_number,
        invoices.ordered_at,
        invoices.re_date,
        invoices.locked_until,
        'deposit_allocation'::text as flow,
        'cash'::text as kind,
        deposits.key || '/allocation/' || invoices.position as key,
        invoices.key as parent_key,
        deposits.key as deposit_key,
        invoices.position,
        invoices.to_connection,
        invoices.contact_key,
        invoices.skip,
        null::text as hold,
        null::text as gone,
        invoices.payment_method,
        invoices.has_method,
        invoices.settlement,
        null::text as settlement_account_code,
        'document'::text as settles_in,
        overlap.amount,
        round(invoices.base_cash_amount * overlap.amount / nullif(invoices.cash_amount, 0), 2) as base_amount,
        invoices.currency_code,
        null::numeric as currency_rate,
        invoices.ledger_base_currency_code,
        invoices.shop_base_currency_code,
        invoices.document_date,
        invoices.ledger_date,
        invoices.transaction_id
    from (
        select
            posted.key,
            sum(posted.amount) over received - posted.amount as from_amount,
            sum(posted.amount) over received as to_amount
        from posted
        where posted.key ~ '/deposit/[0-9]+$'
        window received as (order by length(posted.key), posted.key)
    ) as deposits
    cross join (
        select
            shares.position,
            sum(shares.amount) over spread - shares.amount as from_amount,
            sum(shares.amount) over spread as to_amount
        from shares
        window spread as (order by shares.position)
    ) as spread_shares
    inner join invoices on spread_shares.position = invoices.position
    cross join lateral (
        select
            least(deposits.to_amount, spread_shares.to_amount) - greatest(deposits.from_amount, spread_shares.from_amount)
                as amount
    ) as overlap
    where overlap.amount > 0
) as money
