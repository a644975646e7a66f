select
    settled.to_connection as _to,
    settled.key || '/allocation/' || settled.allocation as _key,
    driver.connection as _source_connection,
    driver.order_id as _source_id,
    settled.skip as _skip,
    null::text as _hold,
    null::text as _gone,
    null::jsonb as _problems,
    settled.amount as _total,
    settled.currency_code as _currency,
    settled.document_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('CreditNoteID', {{ linked('credit_notes', 'settled.key', settled=true) }}) as "CreditNote",
    jsonb_build_object(
        'InvoiceID',
        {{ linked('invoices', "driver.connection || '/order/' || driver.order_id || '/' || settled.invoice_position", settled=true) }}
    ) as "Invoice",
    settled.amount as "Amount",
    settled.document_date as "Date"
from {{ ref('stg_magento__order_keys') }} as driver
cross join lateral (
    select
        settlements.*,
        credit_notes.to_connection,
        credit_notes.key,
        credit_notes.skip,
        credit_notes.currency_code,
        credit_notes.document_date
    from {{ ref('int_credit_settlements') }} as settlements
    inner join {{ ref('int_documents') }} as credit_notes on settlements.credit_position = credit_notes.position
    where
        settlements.connection = driver.connection
        and settlements.order_id = driver.order_id
        and credit_notes.connection = driver.connection
        and credit_notes.order_id = driver.order_id
        and credit_notes.document = 'credit'
    offset 0
) as settled
