with documents as (
    select
        invoices.connection,
        invoices.invoice_id as document_id,
        'invoice'::text as document_type,
        invoices.contact_id,
        invoices.document_date,
        invoices.due_date,
        invoices.currency_code,
        invoices.currency_rate,
        1 as sign,
        invoices.total_amount,
        null::jsonb as allocations,
        null::jsonb as payments
    from {{ ref('stg_xero__invoices') }} as invoices
    where invoices.document_type = 'ACCREC' and invoices.status in ('AUTHORISED', 'PAID') and invoices.deleted_at is null

    union all

    select
        credit_notes.connection,
        credit_notes.credit_note_id as document_id,
        'credit note'::text as document_type,
        credit_notes.contact_id,
        credit_notes.document_date,
        null::date as due_date,
        credit_notes.currency_code,
        credit_notes.currency_rate,
        -1 as sign,
        credit_notes.total_amount,
        credit_notes.allocations,
        null::jsonb as payments
    from {{ ref('stg_xero__credit_notes') }} as credit_notes
    where
        credit_notes.document_type = 'ACCRECCREDIT'
        and credit_notes.status in ('AUTHORISED', 'PAID')
        and credit_notes.deleted_at is null

    union all

    select
        overpayments.connection,
        overpayments.overpayment_id as document_id,
        'overpayment'::text as document_type,
        overpayments.contact_id,
        overpayments.document_date,
        null::date as due_date,
        overpayments.currency_code,
        overpayments.currency_rate,
        -1 as sign,
        overpayments.total_amount,
        overpayments.allocations,
        overpayments.payments
    from {{ ref('stg_xero__overpayments') }} as overpayments
    where
        overpayments.document_type = 'RECEIVE-OVERPAYMENT'
        and overpayments.status in ('AUTHORISED', 'PAID')
        and overpayments.deleted_at is null
),

-- A document and what settled it, by day; `settled` is positive.
movements as (
    select
        documents.connection,
        documents.document_id,
        documents.document_type,
        documents.contact_id,
        documents.document_date,
        documents.due_date,
        documents.currency_code,
        documents.currency_rate,
        coalesce(moved.day, documents.document_date, date '1900-01-01') as from_date,
        documents.sign * sum(moved.amount) as amount
    from documents
    cross join lateral (
        select
            documents.document_date as day,
            documents.total_amount as amount

        union all

        select
            payments.payment_date as day,
            -payments.amount as amount
        from {{ ref('stg_xero__payments') }} as payments
        where
            payments.connection = documents.connection
            and payments.invoice_id = documents.document_id
            and coalesce(payments.status, '') <> 'DELETED'
            and payments.deleted_at is null

        union all

        select
            payments.payment_date as day,
            -payments.amount as amount
        from {{ ref('stg_xero__payments') }} as payments
        where
            payments.connection = documents.connection
            and payments.credit_note_id = documents.document_id
            and coalesce(payments.status, '') <> 'DELETED'
            and payments.deleted_at is null

        union all

        select
            {{ xero_date("(allocated.entry ->> 'Date')") }} as day,
            -({{ number("(allocated.entry ->> 'Amount')") }}) as amount
        from jsonb_array_elements({{ list_of('documents.allocations') }}) as allocated (entry)

        union all

        select
            {{ xero_date("(refunded.entry ->> 'Date')") }} as day,
            -({{ number("(refunded.entry ->> 'Amount')") }}) as amount
        from jsonb_array_elements({{ list_of('documents.payments') }}) as refunded (entry)
        {% for source in ['credit_notes', 'overpayments', 'prepayments'] %}
        union all

        select
            {{ xero_date("(allocated.entry ->> 'Date')") }} as day,
            -({{ number("(allocated.entry ->> 'Amount')") }}) as amount
        from {{ ref('stg_xero__' ~ source) }} as {{ source }}
        cross join lateral jsonb_array_elements({{ list_of(source ~ '.allocations') }}) as allocated (entry)
        where
            {{ source }}.connection = documents.connection
            and {{ source }}.invoice_ids @> jsonb_build_array(documents.document_id)
            and {{ source }}.deleted_at is null
            and {{ source }}.status in ('AUTHORISED', 'PAID')
            and allocated.entry #>> '{Invoice,InvoiceID}' = documents.document_id
        {%- endfor %}
    ) as moved
    where moved.amount is not null
    group by
        documents.connection, documents.document_id, documents.document_type, documents.contact_id, documents.document_date,
        documents.due_date, documents.currency_code, documents.currency_rate, documents.sign,
        coalesce(moved.day, documents.document_date, date '1900-01-01')
)

select
    movements.connection as source_connection,
    movements.document_id,
    movements.document_type,
    movements.contact_id,
    contacts.name as contact_name,
    movements.document_date,
    movements.due_date,
    movements.from_date,
    lead(movements.from_date) over timeline as until_date,
    movements.currency_code,
    movements.amount as moved_amount,
    sum(movements.amount) over timeline as open_amount,
    organisation.base_currency_code,
    round(sum(movements.amount) over timeline / nullif(coalesce(movements.currency_rate, 1), 0), 2) as base_open_amount
from movements
left join {{ ref('stg_xero__contacts') }} as contacts
    on movements.connection = contacts.connection and movements.contact_id = contacts.contact_id
left join lateral (
    select organisations.base_currency_code
    from {{ ref('stg_xero__organisations') }} as organisations
    where organisations.connection = movements.connection
    order by organisations.organisation_id
    limit 1
) as organisation on true
window timeline as (partition by movements.connection, movements.document_id order by movements.from_date)
