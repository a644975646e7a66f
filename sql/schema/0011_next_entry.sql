-- additive
-- The next ready entries of one operation, in their order, without looking at the others.
create index outbox_next on cdc.outbox (connection, entity, operation, entry) where state = 'ready';
