select
    overpayments.to_connection as _to,
    overpayments.key as _key,
    overpayments.connection as _source_connection,
    overpayments.order_id as _source_id,
    overpayments.skip as _skip,
    overpayments.hold as _hold,
    overpayments.gone as _gone,
    {{ problems([
        bank_problems('overpayments'),
    ]) }} as _problems,
    overpayments.amount as _total,
    overpayments.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    -- The contact's invoice first: what it leaves open decides what is too much.
    jsonb_build_array({{ after('invoices', 'overpayments.parent_key') }}) as _after,
    null::jsonb as _expect,
    {{ order_identity('overpayments') }} as _identity,
    'RECEIVE-OVERPAYMENT'::text as "Type",
    jsonb_build_object('ContactID', {{ linked('contacts', 'overpayments.contact_key') }}) as "Contact",
    jsonb_build_object('Code', overpayments.settlement_account_code) as "BankAccount",
    dated.posting_date as "Date",
    overpayments.currency_code as "CurrencyCode",
    overpayments.currency_rate as "CurrencyRate",
    'NoTax'::text as "LineAmountTypes",
    overpayments.key as "Reference"
from {{ ref('int_order_money') }} as overpayments
cross join {{ payment_dated('overpayments', 'bank_transactions') }} as dated
cross join {{ payment_ledger('overpayments') }} as ledger
where overpayments.flow = 'overpayment'
