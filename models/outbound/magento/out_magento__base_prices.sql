select
    prices.to_connection as _to,
    prices.connection || '/item/' || prices.item_id as _key,
    prices.connection as _source_connection,
    prices.item_id as _source_id,
    case
        when prices.is_deleted then 'the item was deleted in the ledger'
        when prices.is_sold is not true then 'not for sale'
        when not {{ of_ledger('price', 'owned') }} then 'prices are the shop''s'
        when known.sku is null then 'the shop has no such product'
        when known.product_type not in ('simple', 'virtual', 'downloadable')
            then 'a ' || known.product_type || ' product has no price of its own'
        when prices.sales_price is null then 'no price in the ledger'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    prices._problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ both_ways([('price', 'price')], 'owned') }} as _both_ways,
    known.sku,
    prices.price,
    -- The global price: an override of one website stays.
    0 as store_id
from {{ ref('int_prices_back') }} as prices
left join {{ ref('int_owned_fields') }} as owned
    on
        prices.to_connection = owned.connection
        and prices.connection = owned.to_connection
        and owned.entity = 'items'
left join lateral (
    select
        products.sku,
        products.product_type
    from {{ ref('stg_magento__products') }} as products
    where products.connection = prices.to_connection and products.sku = prices.code and products.deleted_at is null
    order by length(products.product_id) desc, products.product_id desc
    limit 1
) as known on true
