select
    deposits.connection as _source_connection,
    deposits.order_id as _source_id,
    deposits.key as _key,
    'money'::text as _line,
    1 as _line_order,
    null::jsonb as _problems,
    'Deposit of order ' || deposits.order_number as "Description",
    1::numeric as "Quantity",
    deposits.amount as "UnitAmount",
    line_account.account as "AccountCode",
    'NONE'::text as "TaxType"
from {{ ref('int_order_deposits') }} as deposits
left join lateral (
    {{ line_account_in_force('deposits.connection', 'deposit', 'deposits.document_date') }}
) as line_account on true
where deposits.flow = 'deposit'
