with orders as (
    select * from {{ ref('int_contacts_needed') }}
),

-- The first order of an e-mail that is posted names the contact: it stays as it is when the guest comes back.
first_orders as (
    select
        orders.*,
        row_number() over (
            partition by orders.connection, orders.customer_email, orders.to_connection, orders.contact_key
            order by length(orders.order_id), orders.order_id
        ) as nth
    from orders
),

contacts as (
    select
        first_orders.connection,
        first_orders.to_connection,
        first_orders.contact_key,
        first_orders.numbers_names,
        first_orders.first_name,
        first_orders.last_name,
        first_orders.company_name,
        first_orders.customer_email as email,
        first_orders.vat_number,
        first_orders.billing_street as street,
        first_orders.billing_city as city,
        first_orders.billing_region as region,
        first_orders.billing_postcode as postcode,
        first_orders.billing_country_code as country_code,
        first_orders.billing_telephone as telephone,
        null::jsonb as _problems
    from first_orders
    where
        first_orders.nth = 1
        and first_orders.contact_key = first_orders.connection || '/guest/' || first_orders.customer_email
)

select
    contacts.to_connection as _to,
    contacts.contact_key as _key,
    contacts.connection as _source_connection,
    contacts.email as _source_id,
    null::text as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ contact_problems('contacts', 'archived') }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    case
        when contacts.numbers_names
            then
                jsonb_build_object(
                    'Name', left({{ contact_name('contacts') }}, 200) || ' (' || left(contacts.email, 50) || ')'
                )
    end as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ contact_fields('contacts', owned='owned') }}
from contacts
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
