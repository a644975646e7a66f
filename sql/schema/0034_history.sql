-- additive
-- The first backfill of a stream, newest record first, beside what changes meanwhile: how far it is.

alter table cdc.cursors
add column history jsonb,
add column history_rows bigint not null default 0,
add column history_pages bigint not null default 0,
add column history_left bigint,
add column history_seconds double precision not null default 0;

comment on column cdc.cursors.history is 'How far back a backfill is that goes on; null when none does';
comment on column cdc.cursors.history_rows is 'Records that it read, those met twice included';
comment on column cdc.cursors.history_pages is 'Requests that it made';
comment on column cdc.cursors.history_left is 'Records still to come by the vendor''s own count; null where it tells none';
comment on column cdc.cursors.history_seconds is 'Time that its requests took, waits for limits included';

-- A first load that an earlier version left half-way, in the order of the id: begun again at the newest record.
update cdc.cursors
set
    history = jsonb_build_object('page', 1, 'size', 1000),
    cursor = cursors.cursor - 'page'
where cursors.cursor ? 'page';
