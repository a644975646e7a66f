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
    {{ problems([
        'mapped._problems',
        "case when mapped.tax_type is null then "
        ~ problem("'TaxType'", "mapped.tax_code || ' ' || trim_scale(mapped.tax_percent)",
                  "'No tax type is set for the tax code ' || mapped.tax_code || ' at ' || trim_scale(mapped.tax_percent) || ' % (' || mapped.tax_zone || ', business ' || mapped.is_business || ')'",
                  "'Add to taxes.csv: ' || concat_ws(',', mapped.connection, mapped.tax_code, trim_scale(mapped.tax_percent), mapped.tax_zone, mapped.is_business, '*', '<TaxType>', '', '')",
                  "'accountant'", "'lookup taxes: ' || mapped.tax_code || ' ' || trim_scale(mapped.tax_percent)") ~ " end",
        "case when ledger_tax.has_rates and mapped.tax_type is not null and not coalesce(ledger_tax.has_rate, false) then "
        ~ problem("'TaxType'", "mapped.tax_type",
                  "'The tax type ' || mapped.tax_type || ' is not active in Xero'",
                  "'Correct tax_type in taxes.csv, or make the tax rate in Xero'",
                  "'accountant'", "'tax type not in Xero'") ~ " end",
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
        item.product_id is not null as has_item
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
            documents.tracking,
            documents.rounding_account_code,
            lines.line_id,
            lines.line_kind,
            lines.line_number,
            lines.product_id,
            lines.sku,
            lines.description,
            lines.quantity,
            {% for amount in ['price', 'discount_amount', 'net_amount', 'tax_amount'] -%}
            case documents.document_currency when 'base' then lines.base_{{ amount }} else lines.{{ amount }} end
                as {{ amount }},
            {% endfor -%}
            -- A line without tax has no code, whatever percent stands on it.
            coalesce(lines.tax_code, 'none') as tax_code,
            case when lines.tax_code is null then 0 else lines.tax_percent end as tax_percent,
            lines._problems
        from {{ ref('int_documents_checked') }} as documents
        cross join lateral (
            select lines.*
            from jsonb_to_recordset(documents.lines) as lines (
                line_id text,
                line_kind text,
                line_number integer,
                product_id text,
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
            and {{ in_force('taxes', 'chosen.document_date') }}
        order by
            8 * {{ names('taxes.line_kind') }}
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
    left join lateral (
        select products.product_id
        from {{ ref('stg_magento__products') }} as products
        where
            products.connection = chosen.connection
            and products.sku = chosen.sku
            and products.product_type <> 'configurable'
            and length(products.sku) <= 30
        order by products.product_id
        limit 1
    ) as item on chosen.line_kind = 'product'
) as mapped
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('accounts') }} as ledger_accounts
            where ledger_accounts.connection = mapped.to_connection
        ) as has_accounts,
        (
            select bool_or(ledger_accounts.is_active)
            from {{ ref('accounts') }} as ledger_accounts
            where ledger_accounts.connection = mapped.to_connection and ledger_accounts.code = mapped.account_code
        ) as is_active
    offset 0
) as ledger
cross join lateral (
    select
        exists (
            select 1
            from {{ ref('tax_rates') }} as ledger_tax_rates
            where ledger_tax_rates.connection = mapped.to_connection and ledger_tax_rates.system = 'xero'
        ) as has_rates,
        (
            select bool_or(ledger_tax_rates.is_active)
            from {{ ref('tax_rates') }} as ledger_tax_rates
            where
                ledger_tax_rates.connection = mapped.to_connection
                and ledger_tax_rates.system = 'xero'
                and ledger_tax_rates.code = mapped.tax_type
        ) as has_rate
    offset 0
) as ledger_tax
