"""How much members ask about permissions: fair shares over all edges; keys are not counted."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from integration.edge.decisions.allowance import EXPLANATION
from integration.edge.limits.failover import FailoverLimiter
from integration.edge.limits.local import LocalLimiter
from integration.edge.limits.local_shares import LocalShares
from integration.edge.limits.valkey import ValkeyLimiter
from integration.limits.rules import rules_of
from integration.settings.limits import LimitSettings
from policies.shares import Share
from tests.decision_stage import Keto, Stage, new_key
from tests.edge_stage import edge_running, settings_for, upstream_running

NOBODY = "redis://127.0.0.1:1/0"
RULES = rules_of(LimitSettings())


@contextmanager
def stages(services, count: int = 1, **changes) -> Iterator[list[Stage]]:
    """So many edges before one Keto."""
    keto = Keto()
    with upstream_running(keto):
        values = {
            "database_url": services.settings.database_url.get_secret_value(),
            "valkey_url": services.settings.valkey_url.get_secret_value(),
            "hooks_url": f"http://127.0.0.1:{keto.port}/",
            "limit_questions": "60/PT1H",
        }
        settings = settings_for(keto.port, **(values | changes))
        key = new_key(services, "permissions:read")
        made: list[Stage] = []
        with edge_running(settings) as port:
            made.append(Stage(port, keto, services, key))
            keto.settle = made[0].settle
            if count == 1:
                yield made
                return
            with edge_running(settings) as other:
                yield [*made, Stage(other, keto, services, key)]


def check(stage: Stage, member: str, target: str, **more):
    session = {"X-Session-Token": member}
    resource = f"Content:{target}"
    return stage.post("check", headers=session, action="view", resource=resource, **more)


def batch(stage: Stage, member: str, count: int):
    checks = [{"action": "view", "resource": f"Content:{uuid4().hex}"} for _ in range(count)]
    return stage.post("batch-check", headers={"X-Session-Token": member}, checks=checks)


def explain(stage: Stage, member: str):
    session = {"X-Session-Token": member}
    return stage.post("explain", headers=session, action="view", resource="Content:a")


def assert_limited(answered) -> None:
    assert answered.status == 429
    assert answered.json()["type"] == "urn:kleis:problem:too_many_requests"
    wait = int(answered.header("retry-after"))
    assert 0 < wait <= 3600
    assert answered.header("ratelimit-policy") == '"questions";q=60;w=3600'
    assert answered.header("ratelimit") == f'"questions";r=0;t={wait}'


def test_a_member_asks_keto_no_more_than_its_share(services):
    with stages(services) as (stage,):
        member = stage.member()
        targets = [uuid4().hex for _ in range(70)]
        statuses = Counter(check(stage, member, each).status for each in targets)

        assert statuses == {200: 60, 429: 10}
        assert sum(stage.keto.asked[member, each] > 0 for each in targets) == 60
        assert_limited(check(stage, member, "a", fresh=True))
        assert_limited(batch(stage, member, 1))
        assert_limited(explain(stage, member))


def test_a_batch_counts_each_of_its_questions_and_an_explanation_many(services):
    with stages(services) as (stage,):
        one, two, three = stage.member(), stage.member(), stage.member()

        assert batch(stage, one, 59).status == 200
        assert_limited(batch(stage, one, 2))
        assert batch(stage, one, 1).status == 200
        # More than a share is as much as a whole one.
        assert batch(stage, two, 100).status == 200
        assert_limited(batch(stage, two, 1))
        for _ in range(60 // EXPLANATION):
            assert explain(stage, three).status in (200, 503)
        assert_limited(explain(stage, three))


def test_what_is_answered_from_memory_is_free(services):
    with stages(services) as (stage,):
        member = stage.member()
        assert batch(stage, member, 59).status == 200

        statuses = Counter(check(stage, member, "a").status for _ in range(50))

        assert statuses == {200: 50}
        assert stage.keto.asked[member, "a"] == 1
        assert_limited(check(stage, member, "b"))
        # And stays so when nothing else is left.
        assert check(stage, member, "a").status == 200


def test_one_members_share_is_nobody_elses_and_keys_have_none(services):
    with stages(services) as (stage,):
        greedy, other = stage.member(), stage.member()
        assert batch(stage, greedy, 60).status == 200
        assert_limited(check(stage, greedy, "a"))

        assert check(stage, other, "a").status == 200
        for _ in range(70):
            assert stage.check(greedy, "Content:a", fresh=True)["reason"] == "denied"


def test_a_share_is_one_over_all_edges(services):
    with stages(services, 2) as edges:
        member = edges[0].member()

        statuses = Counter(
            check(edges[number % 2], member, "a", fresh=True).status for number in range(70)
        )

        assert statuses == {200: 60, 429: 10}


def test_without_valkey_an_edge_counts_by_itself(services):
    with stages(services, valkey_url=NOBODY) as (stage,):
        member = stage.member()

        statuses = Counter(check(stage, member, "a", fresh=True).status for _ in range(70))

        assert statuses == {200: 60, 429: 10}
        assert_limited(check(stage, member, "a", fresh=True))


@pytest.mark.parametrize("seed", range(5))
def test_both_ways_of_counting_say_the_same(valkey_url, seed):
    chance = random.Random(seed)
    moment = 1_800_000_000_000

    async def story() -> None:
        nonlocal moment
        key = b"kl:q@" + uuid4().bytes[:8]
        share = Share("s", chance.randint(1, 40), chance.randint(1_000_000, 90_000_000))
        local = LocalShares(now=lambda: moment * 1000)
        valkey = ValkeyLimiter(
            valkey_url, RULES, lease=1, alarm_accounts=9, patience=10.0, now=lambda: moment
        )
        await valkey.check()
        for _ in range(300):
            moment += chance.choice((0, 0, 1, 50, 3000))
            cost = chance.randint(1, 50)
            assert await valkey.take(share, key, cost) == local.take(share, key, cost)
        await valkey.close()

    asyncio.run(story())


def test_a_share_that_was_used_up_is_so_when_valkey_goes_away(valkey_url):
    async def story() -> tuple[int, int]:
        remote = ValkeyLimiter(valkey_url, RULES, lease=1, alarm_accounts=9, patience=10.0)
        limiter = FailoverLimiter(remote, LocalLimiter(RULES, lease=1, alarm_accounts=9))
        await limiter.start()
        key, share = b"kl:q@" + uuid4().bytes[:8], Share("s", 10, 3_600_000_000)
        before = await limiter.take(share, key, 10)
        await remote.close()
        after = await limiter.take(share, key, 1)
        await limiter.close()
        return before, after

    before, after = asyncio.run(story())
    assert before == 0
    assert after > 0


def test_a_crowd_of_people_takes_bounded_memory():
    shares = LocalShares(most_records=200, now=lambda: 0)
    share = Share("s", 2, 1000)
    last = b"last"
    for number in range(5000):
        shares.take(share, number.to_bytes(4, "big"), 1)
        shares.take(share, last, 1)
    # Whoever goes on asking is not forgotten for the others.
    assert shares.take(share, last, 1) > 0
    assert len(shares._full_at) <= 201
