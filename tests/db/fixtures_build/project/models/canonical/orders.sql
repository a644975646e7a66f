with orders as (
    select * from {{ ref('stg_magento__orders') }}
),

accounts as (
    select * from {{ ref('accounts') }}
)

select
    orders.connection,
    orders.order_id,
    orders.increment_id,
    orders.order_date,
    orders.total,
    accounts.account_code,
    orders.order_state,
    case
        when accounts.account_code is null
            then coalesce(orders._problems, '[]'::jsonb) || jsonb_build_array(jsonb_build_object(
                'field', 'AccountCode', 'value', orders.category, 'reason', 'no account for the category ' || orders.category,
                'cure', 'Add to models/lookups/accounts.csv: ' || orders.category || ',<account_code>', 'who', 'accountant',
                'cause', 'lookup accounts: ' || orders.category
            ))
        else orders._problems
    end as _problems
from orders
left join accounts on orders.category = accounts.category
