-- name: begin
-- Record that a command began. Parameters: run, command, arguments (jsonb text), host, process_id.
insert into cdc.runs (run, command, arguments, host, process_id)
values (%(run)s, %(command)s, %(arguments)s::jsonb, %(host)s, %(process_id)s);

-- name: end
-- Record how it ended. Parameters: run, exit_code.
update cdc.runs
set
    finished_at = clock_timestamp(),
    exit_code = %(exit_code)s
where run = %(run)s;

-- name: made
-- Records that targets hold because of us, by outbound model, adopted ones apart.
select
    model,
    count(*) filter (where not is_adopted) as made,
    count(*) filter (where is_adopted) as adopted
from cdc.links
where
    target_id is not null
    and not is_gone
group by model
order by model;

-- name: example
-- The number of one invoice that was made, to show what can be asked of it.
select said ->> 'InvoiceNumber' as number
from cdc.links
where
    entity = 'invoices'
    and target_id is not null
    and not is_gone
order by linked_at, key
limit 1;
