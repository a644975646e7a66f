select
    deposits.to_connection as _to,
    deposits.key as _key,
    deposits.connection as _source_connection,
    deposits.order_id as _source_id,
    deposits.skip as _skip,
    deposits.hold as _hold,
    deposits.gone as _gone,
    {{ problems([
        bank_problems('deposits'),
        deposit_line_problem('deposits'),
    ]) }} as _problems,
    deposits.amount as _total,
    deposits.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ order_identity('deposits') }} as _identity,
    'RECEIVE-PREPAYMENT'::text as "Type",
    jsonb_build_object('ContactID', {{ linked('contacts', 'deposits.contact_key') }}) as "Contact",
    jsonb_build_object('Code', deposits.settlement_account_code) as "BankAccount",
    dated.posting_date as "Date",
    deposits.currency_code as "CurrencyCode",
    deposits.currency_rate as "CurrencyRate",
    'NoTax'::text as "LineAmountTypes",
    deposits.key as "Reference"
from {{ ref('int_order_deposits') }} as deposits
cross join {{ payment_dated('deposits', 'bank_transactions') }} as dated
cross join {{ payment_ledger('deposits') }} as ledger
left join lateral (
    {{ line_account_in_force('deposits.connection', 'deposit', 'deposits.document_date') }}
) as line_account on true
where deposits.flow = 'deposit'
