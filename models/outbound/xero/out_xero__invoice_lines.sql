select
    lines.connection as _source_connection,
    lines.order_id as _source_id,
    lines.key as _key,
    lines.line_id as _line,
    lines.line_number as _line_order,
    lines._problems,
    left(
        case
            when lines.is_exact or lines.quantity = 1 then coalesce(nullif(lines.description, ''), lines.sku, 'Item')
            else trim_scale(lines.quantity) || ' × ' || coalesce(nullif(lines.description, ''), lines.sku, 'item')
        end,
        4000
    ) as "Description",
    case when lines.is_exact then trim_scale(lines.quantity) else 1 end as "Quantity",
    case when lines.is_exact then trim_scale(round(lines.price, 4)) else lines.net_amount end as "UnitAmount",
    case when lines.is_exact then nullif(lines.discount_amount, 0) end as "DiscountAmount",
    {{ linked('items', 'lines.item_key', give='Code') }} as "ItemCode",
    lines.account_code as "AccountCode",
    lines.tax_type as "TaxType",
    lines.tax_amount as "TaxAmount",
    lines.tracking as "Tracking"
from {{ ref('int_document_lines') }} as lines
where lines.document = 'invoice'
