-- Staging tables of Xero: one for each stream of loaders/xero.py.
-- Applied again whenever this file changes, so each statement may run twice. A new key column of an existing table also
-- needs `alter table … add column if not exists`, because `create table if not exists` leaves that table as it is.
-- Key columns are generated from the payload, so that the merge needs no knowledge of them; `left(…, 500)` keeps a value
-- that is far too long from exceeding what an index takes, which would stop the page that it came in. An empty text is no
-- key: null, so that records without one never match each other.
-- How payloads are stored follows from `keep_payloads_plain` (sql/queries/migrate.sql), which runs after this file.

create table if not exists staging.xero__organisations (
    like cdc.staging_template including all
);
comment on table staging.xero__organisations is 'The organisation itself: lock dates, base currency, country';

create table if not exists staging.xero__accounts (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'Code', 500), '')) stored
);
comment on table staging.xero__accounts is 'Chart of accounts; archived ones stay, deleted ones get deleted_at';
create index if not exists xero__accounts_code on staging.xero__accounts (connection, code);

create table if not exists staging.xero__tax_rates (
    like cdc.staging_template including all,
    tax_type text generated always as (nullif(left(payload ->> 'TaxType', 500), '')) stored
);
comment on table staging.xero__tax_rates is 'Tax rates by TaxType';
create index if not exists xero__tax_rates_tax_type on staging.xero__tax_rates (connection, tax_type);

create table if not exists staging.xero__tracking_categories (
    like cdc.staging_template including all
);
comment on table staging.xero__tracking_categories is 'Tracking categories with their options';

create table if not exists staging.xero__currencies (
    like cdc.staging_template including all
);
comment on table staging.xero__currencies is 'Currencies that the organisation has';

create table if not exists staging.xero__contacts (
    like cdc.staging_template including all,
    contact_number text generated always as (nullif(left(payload ->> 'ContactNumber', 500), '')) stored,
    email_address text generated always as (nullif(lower(btrim(left(payload ->> 'EmailAddress', 500))), '')) stored,
    name_key text generated always as (nullif(lower(btrim(regexp_replace(left(payload ->> 'Name', 500), '\s+', ' ', 'g'))), '')) stored
);
comment on table staging.xero__contacts is 'Contacts, archived ones included';
-- A company that others entered is known by its tax number, however that is spaced.
alter table staging.xero__contacts
add column if not exists tax_number text generated always as (
    nullif(upper(regexp_replace(left(payload ->> 'TaxNumber', 100), '[^A-Za-z0-9]', '', 'g')), '')
) stored;
create index if not exists xero__contacts_tax_number on staging.xero__contacts (connection, tax_number);
create index if not exists xero__contacts_contact_number on staging.xero__contacts (connection, contact_number);
create index if not exists xero__contacts_email_address on staging.xero__contacts (connection, email_address);
create index if not exists xero__contacts_name_key on staging.xero__contacts (connection, name_key);

create table if not exists staging.xero__items (
    like cdc.staging_template including all,
    code text generated always as (nullif(left(payload ->> 'Code', 500), '')) stored
);
comment on table staging.xero__items is 'Items (products and services) by ItemID';
create index if not exists xero__items_code on staging.xero__items (connection, code);

create table if not exists staging.xero__invoices (
    like cdc.staging_template including all,
    invoice_number text generated always as (nullif(left(payload ->> 'InvoiceNumber', 500), '')) stored,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored
);
comment on table staging.xero__invoices is 'Sales invoices and bills with their lines';
create index if not exists xero__invoices_invoice_number on staging.xero__invoices (connection, invoice_number);
create index if not exists xero__invoices_contact_id on staging.xero__invoices (connection, contact_id);

