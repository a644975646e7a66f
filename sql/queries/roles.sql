-- Roles: who may do what in this database.

-- name: grant_roles
-- Make the roles where this user may, and grant them what is new. The names of those that could not be made.
select cdc.grant_roles() as missing;

-- name: missing_roles
-- Which of the four roles are not there.
select wanted.role
from unnest(array['tieout_loader', 'tieout_analyst', 'tieout_writer', 'tieout_reader']) as wanted (role)
where to_regrole(wanted.role) is null
order by wanted.role;

-- name: has_roles
-- False in a database whose migrations bring no roles.
select to_regprocedure('cdc.grant_roles()') is not null as has_roles;
