with orders as (
    select
        needed.*,
        -- What Xero would refuse as an address is left out: one buyer's slip must not stop the company.
        case
            when
                length(needed.customer_email) <= 255
                and needed.customer_email ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'
                then needed.customer_email
        end as usable_email,
        row_number() over (
            partition by needed.connection, needed.company_key, needed.to_connection, needed.contact_key, needed.customer_email
            order by length(needed.order_id), needed.order_id
        ) as nth_of_buyer
    from {{ ref('int_contacts_needed') }} as needed
    where needed.contact_key = needed.connection || '/company/' || needed.company_key
),

ranked as (
    select
        orders.*,
        row_number() over (
            partition by orders.connection, orders.company_key, orders.to_connection, orders.contact_key
            order by orders.nth_of_buyer > 1, length(orders.order_id), orders.order_id
        ) as nth
    from orders
),

-- The first order names the company, as it does a guest; its first five buyers are the persons.
contacts as (
    select
        ranked.connection,
        ranked.company_key,
        ranked.to_connection,
        ranked.contact_key,
        bool_or(ranked.numbers_names) as numbers_names,
        max(ranked.first_name) filter (where ranked.nth = 1) as first_name,
        max(ranked.last_name) filter (where ranked.nth = 1) as last_name,
        max(ranked.company_name) filter (where ranked.nth = 1) as company_name,
        (array_agg(ranked.usable_email order by ranked.nth) filter (where ranked.usable_email is not null))[1] as email,
        max(ranked.vat_number) filter (where ranked.nth = 1) as vat_number,
        (array_agg(ranked.billing_street) filter (where ranked.nth = 1))[1] as street,
        max(ranked.billing_city) filter (where ranked.nth = 1) as city,
        max(ranked.billing_region) filter (where ranked.nth = 1) as region,
        max(ranked.billing_postcode) filter (where ranked.nth = 1) as postcode,
        max(ranked.billing_country_code) filter (where ranked.nth = 1) as country_code,
        max(ranked.billing_telephone) filter (where ranked.nth = 1) as telephone,
        jsonb_agg(
            jsonb_strip_nulls(
                jsonb_build_object(
                    'FirstName', left({{ clean_name('ranked.first_name') }}, 255),
                    'LastName', left({{ clean_name('ranked.last_name') }}, 255),
                    'EmailAddress', ranked.usable_email,
                    'IncludeInEmails', false
                )
            )
            order by ranked.nth
        ) filter (where ranked.nth_of_buyer = 1 and ranked.nth <= 5) as people,
        null::jsonb as _problems
    from ranked
    group by ranked.connection, ranked.company_key, ranked.to_connection, ranked.contact_key
)

select
    contacts.to_connection as _to,
    contacts.contact_key as _key,
    contacts.connection as _source_connection,
    contacts.company_key as _source_id,
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
                    'Name',
                    left({{ contact_name('contacts') }}, 200) || ' ('
                    || left(coalesce(contacts.vat_number, contacts.postcode, contacts.city, contacts.country_code), 40) || ')'
                )
    end as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ contact_fields('contacts', is_company=true) }},
    contacts.people as "ContactPersons"
from contacts
left join {{ link_of('contacts.to_connection', 'contacts', 'contacts.contact_key') }} as link on true
left join lateral (
    select known.name
    from {{ ref('stg_xero__contacts') }} as known
    where
        known.connection = contacts.to_connection
        and link.target_id is null
        and known.contact_number = {{ contact_number('contacts') }}
        and known.status = 'ARCHIVED'
    limit 1
) as archived on true
