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
