-- additive
-- A change in fields that no model reads leads to no key: what a change says of its fields, and what a model reads.

alter table cdc.changes add column fields text[];
comment on column cdc.changes.fields is
'Top-level fields of the payload that differ; null: any (added, deleted, came back, of another form, written before there was this column)';

alter table cdc.models add column reads jsonb;
comment on column cdc.models.reads is
'By staging table: the top-level fields of its payload that the views read, null for any; a table that is not named, or null for all: any';
