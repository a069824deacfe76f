"""Shares of what only so many may use at once: slots towards Keto, places of held polls."""

import asyncio
from collections import Counter
from contextlib import ExitStack

import pytest

from integration.edge.fair_slots import FairSlots
from integration.edge.held_polls import HeldPolls


def test_who_comes_with_little_waits_for_one_of_each_and_not_for_all_of_another():
    async def run() -> list[str]:
        slots, order = FairSlots(1), []

        async def work(who: str) -> None:
            async with slots.held(who):
                await asyncio.sleep(0)
                order.append(who)

        many = [asyncio.create_task(work("many")) for _ in range(50)]
        await asyncio.sleep(0)
        few = [asyncio.create_task(work(who)) for who in ("few", "few", "another")]
        await asyncio.gather(*many, *few)
        return order

    order = asyncio.run(run())

    assert Counter(order) == {"many": 50, "few": 2, "another": 1}
    assert order.index("few") <= 5
    assert order.index("another") <= 5
    assert order[:8].count("few") == 2


def test_no_more_than_so_many_hold_a_slot():
    async def run() -> int:
        slots, holding, most = FairSlots(3), 0, 0

        async def work(who: str) -> None:
            nonlocal holding, most
            async with slots.held(who):
                holding += 1
                most = max(most, holding)
                await asyncio.sleep(0.001)
                holding -= 1

        await asyncio.gather(*(work(str(number % 5)) for number in range(60)))
        return most

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("when", ["waiting", "given a slot"])
def test_who_gives_up_takes_no_slot_with_it(when):
    async def run() -> None:
        slots = FairSlots(1)

        async def hold(who: str, until: asyncio.Event) -> None:
            async with slots.held(who):
                await until.wait()

        end = asyncio.Event()
        first = asyncio.create_task(hold("first", end))
        await asyncio.sleep(0)
        second = asyncio.create_task(hold("second", end))
        await asyncio.sleep(0)
        if when == "waiting":
            second.cancel()
            await asyncio.sleep(0)
            end.set()
        else:
            end.set()
            await asyncio.wait([first])
            second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        async with asyncio.timeout(30), slots.held("third"):
            pass

    asyncio.run(run())


def test_one_client_does_not_take_the_places_of_all():
    held = HeldPolls(most=5, most_each=2)
    with ExitStack() as stack:
        first = [stack.enter_context(held.place("one")) for _ in range(4)]
        second = [stack.enter_context(held.place(str(number))) for number in range(5)]

    assert first == [True, True, False, False]
    assert second == [True, True, True, False, False]
    with held.place("one") as may_wait:
        assert may_wait
