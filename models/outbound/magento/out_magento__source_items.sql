with routed as (
    select
        levels.connection,
        levels.stock_level_id as item_id,
        levels.sku as code,
        levels.quantity,
        levels._problems,
        items.version,
        routes.to_connection,
        nullif(trim(routes.source_code), '') as source_code
    from {{ ref('stock_levels') }} as levels
    inner join {{ ref('stg_xero__items') }} as items
        on levels.connection = items.connection and levels.stock_level_id = items.item_id
    inner join {{ ref('back_routes') }} as routes on levels.connection = routes.connection and routes.entity = 'source_items'
    where levels.system = 'xero'
)

select
    routed.to_connection as _to,
    routed.connection || '/item/' || routed.item_id as _key,
    routed.connection as _source_connection,
    routed.item_id as _source_id,
    case
        when not {{ of_ledger('stock', 'owned') }} then 'quantities are the shop''s'
        when known.sku is null then 'the shop has no such product'
        when known.product_type <> 'simple' then 'a ' || known.product_type || ' product has no quantity of its own'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ problems([
        'routed._problems',
        "case when routed.source_code is null then "
        ~ problem("'source_code'", "null::text", "'Nobody said which source of the shop the ledger counts'",
                  "'Fill in source_code in back_routes.csv'", "'analyst'", "'source_code missing'") ~ " end",
        "case when routed.quantity is null then "
        ~ problem("'quantity'", "routed.code", "'The ledger shows no quantity of ' || routed.code",
                  "'Look at the item in the ledger'", "'accountant'", "'quantity missing'") ~ " end",
        "ordered._problems",
    ]) }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    known.sku,
    routed.source_code,
    physical.quantity,
    case when physical.quantity > 0 then 1 else 0 end as status
from routed
left join {{ ref('int_owned_fields') }} as owned
    on
        routed.to_connection = owned.connection
        and routed.connection = owned.to_connection
        and owned.entity = 'items'
left join lateral (
    select
        products.sku,
        products.product_id,
        products.product_type
    from {{ ref('stg_magento__products') }} as products
    where products.connection = routed.to_connection and products.sku = routed.code and products.deleted_at is null
    order by length(products.product_id) desc, products.product_id desc
    limit 1
) as known on true
left join lateral (
    -- The ledger takes goods off when their invoice is approved, the shop's source when they are shipped.
    select
        sum(
            case
                when billed.target_id is not null
                    then
                        greatest(
                            coalesce(lines.invoiced_quantity, 0) - coalesce(lines.refunded_quantity, 0)
                            - coalesce(lines.shipped_quantity, 0),
                            0
                        )
                -- Shipped, and not in the ledger yet.
                else -coalesce(lines.shipped_quantity, 0)
            end
        ) as quantity,
        nullif(
            jsonb_path_query_array(coalesce(jsonb_agg(lines._problems) filter (where lines._problems is not null), '[]'), '$[*][*]'),
            '[]'::jsonb
        ) as _problems
    from {{ ref('stg_magento__order_keys') }} as keys
    cross join lateral (
        select orders.ordered_at
        from {{ ref('stg_magento__orders') }} as orders
        where orders.connection = keys.connection and orders.order_id = keys.order_id
        offset 0
    ) as placed
    left join lateral (
        select links.target_id
        from {{ source('engine', 'links') }} as links
        where
            links.model = 'out_xero__invoices'
            and links.source_connection = keys.connection
            and links.source_id = keys.order_id
            and links.connection = routed.connection
            and links.target_id is not null
            and not links.is_gone
        limit 1
    ) as billed on true
    cross join {{ of_order(ref('order_lines'), 'keys', 'lines', 'lines.sku = known.sku and lines.is_billed and not lines.is_virtual') }}
    where
        keys.connection = routed.to_connection
        and keys.product_ids @> jsonb_build_array({{ whole_number('known.product_id') }})
        and keys.deleted_at is null
        and (keys.state not in ('complete', 'closed', 'canceled') or keys.version > routed.version)
        and to_char(placed.ordered_at, 'YYYY-MM-DD') >= (
            select min(routes.cut_over)
            from {{ ref('routes') }} as routes
            where routes.connection = routed.to_connection and routes.to_connection = routed.connection
        )
) as ordered on true
cross join lateral (
    select trim_scale(greatest(routed.quantity + coalesce(ordered.quantity, 0), 0)) as quantity
) as physical
