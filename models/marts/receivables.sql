with documents as (
    select
        invoices.connection,
        invoices.invoice_id as document_id,
        'invoice'::text as document_type,
        invoices.invoice_number as document_number,
        invoices.reference,
        invoices.contact_id,
        invoices.status,
        invoices.is_void,
        invoices.invoice_date as document_date,
        invoices.due_date,
        invoices.currency_code,
        invoices.currency_rate,
        invoices.total_amount,
        invoices.open_amount,
        invoices.base_total_amount
    from {{ ref('invoices') }} as invoices
    where invoices.system = 'xero' and invoices.invoice_type = 'sale'

    union all

    select
        credit_notes.connection,
        credit_notes.credit_note_id as document_id,
        'credit note'::text as document_type,
        credit_notes.credit_note_number as document_number,
        credit_notes.reference,
        credit_notes.contact_id,
        credit_notes.status,
        credit_notes.is_void,
        credit_notes.credit_note_date as document_date,
        null::date as due_date,
        credit_notes.currency_code,
        credit_notes.currency_rate,
        -credit_notes.total_amount as total_amount,
        -credit_notes.open_amount as open_amount,
        -credit_notes.base_total_amount as base_total_amount
    from {{ ref('credit_notes') }} as credit_notes
    where credit_notes.system = 'xero' and credit_notes.credit_note_type = 'sale'

    union all

    select
        overpayments.connection,
        overpayments.overpayment_id as document_id,
        'overpayment'::text as document_type,
        null::text as document_number,
        overpayments.reference,
        overpayments.contact_id,
        overpayments.status,
        coalesce(overpayments.status in ('VOIDED', 'DELETED'), false) or overpayments.deleted_at is not null as is_void,
        overpayments.document_date,
        null::date as due_date,
        overpayments.currency_code,
        overpayments.currency_rate,
        -overpayments.total_amount as total_amount,
        -overpayments.remaining_amount as open_amount,
        -round(overpayments.total_amount / nullif(coalesce(overpayments.currency_rate, 1), 0), 2) as base_total_amount
    from {{ ref('stg_xero__overpayments') }} as overpayments
    where overpayments.document_type = 'RECEIVE-OVERPAYMENT'
)

select
    documents.connection as source_connection,
    documents.document_id,
    documents.document_type,
    documents.document_number,
    documents.reference,
    documents.contact_id,
    contacts.name as contact_name,
    documents.status,
    documents.is_void,
    documents.status in ('DRAFT', 'SUBMITTED') as is_draft,
    documents.document_date,
    documents.due_date,
    documents.currency_code,
    documents.total_amount,
    documents.open_amount,
    documents.base_total_amount,
    round(documents.open_amount / nullif(coalesce(documents.currency_rate, 1), 0), 2) as base_open_amount,
    organisation.base_currency_code,
    ours.source_connection as shop_connection,
    ours.source_id as order_id,
    views.code as store_code,
    -- Paid, and not only credited: from this contacts show how late they pay.
    coalesce(paid.is_paid, false) as is_paid,
    case when balance.open_amount = 0 then balance.from_date end as settled_date,
    case when balance.open_amount = 0 then balance.from_date - documents.due_date end as days_late,
    coalesce(balance.open_amount, 0) = case
        when documents.is_void or documents.status in ('DRAFT', 'SUBMITTED') then 0 else documents.open_amount
    end as is_explained
from documents
left join lateral (
    select contacts.name
    from {{ ref('contacts') }} as contacts
    where
        contacts.connection = documents.connection
        and contacts.contact_id = documents.contact_id
        and contacts.system = 'xero'
    limit 1
) as contacts on true
left join lateral (
    select organisations.base_currency_code
    from {{ ref('stg_xero__organisations') }} as organisations
    where organisations.connection = documents.connection
    order by organisations.organisation_id
    limit 1
) as organisation on true
left join lateral (
    select
        links.source_connection,
        links.source_id
    from {{ source('engine', 'links') }} as links
    where
        links.connection = documents.connection
        and links.entity = case documents.document_type when 'invoice' then 'invoices' when 'credit note' then 'credit_notes' end
        and links.target_id = documents.document_id
    limit 1
) as ours on true
left join lateral (
    select store_views.code
    from {{ ref('stg_magento__order_keys') }} as orders
    inner join {{ ref('stg_magento__store_views') }} as store_views
        on orders.connection = store_views.connection and orders.store_id = store_views.store_id
    where orders.connection = ours.source_connection and orders.order_id = ours.source_id
    limit 1
) as views on true
left join lateral (
    select
        balances.from_date,
        balances.open_amount
    from {{ ref('receivable_balances') }} as balances
    where
        balances.source_connection = documents.connection
        and balances.document_id = documents.document_id
        and balances.until_date is null
    offset 0
) as balance on true
left join lateral (
    select true as is_paid
    from {{ ref('stg_xero__payments') }} as payments
    where
        payments.connection = documents.connection
        and payments.invoice_id = documents.document_id
        and coalesce(payments.status, '') <> 'DELETED'
        and payments.deleted_at is null
    limit 1
) as paid on true
