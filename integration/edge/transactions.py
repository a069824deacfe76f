"""Connections for more than single statements: batches are copied in, locks are held."""

from psycopg_pool import AsyncConnectionPool

from integration.settings import Settings

_WAIT_SECONDS = 1.0
# A pool that gave up starts anew with the next request, so this bounds how long after its
# return PostgreSQL is found again.
_RECONNECT_SECONDS = 2.0


def make_pool(settings: Settings, *, name: str, max_size: int) -> AsyncConnectionPool:
    """Return a closed pool: no connection is kept ready, none is needed to open it."""
    milliseconds = int(settings.database_timeout.total_seconds() * 1000)
    return AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        kwargs={
            "autocommit": True,
            "connect_timeout": 2,
            "application_name": "kleis-edge",
            "options": f"-c statement_timeout={milliseconds}",
            "tcp_user_timeout": milliseconds,
        },
        min_size=0,
        max_size=max_size,
        name=name,
        open=False,
        timeout=_WAIT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
        max_waiting=256,
    )
