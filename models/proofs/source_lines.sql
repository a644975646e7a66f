-- The lines of what is due in the target, by account and tax type: what revenue by account and tax by type must come to.
select
    case lines.document when 'credit' then 'credit_notes' else 'invoices' end as entity,
    lines.key,
    driver.connection as source_connection,
    driver.order_id as source_id,
    documents.to_connection as target_connection,
    coalesce(lines.account_code, '') as account_code,
    coalesce(lines.tax_type, '') as tax_type,
    sum(lines.net_amount) as net_amount,
    sum(lines.tax_amount) as tax_amount
from {{ ref('stg_magento__order_keys') }} as driver
cross join {{ of_order(ref('int_documents'), 'driver', 'documents') }}
inner join {{ of_order(ref('int_document_lines'), 'driver', 'lines') }} on documents.key = lines.key
where
    not documents.is_draft
    and not documents.is_void
    and documents.skip is null
    and documents.to_connection is not null
group by
    lines.document, lines.key, driver.connection, driver.order_id, documents.to_connection,
    lines.account_code, lines.tax_type
