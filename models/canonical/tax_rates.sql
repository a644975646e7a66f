select
    'magento'::text as system,
    magento_tax_rates.connection,
    magento_tax_rates.tax_rate_id,
    magento_tax_rates.code,
    magento_tax_rates.code as name,
    magento_tax_rates.country_code,
    magento_tax_rates.percent,
    null::text as account_classes,
    magento_tax_rates.deleted_at is null as is_active,
    magento_tax_rates._problems
from {{ ref('stg_magento__tax_rates') }} as magento_tax_rates

union all

select
    'xero'::text as system,
    xero_tax_rates.connection,
    xero_tax_rates.tax_rate_id,
    xero_tax_rates.tax_type as code,
    xero_tax_rates.name,
    null::text as country_code,
    xero_tax_rates.effective_rate as percent,
    concat_ws(
        ' ',
        {% for name, word in [
            ('assets', 'asset'), ('equity', 'equity'), ('expenses', 'expense'), ('liabilities', 'liability'),
            ('revenue', 'revenue'),
        ] -%}
        case when xero_tax_rates.is_for_{{ name }} then '{{ word }}' end{{ "," if not loop.last }}
        {% endfor %}
    ) as account_classes,
    coalesce(xero_tax_rates.status = 'ACTIVE', true) and xero_tax_rates.deleted_at is null as is_active,
    xero_tax_rates._problems
from {{ ref('stg_xero__tax_rates') }} as xero_tax_rates
