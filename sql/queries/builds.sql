-- Builds: the set of models in force and what is known of it.

-- name: models_of_kind
-- Models of the set in force. Parameters: kind (outbound or mart).
select
    models.model,
    models.kind,
    models.system,
    models.entity,
    models.config,
    models.code_hash,
    models.lookups_hash,
    models.sweep_due,
    models.is_new,
    models.is_changed,
    models.build
from cdc.models as models
where models.kind = %(kind)s
order by models.model;
