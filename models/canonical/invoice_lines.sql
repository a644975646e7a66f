with billed_lines as not materialized (
    select
        document_lines.*,
        order_lines.tax_code,
        order_lines.tax_percent,
        coalesce(order_lines.line_kind, 'product') as line_kind,
        {% for prefix in ['', 'base_'] -%}
        round(
            coalesce(
                document_lines.{{ prefix }}weee_amount, order_lines.{{ prefix }}weee_unit_amount * document_lines.quantity
            ),
            2
        ) as {{ prefix }}weee_line_amount,
        round(order_lines.{{ prefix }}weee_unit_tax_amount * document_lines.quantity, 2) as {{ prefix }}weee_line_tax_amount,
        {% endfor -%}
        order_lines.weee_tax_code,
        order_lines.weee_tax_percent,
        order_lines._problems as order_line_problems
    from {{ ref('stg_magento__invoice_lines') }} as document_lines
    left join {{ ref('order_lines') }} as order_lines
        on
            document_lines.connection = order_lines.connection
            and document_lines.order_id = order_lines.order_id
            and document_lines.order_line_id = order_lines.order_line_id
    where coalesce(order_lines.is_billed, true)
),

line_totals as (
    select
        billed_lines.connection,
        billed_lines.order_id,
        billed_lines.invoice_id,
        sum(billed_lines.discount_amount) as discount_amount,
        sum(billed_lines.base_discount_amount) as base_discount_amount,
        sum(billed_lines.discount_tax_compensation_amount) as compensation_amount,
        sum(billed_lines.base_discount_tax_compensation_amount) as base_compensation_amount
    from billed_lines
    group by billed_lines.connection, billed_lines.order_id, billed_lines.invoice_id
),

extras as (
    select
        documents.connection,
        documents.order_id,
        documents.invoice_id,
        round(
            documents.shipping_amount + documents.shipping_discount_tax_compensation_amount
            + documents.discount_amount + coalesce(line_totals.discount_amount, 0),
            2
        ) as shipping_net_amount,
        round(
            documents.base_shipping_amount + documents.base_shipping_discount_tax_compensation_amount
            + documents.base_discount_amount + coalesce(line_totals.base_discount_amount, 0),
            2
        ) as base_shipping_net_amount,
        round(documents.shipping_tax_amount, 2) as shipping_tax_amount,
        round(documents.base_shipping_tax_amount, 2) as base_shipping_tax_amount,
        round(documents.gift_wrap_amount, 2) as gift_wrap_amount,
        round(documents.base_gift_wrap_amount, 2) as base_gift_wrap_amount,
        round(documents.gift_wrap_tax_amount, 2) as gift_wrap_tax_amount,
        round(documents.base_gift_wrap_tax_amount, 2) as base_gift_wrap_tax_amount,
        coalesce(orders.gift_wrap_tax_code, orders.shipping_tax_code) as gift_wrap_tax_code,
        case when orders.gift_wrap_tax_code is null then orders.shipping_tax_percent else orders.gift_wrap_tax_percent end
            as gift_wrap_tax_percent,
        orders.shipping_tax_code,
        orders.shipping_tax_percent
    from {{ ref('stg_magento__invoices') }} as documents
    left join line_totals
        on
            documents.connection = line_totals.connection
            and documents.order_id = line_totals.order_id
            and documents.invoice_id = line_totals.invoice_id
    left join {{ ref('stg_magento__orders') }} as orders
        on documents.connection = orders.connection and documents.order_id = orders.order_id
)

select
    'magento'::text as system,
    billed_lines.connection,
    billed_lines.invoice_id,
    billed_lines.order_id,
    billed_lines.order_line_id as line_id,
    billed_lines.line_kind,
    billed_lines.line_number,
    billed_lines.product_id,
    billed_lines.sku,
    billed_lines.name as description,
    billed_lines.quantity,
    billed_lines.price,
    billed_lines.base_price,
    round(billed_lines.discount_amount - billed_lines.discount_tax_compensation_amount, 2) as discount_amount,
    round(billed_lines.base_discount_amount - billed_lines.base_discount_tax_compensation_amount, 2)
        as base_discount_amount,
    round(
        billed_lines.row_total - billed_lines.discount_amount + billed_lines.discount_tax_compensation_amount, 2
    ) as net_amount,
    round(
        billed_lines.base_row_total - billed_lines.base_discount_amount
        + billed_lines.base_discount_tax_compensation_amount,
        2
    ) as base_net_amount,
    round(billed_lines.tax_amount, 2) as tax_amount,
    round(billed_lines.base_tax_amount, 2) as base_tax_amount,
    billed_lines.tax_code,
    billed_lines.tax_percent,
    null::text as account_code,
    null::text as tax_type,
    -- The document repeats the fields of its order's line: one of them says it once.
    coalesce(billed_lines._problems, billed_lines.order_line_problems) as _problems
