-- additive
-- A dead letter is new once. A retry that ends the same way again makes another entry of the same letter: what was told
-- stays with the key, so that a scheduler is not woken for it each time.
alter table cdc.links add column told_as text;
comment on column cdc.links.told_as is 'The dead letter of this key that was last told, by cause and payload';
