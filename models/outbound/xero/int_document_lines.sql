with documents as not materialized (
    select * from {{ ref('int_documents') }}
),

lines as (
    select
        invoice_lines.connection,
        invoice_lines.order_id,
        'invoice'::text as document,
        false as is_draft,
        invoice_lines.invoice_id as document_id,
        invoice_lines.line_id,
        invoice_lines.line_kind,
        invoice_lines.line_number,
        invoice_lines.product_id,
        invoice_lines.sku,
        invoice_lines.description,
        invoice_lines.quantity,
        invoice_lines.price,
        invoice_lines.base_price,
        invoice_lines.discount_amount,
        invoice_lines.base_discount_amount,
        invoice_lines.net_amount,
        invoice_lines.base_net_amount,
        invoice_lines.tax_amount,
        invoice_lines.base_tax_amount,
        invoice_lines.tax_code,
        invoice_lines.tax_percent,
        invoice_lines._problems
    from {{ ref('invoice_lines') }} as invoice_lines
    where invoice_lines.system = 'magento'

    union all

    select
        order_lines.connection,
        order_lines.order_id,
        'invoice'::text as document,
        true as is_draft,
        null::text as document_id,
        order_lines.order_line_id as line_id,
        'product'::text as line_kind,
        order_lines.line_number,
        order_lines.product_id,
        order_lines.sku,
        order_lines.name as description,
        order_lines.left_quantity as quantity,
        order_lines.price,
        order_lines.base_price,
        case when order_lines.is_untouched then order_lines.discount_amount end as discount_amount,
        case when order_lines.is_untouched then order_lines.base_discount_amount end as base_discount_amount,
        order_lines.left_net_amount as net_amount,
        order_lines.left_base_net_amount as base_net_amount,
        order_lines.left_tax_amount as tax_amount,
        order_lines.left_base_tax_amount as base_tax_amount,
        order_lines.tax_code,
        order_lines.tax_percent,
        order_lines._problems
    from {{ ref('int_order_lines_left') }} as order_lines
    where order_lines.left_quantity > 0

    union all

    select
        orders.connection,
        orders.order_id,
        'invoice'::text as document,
        true as is_draft,
        null::text as document_id,
        'shipping'::text as line_id,
        'shipping'::text as line_kind,
        100000 as line_number,
        null::text as product_id,
        null::text as sku,
        'Shipping'::text as description,
        1::numeric as quantity,
        orders.shipping_amount as price,
        orders.base_shipping_amount as base_price,
        0::numeric as discount_amount,
        0::numeric as base_discount_amount,
        orders.shipping_amount as net_amount,
        orders.base_shipping_amount as base_net_amount,
        orders.shipping_tax_amount as tax_amount,
        orders.base_shipping_tax_amount as base_tax_amount,
        orders.shipping_tax_code as tax_code,
        orders.shipping_tax_percent as tax_percent,
        {{ problems([]) }} as _problems
    from {{ ref('orders') }} as orders
    where orders.shipping_amount <> 0 or orders.shipping_tax_amount <> 0

    union all

    select
        credit_note_lines.connection,
        credit_note_lines.order_id,
        'credit'::text as document,
        false as is_draft,
        credit_note_lines.credit_note_id as document_id,
        credit_note_lines.line_id,
        credit_note_lines.line_kind,
        credit_note_lines.line_number,
        credit_note_lines.product_id,
        credit_note_lines.sku,
        credit_note_lines.description,
        credit_note_lines.quantity,
        credit_note_lines.price,
        credit_note_lines.base_price,
        -- Xero takes no discount on the line of a credit note.
        case when credit_note_lines.discount_amount = 0 then 0 end as discount_amount,
        case when credit_note_lines.base_discount_amount = 0 then 0 end as base_discount_amount,
        credit_note_lines.net_amount,
        credit_note_lines.base_net_amount,
        credit_note_lines.tax_amount,
        credit_note_lines.base_tax_amount,
        credit_note_lines.tax_code,
        credit_note_lines.tax_percent,
        credit_note_lines._problems
    from {{ ref('credit_note_lines') }} as credit_note_lines
    where credit_note_lines.system = 'magento'
),

chosen as (
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
    from documents
    inner join lines
        on
            documents.connection = lines.connection
            and documents.order_id = lines.order_id
            and documents.document = lines.document
            and documents.is_draft = lines.is_draft
            and (documents.is_draft or documents.document_id = lines.document_id)
    where
        not documents.is_draft
        or lines.line_kind = 'product'
        -- The first invoice carries all shipping.
        or not exists (
            select 1
            from {{ ref('stg_magento__invoices') }} as earlier
            where
                earlier.connection = documents.connection
                and earlier.order_id = documents.order_id
                and earlier.state <> 'cancelled'
                and earlier.deleted_at is null
        )
),

taxes as (
    select * from {{ ref('taxes') }}
),

line_accounts as (
    select * from {{ ref('line_accounts') }}
),

mapped as (
    select
        chosen.*,
        tax.tax_type,
        case
            when chosen.line_kind = 'product' then category.account
            else kind_account.account
        end as account_code,
        category.category_names,
        category.account_count,
        item.product_id is not null as has_item
    from chosen
    left join lateral (
        select taxes.tax_type
        from taxes
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
        from line_accounts
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
),

ledger_accounts as (
    select * from {{ ref('accounts') }}
),

ledger_tax_rates as (
    select * from {{ ref('tax_rates') }}
)

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
    mapped.quantity > 0
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
        "case when mapped.account_code is null and mapped.line_kind <> 'product' then "
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
from mapped
left join lateral (
    select
        count(*) > 0 as has_accounts,
        bool_or(ledger_accounts.is_active) filter (where ledger_accounts.code = mapped.account_code) as is_active
    from ledger_accounts
    where ledger_accounts.connection = mapped.to_connection
) as ledger on true
left join lateral (
    select
        count(*) > 0 as has_rates,
        bool_or(ledger_tax_rates.is_active) filter (where ledger_tax_rates.code = mapped.tax_type) as has_rate
    from ledger_tax_rates
    where ledger_tax_rates.connection = mapped.to_connection and ledger_tax_rates.system = 'xero'
) as ledger_tax on true
