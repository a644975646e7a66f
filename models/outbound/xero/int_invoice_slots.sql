select
    invoices.connection,
    invoices.order_id,
    -- The slot: numbers never move, because no invoice is ever put before another.
    row_number() over (
        partition by invoices.connection, invoices.order_id
        order by length(invoices.invoice_id), invoices.invoice_id
    )::integer as position,
    invoices.invoice_id as document_id,
    invoices.invoice_number as document_number,
    null::text as credited_invoice_id,
    false as is_refunded_online,
    invoices.status,
    invoices.is_void,
    invoices.is_deleted,
    invoices.invoiced_at as document_at,
    invoices.invoice_date as document_date,
    invoices.currency_code,
    invoices.base_currency_code,
    invoices.currency_rate,
    {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
    invoices.{{ amount }}_amount,
    invoices.base_{{ amount }}_amount,
    {% endfor -%}
    invoices.transaction_id,
    invoices._problems
from {{ ref('invoices') }} as invoices
where invoices.system = 'magento'
