-- The ledger's price of an item as the shop's catalogue states prices: in the shop's currency, with tax or without.
select
    items.connection,
    items.item_id,
    routes.to_connection,
    items.code,
    items.is_sold,
    items.is_deleted,
    items.sales_price,
    case lower(routes.price_tax)
        when 'net' then trim_scale(round(items.sales_price, 4))
        when 'gross' then trim_scale(round(items.sales_price * (1 + rates.effective_rate / 100), 2))
    end as price,
    {{ problems([
        'items._problems',
        "case when lower(coalesce(routes.price_tax, '')) not in ('net', 'gross') then "
        ~ problem("'price'", "routes.price_tax", "'Nobody said whether the prices of the shop include tax'",
                  "'Fill in price_tax (net or gross) in back_routes.csv'", "'analyst'", "'price_tax missing'") ~ " end",
        "case when lower(routes.price_tax) = 'gross' and rates.effective_rate is null then "
        ~ problem("'price'", "items.sales_tax_type", "'The item ' || items.code || ' has no tax type whose rate is known, so its price with tax is not either'",
                  "'Give the item a tax rate for sales in the ledger'", "'accountant'", "'price without tax rate'") ~ " end",
        "case when money.shop <> money.ledger then "
        ~ problem("'price'", "money.ledger", "'The ledger has prices in ' || money.ledger || ', the shop in ' || money.shop",
                  "'Prices are not converted: leave them to the shop (field_owners.csv)'", "'analyst'", "'price in another currency'") ~ " end",
    ]) }} as _problems
from {{ ref('items') }} as items
inner join {{ ref('back_routes') }} as routes on items.connection = routes.connection and routes.entity = 'base_prices'
left join lateral (
    select tax_rates.effective_rate
    from {{ ref('stg_xero__tax_rates') }} as tax_rates
    where
        tax_rates.connection = items.connection
        and tax_rates.tax_type = items.sales_tax_type
        and tax_rates.deleted_at is null
    limit 1
) as rates on true
cross join lateral (
    select
        (
            select min(configs.base_currency_code)
            from {{ ref('stg_magento__store_configs') }} as configs
            where configs.connection = routes.to_connection and configs.deleted_at is null
        ) as shop,
        (
            select min(organisations.base_currency_code)
            from {{ ref('stg_xero__organisations') }} as organisations
            where organisations.connection = items.connection and organisations.deleted_at is null
        ) as ledger
) as money
where items.system = 'xero'
