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
    (select changes.seq from cdc.changes order by changes.seq limit 1) is not null
    or exists (
        select
        from cdc.models
        where
            models.kind = 'outbound'
            and (
                models.sweep_due
                or (
                    select changed_keys.model
                    from cdc.changed_keys
                    where changed_keys.model between models.model and models.model
                    order by changed_keys.model, changed_keys.seq
                    limit 1
                ) = models.model
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
