select
    settled.to_connection as _to,
    settled.key as _key,
    settled.connection as _source_connection,
    settled.order_id as _source_id,
    settled.skip as _skip,
    null::text as _hold,
    null::text as _gone,
    null::jsonb as _problems,
    settled.amount as _total,
    settled.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('CreditNoteID', {{ linked('credit_notes', 'settled.parent_key', settled=true) }}) as "CreditNote",
    jsonb_build_object(
        'InvoiceID',
        {{ linked('invoices', "settled.connection || '/order/' || settled.order_id || '/' || settled.invoice_position", settled=true) }}
    ) as "Invoice",
    settled.amount as "Amount",
    dated.posting_date as "Date"
from {{ ref('int_credit_settlements') }} as settled
cross join {{ payment_dated('settled', 'allocations', 'document_date') }} as dated
where settled.flow = 'allocation'
