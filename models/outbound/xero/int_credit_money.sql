-- What a credit memo gives back, each part to where it came from. What of the money its credit note settles instead,
-- int_credit_settlements works out.
select
    credit_notes.connection,
    credit_notes.order_id,
    credit_notes.order_number,
    credit_notes.ordered_at,
    credit_notes.re_date,
    credit_notes.locked_until,
    part.kind,
    credit_notes.key || '/' || part.movement as key,
    credit_notes.key as parent_key,
    credit_notes.position,
    credit_notes.to_connection,
    credit_notes.contact_key,
    credit_notes.skip,
    case
        when credit_notes.is_deleted then 'the credit memo was deleted in the shop'
        when credit_notes.is_void then 'the credit memo was cancelled in the shop'
    end as gone,
    part.method as payment_method,
    case part.kind when 'cash' then credit_notes.has_method else method.method is not null end as has_method,
    case part.kind when 'cash' then credit_notes.settlement else method.settlement end as settlement,
    case part.kind when 'cash' then credit_notes.settlement_account_code else method.account end
        as settlement_account_code,
    case part.kind when 'cash' then credit_notes.settles_in else 'document' end as settles_in,
    part.amount,
    part.base_amount,
    credit_notes.currency_code,
    credit_notes.currency_rate,
    credit_notes.ledger_base_currency_code,
    credit_notes.shop_base_currency_code,
    credit_notes.document_date,
    credit_notes.ledger_date,
    case part.kind when 'cash' then credit_notes.transaction_id end as transaction_id,
    credit_notes.document_id,
    credit_notes.document_at,
    credit_notes.credited_invoice_id,
    credit_notes.is_refunded_online,
    case part.kind when 'cash' then credit_notes.refund_by end as refund_by
from {{ ref('int_credits') }} as credit_notes
cross join lateral (
    values
    ('cash', 'refund/1', credit_notes.payment_method, credit_notes.cash_amount, credit_notes.base_cash_amount),
    {% for kind, method in [
        ('gift_card', 'giftcardaccount'), ('store_credit', 'customerbalance'), ('reward', 'reward'),
    ] -%}
    ('{{ kind }}', '{{ kind }}', '{{ method }}', credit_notes.{{ kind }}_amount, credit_notes.base_{{ kind }}_amount){{ "," if not loop.last }}
    {% endfor %}
) as part (kind, movement, method, amount, base_amount)
left join lateral (
    {{ method_in_force('credit_notes.connection', 'part.method', 'credit_notes.document_date') }}
) as method on part.kind <> 'cash'
where part.amount > 0
