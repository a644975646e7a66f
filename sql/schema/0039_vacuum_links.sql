-- additive
-- A link lives for ever: it dies once, when its lock becomes the link of a document. Looking through all indexes of links for each
-- twentieth that did so, at full speed, took a fifth of a busy outbox; Postgres' own pace (a fifth, throttled) does not grow with
-- the table.
alter table cdc.links reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay);
