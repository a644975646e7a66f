-- name: identity
-- Which server answers: the folder of its data, and the number that initdb gave it.
select
    current_setting('data_directory') as data_directory,
    system_identifier::text as system_identifier,
    current_setting('server_version') as server_version
from pg_control_system();

-- name: has_database
-- Whether the server has the database of that name. name: text.
select exists(select 1 from pg_database where datname = %(name)s) as found;

-- name: create_database
-- The database in which everything lives.
create database {name};
