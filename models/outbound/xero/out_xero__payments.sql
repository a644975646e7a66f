select
    payments.to_connection as _to,
    payments.key as _key,
    payments.connection as _source_connection,
    payments.order_id as _source_id,
    payments.skip as _skip,
    coalesce(
        payments.hold,
        payments.gone || ' although it was paid. Was the money given back? Then credit the invoice in Xero with a note dated the'
        || ' first open day and pay it back from the same account; approve only to take the payment out'
    ) as _hold,
    payments.gone as _gone,
    {{ payment_problems('payments') }} as _problems,
    payments.amount as _total,
    payments.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ order_identity('payments') }} as _identity,
    jsonb_build_object('InvoiceID', {{ linked('invoices', 'payments.parent_key', settled=true) }}) as "Invoice",
    jsonb_build_object('Code', payments.settlement_account_code) as "Account",
    dated.posting_date as "Date",
    payments.amount as "Amount",
    -- The rate of the invoice, so that no gain or loss is invented before the payout tells what arrived; where the gateway
    -- pays in base currency, what it pays: Xero posts the difference to the account of realised gains.
    {{ payment_rate('payments') }} as "CurrencyRate",
    {{ payment_bank_amount('payments') }} as "BankAmount",
    payments.key as "Reference"
from {{ ref('int_order_money') }} as payments
cross join {{ payment_ledger('payments') }} as ledger
cross join {{ payment_dated('payments') }} as dated
where payments.flow = 'payment'
