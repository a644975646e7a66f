-- Each kind is fenced by itself, so that who asks for one kind does not pay for the others.
{% call documented() -%}
select
    'invoice'::text as document,
    false as is_draft,
    {{ slot_columns() }},
    (
        select jsonb_agg(to_jsonb(line))
        from (
            select
                {{ plain_line('lines') }}
            from {{ ref('invoice_lines') }} as lines
            where
                lines.system = 'magento'
                and lines.connection = driver.connection
                and lines.order_id = driver.order_id
                and lines.invoice_id = slots.document_id
        ) as line
    ) as lines
from {{ of_order(ref('int_invoice_slots'), 'driver', 'slots') }}

union all

-- What is not invoiced yet takes the next free slot as a draft and becomes the next invoice.
select
    'invoice'::text as document,
    true as is_draft,
    fenced.*
from (
    with left_lines as materialized (
        select order_lines.*
        from {{ ref('int_order_lines_left') }} as order_lines
        where order_lines.connection = driver.connection and order_lines.order_id = driver.order_id
    )

    select
        invoiced.position + 1 as position,
        null::text as document_id,
        orders.order_number as document_number,
        null::text as credited_invoice_id,
        false as is_refunded_online,
        'draft'::text as status,
        left_to_invoice.left_quantity <= 0 or orders.is_cancelled as is_void,
        orders.is_deleted,
        orders.ordered_at as document_at,
        orders.order_date as document_date,
        orders.currency_code,
        orders.base_currency_code,
        orders.base_to_order_rate as currency_rate,
        left_to_invoice.left_amount
        + case
            when invoiced.live_count = 0
                then
                    orders.shipping_amount + orders.shipping_tax_amount
                    + coalesce(orders.gift_wrap_amount + orders.gift_wrap_tax_amount, 0)
            else 0
        end as total_amount,
        left_to_invoice.left_base_amount
        + case
            when invoiced.live_count = 0
                then
                    orders.base_shipping_amount + orders.base_shipping_tax_amount
                    + coalesce(orders.base_gift_wrap_amount + orders.base_gift_wrap_tax_amount, 0)
            else 0
        end as base_total_amount,
        -- Nothing is paid on a draft.
        {% for amount in ['cash', 'gift_card', 'store_credit', 'reward'] -%}
        0::numeric as {{ amount }}_amount,
        0::numeric as base_{{ amount }}_amount,
        {% endfor -%}
        null::text as transaction_id,
        {{ problems([]) }} as _problems,
        (
            select jsonb_agg(to_jsonb(line))
            from (
                select
                    order_lines.order_line_id as line_id,
                    order_lines.line_kind,
                    order_lines.line_number,
                    order_lines.product_id,
                    order_lines.variant_product_id,
                    order_lines.sku,
                    order_lines.name as description,
                    order_lines.left_quantity as quantity,
                    order_lines.price,
                    order_lines.base_price,
                    case when order_lines.is_untouched then order_lines.discount_amount end as discount_amount,
                    case when order_lines.is_untouched then order_lines.base_discount_amount end
                        as base_discount_amount,
                    order_lines.left_net_amount as net_amount,
                    order_lines.left_base_net_amount as base_net_amount,
                    order_lines.left_tax_amount as tax_amount,
                    order_lines.left_base_tax_amount as base_tax_amount,
                    order_lines.tax_code,
                    order_lines.tax_percent,
                    order_lines._problems
                from left_lines as order_lines
                where order_lines.left_quantity > 0

                union all

                select
                    order_lines.order_line_id || '/weee' as line_id,
                    'weee'::text as line_kind,
                    50000 + order_lines.line_number as line_number,
                    null::text as product_id,
                    null::text as variant_product_id,
                    null::text as sku,
                    'Fixed product tax: ' || coalesce(nullif(order_lines.name, ''), order_lines.sku, 'item')
                        as description,
                    1::numeric as quantity,
                    order_lines.left_weee_amount as price,
                    order_lines.left_base_weee_amount as base_price,
                    0::numeric as discount_amount,
                    0::numeric as base_discount_amount,
                    order_lines.left_weee_amount as net_amount,
                    order_lines.left_base_weee_amount as base_net_amount,
                    order_lines.left_weee_tax_amount as tax_amount,
                    order_lines.left_base_weee_tax_amount as base_tax_amount,
                    case when order_lines.left_weee_tax_amount <> 0 then order_lines.weee_tax_code end as tax_code,
                    case when order_lines.left_weee_tax_amount <> 0 then order_lines.weee_tax_percent end
                        as tax_percent,
                    {{ problems([]) }} as _problems
                from left_lines as order_lines
                where order_lines.left_weee_amount <> 0

                union all

                -- The first invoice carries all shipping and wrapping.
                select
                    {{ extra_line('extra.description') }}
                from (
                    values
                    (
                        'shipping',
                        100000,
                        'Shipping',
                        orders.shipping_amount,
                        orders.base_shipping_amount,
                        orders.shipping_tax_amount,
                        orders.base_shipping_tax_amount
                    ),
                    (
                        'gift_wrap',
                        99999,
                        'Gift Wrap',
                        orders.gift_wrap_amount,
                        orders.base_gift_wrap_amount,
                        orders.gift_wrap_tax_amount,
                        orders.base_gift_wrap_tax_amount
                    )
                ) as extra (
                    line_kind, line_number, description, net_amount, base_net_amount, tax_amount, base_tax_amount
                )
                left join {{ ref('stg_magento__order_taxes') }} as taxes
                    on taxes.connection = driver.connection and taxes.order_id = driver.order_id
                where invoiced.carrying_count = 0 and (extra.net_amount <> 0 or extra.tax_amount <> 0)
            ) as line
        ) as lines
    from (
        select
            sum(order_lines.left_quantity) as left_quantity,
            sum(order_lines.cancelled_quantity) as cancelled_quantity,
            sum(
                order_lines.left_net_amount + order_lines.left_tax_amount
                + coalesce(order_lines.left_weee_amount + order_lines.left_weee_tax_amount, 0)
            ) as left_amount,
            sum(
                order_lines.left_base_net_amount + order_lines.left_base_tax_amount
                + coalesce(order_lines.left_base_weee_amount + order_lines.left_base_weee_tax_amount, 0)
            ) as left_base_amount
        from left_lines as order_lines
    ) as left_to_invoice
    cross join (
        select
            count(*)::integer as position,
            count(*) filter (
                where coalesce(invoices.state, '') <> 'cancelled' and invoices.deleted_at is null
            ) as live_count,
            -- Of a state that nobody knows it may be cancelled: the check of the total then tells.
            count(*) filter (where invoices.state <> 'cancelled' and invoices.deleted_at is null) as carrying_count
        from {{ ref('stg_magento__invoice_keys') }} as invoices
        where invoices.connection = driver.connection and invoices.order_id = driver.order_id
    ) as invoiced
    where
        (left_to_invoice.left_quantity > 0 or left_to_invoice.cancelled_quantity > 0)
    offset 0
) as fenced

union all

select
    'credit'::text as document,
    false as is_draft,
    {{ slot_columns() }},
    (
        select jsonb_agg(to_jsonb(line))
        from (
            select
                {{ plain_line('lines', has_discount=false) }}
            from {{ ref('credit_note_lines') }} as lines
            where
                lines.system = 'magento'
                and lines.connection = driver.connection
                and lines.order_id = driver.order_id
                and lines.credit_note_id = slots.document_id
        ) as line
    ) as lines
from {{ of_order(ref('int_credit_slots'), 'driver', 'slots') }}
{%- endcall %}
