-- additive
-- A frozen document is corrected by a reversal and a new document, approved together.
alter table cdc.links add column correction jsonb;
comment on column cdc.links.correction
is 'asked: who wants this document corrected, and why; number, replaced, waits_for: the correction that was approved last';
create index links_corrections on cdc.links (connection, entity, key) where model = 'corrections';
