"""Every module with tables, so that whoever compares them with a database misses none."""

from integration.db import (
    epoch_tables,
    password_tables,
    session_tables,
    tables,
    token_tables,
)

__all__ = ["epoch_tables", "password_tables", "session_tables", "tables", "token_tables"]
