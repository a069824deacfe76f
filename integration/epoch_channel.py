"""The channel in Valkey on which writers say that epochs moved: a hint, the table is the truth."""

import time

import redis
import structlog
from redis.exceptions import RedisError

log = structlog.get_logger()

CHANNEL = "kl:epochs"
# After Valkey failed to answer, callers are not made to wait for it again so soon.
_QUIET_SECONDS = 1.0
_TIMEOUT_SECONDS = 0.5


class EpochBell:
    """Rings after a transaction that moved epochs. Never raises, never waits long."""

    def __init__(self, valkey_url: str) -> None:
        self._valkey = redis.Redis.from_url(
            valkey_url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS
        )
        self._quiet_until = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._valkey.publish(CHANNEL, b"")
        except (RedisError, OSError) as error:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("epoch_bell_silent", error=type(error).__name__)
