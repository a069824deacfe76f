"""The two limiters, in Valkey and in this process: the same decisions, and one for the other."""

import asyncio
import contextlib
import itertools
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.edge.limits.connection import Connection, connect
from integration.edge.limits.failover import FailoverLimiter
from integration.edge.limits.limiter import Ask, Refused, Reserved
from integration.edge.limits.local import LocalLimiter
from integration.edge.limits.valkey import ValkeyLimiter
from integration.limits import counters, rules
from integration.limits.records import unpack
from integration.settings.limits import LimitSettings
from policies.limits import MARK_BYTES, Record, Verdict

LEASE = 40_000
MINUTE = 60_000
PATIENT = 10.0
"""Seconds: where the decision is of interest and not its time, on a busy machine."""
SMALL = LimitSettings(
    limit_address="3/PT15M/PT30M",
    limit_network="6/PT15M/PT30M",
    limit_pair="3/PT12H/PT30M/PT12H",
    limit_account="4/PT12H/PT1M/PT15M",
    limit_second_factor="3/PT12H/PT1M/PT15M",
    limit_device="2/PT15M/PT30M",
    limit_mail="1/PT1M, 3/PT1H, 4/P1D",
)
RULES = rules.rules_of(SMALL)
NUMBERS = itertools.count()
STEPS = (1, 999, 1000, 30_000, LEASE, MINUTE, 14 * MINUTE, 30 * MINUTE, 6 * 60 * MINUTE)


@dataclass
class Clock:
    """Shared by both limiters; the same as Valkey's at the beginning."""

    now: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __call__(self) -> int:
        return self.now


@dataclass
class Pair:
    """Asks both and compares."""

    valkey: ValkeyLimiter
    local: LocalLimiter
    clock: Clock
    open: list[Reserved] = field(default_factory=list)

    async def reserve(self, ask: Ask) -> Reserved | Refused:
        ours, theirs = await self.local.reserve(ask), await self.valkey.reserve(ask)
        assert ours == theirs
        if isinstance(ours, Reserved):
            self.open.append(ours)
        return ours

    async def settle(self, nth: int, verdict: Verdict, mark: bytes, ago: int = 0) -> None:
        reserved = self.open.pop(nth % len(self.open))
        ours = await self.local.settle(reserved, verdict, mark=mark, ago=ago)
        assert ours == await self.valkey.settle(reserved, verdict, mark=mark, ago=ago)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def client(valkey_url) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as made:
        yield made


@pytest.fixture
def limiter(valkey_url, runner) -> Iterator[ValkeyLimiter]:
    made = ValkeyLimiter(valkey_url, RULES, lease=LEASE, alarm_accounts=3, patience=PATIENT)
    runner.run(made.check())
    yield made
    runner.run(made.close())


def fresh_asks() -> list[Ask]:
    """Asks about two addresses of one network and two accounts that no other example uses."""
    number = next(NUMBERS)
    network = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}"
    accounts = [number.to_bytes(7, "big") + bytes([which]) for which in (1, 2)]
    asks = []
    for at, account in zip((1, 1, 2), (*accounts, accounts[0]), strict=True):
        address = f"{network}::{at}"
        keys = (
            counters.of_address(rules.ADDRESS, address),
            counters.of_network(address),
            counters.of_pair(address, account),
            counters.of_account(rules.ACCOUNT, account),
        )
        device = counters.of_device(counters.parse(address).packed, account)
        asks.append(Ask(keys, counters.of_pass(address, account), (device,)))
    mails = (counters.of_address(rules.MAIL, f"{network}::1"),)
    asks.append(Ask((*mails, counters.of_account(rules.MAIL, accounts[0]))))
    return asks


WHICH = st.integers(0, 3)
MARKS = st.integers(0, 30)
failures = st.tuples(st.just("fail"), WHICH, MARKS)
told_late = st.tuples(st.just("late"), WHICH, MARKS)
reservations = st.tuples(st.just("reserve"), WHICH, MARKS)
settlements = st.tuples(
    st.just("settle"), st.integers(0, 20), st.tuples(st.sampled_from(Verdict), MARKS)
)
pauses = st.tuples(st.just("wait"), st.sampled_from(STEPS), MARKS)
unlocks = st.tuples(st.just("unlock"), WHICH, MARKS)
stories = st.lists(
    st.one_of(failures, failures, failures, told_late, reservations, settlements, pauses, unlocks),
    min_size=10,
    max_size=60,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=stories)
