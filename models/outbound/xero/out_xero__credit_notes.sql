select
    credit_notes.to_connection as _to,
    credit_notes.key as _key,
    driver.connection as _source_connection,
    driver.order_id as _source_id,
    case
        when credit_notes.skip is not null then credit_notes.skip
        when credit_notes.total_amount = 0 then 'nothing to credit'
    end as _skip,
    case
        when coalesce(invoices.expected_count, 0) = 0
            then 'it credits an invoice that is not posted by us (before the cut-over?): link that invoice first'
        when credit_notes.credited_so_far > invoices.total_amount
            then
                'the refunds of the order exceed its invoices by '
                || (credit_notes.credited_so_far - invoices.total_amount) || ' ' || credit_notes.currency_code
    end as _hold,
    case
        when credit_notes.is_deleted then 'the credit memo was deleted in the shop'
        when credit_notes.is_void then 'the credit memo was cancelled in the shop'
    end as _gone,
    credit_notes._problems,
    credit_notes.total_amount as _total,
    credit_notes.currency_code as _currency,
    credit_notes.posting_date as _date,
    null::jsonb as _if_taken,
    -- Payments first: a credit note may only settle what was unpaid.
    nullif(
        coalesce(invoices.references_to_invoices, '[]'::jsonb) || coalesce(payments.references_to_payments, '[]'::jsonb),
        '[]'::jsonb
    ) as _after,
    null::jsonb as _expect,
    {{ order_identity('credit_notes') }} as _identity,
    'ACCRECCREDIT'::text as "Type",
    credit_notes.number as "CreditNoteNumber",
    credit_notes.reference as "Reference",
    jsonb_build_object('ContactID', {{ linked('contacts', 'credit_notes.contact_key') }}) as "Contact",
    credit_notes.posting_date as "Date",
    'Exclusive'::text as "LineAmountTypes",
    credit_notes.currency_code as "CurrencyCode",
    credit_notes.currency_rate as "CurrencyRate",
    {{ posting_status('credit_notes', 'approved.status') }} as "Status"
from {{ ref('stg_magento__order_keys') }} as driver
cross join lateral (
    select
        credit_notes.*,
        sum(case when credit_notes.is_void then 0 else credit_notes.total_amount end) over (
            order by credit_notes.position
        ) as credited_so_far
    from {{ ref('int_documents_checked') }} as credit_notes
    where
        credit_notes.connection = driver.connection
        and credit_notes.order_id = driver.order_id
        and credit_notes.document = 'credit'
    offset 0
) as credit_notes
left join lateral (
    select
        sum(invoices.total_amount) as total_amount,
        -- One from before the cut-over counts once it is linked: it is there to be credited.
        count(*) filter (where invoices.skip is null or link.target_id is not null) as expected_count,
        jsonb_agg({{ after('invoices', 'invoices.key') }} order by invoices.position)
            filter (where invoices.skip is null or link.target_id is not null) as references_to_invoices
    from {{ ref('int_invoices') }} as invoices
    left join {{ link_of('invoices.to_connection', 'invoices', 'invoices.key') }} as link on not link.is_gone
    where
        invoices.connection = driver.connection
        and invoices.order_id = driver.order_id
        and not invoices.is_void
) as invoices on true
left join lateral (
    select jsonb_agg({{ after('payments', 'payments.key') }} order by payments.key) as references_to_payments
    from {{ ref('int_order_money') }} as payments
    where
        payments.connection = driver.connection
        and payments.order_id = driver.order_id
        and payments.flow = 'payment'
        and payments.skip is null
        and payments.gone is null
) as payments on true
left join {{ link_of('credit_notes.to_connection', 'credit_notes', 'credit_notes.key') }} as note_link on true
left join lateral (
    select notes.status
    from {{ ref('stg_xero__credit_notes') }} as notes
    where
        credit_notes.re_date = 'draft'
        and notes.connection = note_link.connection
        and notes.credit_note_id = note_link.target_id
    limit 1
) as approved on true
