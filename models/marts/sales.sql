select
    orders.connection as source_connection,
    orders.order_id,
    orders.order_number,
    orders.store_code,
    orders.channel,
    orders.ship_to_country_code as country_code,
    orders.payment_method,
    lines.document_type,
    lines.document_id,
    lines.document_number,
    lines.document_date,
    lines.is_void,
    lines.line_id,
    lines.line_kind,
    lines.product_id,
    lines.sku,
    lines.description,
    lines.quantity,
    lines.currency_code,
    lines.net_amount,
    lines.tax_amount,
    lines.base_currency_code,
    lines.base_net_amount,
    lines.base_tax_amount,
    lines.tax_code,
    lines.tax_percent,
    orders.to_connection as ledger_connection,
    case
        when lines.line_kind <> 'product' then null
        when product.cost is not null then 'shop'
        when product.purchase_price is not null then 'ledger'
    end as cost_source,
    case when lines.line_kind = 'product' then round(lines.quantity * coalesce(product.cost, product.purchase_price), 2) end
        as base_cost_amount,
    case
        when lines.line_kind = 'product'
            then lines.base_net_amount - round(lines.quantity * coalesce(product.cost, product.purchase_price), 2)
    end as base_margin_amount
from {{ ref('int_orders_routed') }} as orders
cross join lateral (
    select
        'invoice'::text as document_type,
        invoices.invoice_id as document_id,
        invoices.invoice_number as document_number,
        invoices.invoice_date as document_date,
        invoices.is_void,
        invoice_lines.line_id,
        invoice_lines.line_kind,
        invoice_lines.product_id,
        invoice_lines.variant_product_id,
        invoice_lines.sku,
        invoice_lines.description,
        invoice_lines.quantity,
        invoices.currency_code,
        invoice_lines.net_amount,
        invoice_lines.tax_amount,
        invoices.base_currency_code,
        invoice_lines.base_net_amount,
        invoice_lines.base_tax_amount,
        invoice_lines.tax_code,
        invoice_lines.tax_percent
    from {{ ref('invoices') }} as invoices
    inner join {{ ref('invoice_lines') }} as invoice_lines on invoices.invoice_id = invoice_lines.invoice_id
    where
        invoices.system = 'magento'
        and invoices.connection = orders.connection
        and invoices.order_id = orders.order_id
        and invoice_lines.system = 'magento'
        and invoice_lines.connection = orders.connection
        and invoice_lines.order_id = orders.order_id

    union all

    select
        'credit note'::text as document_type,
        credit_notes.credit_note_id as document_id,
        credit_notes.credit_note_number as document_number,
        credit_notes.credit_note_date as document_date,
        credit_notes.is_void,
        credit_note_lines.line_id,
        credit_note_lines.line_kind,
        credit_note_lines.product_id,
        credit_note_lines.variant_product_id,
        credit_note_lines.sku,
        credit_note_lines.description,
        -credit_note_lines.quantity as quantity,
        credit_notes.currency_code,
        -credit_note_lines.net_amount as net_amount,
        -credit_note_lines.tax_amount as tax_amount,
        credit_notes.base_currency_code,
        -credit_note_lines.base_net_amount as base_net_amount,
        -credit_note_lines.base_tax_amount as base_tax_amount,
        credit_note_lines.tax_code,
        credit_note_lines.tax_percent
    from {{ ref('credit_notes') }} as credit_notes
    inner join {{ ref('credit_note_lines') }} as credit_note_lines on credit_notes.credit_note_id = credit_note_lines.credit_note_id
    where
        credit_notes.system = 'magento'
        and credit_notes.connection = orders.connection
        and credit_notes.order_id = orders.order_id
        and credit_note_lines.system = 'magento'
        and credit_note_lines.connection = orders.connection
        and credit_note_lines.order_id = orders.order_id
    offset 0
) as lines
-- What a piece costs now: the shop's own figure, else the ledger's where both count in one base currency. Found by the id: the code
-- on a line is that of the day of the sale, with the codes of chosen options at its end.
left join lateral (
    select
        products.cost,
        case when orders.ledger_base_currency_code = lines.base_currency_code then items.purchase_price end as purchase_price
    from {{ ref('stg_magento__products') }} as products
    left join {{ ref('stg_xero__items') }} as items
        on orders.to_connection = items.connection and products.sku = items.code and items.deleted_at is null
    where products.connection = orders.connection and products.product_id = lines.variant_product_id
    order by items.item_id
    limit 1
) as product on true
