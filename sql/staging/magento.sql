-- Staging tables of Magento: one for each stream of loaders/magento.py.
-- Applied again whenever this file changes, so each statement may run twice. A new key column of an existing table also
-- needs `alter table … add column if not exists`, because `create table if not exists` leaves that table as it is.
-- Key columns are generated from the payload, so that the merge needs no knowledge of them; `left(…, 500)` keeps a value
-- that is far too long from exceeding what an index takes, which would stop the page that it came in. An empty text is no
-- key: null, so that records without one never match each other.
-- How payloads are stored follows from `keep_payloads_plain` (sql/queries/migrate.sql), which runs after this file.

-- Which company an order bills: part of a contact's key, so what is stored stays and this may only be added to.
-- By VAT number and the first word of the company's name, so that neither a group that shares a number nor a slip of the
-- pen makes two companies one; without a number by country, postcode (else town and street) and the whole name. Null: no
-- company. What people type instead of a number (12345678, 000000000) or of a company ("n/a", "none") is none.
create or replace function staging.company_key(billing jsonb, tax_number text) returns text
language sql immutable parallel safe
as $$
select
    case
        when length(found.number) <= 22 and length(found.digits) between 7 and 15 and length(found.typed) >= 8
            and found.digits !~ '^(.)\1*$' and found.digits !~ '^0?12345678'
            then found.number || '/' || coalesce(substring(regexp_replace(found.name, '^the ', '') from '^[^ ]+'), '-')
        when found.name is not null and found.country is not null and found.place is not null
            then found.country || '/' || found.place || '/' || left(found.name, 200)
    end
from (
    select
        typed.typed,
        typed.country,
        regexp_replace(typed.typed, '[^0-9]', '', 'g') as digits,
        case
            when typed.typed ~ '^[A-Z]{2}' then typed.typed
            else case typed.country when 'GR' then 'EL' else coalesce(typed.country, '') end || typed.typed
        end as number,
        case
            when length(typed.name) < 2 then null
            when typed.name in (
                'na', 'n a', 'nil', 'no', 'non', 'none', 'null', 'not applicable', 'no company', 'company', 'private', 'privat',
                'privé', 'prive', 'privado', 'particulier', 'particular', 'privato', 'person', 'personal', 'individual', 'home',
                'house', 'self', 'me', 'myself', 'keine', 'ohne', 'geen', 'nessuna', 'ninguna', 'aucune', 'test', 'xx', 'xxx'
            ) then null
            else regexp_replace(typed.name, ' limited$', ' ltd')
        end as name,
        coalesce(nullif(typed.postcode, ''), nullif(typed.town, '')) as place
    from (
        select
            upper(regexp_replace(
                coalesce(nullif(btrim(billing ->> 'vat_id'), ''), tax_number, ''), '[^A-Za-z0-9]', '', 'g'
            )) as typed,
            nullif(upper(left(btrim(billing ->> 'country_id'), 2)), '') as country,
            lower(regexp_replace(left(billing ->> 'postcode', 50), '[^A-Za-z0-9]', '', 'g')) as postcode,
            btrim(regexp_replace(
                lower(concat_ws(' ', left(billing ->> 'city', 60), left(billing -> 'street' ->> 0, 60)) collate "pg_c_utf8"),
                '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\xa0]+', ' ', 'g'
            )) as town,
            btrim(regexp_replace(
                translate(lower(left(billing ->> 'company', 300) collate "pg_c_utf8"), '.''’`', ''),
                '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f\xa0]+', ' ', 'g'
            )) as name
    ) as typed
) as found
$$;

create table if not exists staging.magento__orders (
    like cdc.staging_template including all,
    increment_id text generated always as (nullif(left(payload ->> 'increment_id', 500), '')) stored,
    customer_id text generated always as (nullif(left(payload ->> 'customer_id', 500), '')) stored,
    customer_email text generated always as (nullif(lower(btrim(left(payload ->> 'customer_email', 500))), '')) stored,
    store_id text generated always as (nullif(left(payload ->> 'store_id', 500), '')) stored
);
comment on table staging.magento__orders is 'Orders with items, addresses, payment and comments';
-- Which orders hold a product: a change of its category or name leads to them, and only sold products become items.
alter table staging.magento__orders
add column if not exists product_ids jsonb generated always as (jsonb_path_query_array(payload, '$.items[*].product_id')) stored;
-- The company that an order bills drives its contact.
alter table staging.magento__orders
add column if not exists company_key text generated always as (
    staging.company_key(
        case when jsonb_typeof(payload -> 'billing_address') = 'object' then payload -> 'billing_address' end,
        payload ->> 'customer_taxvat'
    )
) stored;
create index if not exists magento__orders_company_key on staging.magento__orders (connection, company_key);
-- Which of them are still open: goods that are invoiced and not shipped.
alter table staging.magento__orders
add column if not exists state text generated always as (nullif(left(payload ->> 'state', 500), '')) stored;
create index if not exists magento__orders_product_ids on staging.magento__orders using gin (product_ids jsonb_path_ops);
create index if not exists magento__orders_increment_id on staging.magento__orders (connection, increment_id);
create index if not exists magento__orders_customer_id on staging.magento__orders (connection, customer_id);
create index if not exists magento__orders_customer_email on staging.magento__orders (connection, customer_email);
create index if not exists magento__orders_store_id on staging.magento__orders (connection, store_id);

