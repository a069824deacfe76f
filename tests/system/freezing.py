"""A process of the stack stopped at a moment of its own: between two pieces of work, not within."""

import os
import signal
import time

import psycopg

# What a connection holds for longer than this is held by what cannot go on.
_LONGER_THAN_WORK = 0.3

_HOLDING = """
select pid, state_change from pg_stat_activity
where pid <> pg_backend_pid() and datname = current_database() and (
    state in ('active', 'idle in transaction')
    or pid in (select pid from pg_locks where locktype = 'advisory' and granted)
)
"""


def stop_at_rest(pid: int, database_url: str) -> None:
    """Stop a process when it holds no lock and no transaction in PostgreSQL.

    A worker stopped while it holds a member would keep everybody else from that member, rightly:
    that is another test than "the worker does nothing".
    """
    deadline, pause = time.monotonic() + 60, 0.05
    while True:
        os.kill(pid, signal.SIGSTOP)
        if not _something_is_held(database_url):
            return
        os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < deadline, "it never rested"
        # Longer each time: stopped again and again, it would never work off what it has to do.
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _something_is_held(database_url: str) -> bool:
    """Whether a connection holds the same thing for longer than any that goes on would."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = set(connection.execute(_HOLDING))
        if not before:
            return False
        time.sleep(_LONGER_THAN_WORK)
        return bool(before & set(connection.execute(_HOLDING)))
