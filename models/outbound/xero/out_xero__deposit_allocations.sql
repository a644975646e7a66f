select
    allocations.to_connection as _to,
    allocations.key as _key,
    allocations.connection as _source_connection,
    allocations.order_id as _source_id,
    allocations.skip as _skip,
    null::text as _hold,
    null::text as _gone,
    null::jsonb as _problems,
    allocations.amount as _total,
    allocations.currency_code as _currency,
    dated.posting_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object(
        'PrepaymentID', {{ linked('bank_transactions', 'allocations.deposit_key', settled=true, give='PrepaymentID') }}
    ) as "Prepayment",
    jsonb_build_object('InvoiceID', {{ linked('invoices', 'allocations.parent_key', settled=true) }}) as "Invoice",
    allocations.amount as "Amount",
    dated.posting_date as "Date"
from {{ ref('int_order_deposits') }} as allocations
cross join {{ payment_dated('allocations', 'prepayment_allocations') }} as dated
where allocations.flow = 'deposit_allocation'
