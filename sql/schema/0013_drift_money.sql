-- additive
-- What a difference on a frozen document would have done to the accounts, and the hash by which a person accepts it.
alter table cdc.drift
add column effects jsonb not null default '[]'::jsonb,
add column payload_hash text not null default '',
add column document_date date;
comment on column cdc.drift.effects
is 'By account and month: [{"period","account","side","currency","amount","base"}], what the model says less what was agreed';
comment on column cdc.drift.payload_hash is 'What accept-as-is is bound to: the difference returns when the model says something else';
