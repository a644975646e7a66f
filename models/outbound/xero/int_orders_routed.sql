select
    driver.connection,
    driver.order_id,
    orders.order_number,
    orders.store_code,
    orders.state,
    orders.is_cancelled,
    orders.is_deleted,
    orders.is_virtual,
    orders.status,
    driver.customer_id,
    driver.customer_email,
    orders.first_name,
    orders.last_name,
    orders.company_name,
    orders.vat_number,
    orders.billing_street,
    orders.billing_city,
    orders.billing_region,
    orders.billing_postcode,
    orders.billing_country_code,
    orders.billing_telephone,
    orders.payment_method,
    orders.currency_code,
    orders.base_currency_code,
    orders.base_to_order_rate,
    orders.total_amount,
    orders.base_total_amount,
    orders.cash_amount,
    orders.base_cash_amount,
    orders.paid_amount,
    orders.base_paid_amount,
    orders.transaction_id,
    orders.shipping_amount,
    orders.base_shipping_amount,
    orders.shipping_tax_amount,
    orders.base_shipping_tax_amount,
    orders.gift_wrap_amount,
    orders.base_gift_wrap_amount,
    orders.gift_wrap_tax_amount,
    orders.base_gift_wrap_tax_amount,
    orders.customer_group_id,
    orders.replaced_by_order_number,
    orders.replaces_order_id,
    orders.replaces_order_number,
    orders.ordered_at,
    orders.order_date,
    orders.time_zone,
    route.store_code is not null as has_route,
    -- Without a route there is still somebody to tell: the connection's first target.
    coalesce(route.to_connection, fallback.to_connection) as to_connection,
    route.billing,
    case when route.cut_over ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then route.cut_over end as cut_over,
    coalesce(nullif(route.time_zone, ''), orders.time_zone) as ledger_time_zone,
    coalesce(nullif(route.document_currency, ''), 'order') as document_currency,
    coalesce(nullif(route.rate_source, ''), 'effective') as rate_source,
    coalesce(route.number_prefix, '') as number_prefix,
    coalesce(route.credit_prefix, '') as credit_prefix,
    coalesce(route.draft_on_order = 'yes', false) as has_drafts,
    coalesce(route.name_taken = 'number', false) as numbers_names,
    coalesce(nullif(route.deposits, ''), 'wait') as deposits,
    nullif(route.deposit_account, '') as deposit_account_code,
    coalesce(nullif(route.overpayments, ''), 'hold') as overpayments,
    coalesce(nullif(route.re_date, ''), 'hold') as re_date,
    route.channel,
    tracked.tracking,
    case
        when orders.ship_to_country_code = upper(route.country) then 'home'
        else coalesce(zone.zone, 'export')
    end as tax_zone,
    orders.ship_to_country_code,
    case when orders.vat_number is not null then 'yes' else 'no' end as is_business,
    organisation.base_currency_code as ledger_base_currency_code,
    organisation.locked_until,
    -- A document that is out keeps its contact. Else: one contact a store or company where the route says so; and one
    -- e-mail, one contact, whoever placed the first order with it, by the rule of the first store that has one.
    coalesce(
        (
            select told.said #>> '{Contact,ContactID,$linked,key}'
            from {{ source('engine', 'links') }} as told
            where
                told.connection = coalesce(route.to_connection, fallback.to_connection)
                and told.entity = 'invoices'
                and told.key = driver.connection || '/order/' || driver.order_id || '/1'
                and told.said ->> 'Status' = 'AUTHORISED'
        ),
        case
            when route.contacts = 'one_per_store' then driver.connection || '/store/' || driver.store_id
            when route.contacts = 'by_company' and driver.company_key is not null
                then driver.connection || '/company/' || driver.company_key
            when driver.customer_email is null and driver.customer_id is null
                then driver.connection || '/order/' || driver.order_id || '/guest'
            when driver.customer_email is null
                then driver.connection || '/customer/' || driver.customer_id
            when
                first_order.customer_id is not null
                and coalesce(
                    (
                        select coalesce(rules.contacts, 'by_customer')
                        from {{ ref('stg_magento__order_keys') }} as same_email
                        inner join {{ ref('stg_magento__store_views') }} as views
                            on same_email.connection = views.connection and same_email.store_id = views.store_id
                        inner join {{ ref('routes') }} as rules
                            on same_email.connection = rules.connection and lower(views.code) = lower(rules.store_code)
                        where
                            same_email.connection = driver.connection
                            and same_email.customer_email = driver.customer_email
                            and coalesce(rules.contacts, 'by_customer') <> 'one_per_store'
                            and {{ in_force('rules', 'coalesce(orders.order_date, date \'2000-01-01\')') }}
                        order by
                            length(same_email.order_id), same_email.order_id, rules.valid_from desc nulls last, rules.to_connection
                        limit 1
                    ),
                    route.contacts,
                    'by_customer'
                ) <> 'by_email'
                then driver.connection || '/customer/' || first_order.customer_id
            else driver.connection || '/guest/' || driver.customer_email
        end
    ) as contact_key,
    driver.company_key,
    {{ problems([
        'orders._problems',
        "case when route.store_code is null then "
        ~ problem("'store'", "coalesce(orders.store_code, orders.store_id)",
                  "'No route says where orders of store ' || coalesce(orders.store_code, orders.store_id, 'unknown') || ' go'",
                  "'Add to routes.csv: ' || orders.connection || ',' || coalesce(orders.store_code, '<store code>') || ',<target>,…'",
                  "'analyst'", "'lookup routes: ' || coalesce(orders.store_code, orders.store_id, 'unknown')") ~ " end",
        "case when route.store_code is not null and route.cut_over !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then "
        ~ problem("'cut_over'", "route.cut_over", "'The cut-over date of the route is not YYYY-MM-DD'",
                  "'Correct cut_over in routes.csv'", "'analyst'", "'route unreadable'") ~ " end",
        "case when orders.time_zone is null or (orders.ordered_at is not null and orders.order_date is null) then "
        ~ problem("'time_zone'", "orders.time_zone",
                  "'The time zone of store ' || coalesce(orders.store_code, orders.store_id, 'unknown') || ' is not known'",
                  "'Load store_configs, or set the time zone of the store in Magento'", "'shop'", "'time zone unknown'")
        ~ " end",
        "case when orders.customer_email is null and orders.customer_id is null and coalesce(route.contacts, 'by_customer') <> 'one_per_store' then "
        ~ problem("'customer_email'", "null::text", "'The order has no e-mail, so its customer cannot be told from others'",
                  "'Enter the customer''s e-mail on the order in Magento'", "'shop'", "'e-mail missing'") ~ " end",
    ]) }} as _problems
