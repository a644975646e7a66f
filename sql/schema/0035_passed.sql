-- additive
-- What the limits let pass in the last minutes, for processes that diff at each commit: a flood that comes in small parts, through
-- several processes or over a restart, is counted as one.

create table cdc.passed (
    model text not null,
    operation text not null,
    currency text,
    entries bigint not null,
    amount numeric not null,
    largest numeric not null,
    without_amount bigint not null,
    passed_at timestamptz not null default now()
);
comment on table cdc.passed is 'Entries that diffs made and limits let pass, of the last minutes only';
create index passed_model on cdc.passed (model, passed_at);
