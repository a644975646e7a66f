with routed as (
    select
        contacts.connection,
        contacts.contact_id,
        contacts.contact_number,
        contacts.email,
        nullif(trim(contacts.first_name), '') as first_name,
        nullif(trim(contacts.last_name), '') as last_name,
        contacts.vat_number,
        contacts.street,
        contacts.city,
        contacts.postcode,
        contacts.country_code,
        contacts.telephone,
        contacts.status,
        contacts.is_customer,
        contacts._problems,
        routes.to_connection,
        lower(routes.creates) = 'yes' as creates,
        routes.website
    from {{ ref('contacts') }} as contacts
    inner join {{ ref('back_routes') }} as routes on contacts.connection = routes.connection and routes.entity = 'customers'
    where contacts.system = 'xero'
)

select
    routed.to_connection as _to,
    routed.connection || '/contact/' || routed.contact_id as _key,
    routed.connection as _source_connection,
    routed.contact_id as _source_id,
    case
        when routed.status <> 'active' then 'the contact is ' || routed.status || ' in the ledger'
        when routed.email is null then 'no e-mail'
        when not coalesce(routed.is_customer, false) and billed.contact_id is null then 'no customer: never invoiced'
        when twin.is_this_customer then 'another contact of the ledger is this customer'
        when state.is_new and starts_with(routed.contact_number, routed.to_connection || '/') then 'it came from the shop'
        when state.is_new and routed.creates is not true then 'the shop has no such customer, and none is to be made'
    end as _skip,
    null::text as _hold,
    null::text as _gone,
    {{ problems([
        'routed._problems',
        "case when websites.website_id is null then "
        ~ problem("'website_id'", "routed.website", "'The shop has no website ' || coalesce(routed.website, '(empty)')",
                  "'Correct website in back_routes.csv'", "'analyst'", "'website unknown'") ~ " end",
        "case when twin.emails > 0 and not coalesce(twin.is_this_customer, false) and not coalesce(twin.is_mine, false) then "
        ~ problem("'email'", "routed.email", "'Several contacts of the ledger have the e-mail ' || routed.email",
                  "'Merge them in the ledger, or give each an e-mail of its own'", "'accountant'", "'e-mail not unique'") ~ " end",
        "case when state.is_new and routed.email !~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$' then "
        ~ problem("'email'", "routed.email", "'The e-mail ' || left(routed.email, 80) || ' is not an address'",
                  "'Correct the e-mail in the ledger'", "'accountant'", "'e-mail invalid'") ~ " end",
        "case when state.is_new and (routed.first_name is null or routed.last_name is null) then "
        ~ problem("'firstname'", "routed.contact_id", "'A customer of the shop needs a first and a last name'",
                  "'Enter the primary person of the contact in the ledger'", "'accountant'", "'name of the person missing'") ~ " end",
        "case when not state.is_new and " ~ of_ledger('address', 'owned') ~ " and routed.country_code !~ '^[A-Z]{2}$' then "
        ~ problem("'addresses'", "routed.country_code", "'The country ' || left(routed.country_code, 60) || ' is not a code of two letters'",
                  "'Write the country as its ISO code (GB) in the ledger'", "'accountant'", "'country not a code'") ~ " end",
    ]) }} as _problems,
    null::numeric as _total,
    null::text as _currency,
    null::date as _date,
    null::jsonb as _if_taken,
    null::jsonb as _after,
    null::jsonb as _expect,
    {{ both_ways(
        [
            ('firstname', 'name'), ('lastname', 'name'), ('email', 'email'),
            ('taxvat', 'vat_number'), ('addresses', 'address'), ('addresses', 'phone')
        ],
        'owned'
    ) }} as _both_ways,
    -- What names the customer, until it is linked.
    case when not state.is_linked or {{ of_ledger('email', 'owned') }} then routed.email end as email,
    case when not state.is_linked then {{ whole_number('websites.website_id') }} end as website_id,
    case when state.is_new or {{ of_ledger('name', 'owned') }} then routed.first_name end as firstname,
    case when state.is_new or {{ of_ledger('name', 'owned') }} then routed.last_name end as lastname,
    case when state.is_new or {{ of_ledger('vat_number', 'owned') }} then routed.vat_number end as taxvat,
    case
        when state.is_new
            then
                -- Magento drops an address that lacks one of these.
                case
                    when
                        routed.street is not null and routed.city is not null and routed.telephone is not null
                        and routed.country_code ~ '^[A-Z]{2}$'
                        then
                            jsonb_build_array(
                                jsonb_strip_nulls(
                                    jsonb_build_object(
                                        'street', routed.street,
                                        'city', routed.city,
                                        'postcode', routed.postcode,
                                        'country_id', routed.country_code,
                                        'telephone', routed.telephone
                                    )
                                )
                            )
                end
        else
            nullif(
                jsonb_build_array(
                    jsonb_strip_nulls(
                        jsonb_build_object(
                            'telephone', case when {{ of_ledger('phone', 'owned') }} then routed.telephone end,
                            'street', case when {{ of_ledger('address', 'owned') }} then routed.street end,
                            'city', case when {{ of_ledger('address', 'owned') }} then routed.city end,
                            'postcode', case when {{ of_ledger('address', 'owned') }} then routed.postcode end,
                            'country_id', case when {{ of_ledger('address', 'owned') }} then routed.country_code end
                        )
                    )
                ),
                '[{}]'::jsonb
            )
    end as addresses
from routed
left join {{ source('engine', 'links') }} as link
    on
        routed.to_connection = link.connection
        and link.entity = 'customers'
        and link.key = routed.connection || '/contact/' || routed.contact_id
        and link.target_id is not null
        and not link.is_gone
left join {{ ref('int_owned_fields') }} as owned
    on
        routed.to_connection = owned.connection
        and routed.connection = owned.to_connection
        and owned.entity = 'customers'
left join lateral (
    select sites.website_id
    from {{ ref('stg_magento__websites') }} as sites
    where sites.connection = routed.to_connection and lower(sites.code) = lower(routed.website) and sites.deleted_at is null
    limit 1
) as websites on true
left join lateral (
    select customers.customer_id
    from {{ ref('stg_magento__customers') }} as customers
    where
        customers.connection = routed.to_connection
        and customers.email_key = routed.email
        and customers.website_id = websites.website_id
        and customers.deleted_at is null
    order by length(customers.customer_id) desc, customers.customer_id desc
    limit 1
) as known on true
left join lateral (
    select invoices.contact_id
    from {{ ref('stg_xero__invoices') }} as invoices
    where
        invoices.connection = routed.connection
        and invoices.contact_id = routed.contact_id
        and invoices.document_type = 'ACCREC'
        and invoices.deleted_at is null
    limit 1
) as billed on true
left join lateral (
    -- Others with this e-mail; the shop may have made several on purpose, one for each website.
    select
        count(*) as emails,
        bool_or(others.contact_number = routed.to_connection || '/customer/' || known.customer_id)
        and link.target_id is null as is_this_customer,
        coalesce(routed.contact_number = routed.to_connection || '/customer/' || known.customer_id, false)
        or link.target_id is not null as is_mine
    from {{ ref('stg_xero__contacts') }} as others
    where
        others.connection = routed.connection
        and others.email_key = routed.email
        and others.contact_id <> routed.contact_id
        and others.status = 'ACTIVE'
        and others.deleted_at is null
) as twin on true
cross join lateral (
    select
        link.target_id is not null as is_linked,
        link.target_id is null and known.customer_id is null as is_new
) as state
