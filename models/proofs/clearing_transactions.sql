-- Every movement in an account where money waits between the shop and the bank, by the gateway's own transaction: what a
-- payout file is to be compared with, line by line.
{% set movements = [
    ("int_order_money", "'payment', 'overpayment'", ""),
    ("int_order_deposits", "'deposit'", ""),
    ("int_credit_settlements", "'refund'", "-"),
] -%}
{% for model, flows, sign in movements -%}
select
    movements.connection as source_connection,
    movements.order_id as source_id,
    movements.to_connection as target_connection,
    movements.key,
    case movements.flow
        when 'payment' then 'payments'
        when 'refund' then 'refunds'
        when 'deposit' then 'deposits'
        else 'overpayments'
    end as flow,
    movements.parent_key as document_key,
    movements.kind,
    movements.payment_method,
    movements.settlement_account_code as account_code,
    movements.transaction_id,
    movements.ledger_date as day,
    movements.currency_code as currency,
    {{ sign }}movements.amount as amount,
    case
        when movements.currency_code = movements.ledger_base_currency_code then {{ sign }}movements.amount
        when movements.shop_base_currency_code = movements.ledger_base_currency_code then {{ sign }}movements.base_amount
        when movements.currency_rate > 0 then {{ sign }}round(movements.amount / movements.currency_rate, 2)
    end as base_amount,
    movements.ledger_base_currency_code as base_currency,
    movements.skip,
    link.target_id is not null and not link.is_gone as is_posted
from {{ ref(model) }} as movements
left join {{ source('engine', 'links') }} as link
    on
        movements.to_connection = link.connection
        and link.entity = case when movements.flow in ('payment', 'refund') then 'payments' else 'bank_transactions' end
        and movements.key = link.key
where
    movements.flow in ({{ flows }})
    and movements.gone is null
    and movements.settlement in ('gateway', 'liability')
{% if not loop.last %}
union all

{% endif -%}
{% endfor %}
