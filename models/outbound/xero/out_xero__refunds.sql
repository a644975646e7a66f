select
    refunds.to_connection as _to,
    refunds.key || '/refund/1' as _key,
    driver.connection as _source_connection,
    driver.order_id as _source_id,
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
from {{ ref('stg_magento__order_keys') }} as driver
cross join lateral (
    select
        credit_notes.*,
        credit_notes.total_amount - coalesce(allocated.amount, 0) as refund_amount
    from {{ ref('int_documents') }} as credit_notes
    left join (
        select
            settlements.credit_position,
            sum(settlements.amount) as amount
        from {{ ref('int_credit_settlements') }} as settlements
        where settlements.connection = driver.connection and settlements.order_id = driver.order_id
        group by settlements.credit_position
    ) as allocated on credit_notes.position = allocated.credit_position
    where
        credit_notes.connection = driver.connection
        and credit_notes.order_id = driver.order_id
        and credit_notes.document = 'credit'
    offset 0
) as refunds
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('accounts') }} as accounts
            where accounts.connection = refunds.to_connection
        ) as has_accounts,
        (
            select bool_or(accounts.is_active and accounts.takes_payments)
            from {{ ref('accounts') }} as accounts
            where accounts.connection = refunds.to_connection and accounts.code = refunds.settlement_account_code
        ) as takes_payments
    offset 0
) as ledger
where refunds.refund_amount > 0
