"""Counters in Valkey as service and commands look at them: seldom, one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from integration.errors import UpstreamUnavailableError
from integration.limits import counters, rules
from integration.limits.counters import Counters
from integration.limits.records import unpack
from integration.limits.rules import Rules, rules_of
from integration.limits.unlocking import PASS_SECONDS
from integration.settings import Settings

_SECONDS = 2.0
_BATCH = 1000
_NETWORK_BITS = {3: 24, 8: 64}


@dataclass(frozen=True, slots=True)
class Standing:
    """One counter.

    Attributes:
        rule: Its rule's name.
        about: An address, a network, or an account as 16 hex digits.
        failures: Within the rule's window.
        limit: How many the rule allows.
        blocked_seconds: How long it is still blocked; 0: it is not.
    """

    rule: str
    about: str
    failures: int
    limit: int
    blocked_seconds: int


class LimitStore:
    """Shows and empties counters."""

    def __init__(self, settings: Settings) -> None:
        self._client: Any = Redis.from_url(
            settings.valkey_url.get_secret_value(),
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
        )
        self._rules: Rules = rules_of(settings)
        self._names = Counters.of(settings.secret.get_secret_value())

    def close(self) -> None:
        self._client.close()

    def standings(self) -> list[Standing]:
        """Return all counters, those blocked longest first.

        Raises:
            UpstreamUnavailableError: Valkey does not answer.
        """
        with _speaking():
            moment = cast("tuple[int, int]", self._client.time())
            now = moment[0] * 1000 + moment[1] // 1000
            found = [item for batch in self._batches() for item in self._shown(batch, now)]
        return sorted(found, key=lambda item: (-item.blocked_seconds, -item.failures, item.about))

    def reset_all(self) -> int:
        """Empty everything and return how many counters there were."""
        return self._forget(lambda _: True)

    def reset_address(self, address: str) -> int:
        """Empty what is about an address, alone, with an account, or as part of its network.

        Raises:
            ValueError: it is no address.
        """
        counters.parse(address)
        return self._forget(lambda key: counters.is_of_address(key, address))

    def reset_account(self, identity_id: UUID) -> int:
        """Empty what is about a member's account, from wherever."""
        account = cast("bytes", self._names.account(identity_id, ""))
        return self._forget(lambda key: counters.is_of_account(key, account))

    def unlock(self, identity_id: UUID, address: str) -> bytes:
        """Let whoever proved to own an account log in from here, whatever blocks it.

        Returns:
            The account, as device cookies name it.
        """
        account = cast("bytes", self._names.account(identity_id, ""))
        with _speaking():
            self._client.delete(*counters.unlocked_with(account, address))
            self._client.set(counters.of_pass(address, account), b"1", ex=PASS_SECONDS)
        return account

    def _forget(self, chosen: Any) -> int:
        with _speaking():
            count = 0
            for batch in self._batches():
                keys = [key for key in batch if chosen(key)]
                if keys:
                    count += cast("int", self._client.unlink(*keys))
            return count

    def _batches(self) -> Iterator[list[bytes]]:
        cursor = 0
        while True:
            cursor, keys = self._client.scan(cursor, match=counters.PREFIX + b"*", count=_BATCH)
            if keys:
                yield keys
            if not cursor:
                return

    def _shown(self, keys: list[bytes], now: int) -> Iterator[Standing]:
        counted = [key for key in keys if counters.letter_of(key) in self._rules]
        values = self._client.mget(counted) if counted else []
        for key, value in zip(counted, values, strict=True):
            if value is None:
                continue
            rule = self._rules[counters.letter_of(key)]
            record = unpack(rule, value)
            tier = rule.tiers[-1]
            yield Standing(
                rule=rule.name,
                about=_about(key),
                failures=sum(1 for at in record.failures if at > now - tier.window),
                limit=tier.limit,
                blocked_seconds=max(0, record.blocked_until - now) // 1000,
            )


@contextmanager
def _speaking() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise UpstreamUnavailableError("Valkey does not answer.", detail=repr(error)) from error


def _about(key: bytes) -> str:
    """Say what a counter is about; accounts are keyed hashes and stay so."""
    letter, said = counters.letter_of(key), key[counters.LETTER + 1 :]
    if letter in (rules.PAIR, rules.DEVICE):
        rest = said[counters.ACCOUNT_BYTES :]
        where = str(ip_address(rest)) if letter == rules.PAIR else rest.hex()
        return f"{said[: counters.ACCOUNT_BYTES].hex()} from {where}"
    if said.startswith(b"@") and len(said) == counters.ACCOUNT_BYTES + 1:
        return said[1:].hex()
    if letter in (rules.NETWORK_V4, rules.NETWORK_V6):
        size = 4 if len(said) == 3 else 16
        return f"{ip_address(said.ljust(size, bytes(1)))}/{_NETWORK_BITS[len(said)]}"
    return str(ip_address(said))
