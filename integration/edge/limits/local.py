"""Counters in this process: what stands in while Valkey is away."""

import time
from collections.abc import Callable
from itertools import islice

from integration.edge.limits.limiter import NOTHING_CHANGED, Ask, Refused, Reserved, Settled
from integration.limits.counters import LETTER
from integration.limits.rules import Rules
from policies import limits
from policies.limits import Record, Rule, Verdict

_HOUR = 3_600_000
_LOOKED_AT = 64


class LocalLimiter:
    """The same rules as in Valkey, for one edge process and a bounded number of counters."""

    def __init__(
        self,
        rules: Rules,
        *,
        lease: int,
        alarm_accounts: int,
        most_records: int = 100_000,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Args:
        lease: Longest a reservation holds, in ms.
        """
        self._rules = {ord(letter): rule for letter, rule in rules.items()}
        self._lease = lease
        self._alarm_accounts = alarm_accounts
        self._most = most_records
        self._now = now
        self._records: dict[bytes, Record] = {}
        self._passes: dict[bytes, int] = {}
        self._alarm: tuple[int, set[bytes]] = (0, set())

    async def reserve(self, ask: Ask) -> Reserved | Refused:
        return self.reserve_now(ask)

    def reserve_now(self, ask: Ask) -> Reserved | Refused:
        """As `reserve`, without an event loop."""
        now = self._now()
        keys = ask.instead if self._passes and self._is_proven(ask, now) else ask.keys
        records, longest, refusing = self._records, 0, b""
        for key in keys:
            record = records.get(key)
            if record is not None:
                wait = limits.wait_for(self._rules[key[LETTER]], record, now)
                if wait > longest:
                    longest, refusing = wait, key
        if longest:
            return Refused(refusing, longest)
        end = now + self._lease
        for key in keys:
            record = records.get(key)
            if record is None:
                records[key] = Record(0, 0, [], [], [end])
            else:
                limits.reserve(record, now, self._lease)
        if len(records) > self._most:
            self._make_room(now)
        return Reserved(keys, end)

    def follow(self, answer: Reserved | Refused) -> None:
        """Note what another limiter has decided, to go on from there when it is away."""
        now = self._now()
        if isinstance(answer, Reserved):
            for key in answer.keys:
                rule, record = self._record(key)
                if limits.wait_for(rule, record, now):
                    # Somebody emptied it there.
                    record = self._new(key)
                limits.reserve(record, now, self._lease)
                record.leases[-1] = answer.lease_end
        elif answer.wait > limits.BUSY_WAIT:
            record = self._records.get(answer.key) or self._new(answer.key)
            record.blocked_until = max(record.blocked_until, now + answer.wait)
        if len(self._records) > self._most:
            self._make_room(now)

    async def settle(
        self,
        reserved: Reserved,
        verdict: Verdict,
        *,
        mark: bytes = b"",
        account: bytes = b"",
        ago: int = 0,
    ) -> Settled:
        now = self._now()
        at = now - ago
        counts = verdict is Verdict.COUNTS
        repeated = failed = False
        if counts and reserved.keys:
            rule, first = self._record(reserved.keys[0])
            repeated = bool(rule.keep) and limits.is_repeated(rule, first, at, mark)
            failed = limits.has_failed(rule, first, at)
        blocks: list[tuple[bytes, int]] = []
        for key in reserved.keys:
            rule, record = self._record(key)
            limits.release(record, reserved.lease_end)
            if counts and not repeated and (failed or not rule.starts_late):
                if block := limits.count(rule, record, at, mark):
                    blocks.append((key, block))
            elif verdict is Verdict.FORGIVES and rule.forgives:
                limits.forgive(record)
            if limits.end_of(rule, record) <= now:
                del self._records[key]
        if not counts or repeated:
            return Settled(is_repeated=True) if repeated else NOTHING_CHANGED
        return Settled(tuple(blocks), is_alarm=bool(account) and self._is_alarm(now, account))

    async def unlock(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> None:
        now = self._now()
        for key in keys:
            self._records.pop(key, None)
        self._passes = {key: end for key, end in self._passes.items() if end > now}
        self._passes[passing] = now + seconds * 1000

    def _is_proven(self, ask: Ask, now: int) -> bool:
        return ask.passing is not None and self._passes.get(ask.passing, 0) > now

    def _new(self, key: bytes) -> Record:
        record = self._records[key] = Record()
        return record

    def _record(self, key: bytes) -> tuple[Rule, Record]:
        return self._rules[key[LETTER]], self._records.get(key) or self._new(key)

    def _is_alarm(self, now: int, account: bytes) -> bool:
        hour, accounts = self._alarm
        if hour != now // _HOUR:
            hour, accounts = self._alarm = (now // _HOUR, set())
        if len(accounts) >= self._alarm_accounts or account in accounts:
            return False
        accounts.add(account)
        return len(accounts) == self._alarm_accounts

    def _make_room(self, now: int) -> None:
        """Drop the oldest counters, those that block somebody last."""
        oldest = list(islice(self._records, _LOOKED_AT))
        idle = [key for key in oldest if self._records[key].blocked_until <= now]
        for key in (idle or oldest)[: _LOOKED_AT // 2]:
            del self._records[key]
        for key in oldest:
            # What blocks goes to the end of the row, so that the next look finds others.
            if key in self._records and key not in idle:
                self._records[key] = self._records.pop(key)
