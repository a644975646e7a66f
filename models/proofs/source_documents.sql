-- What is due in the target, by the source's own documents. Drafts and what the source says is void are not due.
select
    case documents.document when 'credit' then 'credit_notes' else 'invoices' end as flow,
    case documents.document when 'credit' then 'credit_notes' else 'invoices' end as entity,
    documents.key,
    documents.connection as source_connection,
    documents.order_id as source_id,
    documents.to_connection as target_connection,
    documents.number,
    documents.order_number as reference,
    coalesce(documents.currency_code, '') as currency,
    documents.posting_date as day,
    documents.total_amount as amount,
    documents.lines_tax_amount as tax,
    case
        when documents.currency_code = documents.ledger_base_currency_code then documents.total_amount
        when documents.currency_rate > 0 then round(documents.total_amount / documents.currency_rate, 2)
    end as base_amount,
    null::text as account_code,
    null::text as settles_entity,
    null::text as settles_key,
    null::text as uses_entity,
    null::text as uses_key,
    case
        when documents.skip is not null then documents.skip
        when documents.document = 'credit' and documents.total_amount = 0 then 'nothing to credit'
    end as skip,
    null::text as hold,
    documents._problems as problems
from {{ ref('int_documents_checked') }} as documents
where
    not documents.is_draft
    and documents.to_connection is not null
    and not documents.is_void
    and documents.document_date is not null
    and documents.total_amount is not null

union all

select
    'payments'::text as flow,
    'payments'::text as entity,
    payments._key as key,
    payments._source_connection as source_connection,
    payments._source_id as source_id,
    payments._to as target_connection,
    payments._key as number,
    null::text as reference,
    coalesce(payments._currency, '') as currency,
    payments._date as day,
    payments._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    payments."Account" ->> 'Code' as account_code,
    'invoices'::text as settles_entity,
    payments."Invoice" -> 'InvoiceID' -> '$linked' ->> 'key' as settles_key,
    null::text as uses_entity,
    null::text as uses_key,
    payments._skip as skip,
    payments._hold as hold,
    payments._problems as problems
from {{ ref('out_xero__payments') }} as payments
where
    payments._gone is null
    and payments._to is not null
    and payments._date is not null
    and payments._total is not null

union all

select
    'refunds'::text as flow,
    'payments'::text as entity,
    refunds._key as key,
    refunds._source_connection as source_connection,
    refunds._source_id as source_id,
    refunds._to as target_connection,
    refunds._key as number,
    null::text as reference,
    coalesce(refunds._currency, '') as currency,
    refunds._date as day,
    refunds._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    refunds."Account" ->> 'Code' as account_code,
    'credit_notes'::text as settles_entity,
    refunds."CreditNote" -> 'CreditNoteID' -> '$linked' ->> 'key' as settles_key,
    null::text as uses_entity,
    null::text as uses_key,
    refunds._skip as skip,
    refunds._hold as hold,
    refunds._problems as problems
from {{ ref('out_xero__refunds') }} as refunds
where
    refunds._gone is null
    and refunds._to is not null
    and refunds._date is not null
    and refunds._total is not null

union all

select
    'allocations'::text as flow,
    'allocations'::text as entity,
    allocations._key as key,
    allocations._source_connection as source_connection,
    allocations._source_id as source_id,
    allocations._to as target_connection,
    allocations._key as number,
    null::text as reference,
    coalesce(allocations._currency, '') as currency,
    allocations._date as day,
    allocations._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    null::text as account_code,
    'invoices'::text as settles_entity,
    allocations."Invoice" -> 'InvoiceID' -> '$linked' ->> 'key' as settles_key,
    'credit_notes'::text as uses_entity,
    allocations."CreditNote" -> 'CreditNoteID' -> '$linked' ->> 'key' as uses_key,
    allocations._skip as skip,
    allocations._hold as hold,
    allocations._problems as problems
from {{ ref('out_xero__allocations') }} as allocations
where
    allocations._gone is null
    and allocations._to is not null
    and allocations._date is not null
    and allocations._total is not null

union all

select
    'deposits'::text as flow,
    'bank_transactions'::text as entity,
    deposits._key as key,
    deposits._source_connection as source_connection,
    deposits._source_id as source_id,
    deposits._to as target_connection,
    deposits._key as number,
    null::text as reference,
    coalesce(deposits._currency, '') as currency,
    deposits._date as day,
    deposits._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    deposits."BankAccount" ->> 'Code' as account_code,
    null::text as settles_entity,
    null::text as settles_key,
    null::text as uses_entity,
    null::text as uses_key,
    deposits._skip as skip,
    deposits._hold as hold,
    deposits._problems as problems
from {{ ref('out_xero__deposits') }} as deposits
where
    deposits._gone is null
    and deposits._to is not null
    and deposits._date is not null
    and deposits._total is not null

union all

select
    'overpayments'::text as flow,
    'bank_transactions'::text as entity,
    overpayments._key as key,
    overpayments._source_connection as source_connection,
    overpayments._source_id as source_id,
    overpayments._to as target_connection,
    overpayments._key as number,
    null::text as reference,
    coalesce(overpayments._currency, '') as currency,
    overpayments._date as day,
    overpayments._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    overpayments."BankAccount" ->> 'Code' as account_code,
    null::text as settles_entity,
    null::text as settles_key,
    null::text as uses_entity,
    null::text as uses_key,
    overpayments._skip as skip,
    overpayments._hold as hold,
    overpayments._problems as problems
from {{ ref('out_xero__overpayments') }} as overpayments
where
    overpayments._gone is null
    and overpayments._to is not null
    and overpayments._date is not null
    and overpayments._total is not null

union all

select
    'deposit_allocations'::text as flow,
    'prepayment_allocations'::text as entity,
    deposit_allocations._key as key,
    deposit_allocations._source_connection as source_connection,
    deposit_allocations._source_id as source_id,
    deposit_allocations._to as target_connection,
    deposit_allocations._key as number,
    null::text as reference,
    coalesce(deposit_allocations._currency, '') as currency,
    deposit_allocations._date as day,
    deposit_allocations._total as amount,
    null::numeric as tax,
    null::numeric as base_amount,
    null::text as account_code,
    'invoices'::text as settles_entity,
    deposit_allocations."Invoice" -> 'InvoiceID' -> '$linked' ->> 'key' as settles_key,
    'bank_transactions'::text as uses_entity,
    deposit_allocations."Prepayment" -> 'PrepaymentID' -> '$linked' ->> 'key' as uses_key,
    deposit_allocations._skip as skip,
    deposit_allocations._hold as hold,
    deposit_allocations._problems as problems
from {{ ref('out_xero__deposit_allocations') }} as deposit_allocations
where
    deposit_allocations._gone is null
    and deposit_allocations._to is not null
    and deposit_allocations._date is not null
    and deposit_allocations._total is not null
