"""A hot session check (`whoami`) through the edge, against Kratos' own on the same core.

Both belong to one private stack, hold the same session, and are asked in turns by the same client.
Kratos and the edge run on the first core; the client, PostgreSQL and the rest on the second.

    python -m benchmarks.session_cache [--seconds 3]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from pathlib import Path

import httpx

from benchmarks.stage import LOAD_CORE, PROXY_CORE, raw_rate, run_on
from tests.private_stack import PrivateStack

CONNECTIONS = 32
_ROUNDS = 3


def pin(pid: int, core: int) -> None:
    """Keep a process, with all its threads, on one core."""
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[core % len(cores)]})


def session_token(edge_url: str, member: dict[str, str]) -> str:
    with httpx.Client(base_url=edge_url, headers={"accept": "application/json"}) as client:
        flow = client.get("/self-service/login/api").json()
        client.cookies.clear()
        answer = client.post(
            "/self-service/login",
            params={"flow": flow["id"]},
            json={
                "method": "password",
                "identifier": member["email"],
                "password": member["password"],
            },
        )
        return str(answer.raise_for_status().json()["session_token"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = PrivateStack(Path(folder), is_measured=True)
        try:
            stack.start()
            measure(stack, given.seconds)
        finally:
            stack.close()


def measure(stack: PrivateStack, seconds: float) -> None:
    token = session_token(stack.edge_url, stack.facts["demo_members"][-1])
    question = (
        "GET /sessions/whoami HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        f"X-Session-Token: {token}\r\n\r\n"
    ).encode()
    pids = stack.pids()
    for name, pid in pids.items():
        pin(pid, PROXY_CORE if name in ("edge", "kratos") else LOAD_CORE)
    cores = sorted(os.sched_getaffinity(0))
    ports = {
        name: int(stack.environ[f"KLEIS_PORT_{setting}"])
        for name, setting in (("edge", "EDGE"), ("kratos", "KRATOS_PUBLIC"))
    }
    run_on(LOAD_CORE)
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(_ROUNDS):
        for name, port in ports.items():
            rate = raw_rate(port, question, seconds=seconds, connections=CONNECTIONS)
            rates[name].append(asyncio.run(rate))
    os.sched_setaffinity(0, set(cores))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:>7}: {middle[name]:7.0f}/s  {[round(value) for value in values]}")
    print(f"edge / kratos = {middle['edge'] / middle['kratos']:.1f}")


if __name__ == "__main__":
    main()
