-- additive
-- A linked record that the target merged into another: what refers to it uses the survivor, nothing is written to either.
alter table cdc.links add column followed_id text;
comment on column cdc.links.followed_id
is 'The record into which the target merged ours. target_id stays, so that two keys may follow one record; references use this one';
create index links_followed on cdc.links (connection, entity, followed_id) where followed_id is not null;
