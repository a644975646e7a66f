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
    settlement.credit_position,
    settlement.invoice_position,
    settlement.allocation,
    settlement.amount
from orders
cross join lateral (
    with recursive documents as (
        select
            documents.document,
            documents.document_id,
            documents.position,
            documents.key,
            documents.to_connection,
            documents.currency_code,
            documents.document_at,
            documents.document_date,
            documents.status,
            documents.credited_invoice_id,
            documents.has_method,
            documents.settlement,
            documents.total_amount
        from {{ ref('int_documents') }} as documents
        where
            documents.connection = orders.connection
            and documents.order_id = orders.order_id
            and not documents.is_draft
            and not documents.is_void
            and documents.skip is null
    ),

    -- Each credit note meets each invoice: first the one it was made from, then those that invoiced one of its items,
    -- then any other, the newest first. What was paid, or came later than the credit note, has nothing open for it.
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
            credit_notes.total_amount as credit_amount,
            case
                when invoices.settlement in ('gateway', 'liability', 'zero') and invoices.status = 'paid' then 0
                when not invoices.has_method then 0
                when invoices.document_at > credit_notes.document_at then 0
                else invoices.total_amount
            end as open_amount,
            max(invoices.position) over () as last_position
        from documents as credit_notes
        inner join documents as invoices on invoices.document = 'invoice'
        where credit_notes.document = 'credit'
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
    )

    select
        walk.credit_position,
        walk.invoice_position,
        row_number() over (partition by walk.credit_position order by walk.step) as allocation,
        walk.amount
    from walk
    where walk.amount > 0
) as settlement