from {{ ref('stg_magento__order_keys') }} as driver
cross join {{ of_order(ref('orders'), 'driver', 'orders') }}
left join lateral (
    select {{ first('same_email.customer_id', 'length(same_email.order_id), same_email.order_id') }} as customer_id
    from {{ ref('stg_magento__order_keys') }} as same_email
    where same_email.connection = driver.connection and same_email.customer_email = driver.customer_email
) as first_order on true
left join lateral (
    select routes.*
    from {{ ref('routes') }} as routes
    where
        routes.connection = orders.connection
        and lower(routes.store_code) = lower(orders.store_code)
        and {{ in_force('routes', 'coalesce(orders.order_date, date \'2000-01-01\')') }}
    order by routes.valid_from desc nulls last, routes.to_connection
    limit 1
) as route on true
left join lateral (
    select min(routes.to_connection) as to_connection
    from {{ ref('routes') }} as routes
    where routes.connection = orders.connection
) as fallback on true
left join lateral (
    select
        {{ first(
            "case when tracking.category is not null then jsonb_build_array(jsonb_build_object('Name', tracking.category, 'Option', tracking.option)) end",
            "tracking.valid_from desc nulls last, tracking.category, tracking.option"
        ) }} as tracking
    from {{ ref('tracking') }} as tracking
    where
        tracking.connection = orders.connection
        and lower(tracking.store_code) = lower(orders.store_code)
        and {{ in_force('tracking', 'orders.order_date') }}
) as tracked on true
left join lateral (
    select min(tax_zones.zone) as zone
    from {{ ref('tax_zones') }} as tax_zones
    where
        upper(tax_zones.country) = orders.ship_to_country_code
        and {{ in_force('tax_zones', 'orders.order_date') }}
) as zone on true
left join lateral (
    select
        {{ first('organisations.base_currency_code', 'organisations.organisation_id') }} as base_currency_code,
        {{ first('greatest(organisations.period_lock_date, organisations.end_of_year_lock_date)', 'organisations.organisation_id') }}
            as locked_until
    from {{ ref('stg_xero__organisations') }} as organisations
    where organisations.connection = coalesce(route.to_connection, fallback.to_connection)
) as organisation on true
