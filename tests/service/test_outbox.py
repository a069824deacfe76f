"""What the outbox promises, on a real database with real parallel connections."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from integration.db import inbox, outbox
from integration.db.tables import OutboxEffect
from integration.tasks import relay
from integration.tasks.deliver import deliver


@pytest.fixture
def add(services, clock):
    def add(identity_id=None, lane="mail", kind="courier_mail", payload=None):
        words = {"template": "", "to": "a@example.test", "subject": "Hello", "text": "Hello."}
        with services.transaction() as session:
            return outbox.add(
                session,
                lane=lane,
                kind=kind,
                identity_id=identity_id,
                payload=words if payload is None else payload,
                now=clock.now,
            )

    return add


def row_of(services, effect_id):
    with services.transaction() as session:
        return session.get(OutboxEffect, effect_id)


def test_a_transaction_that_fails_asks_for_nothing(services, clock, rung):
    def fail() -> None:
        with services.transaction() as session:
            outbox.add(
                session,
                lane="mail",
                kind="courier_mail",
                identity_id=None,
                payload={},
                now=clock.now,
            )
            raise OSError("the power went")

    with pytest.raises(OSError, match="power"):
        fail()

    with services.transaction() as session:
        assert session.scalars(select(OutboxEffect)).all() == []
    assert rung == []


def test_the_relay_leaves_an_effect_to_its_bell_then_finds_it_by_itself(services, add, clock, rung):
    effect_id = add()
    rung.clear()
    assert relay.relay(services) == 0

    clock.advance(outbox.HEAD_START)

    assert relay.relay(services) == 1
    assert rung == [effect_id]


def test_what_was_handed_over_and_lost_is_handed_over_again(services, add, clock):
    add()
    clock.advance(outbox.HEAD_START)
    assert relay.relay(services) == 1
    assert relay.relay(services) == 0

    clock.advance(outbox.LEASE)

    assert relay.relay(services) == 1


def test_eight_relays_at_once_hand_an_effect_over_once(services, add, clock, rung):
    add()
    rung.clear()
    clock.advance(outbox.HEAD_START)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: relay.relay(services), range(8))) == 1
    assert len(rung) == 1


def test_eight_deliveries_at_once_bring_an_effect_about_once(services, add):
    effect_id = add()

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: deliver(services, effect_id), range(8)))

    assert sum(outcomes) == 1
    assert row_of(services, effect_id).done_at is not None


def test_a_failure_waits_longer_each_time_and_is_parked_in_the_end(services, add, clock):
    """Keto is out of reach here, so its lane cannot succeed."""
    effect_id = add(uuid4(), lane="authority", kind="sync_authority", payload={})
    waits = []
    for _ in range(services.settings.max_attempts):
        assert deliver(services, effect_id) is False
        row = row_of(services, effect_id)
        waits.append(row.due_at - clock.now)
        clock.advance(waits[-1])

    assert waits[0] < timedelta(seconds=2)
    assert waits[5] > waits[2] > waits[0]
    assert row.parked_at is not None
    assert row.last_error.startswith("upstream_unavailable")
    assert relay.relay(services) == 0

    with services.transaction() as session:
        assert outbox.retry(session, effect_id, now=clock.now)
    clock.advance(timedelta(seconds=1))
    assert relay.relay(services) == 1


def test_a_later_effect_waits_for_the_earlier_one_of_its_lane(services, add):
    member = uuid4()
    first, second = add(member), add(member)

    assert deliver(services, second) is False
    assert deliver(services, first) is True
    assert deliver(services, second) is True


def test_lanes_do_not_wait_for_each_other(services, add):
    member = uuid4()
    add(member, lane="authority", kind="sync_authority", payload={})
    mail = add(member)

    assert deliver(services, mail) is True


def test_an_effect_that_is_done_rings_for_the_next_of_its_lane(services, add, rung):
    member = uuid4()
    first, second = add(member), add(member)
    rung.clear()

    deliver(services, first)

    assert rung == [second]


def test_events_wait_until_there_is_a_consumer(services, add, clock, rung):
    add(uuid4(), lane="event", kind="publish_event", payload={"name": "x", "facts": {}})
    clock.advance(timedelta(days=3))

    assert relay.relay(services) == 0
    with services.transaction() as session:
        assert outbox.counts(session) == {"event": {"waiting": 1, "failing": 0, "parked": 0}}


def test_of_many_claims_at_once_only_one_is_first(services):
    event = f"race:{uuid4()}"

    def claim(_: int) -> bool:
        with services.transaction() as session:
            return inbox.claim(session, event)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1