def test_both_limiters_decide_alike(valkey_url, runner, story):
    runner.run(_told(valkey_url, story))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_limiters_decide_alike_for_days(valkey_url, runner, seed):
    """Far into states that short stories seldom reach: blocks that follow blocks."""
    chance = random.Random(seed)
    steps = (0, 1, 1000, MINUTE, 14 * MINUTE, 15 * MINUTE, 30 * MINUTE, 12 * 60 * MINUTE)
    story = []
    for _ in range(800):
        what = chance.choices(("fail", "late", "reserve", "settle", "wait"), (7, 1, 1, 1, 3))[0]
        number = chance.choice(steps) if what == "wait" else chance.randrange(4)
        mark = chance.randrange(200)
        verdict = chance.choice([*Verdict])
        story.append((what, number, (verdict, mark) if what == "settle" else mark))
    runner.run(_told(valkey_url, story))


async def _told(valkey_url, story) -> None:
    clock, asks = Clock(), fresh_asks()
    remote = ValkeyLimiter(
        valkey_url, RULES, lease=LEASE, alarm_accounts=10**6, patience=PATIENT, now=clock
    )
    await remote.check()
    local = LocalLimiter(RULES, lease=LEASE, alarm_accounts=10**6, now=clock)
    pair = Pair(remote, local, clock)
    connection = await connect(valkey_url, PATIENT)
    try:
        for what, number, how in story:
            if what in ("reserve", "fail", "late"):
                reserved = await pair.reserve(asks[number])
                if what != "reserve" and isinstance(reserved, Reserved):
                    ago = 0 if what == "fail" else (how + 1) * MINUTE
                    await pair.settle(-1, Verdict.COUNTS, _mark(how), ago)
            elif what == "settle" and pair.open:
                verdict, mark = how
                await pair.settle(number, verdict, _mark(mark))
            elif what == "wait":
                clock.now += number
            elif what == "unlock" and asks[number].passing and not _is_long(story):
                for limiter in (local, remote):
                    await limiter.unlock(asks[number].keys, asks[number].passing, 10**6)
        await _same_records(connection, local, asks)
    finally:
        connection.close()
        await remote.close()


async def _same_records(connection: Connection, local: LocalLimiter, asks: list[Ask]) -> None:
    """Compare what is kept, too: a difference may show only much later."""
    for key in {key for ask in asks for key in (*ask.keys, *ask.instead)}:
        rule = RULES[counters.letter_of(key)]
        # There is no answer for "nothing" that the connection understands.
        value = await connection.ask(["GETRANGE", key, 0, -1])
        theirs = unpack(rule, value) if value else Record()
        assert local._records.get(key, Record()) == theirs, key


def _mark(number: int) -> bytes:
    return bytes([number]) * MARK_BYTES if number else b""


def _is_long(story) -> bool:
    """A pass ends by Valkey's own clock, which a story that waits for days is not told by."""
    return sum(step for what, step, _ in story if what == "wait") > 10**8


