"""Stand-ins for the vendors' APIs, as strict as the vendors, each started on a port of its own."""
