-- Dates in lookups that are not YYYY-MM-DD: they are compared as text, so any other form would choose a wrong row.
with cells as (
    {% for lookup in ['routes', 'payment_methods', 'taxes', 'category_accounts', 'line_accounts', 'tracking', 'tax_zones', 'order_status'] %}
    select
        '{{ lookup }}' as lookup,
        unnest(array[valid_from, valid_to]) as cell
    from {{ ref(lookup) }}
    union all
    {% endfor %}
    select
        'routes' as lookup,
        cut_over as cell
    from {{ ref('routes') }}
    union all
    select
        'daily_rates' as lookup,
        day as cell
    from {{ ref('daily_rates') }}
)

select
    cells.lookup,
    cells.cell
from cells
where coalesce(cells.cell, '') <> '' and cells.cell !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
