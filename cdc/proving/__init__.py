"""How each target is read afresh for a proof: one module a system, `control_records` and `control_record`."""
