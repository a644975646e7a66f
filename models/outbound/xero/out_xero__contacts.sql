with customers as (
    select * from {{ ref('contacts') }}
),

targets as (
    select
        routes.connection,
        routes.to_connection
    from {{ ref('routes') }} as routes
    group by routes.connection, routes.to_connection
),

contacts as (
    select
        customers.connection,
        customers.contact_id,
        customers.registered_at,
        targets.to_connection,
        customers.connection || '/customer/' || customers.contact_id as contact_key,
        customers.first_name,
        customers.last_name,
        customers.company_name,
        customers.email,
        customers.vat_number,
        customers.street,
        customers.city,
        customers.region,
        customers.postcode,
        customers.country_code,
        customers.telephone,
        customers._problems
    from customers
    inner join targets on customers.connection = targets.connection
    where customers.system = 'magento'
)

select
    contacts.to_connection as _to,
    contacts.contact_key as _key,
    contacts.connection as _source_connection,
    contacts.contact_id as _source_id,
    case when needed.numbers_names is null then 'no document to post' end as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ contact_problems('contacts', 'archived') }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    case
        when needed.numbers_names
            then
                jsonb_build_object(
                    'Name',
                    left({{ contact_name('contacts') }}, 200)
                    || ' (' || contacts.connection || ' ' || contacts.contact_id || ')'
                )
    end as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ both_ways(
        [
            ('FirstName', 'name'), ('LastName', 'name'), ('EmailAddress', 'email'),
            ('TaxNumber', 'vat_number'), ('Addresses', 'address'), ('Phones', 'phone')
        ],
        'owned'
    ) }} as _both_ways,
    case
        when contacts.registered_at is not null then jsonb_build_object('registered_at', contacts.registered_at)
    end as _identity,
    {{ contact_fields('contacts', owned='owned') }}
from contacts
left join lateral (
    select bool_or(orders.numbers_names) as numbers_names
    from (
        select
            own.connection,
            own.order_id
        from {{ ref('stg_magento__order_keys') }} as own
        where own.connection = contacts.connection and own.customer_id = contacts.contact_id
        union
        -- Another account, or a guest, with an e-mail of this customer's may have this contact too.
        select
            same_email.connection,
            same_email.order_id
        from {{ ref('stg_magento__order_keys') }} as own
        inner join {{ ref('stg_magento__order_keys') }} as same_email
            on own.connection = same_email.connection and own.customer_email = same_email.customer_email
        where own.connection = contacts.connection and own.customer_id = contacts.contact_id
    ) as keys
    cross join {{ of_order(
        ref('int_contacts_needed'), 'keys', 'orders',
        'orders.to_connection = contacts.to_connection and orders.contact_key = contacts.contact_key'
    ) }}
) as needed on true
left join {{ link_of('contacts.to_connection', 'contacts', 'contacts.contact_key') }} as link on true
left join {{ ref('int_owned_fields') }} as owned
    on
        contacts.connection = owned.connection
        and contacts.to_connection = owned.to_connection
        and owned.entity = 'customers'
        and link.target_id is not null
        and not link.is_gone
left join lateral (
    select max(known.name) as name
    from {{ ref('stg_xero__contacts') }} as known
    where
        known.connection = contacts.to_connection
        and link.target_id is null
        and known.email_key = contacts.email
    having bool_and(known.status = 'ARCHIVED')
) as archived_by_email on true
left join lateral (
    select known.name
    from {{ ref('stg_xero__contacts') }} as known
    where
        known.connection = contacts.to_connection
        and link.target_id is null
        and known.contact_number = contacts.contact_key
        and known.status = 'ARCHIVED'
    limit 1
) as archived_by_number on true
cross join lateral (
    select coalesce(archived_by_number.name, archived_by_email.name) as name
) as archived
