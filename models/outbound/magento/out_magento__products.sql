with routed as (
    select
        items.connection,
        items.item_id,
        items.code,
        nullif(trim(items.name), '') as name,
        nullif(trim(items.description), '') as description,
        items.is_sold,
        items.is_deleted,
        items._problems,
        routes.to_connection,
        lower(routes.creates) = 'yes' as creates,
        routes.website,
        routes.attribute_set,
        routes.tax_class
    from {{ ref('items') }} as items
    inner join {{ ref('back_routes') }} as routes on items.connection = routes.connection and routes.entity = 'products'
    where items.system = 'xero'
)

select
    routed.to_connection as _to,
    routed.connection || '/item/' || routed.item_id as _key,
    routed.connection as _source_connection,
    routed.item_id as _source_id,
    case
        when routed.is_deleted then 'the item was deleted in the ledger'
        when routed.code is null then 'no code'
        when routed.is_sold is not true then 'not for sale'
        when state.is_new and routed.creates is not true then 'the shop has no such product, and none is to be made'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ problems([
        'routed._problems',
        'price._problems',
        "case when state.is_new and websites.website_id is null then "
        ~ problem("'extension_attributes'", "routed.website", "'The shop has no website ' || coalesce(routed.website, '(empty)')",
                  "'Correct website in back_routes.csv'", "'analyst'", "'website unknown'") ~ " end",
        "case when state.is_new and " ~ whole_number('routed.attribute_set') ~ " is null then "
        ~ problem("'attribute_set_id'", "routed.attribute_set", "'No attribute set is given for new products'",
                  "'Fill in attribute_set in back_routes.csv (4 is Default)'", "'analyst'", "'attribute set missing'") ~ " end",
    ]) }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ both_ways([('name', 'name')], 'owned') }} as _both_ways,
    -- A linked product keeps its sku, however the ledger writes the code.
    coalesce(linked.sku, known.sku, routed.code) as sku,
    case when state.is_new or {{ of_ledger('name', 'owned') }} then coalesce(routed.name, routed.code) end as name,
    case when state.is_new then {{ whole_number('routed.attribute_set') }} end as attribute_set_id,
    case when state.is_new then 'simple' end as type_id,
    -- Disabled: staff complete it and put it on sale.
    case when state.is_new then 2 end as status,
    case when state.is_new then price.price end as price,
    case
        when state.is_new
            then jsonb_build_object('website_ids', jsonb_build_array({{ whole_number('websites.website_id') }}))
    end as extension_attributes,
    nullif(
        jsonb_path_query_array(
            jsonb_build_array(
                case
                    when routed.description is not null and (state.is_new or {{ of_ledger('description', 'owned') }})
                        then jsonb_build_object('attribute_code', 'description', 'value', routed.description)
                end,
                case
                    when state.is_new and nullif(routed.tax_class, '') is not null
                        then jsonb_build_object('attribute_code', 'tax_class_id', 'value', routed.tax_class)
                end
            ),
            '$[*] ? (@ != null)'
        ),
        '[]'::jsonb
    ) as custom_attributes
from routed
left join {{ source('engine', 'links') }} as link
    on
        routed.to_connection = link.connection
        and link.entity = 'products'
        and link.key = routed.connection || '/item/' || routed.item_id
        and link.target_id is not null
        and not link.is_gone
left join {{ ref('int_owned_fields') }} as owned
    on
        routed.to_connection = owned.connection
        and routed.connection = owned.to_connection
        and owned.entity = 'items'
left join lateral (
    select sites.website_id
    from {{ ref('stg_magento__websites') }} as sites
    where sites.connection = routed.to_connection and lower(sites.code) = lower(routed.website) and sites.deleted_at is null
    limit 1
) as websites on true
left join lateral (
    select products.sku
    from {{ ref('stg_magento__products') }} as products
    where products.connection = routed.to_connection and products.sku = routed.code and products.deleted_at is null
    order by length(products.product_id) desc, products.product_id desc
    limit 1
) as known on true
left join lateral (
    select products.sku
    from {{ ref('stg_magento__products') }} as products
    where
        products.connection = routed.to_connection
        and products.product_id = link.target_id
        and products.deleted_at is null
        and lower(regexp_replace(products.sku, '[^[:alnum:]]', '', 'g'))
        = lower(regexp_replace(routed.code, '[^[:alnum:]]', '', 'g'))
    limit 1
) as linked on true
cross join lateral (
    select link.target_id is null and known.sku is null as is_new
) as state
left join lateral (
    select
        prices.price,
        prices._problems
    from {{ ref('int_prices_back') }} as prices
    where
        prices.connection = routed.connection
        and prices.item_id = routed.item_id
        and prices.to_connection = routed.to_connection
        and state.is_new
    limit 1
) as price on true
