select
    credit_notes.connection,
    credit_notes.order_id,
    row_number() over (
        partition by credit_notes.connection, credit_notes.order_id
        order by length(credit_notes.credit_note_id), credit_notes.credit_note_id
    )::integer as position,
    credit_notes.credit_note_id as document_id,
    credit_notes.credit_note_number as document_number,
    credit_notes.invoice_id as credited_invoice_id,
    credit_notes.is_refunded_online,
    credit_notes.status,
    credit_notes.is_void,
    credit_notes.is_deleted,
    credit_notes.credited_at as document_at,
    credit_notes.credit_note_date as document_date,
    credit_notes.currency_code,
    credit_notes.base_currency_code,
    credit_notes.currency_rate,
    {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
    credit_notes.{{ amount }}_amount,
    credit_notes.base_{{ amount }}_amount,
    {% endfor -%}
    credit_notes.transaction_id,
    credit_notes._problems
from {{ ref('credit_notes') }} as credit_notes
where credit_notes.system = 'magento'
