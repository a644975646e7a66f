with stores as (
    select
        views.connection,
        views.store_id,
        views._problems,
        routes.to_connection,
        views.connection || '/store/' || views.store_id as contact_key,
        coalesce(nullif(max(routes.channel), ''), views.name, views.code) || ' customers' as company_name,
        bool_or(coalesce(routes.name_taken = 'number', false)) as numbers_names
    from {{ ref('stg_magento__store_views') }} as views
    inner join {{ ref('routes') }} as routes
        on views.connection = routes.connection and lower(views.code) = lower(routes.store_code)
    where routes.contacts = 'one_per_store'
    group by views.connection, views.store_id, views.code, views.name, views._problems, routes.to_connection
)

select
    stores.to_connection as _to,
    stores.contact_key as _key,
    stores.connection as _source_connection,
    stores.store_id as _source_id,
    null::text as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ problems([
        'stores._problems',
        "case when archived.name is not null then "
        ~ problem("'Contact'", "archived.name", "'The contact ' || archived.name || ' with this number is archived in Xero'",
                  "'Restore the contact in Xero (Contacts, Archived, Restore)'", "'accountant'", "'contact archived'") ~ " end",
    ]) }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    case
        when stores.numbers_names
            then
                jsonb_build_object(
                    'Name', left({{ clean_name('stores.company_name') }}, 200) || ' (' || stores.connection || ' ' || stores.store_id || ')'
                )
    end as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    left({{ clean_name('stores.company_name') }}, 255) as "Name",
    {{ contact_number('stores') }} as "ContactNumber"
from stores
left join {{ link_of('stores.to_connection', 'contacts', 'stores.contact_key') }} as link on true
left join lateral (
    select known.name
    from {{ ref('stg_xero__contacts') }} as known
    where
        known.connection = stores.to_connection
        and link.target_id is null
        and known.contact_number = {{ contact_number('stores') }}
        and known.status = 'ARCHIVED'
    limit 1
) as archived on true
