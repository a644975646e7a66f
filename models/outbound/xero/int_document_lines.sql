select
    mapped.connection,
    mapped.order_id,
    mapped.document,
    mapped.position,
    mapped.key,
    mapped.line_id,
    mapped.line_kind,
    mapped.line_number,
    mapped.sku,
    mapped.description,
    mapped.quantity,
    mapped.price,
    mapped.discount_amount,
    mapped.net_amount,
    mapped.tax_amount,
    mapped.tax_type,
    mapped.account_code,
    mapped.tracking,
    case when mapped.has_item then mapped.connection || '/item/' || mapped.sku end as item_key,
    -- Xero multiplies the unit price (4 decimals), takes the discount off and rounds the line half up.
    mapped.line_kind <> 'rounding'
    and mapped.quantity > 0
    and mapped.quantity = round(mapped.quantity, 4)
    and mapped.discount_amount >= 0
    and round(round(mapped.price, 4) * mapped.quantity - mapped.discount_amount, 2) = mapped.net_amount as is_exact,
    -- Stacked rates may be compound, and then their sum is not the rate: the amount decides.
    {{ problems([
        'mapped._problems',
        "case when mapped.tax_type is null then "
        ~ problem("'TaxType'", "mapped.tax_code || ' ' || trim_scale(mapped.tax_percent)",
                  "'No tax type is set for the tax code ' || mapped.tax_code || ' at ' || trim_scale(mapped.tax_percent) || ' % (' || mapped.tax_zone || ', business ' || mapped.is_business || ')'",
                  "'Add to taxes.csv: ' || concat_ws(',', mapped.connection, mapped.tax_code, trim_scale(mapped.tax_percent), mapped.tax_zone, mapped.is_business, case when mapped.line_kind in ('product', 'shipping') then '*' else mapped.line_kind end, '<TaxType>', '', '', '', '')",
                  "'accountant'", "'lookup taxes: ' || mapped.tax_code || ' ' || trim_scale(mapped.tax_percent)") ~ " end",
        "case when ledger_tax.has_rates and mapped.tax_type is not null and not coalesce(ledger_tax.has_rate, false) then "
        ~ problem("'TaxType'", "mapped.tax_type",
                  "'The tax type ' || mapped.tax_type || ' is not active in Xero'",
                  "'Correct tax_type in taxes.csv, or make the tax rate in Xero'",
                  "'accountant'", "'tax type not in Xero'") ~ " end",
        "case when ledger_tax.percent <> mapped.tax_percent and (mapped.tax_code not like '%+%' or abs(mapped.tax_amount - mapped.net_amount * ledger_tax.percent / 100) > 0.05) then "
        ~ problem("'TaxType'", "mapped.tax_type",
                  "'The tax type ' || mapped.tax_type || ' is ' || trim_scale(ledger_tax.percent) || ' % in Xero, but the shop charged ' || trim_scale(mapped.tax_percent) || ' % (' || mapped.tax_code || ')'",
                  "'Give ' || mapped.tax_code || ' at ' || trim_scale(mapped.tax_percent) || ' % a tax type of that rate in taxes.csv; make the rate in Xero when there is none (several rates of one line: one rate with a component each)'",
                  "'accountant'", "'tax type of another rate'") ~ " end",
        "case when ledger.account_class <> all(string_to_array(nullif(ledger_tax.account_classes, ''), ' ')) then "
        ~ problem("'TaxType'", "mapped.tax_type",
                  "'The tax type ' || mapped.tax_type || ' may not be used with the account ' || mapped.account_code || ', which is of the class ' || ledger.account_class",
                  "'Choose another tax type for the line kind ' || mapped.line_kind || ' in taxes.csv, or another account'",
                  "'accountant'", "'tax type not for the account'") ~ " end",
        "case when mapped.account_code is null and mapped.line_kind = 'product' then "
        ~ problem("'AccountCode'", "mapped.category_names",
                  "case when mapped.category_names is null then 'The product ' || coalesce(mapped.sku, '?') || ' is in no category, so no account can be chosen' else 'No account is set for the category ' || mapped.category_names || ' of ' || coalesce(mapped.sku, '?') end",
                  "'Add to category_accounts.csv: ' || concat_ws(',', mapped.connection, coalesce(mapped.category_names, '*'), '<account>', '', '')",
                  "'accountant'", "'lookup category_accounts: ' || coalesce(mapped.category_names, 'no category')") ~ " end",
        "case when mapped.account_count > 1 then "
        ~ problem("'AccountCode'", "mapped.category_names",
                  "'The categories of ' || coalesce(mapped.sku, '?') || ' (' || mapped.category_names || ') give several accounts'",
                  "'Give the product one of the categories only, or one account to all of them in category_accounts.csv'",
                  "'accountant'", "'category with two accounts'") ~ " end",
        "case when mapped.account_code is null and mapped.line_kind not in ('product', 'rounding') then "
        ~ problem("'AccountCode'", "mapped.line_kind",
                  "'No account is set for lines of kind ' || mapped.line_kind",
                  "'Add to line_accounts.csv: ' || concat_ws(',', mapped.connection, mapped.line_kind, '<account>', '', '')",
                  "'accountant'", "'lookup line_accounts: ' || mapped.line_kind") ~ " end",
        "case when ledger.has_accounts and mapped.account_code is not null and ledger.is_active is null then "
        ~ problem("'AccountCode'", "mapped.account_code",
                  "'Xero has no account with the code ' || mapped.account_code",
                  "'Make the account ' || mapped.account_code || ' in Xero, or correct ' || case mapped.line_kind when 'product' then 'category_accounts.csv' else 'line_accounts.csv' end",
                  "'accountant'", "'account not in Xero'") ~ " end",
        "case when ledger.has_accounts and mapped.account_code is not null and not ledger.is_active then "
        ~ problem("'AccountCode'", "mapped.account_code",
                  "'The account ' || mapped.account_code || ' is archived in Xero'",
                  "'Restore the account ' || mapped.account_code || ' in Xero, or choose another in ' || case mapped.line_kind when 'product' then 'category_accounts.csv' else 'line_accounts.csv' end",
                  "'accountant'", "'account archived in Xero'") ~ " end",
    ]) }} as _problems
