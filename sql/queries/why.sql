-- Why a record is as it is: its story, in the order in which things happened.

-- name: history
-- Every change of a record, the oldest first.
select
    version,
    told_by,
    before,
    after,
    changed_at
from cdc.history
where
    connection = %(connection)s
    and stream = %(stream)s
    and id = %(id)s
order by version;

-- name: related
-- Other records of the source that belong to a driving record, by a key column that names it.
select id
from {table} as record
where
    record.connection = %(connection)s
    and record.{column} = %(id)s
order by id
limit %(limit)s;

-- name: done
-- Every finished entry of a key, the oldest first.
select outbox_done.*
from cdc.outbox_done
where
    connection = %(connection)s
    and entity = %(entity)s
    and key = %(key)s
order by entry;

-- name: calls
-- Every call that carried a key, the oldest first.
select calls.*
from cdc.calls
where
    calls.keys @> array[%(key)s::text]
    and calls.connection = %(connection)s
    and calls.entity = %(entity)s
order by calls.number;

-- name: decisions
-- Every decision about a key, the oldest first.
select decisions.*
from cdc.decisions
where
    connection = %(connection)s
    and entity = %(entity)s
    and key = %(key)s
order by decision;

-- name: plan
-- A saved plan: by whom, when, and what happened to it.
select
    plans.plan,
    plans.made_at,
    plans.made_by,
    (
        select jsonb_agg(
            jsonb_build_object('what', events.what, 'by', events.by_whom, 'at', events.happened_at, 'reason', events.reason)
            order by events.event
        )
        from cdc.plan_events as events
        where events.plan = plans.plan
    ) as events
from cdc.plans
where plans.plan = %(plan)s;
