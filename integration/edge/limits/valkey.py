"""Counters in Valkey, shared by every edge: one script, so one step, a decision."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources

from integration.edge.limits.connection import PATIENCE_SECONDS, Connection, ReplyError, connect
from integration.edge.limits.limiter import NOTHING_CHANGED, Ask, Refused, Reserved, Settled
from integration.limits.rules import Rules
from policies.limits import Rule, Verdict
from policies.shares import Share

_TEXT = resources.files(__package__).joinpath("limiter.lua")
_SHARE_TEXT = resources.files(__package__).joinpath("share.lua")


class ValkeyLimiter:
    """Decides in Valkey, by its clock. Open between `check` and `close`."""

    def __init__(
        self,
        url: str,
        rules: Rules,
        *,
        lease: int,
        alarm_accounts: int,
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], int] | None = None,
    ) -> None:
        """Args:
        lease: Longest a reservation holds, in ms.
        patience: How many seconds of silence count as being away.
        now: Only for tests: instead of Valkey's clock.
        """
        self._url = url
        self._connection: Connection | None = None
        self._script = _Script(script_of(rules))
        self._share_script = _Script(_SHARE_TEXT.read_text())
        self._lease = lease
        self._alarm_accounts = alarm_accounts
        self._patience = patience
        self._now = now

    async def reserve(self, ask: Ask) -> Reserved | Refused:
        """As `Limiter`. Raises OSError or ReplyError when Valkey is away, at once or in 50 ms."""
        if ask.passing is None:
            names, has_pass = ask.keys, 0
        else:
            names, has_pass = (ask.passing, *ask.keys, *ask.instead), 1
        given = ("r", self._moment(), self._lease, len(ask.keys), has_pass)
        wait, refusing, proven, lease_end = await self._run(names, given)
        used = ask.instead if proven else ask.keys
        return Refused(used[refusing - 1], wait) if wait else Reserved(used, lease_end)

    async def settle(
        self,
        reserved: Reserved,
        verdict: Verdict,
        *,
        mark: bytes = b"",
        account: bytes = b"",
        ago: int = 0,
    ) -> Settled:
        if not reserved.keys:
            return NOTHING_CHANGED
        said = ("s", self._moment(), reserved.lease_end, verdict.value)
        given = (*said, mark, account, self._alarm_accounts, ago)
        repeated, alarm, *durations = await self._run(reserved.keys, given)
        blocks = zip(reserved.keys, durations, strict=True)
        return Settled(
            blocks=tuple((key, duration) for key, duration in blocks if duration),
            is_repeated=bool(repeated),
            is_alarm=bool(alarm),
        )

    async def hold(self, reserved: Reserved) -> None:
        """Take the room of what another limiter let through, whether there is any or not."""
        await self._run(reserved.keys, ("h", self._moment(), reserved.lease_end))

    async def unlock(self, keys: tuple[bytes, ...], passing: bytes, seconds: int) -> None:
        connection = self._open()
        if keys:
            await connection.ask(["DEL", *keys])
        await connection.ask(["SET", passing, 1, "EX", seconds])

    async def take(self, share: Share, key: bytes, cost: int) -> int:
        """Take from a share; return for how many microseconds to wait instead, or 0."""
        now = "" if self._now is None else str(self._now() * 1000)
        given = (share.most, share.window, cost, now)
        (wait,) = await self._run((key,), given, self._share_script)
        return wait

    async def check(self) -> None:
        """Return when Valkey answers, connecting first where needed.

        Raises:
            OSError, ReplyError: it does not.
        """
        if self._connection is None or not self._connection.is_open:
            connection = await connect(self._url, self._patience)
            for script in (self._script, self._share_script):
                await connection.ask(["SCRIPT", "LOAD", script.text])
            self._connection = connection
        else:
            await self._connection.ask(["PING"])

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _moment(self) -> str:
        return "" if self._now is None else str(self._now())

    def _open(self) -> Connection:
        if self._connection is None:
            raise ConnectionError("not connected to Valkey")
        return self._connection

    async def _run(
        self,
        keys: tuple[bytes, ...],
        given: Sequence[bytes | str | int],
        script: "_Script | None" = None,
    ) -> list[int]:
        connection, asked = self._open(), script or self._script
        try:
            reply = await connection.ask(["EVALSHA", asked.sha, len(keys), *keys, *given])
        except ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            reply = await connection.ask(["EVAL", asked.text, len(keys), *keys, *given])
        if not isinstance(reply, list):
            raise ReplyError("not the answer of the script")
        return reply


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


def script_of(rules: Rules) -> str:
    """Return the script with the rules in front of it."""
    # Made when asked for: the script is run anew for each decision, and needs few of them.
    made = "".join(
        f"  if letter == '{letter.decode()}' then return {_lua(rule)} end\n"
        for letter, rule in rules.items()
    )
    return f"local function rule_of(letter)\n{made}end\n{_TEXT.read_text()}"


def _lua(rule: Rule) -> str:
    tiers = ", ".join(f"{{{tier.limit}, {tier.window}}}" for tier in rule.tiers)
    late, forgives = str(rule.starts_late).lower(), str(rule.forgives).lower()
    return (
        f"{{tiers = {{{tiers}}}, window = {rule.window}, most = {rule.most}, "
        f"block = {rule.block}, longest = {rule.longest}, keep = {rule.keep}, "
        f"late = {late}, forgives = {forgives}}}"
    )
