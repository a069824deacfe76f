"""How many active admins there are besides one: one statement, for the service and the edge."""

COUNT = """
    SELECT count(*) FROM members AS other
    WHERE other.role = 'admin' AND other.status = 'active' AND other.identity_id <> %(whose)s
    AND NOT EXISTS (
        SELECT FROM outbox
        WHERE outbox.identity_id = other.identity_id AND lane = 'reconcile' AND done_at IS NULL
    )
"""
"""An admin whom Kratos may have shut out, and we have not looked yet, is none to count on."""
