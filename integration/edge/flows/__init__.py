"""Self-service flows: submits read as Kratos reads them, guarded, and their outcomes."""
