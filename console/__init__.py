"""The command line. The top floor: it calls what the floors below offer, and only it starts the stand-ins."""
