select
    documents.to_connection as _to,
    documents.connection || '/order/' || documents.order_id || '/payment/' || documents.position as _key,
    documents.connection as _source_connection,
    documents.order_id as _source_id,
    case
        when documents.skip is not null then documents.skip
        when documents.settlement = 'none' then 'no gateway: ' || documents.payment_method || ' is paid outside the shop'
        when documents.settlement = 'zero' or documents.total_amount = 0 then 'nothing to pay'
    end as _skip,
    null::text as _hold,
    case
        when documents.is_deleted then 'the invoice was deleted in the shop'
        when documents.is_void then 'the invoice was cancelled in the shop'
    end as _gone,
    {{ payment_problems('documents') }} as _problems,
    documents.total_amount as _total,
    documents.currency_code as _currency,
    documents.ledger_date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    jsonb_build_object('InvoiceID', {{ linked('invoices', 'documents.key', settled=true) }}) as "Invoice",
    jsonb_build_object('Code', documents.settlement_account_code) as "Account",
    documents.ledger_date as "Date",
    documents.total_amount as "Amount",
    -- The rate of the invoice, so that no gain or loss is invented before the payout tells what arrived.
    documents.currency_rate as "CurrencyRate",
    documents.connection || '/order/' || documents.order_id || '/payment/' || documents.position as "Reference"
from {{ ref('int_documents') }} as documents
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('accounts') }} as accounts
            where accounts.connection = documents.to_connection
        ) as has_accounts,
        (
            select bool_or(accounts.is_active and accounts.takes_payments)
            from {{ ref('accounts') }} as accounts
            where accounts.connection = documents.to_connection and accounts.code = documents.settlement_account_code
        ) as takes_payments
    offset 0
) as ledger
where documents.document = 'invoice' and not documents.is_draft and documents.status in ('paid', 'cancelled')
