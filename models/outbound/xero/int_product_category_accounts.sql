select
    products.connection,
    products.product_id,
    candidates.category_name,
    candidates.depth,
    candidates.account,
    candidates.valid_from,
    candidates.valid_to
from {{ ref('stg_magento__products') }} as products
cross join lateral (
    -- The category itself and those above it: the nearest with an account decides.
    select
        categories.name as category_name,
        ancestors.level as depth,
        category_accounts.account,
        category_accounts.valid_from,
        category_accounts.valid_to
    from (
        -- Lists of products name the categories in one place, single products and other versions in the other.
        select link.category ->> 'category_id' as category_id
        from jsonb_array_elements({{ list_of('products.category_links') }}) as link (category)
        union
        select identifier.category_id
        from jsonb_array_elements({{ list_of('products.custom_attributes') }}) as attribute (entry)
        cross join lateral
            jsonb_array_elements_text({{ list_of("(attribute.entry -> 'value')") }}) as identifier (category_id)
        where attribute.entry ->> 'attribute_code' = 'category_ids'
    ) as links
    inner join {{ ref('stg_magento__categories') }} as categories
        on categories.connection = products.connection and links.category_id = categories.category_id
    cross join lateral regexp_split_to_table(coalesce(nullif(categories.path, ''), categories.category_id), '/')
        as step (category_id)
    inner join {{ ref('stg_magento__categories') }} as ancestors
        on ancestors.connection = products.connection and step.category_id = ancestors.category_id
    left join {{ ref('category_accounts') }} as category_accounts
        on
            category_accounts.connection = products.connection
            and lower(ancestors.name) = lower(category_accounts.category)

    union all

    -- '*' takes what no other row takes, also products without a category.
    select
        null::text as category_name,
        -1 as depth,
        category_accounts.account,
        category_accounts.valid_from,
        category_accounts.valid_to
    from {{ ref('category_accounts') }} as category_accounts
    where category_accounts.connection = products.connection and category_accounts.category = '*'
) as candidates
