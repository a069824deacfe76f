"""What tokens cost, as ratios of one run, in a stack of its own.

* An access token for a session beside one `whoami` of the same Kratos: what issuing adds to it.
* A refresh, with the service's own code, beside the same update of the same row done raw. Both by
  the same number of connections in the same number of processes, both prepared, both committed and
  flushed one by one. The session was last used a while ago, as in life: a refresh notes that too.
* The slowest refreshes of a million living families beside those of ten thousand.

    python -m benchmarks.tokens [--seconds 3] [--families 1000000] [--connections 4]
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psycopg

from benchmarks.logins import make_member
from benchmarks.stage import cpu_seconds
from benchmarks.token_refreshes import compare, fill, quiet
from tests.private_stack import PrivateStack

FEW = 10_000


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def issuing(stack: PrivateStack, seconds: float) -> None:
    member = make_member(stack)
    settings = json.loads((stack.home / "settings.json").read_text())
    kratos, service = settings["KLEIS_KRATOS_PUBLIC_URL"], settings["KLEIS_SERVICE_URL"]
    with httpx.Client(timeout=30) as client:
        flow = client.get(f"{stack.edge_url}/self-service/login/api").json()["id"]
        answer = client.post(
            f"{stack.edge_url}/self-service/login", params={"flow": flow}, json=member
        )
        headers = {"X-Session-Token": answer.json()["session_token"]}
        asked: dict[str, list[float]] = {"whoami": [], "tokens": []}
        end = time.perf_counter() + seconds * 2
        pid = stack.pids()["service"]
        before = cpu_seconds(pid)
        for name in itertools.cycle(asked):
            started = time.perf_counter()
            if name == "whoami":
                answer = client.get(f"{kratos}sessions/whoami", headers=headers)
            else:
                answer = client.post(f"{service}api/tokens", headers=headers)
            asked[name].append((time.perf_counter() - started) * 1000)
            answer.raise_for_status()
            if started > end:
                break
        cost = (cpu_seconds(pid) - before) / len(asked["tokens"]) * 1000
        ending(client, f"{service}api/tokens", headers)
    whoami, tokens = (statistics.median(waits) for waits in asked.values())
    say(
        f"tokens for a session: p50 {tokens:.1f} ms, one whoami {whoami:.1f} ms:"
        f" {tokens - whoami:+.1f} ms, {tokens / whoami:.1f} x (n = {len(asked['tokens'])});"
        f" the service computed {cost:.1f} ms for one; load average {os.getloadavg()[0]:.1f}"
    )


def ending(client: httpx.Client, tokens: str, headers: dict[str, str]) -> None:
    """Print how long after the answer to a logout a waiting verifier has the new list."""
    version = client.get(f"{tokens}/revocations").headers["etag"]
    heard: list[float] = []

    def wait() -> None:
        with httpx.Client(timeout=40) as own:
            own.get(
                f"{tokens}/revocations", params={"wait": 25}, headers={"If-None-Match": version}
            )
        heard.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    access = client.post(tokens, headers=headers).json()["access_token"]
    client.post(f"{tokens}/revoke", json={"token": access}).raise_for_status()
    ended = time.perf_counter()
    waiting.join()
    say(f"the end of a session reaches who waits for it {heard[0] - ended:+.2f} s after its answer")


def refreshing(stack: PrivateStack, options: argparse.Namespace) -> None:
    """Print how refreshes compare with raw updates, of few families and of many."""
    settings = json.loads((stack.home / "settings.json").read_text())
    url, postgres = settings["KLEIS_DATABASE_URL"], stack.pids()["postgres"]
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select identity_id from members where status = 'active' limit 1"
        ).fetchone()
    assert row is not None
    member, most = str(row[0]), options.families
    fill(url, member, 0, FEW - 1)
    few, words = compare(settings, postgres, range(FEW), options, processes=1)
    say(words)
    fill(url, member, FEW, most - 1)
    many, words = compare(settings, postgres, range(FEW, most), options, processes=1)
    say(f"{words}\np99 of {most} families: {many / few:.2f} x that of {FEW}")
    fill(url, member, most, most + FEW - 1)
    _, words = compare(settings, postgres, range(most, most + FEW), options, processes=2)
    say(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--families", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as name:
        stack = PrivateStack(Path(name), {"KLEIS_LOG_LEVEL": "warning"}, is_measured=True)
        try:
            stack.start()
            issuing(stack, options.seconds)
            refreshing(stack, options)
        finally:
            stack.close()


if __name__ == "__main__":
    main()
