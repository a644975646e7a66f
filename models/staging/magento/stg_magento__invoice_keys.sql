select
    source.connection,
    source.id as invoice_id,
    source.order_id,
    {{ invoice_state("(source.payload ->> 'state')") }} as state,
    source.deleted_at
from {{ source('staging', 'magento__invoices') }} as source
