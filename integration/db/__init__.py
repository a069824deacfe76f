"""Our database: tables, queries, migrations, and where transactions begin and end.

Import the module, not the function: `outbox.add`, `members.lock`. Nothing here commits but
`sessions.transaction`.
"""
