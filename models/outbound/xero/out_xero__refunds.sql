with credit_notes as (
    select * from {{ ref('int_documents') }}
),

accounts as (
    select * from {{ ref('accounts') }}
),

allocated as (
    select
        settlements.connection,
        settlements.order_id,
        settlements.credit_position,
        sum(settlements.amount) as amount
    from {{ ref('int_credit_settlements') }} as settlements
    group by settlements.connection, settlements.order_id, settlements.credit_position
),

refunds as (
    select
        credit_notes.*,
        credit_notes.total_amount - coalesce(allocated.amount, 0) as refund_amount
    from credit_notes
    left join allocated
        on
            credit_notes.connection = allocated.connection
            and credit_notes.order_id = allocated.order_id
            and credit_notes.position = allocated.credit_position
    where credit_notes.document = 'credit'
)

select
    refunds.to_connection as _to,
    refunds.key || '/refund/1' as _key,
    refunds.connection as _source_connection,
    refunds.order_id as _source_id,
    case
        when refunds.skip is not null then refunds.skip
        when refunds.settlement = 'none' then 'no gateway: ' || refunds.payment_method || ' is paid outside the shop'
        when not refunds.is_refunded_online and refunds.refund_by = 'store_credit'
            then 'kept as store credit: the credit note stays open on the contact'
    end as _skip,
    case
        when refunds.settlement = 'none' or refunds.is_refunded_online or refunds.refund_by in ('gateway', 'store_credit')
            then null
        else 'was the money given back, and from which account? The credit memo was made offline'
    end as _hold,
    case
        when refunds.is_deleted then 'the credit memo was deleted in the shop'
        when refunds.is_void then 'the credit memo was cancelled in the shop'
    end as _gone,
    {{ payment_problems('refunds') }} as _problems,
    refunds.refund_amount as _total,
    refunds.currency_code as _currency,
    refunds.ledger_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('CreditNoteID', {{ linked('credit_notes', 'refunds.key', settled=true) }}) as "CreditNote",
    jsonb_build_object('Code', refunds.settlement_account_code) as "Account",
    refunds.ledger_date as "Date",
    refunds.refund_amount as "Amount",
    refunds.currency_rate as "CurrencyRate",
    refunds.key || '/refund/1' as "Reference"
from refunds
left join lateral (
    select
        count(*) > 0 as has_accounts,
        bool_or(accounts.is_active and accounts.takes_payments)
            filter (where accounts.code = refunds.settlement_account_code) as takes_payments
    from accounts
    where accounts.connection = refunds.to_connection
) as ledger on true
where refunds.refund_amount > 0