from billed_lines

union all

-- A fixed product tax belongs to its product, but to another account and often to no tax.
select
    'magento'::text as system,
    billed_lines.connection,
    billed_lines.invoice_id,
    billed_lines.order_id,
    billed_lines.order_line_id || '/weee' as line_id,
    'weee'::text as line_kind,
    50000 + billed_lines.line_number as line_number,
    null::text as product_id,
    null::text as sku,
    'Fixed product tax: ' || coalesce(nullif(billed_lines.name, ''), billed_lines.sku, 'item') as description,
    1::numeric as quantity,
    billed_lines.weee_line_amount as price,
    billed_lines.base_weee_line_amount as base_price,
    0::numeric as discount_amount,
    0::numeric as base_discount_amount,
    billed_lines.weee_line_amount as net_amount,
    billed_lines.base_weee_line_amount as base_net_amount,
    coalesce(billed_lines.weee_line_tax_amount, 0) as tax_amount,
    coalesce(billed_lines.base_weee_line_tax_amount, 0) as base_tax_amount,
    case when billed_lines.weee_line_tax_amount <> 0 then billed_lines.weee_tax_code end as tax_code,
    case when billed_lines.weee_line_tax_amount <> 0 then billed_lines.weee_tax_percent end as tax_percent,
    null::text as account_code,
    null::text as tax_type,
    {{ problems([]) }} as _problems
from billed_lines
where billed_lines.weee_line_amount <> 0

union all

select
    'magento'::text as system,
    extras.connection,
    extras.invoice_id,
    extras.order_id,
    line.line_kind as line_id,
    line.line_kind,
    line.line_number,
    null::text as product_id,
    null::text as sku,
    initcap(replace(line.line_kind, '_', ' ')) as description,
    1::numeric as quantity,
    line.net_amount as price,
    line.base_net_amount as base_price,
    0::numeric as discount_amount,
    0::numeric as base_discount_amount,
    line.net_amount,
    line.base_net_amount,
    line.tax_amount,
    line.base_tax_amount,
    line.tax_code,
    line.tax_percent,
    null::text as account_code,
    null::text as tax_type,
    {{ problems([]) }} as _problems
from extras
cross join lateral (
    values
    (
        'shipping',
        100000,
        extras.shipping_net_amount,
        extras.base_shipping_net_amount,
        extras.shipping_tax_amount,
        extras.base_shipping_tax_amount,
        extras.shipping_tax_code,
        extras.shipping_tax_percent
    ),
    (
        'gift_wrap',
        99999,
        extras.gift_wrap_amount,
        extras.base_gift_wrap_amount,
        extras.gift_wrap_tax_amount,
        extras.base_gift_wrap_tax_amount,
        extras.gift_wrap_tax_code,
        extras.gift_wrap_tax_percent
    )
) as line (line_kind, line_number, net_amount, base_net_amount, tax_amount, base_tax_amount, tax_code, tax_percent)
where line.net_amount <> 0 or line.tax_amount <> 0

union all

select
    'xero'::text as system,
    xero_lines.connection,
    xero_lines.invoice_id,
    null::text as order_id,
    xero_lines.line_id,
    'product'::text as line_kind,
    xero_lines.line_number,
    null::text as product_id,
    xero_lines.item_code as sku,
    xero_lines.description,
    xero_lines.quantity,
    xero_lines.unit_amount as price,
    null::numeric as base_price,
    null::numeric as discount_amount,
    null::numeric as base_discount_amount,
    case
        when xero_lines.line_amount_types = 'Inclusive' then xero_lines.line_amount - xero_lines.tax_amount
        else xero_lines.line_amount
    end as net_amount,
    null::numeric as base_net_amount,
    xero_lines.tax_amount,
    null::numeric as base_tax_amount,
    null::text as tax_code,
    null::numeric as tax_percent,
    xero_lines.account_code,
    xero_lines.tax_type,
    xero_lines._problems
from {{ ref('stg_xero__invoice_lines') }} as xero_lines
