"""The long race: checks against revocations and suspensions over two edges of a whole stack.

Four runs: undisturbed, and a tenth as long each with Valkey killed again and again, with Keto
restarted, with the worker stopped. The promise: no check is allowed after what it needs was taken.
Exits with 1 when broken.

It takes an hour and more. In parts, on a machine that is not always free:

    python -m benchmarks.decision_races [--checks 1000000] [--revokes 10000] [--suspensions 1000]
        [--only undisturbed] [--parts 10] [--into FILE]

Run it as often as there are parts. Each is a stack and members of its own; `--into` adds its lines
to a file and prints the sums of the file.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.decision_history import stale
from tests.decision_race import History, Race, race, second_edge
from tests.private_stack import PrivateStack

_PAUSE = 15.0
KINDS = ("undisturbed", "valkey killed", "keto restarted", "worker stopped")
_COUNTED = ("checks", "allowed", "taken", "stale", "seconds")


def killing(stack: PrivateStack, name: str) -> Callable[[], Awaitable[None]]:
    """Return what kills one server a few times while the race runs."""

    async def kill() -> None:
        for _ in range(5):
            await asyncio.sleep(_PAUSE)
            await asyncio.to_thread(lambda: stack.await_restart(name, stack.kill(name)))

    return kill


@contextmanager
def disturbed(kind: str, stack: PrivateStack) -> Iterator[Callable[[], Awaitable[None]] | None]:
    """Give what runs beside the race; a stopped worker goes on afterwards."""
    if kind == "worker stopped":
        worker = stack.pids()["worker"]
        os.kill(worker, signal.SIGSTOP)
        try:
            yield None
        finally:
            os.kill(worker, signal.SIGCONT)
    elif kind == "undisturbed":
        yield None
    else:
        yield killing(stack, kind.partition(" ")[0])


def run(kind: str, stack: PrivateStack, other: str, how: Race) -> dict[str, Any]:
    """Let them race, and return what was counted."""
    started = time.monotonic()
    with disturbed(kind, stack) as disturb:
        history: History = race(stack, (stack.edge_url, other), how, disturb)
    found = stale(history.allowed, history.changes)
    counted = {
        "kind": kind,
        "checks": history.checks,
        "allowed": len(history.allowed),
        "taken": history.taken(),
        "stale": len(found),
        "seconds": round(time.monotonic() - started),
        "load": round(os.getloadavg()[0], 1),
        "reasons": dict(history.reasons),
        "failures": dict(history.failures),
    }
    print(json.dumps(counted), flush=True)
    return counted


def sums(lines: list[dict[str, Any]]) -> Iterator[str]:
    for kind in KINDS:
        some = [line for line in lines if line["kind"] == kind]
        if some:
            totals = ", ".join(f"{sum(each[n] for each in some)} {n}" for n in _COUNTED)
            yield f"{kind}, {len(some)} parts: {totals}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=1_000_000)
    parser.add_argument("--revokes", type=int, default=10_000)
    parser.add_argument("--suspensions", type=int, default=1_000)
    parser.add_argument("--only", choices=KINDS, action="append", help="again for several")
    parser.add_argument("--parts", type=int, default=1, help="do one of so many equal parts")
    parser.add_argument("--into", type=Path, help="a file of one line of JSON a part")
    given = parser.parse_args()

    def of(kind: str) -> Race:
        parts = given.parts * (1 if kind == "undisturbed" else 10)
        whole = (given.checks, given.revokes, given.suspensions)
        return Race(*(-(-each // parts) for each in whole))

    lines = []
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder), is_measured=True)
        try:
            stack.start()
            with second_edge(stack) as other:
                lines += [run(kind, stack, other, of(kind)) for kind in given.only or KINDS]
        finally:
            stack.close()
    if given.into is not None:
        with given.into.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        lines = [json.loads(line) for line in given.into.read_text().splitlines()]
    print("\n".join(sums(lines)))
    sys.exit(1 if any(line["stale"] for line in lines) else 0)


if __name__ == "__main__":
    main()
