"""The embedded stack as a whole: how it starts, dies, comes back and ends."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.private_stack import PATIENCE, PrivateStack, is_alive

SERVERS = {"postgres", "valkey", "kratos", "keto", "service", "edge", "worker"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateStack]:
    """A stack of this module's own: its tests end it and start it again."""
    private = PrivateStack(tmp_path_factory.mktemp("launch"))
    yield private
    private.close()


@pytest.fixture
def running(own: PrivateStack) -> PrivateStack:
    if own.process is None or own.process.poll() is not None:
        own.start()
    return own


def _await_end(pids: list[int], *, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still alive after {seconds:g} s: {left}"
        time.sleep(0.1)


def _is_ready(stack: PrivateStack) -> bool:
    try:
        return httpx.get(f"{stack.edge_url}/health/ready", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_the_facts_of_a_running_stack_are_complete_and_private(running: PrivateStack) -> None:
    facts = running.home / "stack.json"
    assert facts.stat().st_mode & 0o777 == 0o600
    assert set(running.facts) == {
        "edge_url",
        "admin_api_key",
        "mailbox_url",
        "oidc_provider_url",
        "demo_members",
        "pids",
        "versions",
    }
    assert running.pids().keys() >= SERVERS | {"demo-provider"}
    provider = running.facts["oidc_provider_url"]
    assert provider == f"http://127.0.0.1:{running.environ['KLEIS_PORT_OIDC']}"
    told = httpx.get(f"{provider}/.well-known/openid-configuration", timeout=30).json()
    assert told["issuer"] == provider
    assert [one["role"] for one in running.facts["demo_members"]] == [
        "admin",
        "moderator",
        "creator",
        "user",
    ]


def test_no_secret_lies_open_in_the_home(running: PrivateStack) -> None:
    open_files = [
        path
        for path in running.home.rglob("*.[jy][sm]*")
        if path.is_file() and path.stat().st_mode & 0o077
    ]
    assert open_files == []


def test_the_terminal_shows_no_secret_but_the_demo_passwords(running: PrivateStack) -> None:
    said = running.said()
    assert running.facts["admin_api_key"] not in said
    assert all(one["password"] in said for one in running.facts["demo_members"])


def test_a_second_launcher_is_refused_with_the_address_of_the_first(
    running: PrivateStack,
) -> None:
    second = running.run("up")
    assert second.returncode == 1
    assert str(running.pids()["launcher"]) in second.stderr
    assert running.edge_url in second.stderr
    assert _is_ready(running)


def test_a_taken_port_is_named_with_its_setting(
    running: PrivateStack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = PrivateStack(tmp_path_factory.mktemp("other"))
    taken = running.environ["KLEIS_PORT_KETO_READ"]
    other.environ["KLEIS_PORT_KETO_READ"] = taken
    refused = other.run("up")
    assert refused.returncode == 1
    assert f"port {taken} " in refused.stderr
    assert "KLEIS_PORT_KETO_READ" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_process_that_dies_is_named_and_started_again(running: PrivateStack) -> None:
    old = running.kill("keto")
    running.await_restart("keto", old)
    assert "keto died (signal 9)" in running.said()
    assert "starting it again" in running.said()


def test_a_killed_database_comes_back(running: PrivateStack) -> None:
    old = running.kill("postgres")
    running.await_restart("postgres", old)
    deadline = time.monotonic() + PATIENCE
    while not _is_ready(running):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_killed_launcher_takes_everything_with_it(running: PrivateStack) -> None:
    pids = running.pids()
    running.kill("launcher")
    _await_end(list(pids.values()))


def _kill_launcher_and_guard(pids: dict[str, int]) -> None:
    """Leave neither the time to do something about the other's end."""
    os.kill(pids["launcher"], signal.SIGSTOP)
    os.kill(pids["guard"], signal.SIGKILL)
    os.kill(pids["launcher"], signal.SIGKILL)


def test_after_everything_was_killed_the_next_start_recovers(running: PrivateStack) -> None:
    pids = running.pids()
    _kill_launcher_and_guard(pids)
    for name in SERVERS:
        # One that another's end has ended is gone already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[name], signal.SIGKILL)
    assert running.process is not None
    running.process.wait(timeout=PATIENCE)
    running.start()
    assert _is_ready(running)


def test_leftovers_of_a_killed_launcher_are_ended_by_the_next_start(
    running: PrivateStack,
) -> None:
    pids = running.pids()
    _kill_launcher_and_guard(pids)
    running.start()
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert "left of a killed stack" in running.said()


def test_down_ends_the_stack_and_says_when_there_is_none(running: PrivateStack) -> None:
    pids = running.pids()
    ended = running.run("down")
    assert ended.returncode == 0
    assert "has ended" in ended.stdout
    _await_end(list(pids.values()))
    assert not (running.home / "stack.json").exists()
    assert "No stack runs" in running.run("down").stdout
