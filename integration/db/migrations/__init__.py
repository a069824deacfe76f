"""Alembic migrations of our database: up only, safe on a filled one."""
