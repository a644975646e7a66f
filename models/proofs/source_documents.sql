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
    documents.document_date as day,
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
