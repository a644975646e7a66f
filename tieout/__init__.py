"""The ground floor: settings, errors, events, the database, HTTP, secrets and what each vendor's API is."""
