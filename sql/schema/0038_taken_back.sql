-- breaking: a function that nothing has called since 0012 is dropped
-- Runs that are being taken back: what retention leaves in the database because of them is asked in one place.

drop function cdc.refers_to_nothing(text, jsonb);

create view cdc.reversals_under_way as
select distinct links.reversal ->> 'run' as run
from cdc.links
where links.reversal is not null;
comment on view cdc.reversals_under_way is 'Runs, as text, whose documents are being taken back (tieout reverse)';
