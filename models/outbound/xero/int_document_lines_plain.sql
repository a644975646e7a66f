select
    invoice_lines.connection,
    invoice_lines.order_id,
    'invoice'::text as document,
    false as is_draft,
    invoice_lines.invoice_id as document_id,
    invoice_lines.line_id,
    invoice_lines.line_kind,
    invoice_lines.line_number,
    invoice_lines.product_id,
    invoice_lines.sku,
    invoice_lines.description,
    invoice_lines.quantity,
    invoice_lines.price,
    invoice_lines.base_price,
    invoice_lines.discount_amount,
    invoice_lines.base_discount_amount,
    invoice_lines.net_amount,
    invoice_lines.base_net_amount,
    invoice_lines.tax_amount,
    invoice_lines.base_tax_amount,
    invoice_lines.tax_code,
    invoice_lines.tax_percent,
    invoice_lines._problems
from {{ ref('invoice_lines') }} as invoice_lines
where invoice_lines.system = 'magento'

union all

select
    order_lines.connection,
    order_lines.order_id,
    'invoice'::text as document,
    true as is_draft,
    null::text as document_id,
    order_lines.order_line_id as line_id,
    order_lines.line_kind,
    order_lines.line_number,
    order_lines.product_id,
    order_lines.sku,
    order_lines.name as description,
    order_lines.left_quantity as quantity,
    order_lines.price,
    order_lines.base_price,
    case when order_lines.is_untouched then order_lines.discount_amount end as discount_amount,
    case when order_lines.is_untouched then order_lines.base_discount_amount end as base_discount_amount,
    order_lines.left_net_amount as net_amount,
    order_lines.left_base_net_amount as base_net_amount,
    order_lines.left_tax_amount as tax_amount,
    order_lines.left_base_tax_amount as base_tax_amount,
    order_lines.tax_code,
    order_lines.tax_percent,
    order_lines._problems
from {{ ref('int_order_lines_left') }} as order_lines
where order_lines.left_quantity > 0

union all

select
    order_lines.connection,
    order_lines.order_id,
    'invoice'::text as document,
    true as is_draft,
    null::text as document_id,
    order_lines.order_line_id || '/weee' as line_id,
    'weee'::text as line_kind,
    50000 + order_lines.line_number as line_number,
    null::text as product_id,
    null::text as sku,
    'Fixed product tax: ' || coalesce(nullif(order_lines.name, ''), order_lines.sku, 'item') as description,
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
    case when order_lines.left_weee_tax_amount <> 0 then order_lines.weee_tax_percent end as tax_percent,
    {{ problems([]) }} as _problems
from {{ ref('int_order_lines_left') }} as order_lines
where order_lines.left_weee_amount <> 0

union all

select
    orders.connection,
    orders.order_id,
    'invoice'::text as document,
    true as is_draft,
    null::text as document_id,
    extra.line_kind as line_id,
    extra.line_kind,
    extra.line_number,
    null::text as product_id,
    null::text as sku,
    extra.description,
    1::numeric as quantity,
    extra.net_amount as price,
    extra.base_net_amount as base_price,
    0::numeric as discount_amount,
    0::numeric as base_discount_amount,
    extra.net_amount,
    extra.base_net_amount,
    extra.tax_amount,
    extra.base_tax_amount,
    extra.tax_code,
    extra.tax_percent,
    {{ problems([]) }} as _problems
from {{ ref('orders') }} as orders
cross join lateral (
    values
    (
        'shipping',
        100000,
        'Shipping',
        orders.shipping_amount,
        orders.base_shipping_amount,
        orders.shipping_tax_amount,
        orders.base_shipping_tax_amount,
        orders.shipping_tax_code,
        orders.shipping_tax_percent
    ),
    (
        'gift_wrap',
        99999,
        'Gift Wrap',
        orders.gift_wrap_amount,
        orders.base_gift_wrap_amount,
        orders.gift_wrap_tax_amount,
        orders.base_gift_wrap_tax_amount,
        orders.gift_wrap_tax_code,
        orders.gift_wrap_tax_percent
    )
) as extra (
    line_kind, line_number, description, net_amount, base_net_amount, tax_amount, base_tax_amount, tax_code, tax_percent
)
where
    (extra.net_amount <> 0 or extra.tax_amount <> 0)
    -- The first invoice carries all shipping and wrapping.
    and not exists (
        select 1
        from {{ ref('stg_magento__invoices') }} as earlier
        where
            earlier.connection = orders.connection
            and earlier.order_id = orders.order_id
            and earlier.state <> 'cancelled'
            and earlier.deleted_at is null
    )

union all

select
    credit_note_lines.connection,
    credit_note_lines.order_id,
    'credit'::text as document,
    false as is_draft,
    credit_note_lines.credit_note_id as document_id,
    credit_note_lines.line_id,
    credit_note_lines.line_kind,
    credit_note_lines.line_number,
    credit_note_lines.product_id,
    credit_note_lines.sku,
    credit_note_lines.description,
    credit_note_lines.quantity,
    credit_note_lines.price,
    credit_note_lines.base_price,
    -- Xero takes no discount on the line of a credit note.
    case when credit_note_lines.discount_amount = 0 then 0 end as discount_amount,
    case when credit_note_lines.base_discount_amount = 0 then 0 end as base_discount_amount,
    credit_note_lines.net_amount,
    credit_note_lines.base_net_amount,
    credit_note_lines.tax_amount,
    credit_note_lines.base_tax_amount,
    credit_note_lines.tax_code,
    credit_note_lines.tax_percent,
    credit_note_lines._problems
from {{ ref('credit_note_lines') }} as credit_note_lines
where credit_note_lines.system = 'magento'
