-- What `tieout run` asks the database.

-- name: listen_changes
-- Told by loads that changed rows; the payload is the stream.
listen tieout_changes;

-- name: listen_ready
-- Told when entries became ready; the payload is the target.
listen tieout_ready;

-- name: news
-- Has a diff anything to look at? Keys of marts are not its business.
select
    exists (select from cdc.changes)
    or exists (
        select
        from cdc.models
        where
            models.kind = 'outbound'
            and (
                models.sweep_due
                or exists (select from cdc.changed_keys where changed_keys.model = models.model)
            )
    ) as has_news;

-- name: to_send
-- Has a drain of this target anything that moves now? What only waits for others is released by whoever settles those.
select
    exists (
        select from cdc.outbox
        where connection = %(connection)s and state = 'ready' and not_before <= now()
    )
    or exists (
        select from cdc.calls
        where connection = %(connection)s and settled_at is null
    ) as has_work;
