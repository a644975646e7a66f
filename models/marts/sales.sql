with orders as not materialized (
    select * from {{ ref('int_orders_routed') }}
),

invoices as (
    select * from {{ ref('invoices') }}
),

credit_notes as (
    select * from {{ ref('credit_notes') }}
),

invoice_lines as (
    select * from {{ ref('invoice_lines') }}
),

credit_note_lines as (
    select * from {{ ref('credit_note_lines') }}
)

select
    orders.connection as source_connection,
    orders.order_id,
    orders.order_number,
    orders.store_code,
    orders.channel,
    orders.ship_to_country_code as country_code,
    orders.payment_method,
    'invoice'::text as document_type,
    invoices.invoice_id as document_id,
    invoices.invoice_number as document_number,
    invoices.invoice_date as document_date,
    invoices.is_void,
    invoice_lines.line_id,
    invoice_lines.line_kind,
    invoice_lines.product_id,
    invoice_lines.sku,
    invoice_lines.description,
    invoice_lines.quantity,
    invoices.currency_code,
    invoice_lines.net_amount,
    invoice_lines.tax_amount,
    invoices.base_currency_code,
    invoice_lines.base_net_amount,
    invoice_lines.base_tax_amount
from orders
inner join invoices
    on
        orders.connection = invoices.connection
        and orders.order_id = invoices.order_id
        and invoices.system = 'magento'
inner join invoice_lines
    on
        orders.connection = invoice_lines.connection
        and orders.order_id = invoice_lines.order_id
        and invoices.invoice_id = invoice_lines.invoice_id
        and invoice_lines.system = 'magento'

union all

select
    orders.connection as source_connection,
    orders.order_id,
    orders.order_number,
    orders.store_code,
    orders.channel,
    orders.ship_to_country_code as country_code,
    orders.payment_method,
    'credit note'::text as document_type,
    credit_notes.credit_note_id as document_id,
    credit_notes.credit_note_number as document_number,
    credit_notes.credit_note_date as document_date,
    credit_notes.is_void,
    credit_note_lines.line_id,
    credit_note_lines.line_kind,
    credit_note_lines.product_id,
    credit_note_lines.sku,
    credit_note_lines.description,
    -credit_note_lines.quantity as quantity,
    credit_notes.currency_code,
    -credit_note_lines.net_amount as net_amount,
    -credit_note_lines.tax_amount as tax_amount,
    credit_notes.base_currency_code,
    -credit_note_lines.base_net_amount as base_net_amount,
    -credit_note_lines.base_tax_amount as base_tax_amount
from orders
inner join credit_notes
    on
        orders.connection = credit_notes.connection
        and orders.order_id = credit_notes.order_id
        and credit_notes.system = 'magento'
inner join credit_note_lines
    on
        orders.connection = credit_note_lines.connection
        and orders.order_id = credit_note_lines.order_id
        and credit_notes.credit_note_id = credit_note_lines.credit_note_id
        and credit_note_lines.system = 'magento'
