with settlements as (
    select * from {{ ref('int_credit_settlements') }}
),

credit_notes as not materialized (
    select * from {{ ref('int_documents') }}
)

select
    credit_notes.to_connection as _to,
    credit_notes.key || '/allocation/' || settlements.allocation as _key,
    credit_notes.connection as _source_connection,
    credit_notes.order_id as _source_id,
    credit_notes.skip as _skip,
    null::text as _hold,
    null::text as _gone,
    null::jsonb as _problems,
    settlements.amount as _total,
    credit_notes.currency_code as _currency,
    credit_notes.document_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('CreditNoteID', {{ linked('credit_notes', 'credit_notes.key', settled=true) }}) as "CreditNote",
    jsonb_build_object(
        'InvoiceID',
        {{ linked('invoices', "credit_notes.connection || '/order/' || credit_notes.order_id || '/' || settlements.invoice_position", settled=true) }}
    ) as "Invoice",
    settlements.amount as "Amount",
    credit_notes.document_date as "Date"
from credit_notes
inner join settlements
    on
        credit_notes.connection = settlements.connection
        and credit_notes.order_id = settlements.order_id
        and credit_notes.position = settlements.credit_position
where credit_notes.document = 'credit'