create table if not exists staging.magento__invoices (
    like cdc.staging_template including all,
    order_id text generated always as (nullif(left(payload ->> 'order_id', 500), '')) stored,
    increment_id text generated always as (nullif(left(payload ->> 'increment_id', 500), '')) stored
);
comment on table staging.magento__invoices is 'Invoices of orders';
create index if not exists magento__invoices_order_id on staging.magento__invoices (connection, order_id);
create index if not exists magento__invoices_increment_id on staging.magento__invoices (connection, increment_id);

create table if not exists staging.magento__credit_memos (
    like cdc.staging_template including all,
    order_id text generated always as (nullif(left(payload ->> 'order_id', 500), '')) stored,
    increment_id text generated always as (nullif(left(payload ->> 'increment_id', 500), '')) stored
);
comment on table staging.magento__credit_memos is 'Credit memos of orders';
create index if not exists magento__credit_memos_order_id on staging.magento__credit_memos (connection, order_id);
create index if not exists magento__credit_memos_increment_id on staging.magento__credit_memos (connection, increment_id);

create table if not exists staging.magento__shipments (
    like cdc.staging_template including all,
    order_id text generated always as (nullif(left(payload ->> 'order_id', 500), '')) stored,
    increment_id text generated always as (nullif(left(payload ->> 'increment_id', 500), '')) stored
);
comment on table staging.magento__shipments is 'Shipments of orders';
create index if not exists magento__shipments_order_id on staging.magento__shipments (connection, order_id);
create index if not exists magento__shipments_increment_id on staging.magento__shipments (connection, increment_id);

create table if not exists staging.magento__customers (
    like cdc.staging_template including all,
    email text generated always as (nullif(lower(btrim(left(payload ->> 'email', 500))), '')) stored
);
comment on table staging.magento__customers is 'Registered customers with their addresses';
create index if not exists magento__customers_email on staging.magento__customers (connection, email);

create table if not exists staging.magento__customer_groups (
    like cdc.staging_template including all
);
comment on table staging.magento__customer_groups is 'Customer groups';

create table if not exists staging.magento__products (
    like cdc.staging_template including all,
    sku text generated always as (nullif(left(payload ->> 'sku', 500), '')) stored
);
comment on table staging.magento__products is 'Products as the list gives them (global scope)';
create index if not exists magento__products_sku on staging.magento__products (connection, sku);

create table if not exists staging.magento__categories (
    like cdc.staging_template including all
);
comment on table staging.magento__categories is 'Categories';

create table if not exists staging.magento__stock_items (
    like cdc.staging_template including all,
    sku text generated always as (nullif(left(payload ->> 'sku', 500), '')) stored
);
comment on table staging.magento__stock_items is 'Quantity by source and sku (source items); id is source/sku';
create index if not exists magento__stock_items_sku on staging.magento__stock_items (connection, sku);

create table if not exists staging.magento__tax_classes (
    like cdc.staging_template including all
);
comment on table staging.magento__tax_classes is 'Tax classes of products and customers';

create table if not exists staging.magento__tax_rates (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'code', 500), '')) stored
);
comment on table staging.magento__tax_rates is 'Tax rates; not tied to an order, which keeps its own copy';
create index if not exists magento__tax_rates_code on staging.magento__tax_rates (connection, code);

create table if not exists staging.magento__store_views (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'code', 500), '')) stored
);
comment on table staging.magento__store_views is 'Store views';
create index if not exists magento__store_views_code on staging.magento__store_views (connection, code);

create table if not exists staging.magento__store_configs (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'code', 500), '')) stored
);
comment on table staging.magento__store_configs is 'Currency, time zone and addresses of each store view';
create index if not exists magento__store_configs_code on staging.magento__store_configs (connection, code);

create table if not exists staging.magento__websites (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'code', 500), '')) stored
);
comment on table staging.magento__websites is 'Websites';
create index if not exists magento__websites_code on staging.magento__websites (connection, code);

create table if not exists staging.magento__store_groups (
    like cdc.staging_template including all
);
comment on table staging.magento__store_groups is 'Store groups';

create table if not exists staging.magento__currency_rates (
    like cdc.staging_template including all,
    base_currency_code text generated always as (nullif(left(payload ->> 'base_currency_code', 500), '')) stored,
    currency_code text generated always as (nullif(left(payload ->> 'currency_to', 500), '')) stored,
    day text generated always as (nullif(left(payload ->> 'day', 500), '')) stored
);
comment on table staging.magento__currency_rates is 'Exchange rates of the shop by pair and day on which they were read';
create index if not exists magento__currency_rates_pair
on staging.magento__currency_rates (connection, base_currency_code, currency_code);