from (
    select
        chosen.*,
        case chosen.line_kind when 'rounding' then 'NONE' else tax.tax_type end as tax_type,
        case chosen.line_kind
            when 'product' then category.account
            when 'rounding' then chosen.rounding_account_code
            else kind_account.account
        end as account_code,
        category.category_names,
        category.account_count,
        coalesce(
            product.sku = chosen.sku
            and product.product_type <> 'configurable'
            and length(chosen.sku) <= 30
            and chosen.line_kind = 'product',
            false
        ) as has_item
    from (
        select
            documents.connection,
            documents.order_id,
            documents.document,
            documents.position,
            documents.key,
            documents.to_connection,
            documents.document_date,
            documents.tax_zone,
            documents.ship_to_country_code,
            documents.is_business,
            documents.customer_group_id,
            documents.tracking,
            documents.rounding_account_code,
            lines.line_id,
            lines.line_kind,
            lines.line_number,
            lines.product_id,
            lines.variant_product_id,
            lines.sku,
            lines.description,
            lines.quantity,
            {% for amount in ['price', 'discount_amount', 'net_amount', 'tax_amount'] -%}
            case documents.document_currency when 'base' then lines.base_{{ amount }} else lines.{{ amount }} end
                as {{ amount }},
            {% endfor -%}
            -- A line without tax has no code, whatever percent stands on it. Tax without a code is never taken for none.
            coalesce(lines.tax_code, case when lines.tax_amount <> 0 then 'unknown' else 'none' end) as tax_code,
            case
                when lines.tax_code is not null then lines.tax_percent
                when lines.tax_amount <> 0 then round(100 * lines.tax_amount / nullif(lines.net_amount, 0), 2)
                else 0
            end as tax_percent,
            lines._problems
        from {{ ref('int_documents_checked') }} as documents
        cross join lateral (
            select lines.*
            from jsonb_to_recordset(documents.lines) as lines (
                line_id text,
                line_kind text,
                line_number integer,
                product_id text,
                variant_product_id text,
                sku text,
                description text,
                quantity numeric,
                {% for amount in ['price', 'discount_amount', 'net_amount', 'tax_amount'] -%}
                {{ amount }} numeric,
                base_{{ amount }} numeric,
                {% endfor -%}
                tax_code text,
                tax_percent numeric,
                _problems jsonb
            )

            union all

            select
                'rounding'::text as line_id,
                'rounding'::text as line_kind,
                100002 as line_number,
                null::text as product_id,
                null::text as variant_product_id,
                null::text as sku,
                'Rounding'::text as description,
                1::numeric as quantity,
                {% for amount in ['price', 'discount_amount', 'net_amount', 'tax_amount'] -%}
                {% set value = 'documents.rounding_amount' if amount in ('price', 'net_amount') else '0::numeric' -%}
                {{ value }} as {{ amount }},
                {{ value }} as base_{{ amount }},
                {% endfor -%}
                null::text as tax_code,
                null::numeric as tax_percent,
                {{ problems([]) }} as _problems
            where documents.rounding_amount <> 0
        ) as lines
    ) as chosen
    left join lateral (
        select customer_groups.code
        from {{ ref('stg_magento__customer_groups') }} as customer_groups
        where
            customer_groups.connection = chosen.connection
            and customer_groups.customer_group_id = chosen.customer_group_id
        limit 1
    ) as customer_group on true
    left join lateral (
        select
            products.sku,
            products.product_type,
            tax_classes.name as tax_class
        from {{ ref('stg_magento__products') }} as products
        left join {{ ref('stg_magento__tax_classes') }} as tax_classes
            on products.connection = tax_classes.connection and products.tax_class_id = tax_classes.tax_class_id
        where products.connection = chosen.connection and products.product_id = chosen.variant_product_id
    ) as product on chosen.line_kind in ('product', 'gift_card')
    left join lateral (
        select taxes.tax_type
        from {{ ref('taxes') }} as taxes
        where
            taxes.connection = chosen.connection
            and lower(taxes.tax_code) = lower(chosen.tax_code)
            and {{ number('taxes.percent') }} = chosen.tax_percent
            and (
                {{ fits('taxes.zone', 'chosen.tax_zone') }}
                or chosen.ship_to_country_code = any(regexp_split_to_array(upper(taxes.zone), '[ ;|]+'))
            )
            and {{ fits('taxes.business', 'chosen.is_business') }}
            and {{ fits('taxes.line_kind', 'chosen.line_kind') }}
            and {{ fits('taxes.customer_group', 'customer_group.code') }}
            and {{ fits('taxes.product_class', 'product.tax_class') }}
            and {{ in_force('taxes', 'chosen.document_date') }}
        order by
            32 * {{ names('taxes.customer_group') }}
            + 16 * {{ names('taxes.product_class') }}
            + 8 * {{ names('taxes.line_kind') }}
            + case when lower(taxes.zone) = lower(chosen.tax_zone) then 2 else 4 * {{ names('taxes.zone') }} end
            + {{ names('taxes.business') }} desc,
            taxes.valid_from desc nulls last,
            taxes.tax_type
        limit 1
    ) as tax on true
    left join lateral (
        select line_accounts.account
        from {{ ref('line_accounts') }} as line_accounts
        where
            line_accounts.connection = chosen.connection
            and lower(line_accounts.line_kind) = chosen.line_kind
            and {{ in_force('line_accounts', 'chosen.document_date') }}
        order by line_accounts.valid_from desc nulls last, line_accounts.account
        limit 1
    ) as kind_account on true
    left join lateral (
        select
            max(candidates.account) filter (where candidates.is_best) as account,
            count(distinct candidates.account) filter (where candidates.is_best) as account_count,
            string_agg(distinct candidates.category_name, ', ') as category_names
        from (
            select
                valid.account,
                valid.category_name,
                valid.account is not null
                and rank() over (order by valid.account is null, valid.depth desc) = 1 as is_best
            from (
                select
                    accounts.category_name,
                    accounts.depth,
                    case when {{ in_force('accounts', 'chosen.document_date') }} then accounts.account end as account
                from {{ ref('int_product_category_accounts') }} as accounts
                where accounts.connection = chosen.connection and accounts.product_id = chosen.product_id
            ) as valid
        ) as candidates
    ) as category on chosen.line_kind = 'product'
) as mapped
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('accounts') }} as ledger_accounts
            where ledger_accounts.connection = mapped.to_connection
        ) as has_accounts,
        known.is_active,
        known.account_class
    from (
        select
            bool_or(ledger_accounts.is_active) as is_active,
            max(ledger_accounts.account_class) as account_class
        from {{ ref('accounts') }} as ledger_accounts
        where ledger_accounts.connection = mapped.to_connection and ledger_accounts.code = mapped.account_code
    ) as known
    offset 0
) as ledger
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('tax_rates') }} as ledger_tax_rates
            where ledger_tax_rates.connection = mapped.to_connection and ledger_tax_rates.system = 'xero'
        ) as has_rates,
        known.is_active as has_rate,
        known.percent,
        known.account_classes
    from (
        select
            bool_or(ledger_tax_rates.is_active) as is_active,
            max(ledger_tax_rates.percent) as percent,
            max(ledger_tax_rates.account_classes) as account_classes
        from {{ ref('tax_rates') }} as ledger_tax_rates
        where
            ledger_tax_rates.connection = mapped.to_connection
            and ledger_tax_rates.system = 'xero'
            and ledger_tax_rates.code = mapped.tax_type
    ) as known
    offset 0
) as ledger_tax
