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
    round(documents.open_amount / nullif(coalesce(documents.currency_rate, 1), 0), 2) as base_open_amount
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
