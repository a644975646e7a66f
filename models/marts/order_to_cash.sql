select
    orders.connection as source_connection,
    orders.order_id,
    orders.order_number,
    orders.store_code,
    orders.channel,
    orders.to_connection as ledger_connection,
    orders.state,
    orders.is_cancelled or orders.is_deleted as is_void,
    orders.order_date,
    orders.payment_method,
    orders.ship_to_country_code as country_code,
    orders.currency_code,
    orders.total_amount as ordered_amount,
    coalesce(invoices.invoiced_amount, 0) as invoiced_amount,
    -coalesce(credit_notes.credited_amount, 0) as credited_amount,
    orders.base_currency_code,
    orders.base_total_amount as base_ordered_amount,
    coalesce(invoices.base_invoiced_amount, 0) as base_invoiced_amount,
    -coalesce(credit_notes.base_credited_amount, 0) as base_credited_amount,
    coalesce(invoices.invoice_count, 0) as invoice_count,
    coalesce(credit_notes.credit_note_count, 0) as credit_note_count,
    invoices.first_invoice_date,
    invoices.last_invoice_date,
    coalesce(invoices.ledger_invoice_count, 0) as ledger_invoice_count,
    invoices.ledger_invoice_numbers,
    invoices.ledger_status,
    invoices.ledger_amount,
    invoices.paid_amount,
    invoices.allocated_amount,
    invoices.due_amount,
    invoices.paid_date,
    invoices.skipped_because,
    invoices.first_invoice_date - orders.order_date as days_to_invoice,
    case when invoices.due_amount = 0 then invoices.paid_date - orders.order_date end as days_to_cash
from {{ ref('int_orders_routed') }} as orders
left join lateral (
    select
        count(*)::integer as invoice_count,
        min(documents.document_date) as first_invoice_date,
        max(documents.document_date) as last_invoice_date,
        sum(documents.total_amount) as invoiced_amount,
        sum(documents.base_total_amount) as base_invoiced_amount,
        count(ledger_invoices.invoice_id)::integer as ledger_invoice_count,
        string_agg(ledger_invoices.invoice_number, ', ' order by documents.position) as ledger_invoice_numbers,
        string_agg(distinct ledger_invoices.status, ', ') as ledger_status,
        sum(ledger_invoices.total_amount) as ledger_amount,
        sum(ledger_invoices.paid_amount) as paid_amount,
        sum(ledger_invoices.credited_amount) as allocated_amount,
        sum(ledger_invoices.due_amount) as due_amount,
        max(ledger_invoices.fully_paid_date) as paid_date,
        string_agg(distinct documents.skip, ', ') as skipped_because
    from {{ ref('int_invoices') }} as documents
    left join {{ link_of('documents.to_connection', 'invoices', 'documents.key') }} as links on true
    left join lateral (
        select mirrored.*
        from {{ ref('stg_xero__invoices') }} as mirrored
        where mirrored.connection = links.connection and mirrored.invoice_id = links.target_id
        limit 1
    ) as ledger_invoices on true
    where
        documents.connection = orders.connection
        and documents.order_id = orders.order_id
        and not documents.is_void
) as invoices on true
left join lateral (
    select
        count(*)::integer as credit_note_count,
        sum(credit_notes.total_amount) as credited_amount,
        sum(credit_notes.base_total_amount) as base_credited_amount
    from {{ ref('credit_notes') }} as credit_notes
    where
        credit_notes.system = 'magento'
        and credit_notes.connection = orders.connection
        and credit_notes.order_id = orders.order_id
        and not credit_notes.is_void
) as credit_notes on true
