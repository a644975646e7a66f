-- Tax types whose rate in Xero is another than the percent that they stand for.
{{ config(severity='warn') }}
select
    taxes.connection,
    taxes.tax_code,
    taxes.percent,
    taxes.tax_type,
    tax_rates.percent as percent_in_xero
from {{ ref('taxes') }} as taxes
inner join {{ ref('routes') }} as routes on taxes.connection = routes.connection
inner join {{ ref('tax_rates') }} as tax_rates
    on
        routes.to_connection = tax_rates.connection
        and taxes.tax_type = tax_rates.code
        and tax_rates.system = 'xero'
where {{ number('taxes.percent') }} is distinct from tax_rates.percent
