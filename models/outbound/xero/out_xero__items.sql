with targets as (
    select
        routes.connection,
        routes.to_connection
    from {{ ref('routes') }} as routes
    group by routes.connection, routes.to_connection
),

-- A product that was deleted and made again has another id and the same code: it is the same item, and says what the newest says.
products as (
    select
        items.*,
        row_number() over (
            partition by items.connection, items.code
            order by items.is_deleted, length(items.item_id) desc, items.item_id desc
        ) as nth
    from {{ ref('items') }} as items
    where items.system = 'magento'
)

select
    targets.to_connection as _to,
    products.connection || '/item/' || products.code as _key,
    products.connection as _source_connection,
    products.code as _source_id,
    case
        when products.item_type = 'configurable' then 'sold as its variants'
        when length(products.code) > 30 then 'the code is longer than the 30 characters that Xero takes'
        when
            -- Counting reads the index; `exists` would hope to meet a match early and read the whole table.
            (
                select coalesce(sum(sold.orders), 0)
                from {{ ref('stg_magento__products') }} as same_code
                cross join lateral (
                    select count(*) as orders
                    from {{ ref('stg_magento__order_keys') }} as orders
                    where
                        orders.connection = same_code.connection
                        and orders.product_ids @> jsonb_build_array({{ whole_number('same_code.product_id') }})
                    offset 0
                ) as sold
                where same_code.connection = products.connection and same_code.sku = products.code
            ) = 0
            then 'never sold'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    products._problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ both_ways([('Name', 'name'), ('SalesDetails', 'price')], 'owned') }} as _both_ways,
    products.code as "Code",
    {{ unless_of_ledger('name', 'owned', "left(coalesce(nullif(trim(products.name), ''), products.code), 50)") }} as "Name",
    {{ unless_of_ledger('description', 'owned', "left(coalesce(nullif(trim(products.name), ''), products.code), 4000)") }}
        as "Description",
    true as "IsSold",
    {{ unless_of_ledger(
        'price', 'owned', "jsonb_build_object('UnitPrice', trim_scale(round(products.sales_price, 4)))"
    ) }} as "SalesDetails"
from products
inner join targets on products.connection = targets.connection
left join {{ source('engine', 'links') }} as link
    on
        targets.to_connection = link.connection
        and link.entity = 'items'
        and link.key = products.connection || '/item/' || products.code
        and link.target_id is not null
        and not link.is_gone
-- An item that Xero does not have yet is made whole; then each side sends what it owns.
left join {{ ref('int_owned_fields') }} as owned
    on
        products.connection = owned.connection
        and targets.to_connection = owned.to_connection
        and owned.entity = 'items'
        and link.key is not null
where products.nth = 1
