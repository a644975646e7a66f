select
    refunds.to_connection as _to,
    refunds.key as _key,
    refunds.connection as _source_connection,
    refunds.order_id as _source_id,
    case
        when refunds.skip is not null then refunds.skip
        when refunds.kind <> 'cash' then null
        when refunds.settlement = 'none' then 'no gateway: ' || refunds.payment_method || ' is paid outside the shop'
        when not refunds.is_refunded_online and refunds.refund_by = 'store_credit'
            then 'kept as store credit: the credit note stays open on the contact'
    end as _skip,
    case
        when
            refunds.kind <> 'cash'
            or refunds.settlement = 'none'
            or refunds.is_refunded_online
            or refunds.refund_by in ('gateway', 'store_credit')
            then null
        else 'was the money given back, and from which account? The credit memo was made offline'
    end as _hold,
    refunds.gone as _gone,
    {{ payment_problems('refunds') }} as _problems,
    refunds.amount as _total,
    refunds.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('CreditNoteID', {{ linked('credit_notes', 'refunds.parent_key', settled=true) }}) as "CreditNote",
    jsonb_build_object('Code', refunds.settlement_account_code) as "Account",
    dated.posting_date as "Date",
    refunds.amount as "Amount",
    {{ payment_rate('refunds') }} as "CurrencyRate",
    {{ payment_bank_amount('refunds') }} as "BankAmount",
    refunds.key as "Reference"
from {{ ref('int_credit_settlements') }} as refunds
cross join {{ payment_ledger('refunds') }} as ledger
cross join {{ payment_dated('refunds') }} as dated
where refunds.flow = 'refund'
