with events as (
    select
        orders.connection,
        orders.order_id,
        orders.state,
        orders.is_deleted,
        coalesce(nullif(orders.status, ''), case orders.state when 'new' then 'pending' else orders.state end)
            as current_status,
        coalesce(orders.state in ('complete', 'closed') or shipping.is_shipped, false) as is_shipped,
        invoices.xero_status,
        invoices.numbers,
        invoices.has_money,
        event.event
    from {{ ref('int_orders_routed') }} as orders
    cross join lateral (
        select
            count(*) filter (where documents.skip is null) as expected_count,
            count(*) filter (where documents.skip is not null) as skipped_count,
            -- Only what every invoice has reached counts: one that is open keeps the order open.
            case
                when
                    bool_and(xero_invoices.status is not distinct from 'PAID' and xero_invoices.paid_amount >= 0)
                        filter (where documents.skip is null)
                    then 'PAID'
            end as xero_status,
            bool_or(coalesce(xero_invoices.paid_amount, 0) > 0 or documents.total_amount = 0)
                filter (where documents.skip is null) as has_money,
            string_agg(xero_invoices.invoice_number, ', ' order by documents.position) as numbers
        from {{ ref('int_documents') }} as documents
        left join {{ link_of('documents.to_connection', 'invoices', 'documents.key') }} as link on true
        left join lateral (
            select mirrored.*
            from {{ ref('stg_xero__invoices') }} as mirrored
            where mirrored.connection = link.connection and mirrored.invoice_id = link.target_id
            limit 1
        ) as xero_invoices on true
        where
            documents.connection = orders.connection
            and documents.order_id = orders.order_id
            and documents.document = 'invoice'
            and not documents.is_void
    ) as invoices
    left join lateral (
        select
            -- Shipments name the parent, or for parts that are shipped apart the child.
            bool_and(
                order_lines.is_virtual
                or greatest(order_lines.shipped_quantity, coalesce(shipped_lines.quantity, 0))
                >= order_lines.ordered_quantity - order_lines.cancelled_quantity - order_lines.refunded_quantity
            ) as is_shipped
        from {{ ref('order_lines') }} as order_lines
        left join (
            select
                shipment_lines.order_line_id,
                sum(shipment_lines.quantity) as quantity
            from {{ ref('stg_magento__shipment_lines') }} as shipment_lines
            where
                shipment_lines.connection = orders.connection
                and shipment_lines.order_id = orders.order_id
                and shipment_lines.deleted_at is null
            group by shipment_lines.order_line_id
        ) as shipped_lines on order_lines.order_line_id = shipped_lines.order_line_id
        where
            order_lines.connection = orders.connection
            and order_lines.order_id = orders.order_id
            and order_lines.parent_order_line_id is null
    ) as shipping on true
    cross join (values ('paid'), ('complete')) as event (event)
    where invoices.expected_count > 0 and invoices.xero_status is not null
),

ruled as (
    select
        events.*,
        events.connection || '/order/' || events.order_id || '/' || events.event as key,
        rule.status,
        bool_or(events.event = 'complete') over (partition by events.connection, events.order_id) as is_completed
    from events
    inner join lateral (
        select order_status.status
        from {{ ref('order_status') }} as order_status
        where
            order_status.connection = events.connection
            and lower(order_status.event) = events.event
            and {{ fits('order_status.state', 'events.state') }}
            and {{ fits('order_status.shipped', "case when events.is_shipped then 'yes' else 'no' end") }}
            and {{ fits('order_status.xero_status', 'events.xero_status') }}
        order by
            {{ names('order_status.state') }} + {{ names('order_status.shipped') }}
            + {{ names('order_status.xero_status') }} desc,
            order_status.status
        limit 1
    ) as rule on true
)

select
    ruled.connection as _to,
    ruled.key as _key,
    ruled.connection as _source_connection,
    ruled.order_id as _source_id,
    case
        when ruled.state in ('canceled', 'closed') then 'the order is ' || ruled.state
        when not ruled.has_money then 'settled without money'
        when ruled.event = 'paid' and ruled.is_completed and link.said is null
            then 'shipped already: one comment says both'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    null::jsonb as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    jsonb_build_object('status', ruled.current_status) as _expect,
    {{ whole_number('ruled.order_id') }} as parent_id,
    'Paid in Xero: ' || ruled.numbers || ' [tieout:' || ruled.key || ']' as comment,
    coalesce(nullif(ruled.status, ''), ruled.current_status) as status,
    0 as is_customer_notified,
    0 as is_visible_on_front
from ruled
left join {{ link_of('ruled.connection', 'order_comments', 'ruled.key') }} as link on true
