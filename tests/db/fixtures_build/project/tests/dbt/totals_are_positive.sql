select _key from {{ ref('out_xero__invoices') }} where _total < 0
