with orders as (
    select
        credit_memos.connection,
        credit_memos.order_id
    from {{ ref('stg_magento__credit_memos') }} as credit_memos
    group by credit_memos.connection, credit_memos.order_id
)

select
    orders.connection,
    orders.order_id,
    settlement.*
from orders
cross join lateral (
    with recursive money as materialized (
        select
            'credit'::text as flow,
            given.kind,
            given.key,
            given.parent_key,
            given.position,
            given.to_connection,
            given.skip,
            given.gone,
            given.payment_method,
            given.has_method,
            given.settlement,
            given.settlement_account_code,
            given.settles_in,
            given.amount,
            given.base_amount,
            given.currency_code,
            given.currency_rate,
            given.ledger_base_currency_code,
            given.shop_base_currency_code,
            given.document_date,
            given.ledger_date,
            given.transaction_id,
            given.re_date,
            given.locked_until,
            given.document_id,
            given.document_at,
            given.credited_invoice_id,
            given.is_refunded_online,
            given.refund_by
        from {{ ref('int_credit_money') }} as given
        where given.connection = orders.connection and given.order_id = orders.order_id

        union all

        select
            'open'::text as flow,
            open.kind,
            open.key,
            open.parent_key,
            open.position,
            open.to_connection,
            open.skip,
            open.gone,
            open.payment_method,
            open.has_method,
            open.settlement,
            open.settlement_account_code,
            open.settles_in,
            open.amount,
            open.base_amount,
            open.currency_code,
            open.currency_rate,
            open.ledger_base_currency_code,
            open.shop_base_currency_code,
            open.document_date,
            open.ledger_date,
            open.transaction_id,
            open.re_date,
            open.locked_until,
            open.document_id,
            open.document_at,
            null::text as credited_invoice_id,
            null::boolean as is_refunded_online,
            null::text as refund_by
        from {{ ref('int_order_money') }} as open
        where open.connection = orders.connection and open.order_id = orders.order_id and open.flow = 'open'
    ),

    -- Each credit note, but for what goes back to gift cards, store credit and points, meets each invoice: first the one it
    -- was made from, then those that invoiced one of its items, then any other, the newest first. What was paid, or came
    -- later than the credit note, has nothing open for it.
    pairs as (
        select
            row_number() over (
                order by
                    credit_notes.position,
                    case
                        when credit_notes.credited_invoice_id = invoices.document_id then 0
                        when
                            exists (
                                select 1
                                from {{ ref('stg_magento__credit_memo_lines') }} as credited_lines
                                inner join {{ ref('stg_magento__invoice_lines') }} as invoiced_lines
                                    on credited_lines.order_line_id = invoiced_lines.order_line_id
                                where
                                    credited_lines.connection = orders.connection
                                    and credited_lines.order_id = orders.order_id
                                    and credited_lines.credit_memo_id = credit_notes.document_id
                                    and invoiced_lines.connection = orders.connection
                                    and invoiced_lines.order_id = orders.order_id
                                    and invoiced_lines.invoice_id = invoices.document_id
                            )
                            then 1
                        else 2
                    end,
                    invoices.position desc
            ) as step,
            credit_notes.position as credit_position,
            invoices.position as invoice_position,
            credit_notes.amount as credit_amount,
            case when invoices.document_at > credit_notes.document_at then 0 else invoices.amount end as open_amount,
            max(invoices.position) over () as last_position
        from money as credit_notes
        inner join money as invoices
            on
                invoices.flow = 'open'
                and (
                    invoices.skip is null
                    -- One from before the cut-over takes the credit once it is linked.
                    or exists (
                        select 1
                        from {{ source('engine', 'links') }} as link
                        where
                            link.connection = invoices.to_connection
                            and link.entity = 'invoices'
                            and link.key = orders.connection || '/order/' || orders.order_id || '/' || invoices.position
                            and link.target_id is not null
                            and not link.is_gone
                    )
                )
        where
            credit_notes.flow = 'credit'
            and credit_notes.kind = 'cash'
            and credit_notes.skip is null
            and credit_notes.gone is null
    ),

    walk as (
        select
            pairs.step,
            pairs.credit_position,
            pairs.invoice_position,
            least(pairs.credit_amount, pairs.open_amount) as amount,
            pairs.credit_amount - least(pairs.credit_amount, pairs.open_amount) as left_amount,
            array_fill(0::numeric, array[pairs.invoice_position - 1])
            || least(pairs.credit_amount, pairs.open_amount)
            || array_fill(0::numeric, array[pairs.last_position - pairs.invoice_position]) as used_amounts
        from pairs
        where pairs.step = 1

        union all

        select
            pairs.step,
            pairs.credit_position,
            pairs.invoice_position,
            taken.amount,
            taken.available_amount - taken.amount as left_amount,
            walk.used_amounts[:pairs.invoice_position - 1]
            || (walk.used_amounts[pairs.invoice_position] + taken.amount)
            || walk.used_amounts[pairs.invoice_position + 1:] as used_amounts
        from walk
        inner join pairs on walk.step + 1 = pairs.step
        cross join lateral (
            select
                case pairs.credit_position when walk.credit_position then walk.left_amount else pairs.credit_amount end
                    as available_amount,
                greatest(
                    least(
                        case pairs.credit_position
                            when walk.credit_position then walk.left_amount
                            else pairs.credit_amount
                        end,
                        pairs.open_amount - walk.used_amounts[pairs.invoice_position]
                    ),
                    0
                ) as amount
        ) as taken
    ),

    allocations as materialized (
        select
            walk.credit_position,
            walk.invoice_position,
            row_number() over (partition by walk.credit_position order by walk.step) as allocation,
            walk.amount
        from walk
        where walk.amount > 0
    )

    select
        'allocation'::text as flow,
        money.kind,
        money.parent_key || '/allocation/' || allocations.allocation as key,
        money.parent_key,
        allocations.credit_position,
        allocations.invoice_position,
        money.to_connection,
        money.skip,
        money.gone,
        money.payment_method,
        money.has_method,
        money.settlement,
        money.settlement_account_code,
        money.settles_in,
        money.is_refunded_online,
        money.refund_by,
        allocations.amount,
        round(money.base_amount * allocations.amount / nullif(money.amount, 0), 2) as base_amount,
        money.currency_code,
        money.currency_rate,
        money.ledger_base_currency_code,
        money.shop_base_currency_code,
        money.document_date,
        money.ledger_date,
        money.transaction_id,
        money.re_date,
        money.locked_until
    from allocations
    inner join money
        on allocations.credit_position = money.position and money.flow = 'credit' and money.kind = 'cash'

    union all

    select
        'refund'::text as flow,
        money.kind,
        money.key,
        money.parent_key,
        money.position as credit_position,
        null::integer as invoice_position,
        money.to_connection,
        money.skip,
        money.gone,
        money.payment_method,
        money.has_method,
        money.settlement,
        money.settlement_account_code,
        money.settles_in,
        money.is_refunded_online,
        money.refund_by,
        given.amount,
        case given.amount
            when money.amount then money.base_amount
            else round(money.base_amount * given.amount / nullif(money.amount, 0), 2)
        end as base_amount,
        money.currency_code,
        money.currency_rate,
        money.ledger_base_currency_code,
        money.shop_base_currency_code,
        money.document_date,
        money.ledger_date,
        money.transaction_id,
        money.re_date,
        money.locked_until
    from money
    cross join lateral (
        select
            money.amount - case money.kind
                when 'cash'
                    then
                        (
                            select coalesce(sum(allocations.amount), 0)
                            from allocations
                            where allocations.credit_position = money.position
                        )
                else 0
            end as amount
    ) as given
    where money.flow = 'credit' and given.amount > 0
) as settlement
