-- additive
-- A control total may be of one account or one tax type.
alter table cdc.proofs add column detail text not null default '';
comment on column cdc.proofs.detail is 'Of the controls by account and by tax type: which; else empty';
