select
    'xero'::text as system,
    xero_accounts.connection,
    xero_accounts.account_id,
    xero_accounts.code,
    xero_accounts.name,
    xero_accounts.account_type,
    lower(xero_accounts.account_class) as account_class,
    xero_accounts.status = 'ACTIVE' and xero_accounts.deleted_at is null as is_active,
    coalesce(xero_accounts.takes_payments or xero_accounts.account_type = 'BANK', false) as takes_payments,
    xero_accounts.tax_type,
    xero_accounts._problems
from {{ ref('stg_xero__accounts') }} as xero_accounts
