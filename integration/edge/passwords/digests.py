"""Digests of passwords, slow on purpose, off the event loop and never too many at once."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2.low_level import Type, hash_secret_raw

from integration import keys
from integration.edge.problems import Refusal, RefusedError

# RFC 9106 gives the algorithm; memory and passes are OWASP's recommendation of 2024 and bound
# what the edge needs: `_AT_ONCE` times the memory.
_MEMORY_KIB = 19_456
_PASSES = 2
_LANES = 1
_DIGEST_BYTES = 32
SALT_BYTES = 16

_AT_ONCE = 2
_MOST_WAITING = 64
_BUSY = Refusal(
    503, "busy", "Too many passwords are being checked. Try again.", ((b"retry-after", b"2"),)
)

_Result = TypeVar("_Result")


class PasswordDigests:
    """Argon2id under a pepper of `KLEIS_SECRET`: a stolen table alone cannot be guessed at."""

    def __init__(self, secret: str) -> None:
        self._pepper = keys.derive(secret, "password history")
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._under_way = 0

    async def digest(self, password: str, salt: bytes) -> bytes:
        """Return the digest of a password, 32 bytes.

        Raises:
            RefusedError: too many are waiting.
        """
        return await self.off_the_loop(lambda: self._digest(password, salt))

    async def off_the_loop(self, work: Callable[[], _Result]) -> _Result:
        """Run something that takes long. Raises as `digest`."""
        if self._under_way >= _MOST_WAITING:
            raise RefusedError(_BUSY)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1

    def _digest(self, password: str, salt: bytes) -> bytes:
        peppered = hmac.digest(self._pepper, password.encode(), hashlib.sha256)
        return hash_secret_raw(
            peppered,
            salt,
            time_cost=_PASSES,
            memory_cost=_MEMORY_KIB,
            parallelism=_LANES,
            hash_len=_DIGEST_BYTES,
            type=Type.ID,
        )