create table if not exists staging.xero__credit_notes (
    like cdc.staging_template including all,
    credit_note_number text generated always as (nullif(left(payload ->> 'CreditNoteNumber', 500), '')) stored,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored
);
comment on table staging.xero__credit_notes is 'Credit notes with lines and allocations';
create index if not exists xero__credit_notes_credit_note_number on staging.xero__credit_notes (connection, credit_note_number);
create index if not exists xero__credit_notes_contact_id on staging.xero__credit_notes (connection, contact_id);
-- Which invoices it was allocated to: an allocation may leave its invoice's own stamp as it was.
alter table staging.xero__credit_notes
add column if not exists invoice_ids jsonb generated always as (jsonb_path_query_array(payload, '$.Allocations[*].Invoice.InvoiceID')) stored;
create index if not exists xero__credit_notes_invoice_ids on staging.xero__credit_notes using gin (invoice_ids jsonb_path_ops);

create table if not exists staging.xero__payments (
    like cdc.staging_template including all,
    invoice_id text generated always as (nullif(left(payload -> 'Invoice' ->> 'InvoiceID', 500), '')) stored,
    credit_note_id text generated always as (nullif(left(payload -> 'CreditNote' ->> 'CreditNoteID', 500), '')) stored,
    reference text generated always as (nullif(left(payload ->> 'Reference', 500), '')) stored
);
comment on table staging.xero__payments is 'Payments and refunds';
create index if not exists xero__payments_invoice_id on staging.xero__payments (connection, invoice_id);
create index if not exists xero__payments_credit_note_id on staging.xero__payments (connection, credit_note_id);
create index if not exists xero__payments_reference on staging.xero__payments (connection, reference);

create table if not exists staging.xero__overpayments (
    like cdc.staging_template including all,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored
);
comment on table staging.xero__overpayments is 'Overpayments with their allocations';
create index if not exists xero__overpayments_contact_id on staging.xero__overpayments (connection, contact_id);
-- Which invoices it was allocated to: an allocation may leave its invoice's own stamp as it was.
alter table staging.xero__overpayments
add column if not exists invoice_ids jsonb generated always as (jsonb_path_query_array(payload, '$.Allocations[*].Invoice.InvoiceID')) stored;
create index if not exists xero__overpayments_invoice_ids on staging.xero__overpayments using gin (invoice_ids jsonb_path_ops);

create table if not exists staging.xero__prepayments (
    like cdc.staging_template including all,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored
);
comment on table staging.xero__prepayments is 'Prepayments with their allocations';
create index if not exists xero__prepayments_contact_id on staging.xero__prepayments (connection, contact_id);
-- Which invoices it was allocated to: an allocation may leave its invoice's own stamp as it was.
alter table staging.xero__prepayments
add column if not exists invoice_ids jsonb generated always as (jsonb_path_query_array(payload, '$.Allocations[*].Invoice.InvoiceID')) stored;
create index if not exists xero__prepayments_invoice_ids on staging.xero__prepayments using gin (invoice_ids jsonb_path_ops);

create table if not exists staging.xero__bank_transactions (
    like cdc.staging_template including all,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored,
    reference text generated always as (nullif(left(payload ->> 'Reference', 500), '')) stored
);
comment on table staging.xero__bank_transactions is 'Spend and receive money';
create index if not exists xero__bank_transactions_contact_id on staging.xero__bank_transactions (connection, contact_id);
create index if not exists xero__bank_transactions_reference on staging.xero__bank_transactions (connection, reference);

create table if not exists staging.xero__bank_transfers (
    like cdc.staging_template including all
);
comment on table staging.xero__bank_transfers is 'Transfers between bank accounts, deleted ones included';

create table if not exists staging.xero__manual_journals (
    like cdc.staging_template including all
);
comment on table staging.xero__manual_journals is 'Manual journals with their lines';

create table if not exists staging.xero__purchase_orders (
    like cdc.staging_template including all,
    purchase_order_number text generated always as (nullif(left(payload ->> 'PurchaseOrderNumber', 500), '')) stored,
    contact_id text generated always as (nullif(left(payload -> 'Contact' ->> 'ContactID', 500), '')) stored
);
comment on table staging.xero__purchase_orders is 'Purchase orders with their lines';
create index if not exists xero__purchase_orders_purchase_order_number on staging.xero__purchase_orders (connection, purchase_order_number);
create index if not exists xero__purchase_orders_contact_id on staging.xero__purchase_orders (connection, contact_id);
