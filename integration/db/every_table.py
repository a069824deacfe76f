"""Every module with tables, so that whoever compares them with a database misses none."""

from integration.db import (
    appeal_tables,
    audit_tables,
    decision_tables,
    email_change_tables,
    epoch_tables,
    grant_tables,
    password_tables,
    security_tables,
    session_tables,
    tables,
    token_tables,
    tuple_write_tables,
)

__all__ = [
    "appeal_tables",
    "audit_tables",
    "decision_tables",
    "email_change_tables",
    "epoch_tables",
    "grant_tables",
    "password_tables",
    "security_tables",
    "session_tables",
    "tables",
    "token_tables",
    "tuple_write_tables",
]
