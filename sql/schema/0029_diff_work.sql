-- additive
-- What a diff asks of the outbox each time, found without reading it: it holds every open entry, and few of them are these.

create index outbox_counting on cdc.outbox (model, operation, currency)
where state = 'held' and held_for = 'guard' and cause = 'counting';
create index outbox_vanished on cdc.outbox (model) where state = 'held' and held_for = 'vanished';
create index outbox_removals on cdc.outbox (connection, entity, key) where operation = 'remove';
create index outbox_referring on cdc.outbox (connection)
where state = 'waiting' or (state = 'held' and held_for = 'problems' and cause = 'reference to nothing');

-- What a sweep found that no changed key had announced.
alter table cdc.models add column missed jsonb;
comment on column cdc.models.missed is 'Of the last sweep: {"at", "records", "keys"} that differed though no change had announced them; null: nothing';
