with order_lines as (
    select * from {{ ref('order_lines') }}
),

invoiced as (
    select
        invoice_lines.connection,
        invoice_lines.order_id,
        invoice_lines.line_id as order_line_id,
        sum(invoice_lines.quantity) as quantity,
        sum(invoice_lines.net_amount) as net_amount,
        sum(invoice_lines.base_net_amount) as base_net_amount,
        sum(invoice_lines.tax_amount) as tax_amount,
        sum(invoice_lines.base_tax_amount) as base_tax_amount
    from {{ ref('invoice_lines') }} as invoice_lines
    inner join {{ ref('invoices') }} as invoices
        on
            invoice_lines.connection = invoices.connection
            and invoice_lines.order_id = invoices.order_id
            and invoice_lines.invoice_id = invoices.invoice_id
    where
        invoice_lines.system = 'magento'
        and invoices.system = 'magento'
        and invoice_lines.line_kind = 'product'
        and not invoices.is_void
    group by invoice_lines.connection, invoice_lines.order_id, invoice_lines.line_id
),

quantities as (
    select
        order_lines.*,
        order_lines.ordered_quantity - coalesce(invoiced.quantity, 0) as open_quantity,
        order_lines.ordered_quantity - coalesce(invoiced.quantity, 0) - order_lines.cancelled_quantity as left_quantity,
        order_lines.net_amount - coalesce(invoiced.net_amount, 0) as open_net_amount,
        order_lines.base_net_amount - coalesce(invoiced.base_net_amount, 0) as open_base_net_amount,
        order_lines.tax_amount - coalesce(invoiced.tax_amount, 0) as open_tax_amount,
        order_lines.base_tax_amount - coalesce(invoiced.base_tax_amount, 0) as open_base_tax_amount,
        coalesce(invoiced.quantity, 0) = 0 and order_lines.cancelled_quantity = 0 as is_untouched
    from order_lines
    left join invoiced
        on
            order_lines.connection = invoiced.connection
            and order_lines.order_id = invoiced.order_id
            and order_lines.order_line_id = invoiced.order_line_id
    where order_lines.is_billed
)

select
    quantities.connection,
    quantities.order_id,
    quantities.order_line_id,
    quantities.line_number,
    quantities.product_id,
    quantities.sku,
    quantities.name,
    greatest(quantities.left_quantity, 0) as left_quantity,
    quantities.cancelled_quantity,
    quantities.is_untouched,
    quantities.price,
    quantities.base_price,
    quantities.discount_amount,
    quantities.base_discount_amount,
    {% for amount in ['net', 'base_net', 'tax', 'base_tax'] -%}
    case
        when quantities.left_quantity <= 0 then 0
        else round(quantities.open_{{ amount }}_amount * quantities.left_quantity / quantities.open_quantity, 2)
    end as left_{{ amount }}_amount,
    {% endfor -%}
    quantities.tax_code,
    quantities.tax_percent,
    quantities._problems
from quantities
