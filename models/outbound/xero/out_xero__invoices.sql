select
    documents.to_connection as _to,
    documents.key as _key,
    documents.connection as _source_connection,
    documents.order_id as _source_id,
    documents.skip as _skip,
    case when documents.is_deleted and documents.is_draft then 'the order was deleted in the shop' end as _hold,
    case
        when documents.is_draft and documents.is_void and documents.replaced_by_order_number is not null
            then 'the order was replaced by ' || documents.replaced_by_order_number
        when documents.is_draft and documents.is_void then 'nothing is left to invoice on the order'
        when documents.is_deleted and not documents.is_draft then 'the invoice was deleted in the shop'
        when documents.is_void then 'the invoice was cancelled in the shop'
    end as _gone,
    {{ problems([
        'documents._problems',
        "case when contact.status = 'ARCHIVED' and contact.merged_to_contact_id is null and invoice_link.target_id is null then "
        ~ problem("'Contact'", "contact.name",
                  "'The contact ' || coalesce(contact.name, contact.contact_id) || ' is archived in Xero, which takes no new documents for it'",
                  "'Restore the contact in Xero (Contacts, Archived, Restore)'",
                  "'accountant'", "'contact archived'") ~ " end",
    ]) }} as _problems,
    documents.total_amount as _total,
    documents.currency_code as _currency,
    documents.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ order_identity('documents') }} as _identity,
    'ACCREC'::text as "Type",
    documents.number as "InvoiceNumber",
    documents.reference as "Reference",
    jsonb_build_object('ContactID', {{ linked('contacts', 'documents.contact_key') }}) as "Contact",
    documents.posting_date as "Date",
    documents.posting_date + documents.due_days as "DueDate",
    'Exclusive'::text as "LineAmountTypes",
    documents.currency_code as "CurrencyCode",
    documents.currency_rate as "CurrencyRate",
    case when documents.is_draft then 'DRAFT' else {{ posting_status('documents', 'approved.status') }} end as "Status"
from {{ ref('int_documents_checked') }} as documents
left join {{ link_of('documents.to_connection', 'contacts', 'documents.contact_key') }} as contact_link on true
left join lateral (
    select contacts.*
    from {{ ref('stg_xero__contacts') }} as contacts
    where
        contacts.connection = contact_link.connection
        -- Of a contact that people merged the survivor counts.
        and contacts.contact_id = coalesce(contact_link.followed_id, contact_link.target_id)
    limit 1
) as contact on true
left join {{ link_of('documents.to_connection', 'invoices', 'documents.key') }} as invoice_link on true
left join lateral (
    select invoices.status
    from {{ ref('stg_xero__invoices') }} as invoices
    where
        documents.re_date = 'draft'
        and invoices.connection = invoice_link.connection
        and invoices.invoice_id = invoice_link.target_id
    limit 1
) as approved on true
where documents.document = 'invoice'
