"""The long race: checks against revocations and suspensions over two edges of a whole stack.

Four runs: undisturbed, with Valkey killed again and again, with Keto restarted, with the worker
stopped. The promise: no check is allowed after what it needs was taken. Exits with 1 when broken.

    python -m benchmarks.decision_races [--checks 1000000] [--revokes 10000] [--suspensions 1000]
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.decision_history import stale
from tests.decision_race import Race, race, second_edge
from tests.private_stack import PrivateStack

_PAUSE = 15.0


def killing(stack: PrivateStack, name: str) -> Callable[[], Awaitable[None]]:
    """Return what kills one server a few times while the race runs."""

    async def kill() -> None:
        for _ in range(5):
            await asyncio.sleep(_PAUSE)
            await asyncio.to_thread(lambda: stack.await_restart(name, stack.kill(name)))

    return kill


def run(
    name: str,
    stack: PrivateStack,
    other: str,
    how: Race,
    disturb: Callable[[], Awaitable[None]] | None = None,
) -> int:
    started = time.monotonic()
    history = race(stack, (stack.edge_url, other), how, disturb)
    found = stale(history.allowed, history.changes)
    print(
        f"{name}: {history.checks} checks, {len(history.allowed)} allowed, "
        f"{history.taken()} taken, {len(found)} stale, {time.monotonic() - started:.0f} s; "
        f"{dict(history.reasons)}; "
        f"failures {dict(history.failures)}",
        flush=True,
    )
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=1_000_000)
    parser.add_argument("--revokes", type=int, default=10_000)
    parser.add_argument("--suspensions", type=int, default=1_000)
    given = parser.parse_args()
    full = Race(given.checks, given.revokes, given.suspensions)
    tenth = Race(given.checks // 10, given.revokes // 10, given.suspensions // 10)
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder))
        try:
            stack.start()
            with second_edge(stack) as other:
                wrong = run("undisturbed", stack, other, full)
                wrong += run("valkey killed", stack, other, tenth, killing(stack, "valkey"))
                wrong += run("keto restarted", stack, other, tenth, killing(stack, "keto"))
                os.kill(stack.pids()["worker"], signal.SIGSTOP)
                wrong += run("worker stopped", stack, other, tenth)
                os.kill(stack.pids()["worker"], signal.SIGCONT)
        finally:
            stack.close()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