def test_five_get_through_and_the_rest_wait_for_them(limiter, runner):
    ask = fresh_asks()[0]

    async def together():
        return await asyncio.gather(*(limiter.reserve(ask) for _ in range(200)))

    answers = runner.run(together())
    passed = [answer for answer in answers if isinstance(answer, Reserved)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(passed) == RULES[rules.ADDRESS].tiers[0].limit
    assert {answer.wait for answer in refused} == {1000}


def test_two_edges_share_one_limit(valkey_url, limiter, runner):
    ask = fresh_asks()[0]

    async def both():
        other = ValkeyLimiter(valkey_url, RULES, lease=LEASE, alarm_accounts=3, patience=PATIENT)
        await other.check()
        asked = [each.reserve(ask) for _ in range(50) for each in (limiter, other)]
        answers = await asyncio.gather(*asked)
        await other.close()
        return answers

    answers = runner.run(both())
    assert sum(isinstance(answer, Reserved) for answer in answers) == 3


def test_a_reservation_of_an_edge_that_died_ends_by_itself(valkey_url, runner):
    async def story(lease: int):
        limiter = ValkeyLimiter(valkey_url, RULES, lease=lease, alarm_accounts=3, patience=PATIENT)
        await limiter.check()
        for _ in range(3):
            assert isinstance(await limiter.reserve(ask), Reserved)
        before = await limiter.reserve(ask)
        await asyncio.sleep(lease / 1000 + 0.1)
        after = await limiter.reserve(ask)
        await limiter.close()
        return before, after

    # Longer each time: on a slow machine the first may end before the last is asked for.
    for lease in (300, 3_000, 30_000):
        ask = fresh_asks()[0]
        before, after = runner.run(story(lease))
        if isinstance(before, Refused):
            break
    assert isinstance(before, Refused)
    assert isinstance(after, Reserved)


def test_a_million_addresses_that_fail_once_leave_two_counters_each(limiter, client, runner):
    """The third, of address and account together, begins with an address's second failure."""
    ask = fresh_asks()[0]

    async def fail(mark: bytes) -> None:
        await limiter.settle(await limiter.reserve(ask), Verdict.COUNTS, mark=mark)

    runner.run(fail(b"first!"))
    assert [client.exists(key) for key in ask.keys] == [1, 1, 0, 1]
    runner.run(fail(b"second"))
    assert [client.exists(key) for key in ask.keys] == [1, 1, 1, 1]
    record = unpack(RULES[rules.ADDRESS], client.get(ask.keys[0]))
    assert record.marks == [b"first!", b"second"]
    assert len(record.failures) == 2


def test_every_counter_ends_some_day(limiter, client, runner):
    for ask in fresh_asks():
        runner.run(limiter.reserve(ask))
        assert all(0 < client.pttl(key) <= LEASE for key in ask.keys)


def test_many_accounts_in_one_hour_raise_the_alarm_once(limiter, client, runner):
    client.delete(*[*client.scan_iter(b"kl:g*")] or [b"kl:none"])
    alarms = []
    for which in range(6):
        reserved = runner.run(limiter.reserve(fresh_asks()[0]))
        settled = runner.run(
            limiter.settle(reserved, Verdict.COUNTS, mark=b"mark!!", account=bytes([which]) * 8)
        )
        alarms.append(settled.is_alarm)
    assert alarms == [False, False, True, False, False, False]


def test_a_script_that_valkey_forgot_is_sent_again(limiter, client, runner):
    client.script_flush()
    assert isinstance(runner.run(limiter.reserve(fresh_asks()[0])), Reserved)


class Wire:
    """Stands between an edge and Valkey, and can be cut or held up."""

    def __init__(self, valkey_url: str, folder) -> None:
        self.path = str(folder / "wire.sock")
        self.url = f"unix://{self.path}"
        self._to = urlsplit(valkey_url)
        self._held = asyncio.Event()
        self._held.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._held.set()
        self._forget()
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    def _forget(self) -> None:
        Path(self.path).unlink(missing_ok=True)

    def hold(self) -> None:
        self._held.clear()

    def let_go(self) -> None:
        self._held.set()

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._writers.clear()

    async def _serve(self, reader, writer) -> None:
        if self._to.scheme == "unix":
            there, back = await asyncio.open_unix_connection(self._to.path)
        else:
            there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers += [writer, back]
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._held.wait()
                writer.write(data)
            writer.close()


@pytest.mark.parametrize("fault", ["cut", "held"])
def test_without_valkey_the_local_limiter_takes_over_at_once_and_gives_back(
    valkey_url, runner, tmp_path, fault
):
    async def story() -> tuple[float, list]:
        wire = Wire(valkey_url, tmp_path)
        await wire.open()
        limiter = FailoverLimiter(
            ValkeyLimiter(wire.url, RULES, lease=LEASE, alarm_accounts=3),
            LocalLimiter(RULES, lease=LEASE, alarm_accounts=3),
        )
        await limiter.start()
        await become(limiter, degraded=False)
        ask = fresh_asks()[0]
        first = await limiter.reserve(ask)
        if fault == "cut":
            await wire.cut()
        else:
            wire.hold()
        started = time.perf_counter()
        answers = [await limiter.reserve(ask)]
        took = time.perf_counter() - started
        assert limiter.is_degraded
        answers += [await limiter.reserve(ask) for _ in range(4)]
        await limiter.settle(first, Verdict.COUNTS, mark=b"mark!!")
        wire.let_go()
        if fault == "cut":
            await wire.open()
        await become(limiter, degraded=False)
        await limiter.close()
        await wire.cut()
        await asyncio.sleep(0.05)
        return took, answers

    times = []
    for _ in range(5):
        took, answers = runner.run(story())
        # One got through before: this edge's own reservations are not forgotten.
        assert [isinstance(answer, Reserved) for answer in answers] == [True] * 2 + [False] * 3
        times.append(took)
        if took < 0.5:
            break
        # The machine was busy with something else, or so one may hope.
    assert min(times) < 0.5, "as long as one waits where nobody notices that nothing comes"


def over(wire: Wire) -> FailoverLimiter:
    return FailoverLimiter(
        ValkeyLimiter(wire.url, RULES, lease=LEASE, alarm_accounts=10**6, patience=1.0),
        LocalLimiter(RULES, lease=LEASE, alarm_accounts=10**6),
    )


async def become(limiter: FailoverLimiter, *, degraded: bool) -> None:
    for _ in range(3000):
        if limiter.is_degraded == degraded:
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not notice within 60 s")


def test_failures_counted_while_valkey_was_away_are_told_when_it_is_back(
    valkey_url, limiter, client, runner, tmp_path
):
    """Each of two edges counted less than the limit; together it is more."""
    ask = fresh_asks()[0]

    async def story() -> Reserved | Refused:
        wire = Wire(valkey_url, tmp_path)
        await wire.open()
        edges = [over(wire), over(wire)]
        for edge in edges:
            await edge.start()
        await wire.cut()
        for which, edge in enumerate(edges):
            await become(edge, degraded=True)
            for number in range(2):
                reserved = await edge.reserve(ask)
                assert isinstance(reserved, Reserved)
                mark = bytes([which, number]) * 3
                await edge.settle(reserved, Verdict.COUNTS, mark=mark, account=b"accounts")
        assert not client.exists(*ask.keys)
        await wire.open()
        for edge in edges:
            await become(edge, degraded=False)
        answer = await limiter.reserve(ask)
        for edge in edges:
            await edge.close()
        await wire.cut()
        return answer

    answer = runner.run(story())
    assert isinstance(answer, Refused)
    # The third of four completed the block; when they happened is when it began.
    assert 28 * MINUTE < answer.wait <= 30 * MINUTE
    record = unpack(RULES[rules.ADDRESS], client.get(ask.keys[0]))
    assert len(record.marks) == RULES[rules.ADDRESS].most
    assert record.failures == sorted(record.failures)
    assert record.leases == []


def test_what_is_under_way_when_valkey_is_back_takes_its_room_there(
    valkey_url, limiter, client, runner, tmp_path
):
    ask = fresh_asks()[0]

    async def story() -> tuple[Reserved | Refused, int]:
        wire = Wire(valkey_url, tmp_path)
        await wire.open()
        edge = over(wire)
        await edge.start()
        await wire.cut()
        await become(edge, degraded=True)
        under_way = [await edge.reserve(ask) for _ in range(3)]
        await wire.open()
        await become(edge, degraded=False)
        answer = await limiter.reserve(ask)
        for reserved in under_way:
            assert isinstance(reserved, Reserved)
            await edge.settle(reserved, Verdict.FREE)
        left = client.exists(*ask.keys)
        await edge.close()
        await wire.cut()
        return answer, left

    answer, left = runner.run(story())
    assert answer == Refused(ask.keys[0], 1000)
    assert left == 0


def test_whoever_got_back_in_while_valkey_was_away_stays_in(
    valkey_url, limiter, client, runner, tmp_path
):
    ask = fresh_asks()[0]
    assert ask.passing is not None

    async def story() -> None:
        for number in range(3):
            reserved = await limiter.reserve(ask)
            assert isinstance(reserved, Reserved)
            await limiter.settle(reserved, Verdict.COUNTS, mark=bytes([number + 1]) * 6)
        wire = Wire(valkey_url, tmp_path)
        await wire.open()
        edge = over(wire)
        await edge.start()
        await wire.cut()
        await become(edge, degraded=True)
        await edge.unlock(ask.keys[2:], ask.passing, 1800)
        await wire.open()
        await become(edge, degraded=False)
        await edge.close()
        await wire.cut()

    runner.run(story())
    assert client.exists(ask.keys[3]) == 0
    assert 1700 < client.ttl(ask.passing) <= 1800
    assert isinstance(runner.run(limiter.reserve(ask)), Reserved)


def test_an_edge_starts_without_valkey(runner):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def story() -> bool:
        limiter = FailoverLimiter(
            ValkeyLimiter(f"redis://127.0.0.1:{port}/0", RULES, lease=LEASE, alarm_accounts=3),
            LocalLimiter(RULES, lease=LEASE, alarm_accounts=3),
        )
        await limiter.start()
        answer = await limiter.reserve(fresh_asks()[0])
        await limiter.close()
        return limiter.is_degraded and isinstance(answer, Reserved)

    assert runner.run(story())


def test_the_local_limiter_is_bounded_and_keeps_who_is_blocked(runner):
    clock = Clock()
    local = LocalLimiter(RULES, lease=LEASE, alarm_accounts=3, most_records=500, now=clock)
    blocked = counters.of_address(rules.ADDRESS, "192.0.2.1")

    async def story() -> Reserved | Refused:
        for _ in range(3):
            reserved = await local.reserve(Ask((blocked,)))
            await local.settle(reserved, Verdict.COUNTS)
        for number in range(5000):
            address = counters.of_address(rules.ADDRESS, f"10.0.{number >> 8}.{number & 255}")
            await local.settle(await local.reserve(Ask((address,))), Verdict.COUNTS)
        return await local.reserve(Ask((blocked,)))

    assert isinstance(runner.run(story()), Refused)
    assert len(local._records) <= 501
