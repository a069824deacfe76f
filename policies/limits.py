"""How often something may be tried: rules as data, and what they say of one counter.

A counter is a `Record`: when its last failures were, what is under way, and until when it is
blocked. What is under way is reserved: it takes room until it is settled, or until its lease
ends because whoever held it is gone. All times are whole milliseconds; the caller brings the
clock. `integration/edge/limits/limiter.lua` says the same inside Valkey, and a test holds the
two together.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

BUSY_WAIT = 1_000
"""Wait in ms when only what is under way stands in the way."""
MARK_BYTES = 6
NO_MARK = bytes(MARK_BYTES)
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Tier:
    """At most `limit` (1 or more) within the last `window` ms."""

    limit: int
    window: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one kind of counter.

    Attributes:
        name: Stable, for headers, logs and listings.
        tiers: Each must have room. A rule that blocks has exactly one.
        block: First block in ms once the tier is full; 0: only wait for room.
        longest: Each block within a window of the one before is twice as long, up to this.
        keep: How long a failure and what was typed are remembered at least, in ms; 0: only the
            moments are, within the window.
        starts_late: Counts from an address's second failure on: a million addresses that fail
            once each leave nothing here.
        forgives: A success empties it.
    """

    name: str
    tiers: tuple[Tier, ...]
    block: int = 0
    longest: int = 0
    keep: int = 0
    starts_late: bool = False
    forgives: bool = False

    @property
    def window(self) -> int:
        """The longest span in ms that anything is counted over."""
        return max(tier.window for tier in self.tiers)

    @property
    def most(self) -> int:
        """How many moments need to be remembered."""
        return max(tier.limit for tier in self.tiers)

    def times(self, factor: int) -> "Rule":
        """Return the same rule with `factor` times the numbers."""
        tiers = tuple(Tier(tier.limit * factor, tier.window) for tier in self.tiers)
        return Rule(self.name, tiers, self.block, self.longest, self.keep)


@dataclass(slots=True)
class Record:
    """One counter. Mutable: decisions are made in it many thousand times a second.

    Attributes:
        blocked_until: End of the last block, also when it is over; 0: there was none.
        level: How many blocks followed each other.
        failures: Moments, oldest first; at most as many as the rule's largest number.
        marks: What was tried at each, as keyed hashes; empty where that is not kept.
        leases: When each reservation ends by itself.
    """

    blocked_until: int = 0
    level: int = 0
    failures: list[int] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    leases: list[int] = field(default_factory=list)


class Verdict(StrEnum):
    """What a reservation turned out to be."""

    COUNTS = "counts"
    FREE = "free"
    FORGIVES = "forgives"


def wait_for(rule: Rule, record: Record, now: int) -> int:
    """Return how many ms to wait before another attempt; 0: it may go on."""
    if record.blocked_until > now:
        return record.blocked_until - now
    running = len(record.leases)
    if running:
        running = sum(1 for end in record.leases if end > now)
    longest = 0
    for tier in rule.tiers:
        start = now - tier.window
        counted = sum(1 for at in record.failures if at > start)
        room = tier.limit - counted
        if rule.block and room < 1:
            # The block is over and its failures are not: one at a time, each starting the next.
            room = 1
        if running < room:
            continue
        if room < 1:
            longest = max(longest, record.failures[-tier.limit] + tier.window - now)
        else:
            longest = max(longest, BUSY_WAIT)
    return longest


def reserve(record: Record, now: int, lease: int) -> None:
    """Take room for one attempt until it is settled, or for `lease` ms."""
    record.leases = [end for end in record.leases if end > now]
    record.leases.append(now + lease)


def release(record: Record, lease_end: int) -> None:
    """Give the room of one attempt back; nothing when its lease ended before."""
    if lease_end in record.leases:
        record.leases.remove(lease_end)


def is_repeated(rule: Rule, record: Record, now: int, mark: bytes) -> bool:
    """Tell whether the same was tried before, as far back as the rule remembers."""
    if not mark or mark not in record.marks:
        return False
    start = now - max(rule.window, rule.keep)
    pairs = zip(record.failures, record.marks, strict=True)
    return any(kept == mark and at > start for at, kept in pairs)


def has_failed(rule: Rule, record: Record, now: int) -> bool:
    """Tell whether any failure is remembered."""
    return bool(record.failures) and record.failures[-1] > now - max(rule.window, rule.keep)


def count(rule: Rule, record: Record, at: int, mark: bytes = b"") -> int:
    """Add one failure and return the ms of the block it starts; 0: none.

    Args:
        at: When it was. One that is told late finds its place among the others; the block it
            completes begins with the last of those it completes it with.
    """
    place = bisect_right(record.failures, at)
    record.failures.insert(place, at)
    last = _completed(rule, record.failures, place) if rule.block else None
    del record.failures[: -rule.most]
    if rule.keep:
        record.marks.insert(place, mark or NO_MARK)
        del record.marks[: -rule.most]
    if last is None:
        return 0
    if last >= record.blocked_until + rule.window:
        record.level = 0
    duration = min(rule.block << record.level, rule.longest)
    record.level = min(record.level + 1, _MOST_DOUBLINGS)
    record.blocked_until = max(record.blocked_until, last + duration)
    return duration


def _completed(rule: Rule, failures: Sequence[int], place: int) -> int | None:
    """Return the end of the last full window that the failure at `place` is in; None: of none."""
    limit, window = rule.tiers[0].limit, rule.tiers[0].window
    for end in range(min(len(failures), place + limit) - 1, max(place, limit - 1) - 1, -1):
        if failures[end] - failures[end - limit + 1] < window:
            return failures[end]
    return None


def forgive(record: Record) -> None:
    """Empty a counter but for what is under way."""
    record.blocked_until = record.level = 0
    record.failures.clear()
    record.marks.clear()


def end_of(rule: Rule, record: Record) -> int:
    """Return the moment from which the record says nothing any more."""
    end = 0
    if record.level:
        end = record.blocked_until + rule.tiers[0].window
    if record.failures:
        end = max(end, record.failures[-1] + max(rule.window, rule.keep))
    return max([end, *record.leases])


def passes_blocks(account: bytes | None, known_accounts: Sequence[bytes]) -> bool:
    """Tell whether a browser counts for itself: it has logged in to this very account before."""
    return account is not None and account in known_accounts


def canonical_identifier(text: str) -> str:
    """Give what all spellings share that Kratos, or a person, takes for one account.

    Kratos trims and lowers each character (Go's `strings.ToLower`). Invisible characters and
    compatibility forms are folded on top: that can only make more spellings count together.
    """
    if text.isascii() and text.isprintable():
        return text.lower().strip()
    folded = unicodedata.normalize("NFKC", _lower(text)).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    kept = (c for c in folded if unicodedata.category(c) not in ("Cf", "Cc", "Mn"))
    return "".join(kept).strip()


def kratos_identifier(text: str) -> str:
    """Give the form by which Kratos looks an identifier up.

    Source: v1.3.1, `strings.ToLower(strings.TrimSpace(…))`.
    """
    return _lower(text).strip()


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    # One character for one, as Go does it: Python alone makes two of U+0130.
    return "".join("i" if c == "\u0130" else c.lower() for c in text)
