-- Lists of products name the categories in one place, single products and other versions in the other.
with links as (
    select distinct
        products.connection,
        products.product_id,
        category.category_id
    from {{ ref('stg_magento__products') }} as products
    cross join lateral (
        select link.category ->> 'category_id' as category_id
        from jsonb_array_elements({{ list_of('products.category_links') }}) as link (category)
        union all
        select identifier.category_id
        from jsonb_array_elements({{ list_of('products.custom_attributes') }}) as attribute (entry)
        cross join lateral
            jsonb_array_elements_text({{ list_of("(attribute.entry -> 'value')") }}) as identifier (category_id)
        where attribute.entry ->> 'attribute_code' = 'category_ids'
    ) as category
),

-- The category itself and those above it: the nearest with an account decides.
lineage as (
    select
        links.connection,
        links.product_id,
        categories.name as category_name,
        ancestors.name as ancestor_name,
        ancestors.level as depth
    from links
    inner join {{ ref('stg_magento__categories') }} as categories
        on links.connection = categories.connection and links.category_id = categories.category_id
    cross join lateral regexp_split_to_table(coalesce(nullif(categories.path, ''), categories.category_id), '/')
        as step (category_id)
    inner join {{ ref('stg_magento__categories') }} as ancestors
        on links.connection = ancestors.connection and step.category_id = ancestors.category_id
)

select
    lineage.connection,
    lineage.product_id,
    lineage.category_name,
    lineage.depth,
    category_accounts.account,
    category_accounts.valid_from,
    category_accounts.valid_to
from lineage
left join {{ ref('category_accounts') }} as category_accounts
    on
        lineage.connection = category_accounts.connection
        and lower(lineage.ancestor_name) = lower(category_accounts.category)

union all

-- '*' takes what no other row takes, also products without a category.
select
    products.connection,
    products.product_id,
    null::text as category_name,
    -1 as depth,
    category_accounts.account,
    category_accounts.valid_from,
    category_accounts.valid_to
from {{ ref('stg_magento__products') }} as products
inner join {{ ref('category_accounts') }} as category_accounts
    on products.connection = category_accounts.connection and category_accounts.category = '*'
