"""Stories of the full trade, by subject; each says in Dr/Cr what an accountant books (AR = debtors control)."""
