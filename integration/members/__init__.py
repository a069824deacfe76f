"""The people: their lifecycle, roles, sessions, passwords, second factors and addresses."""
