"""The supervisor and the guard, with shells and sleeps in the place of servers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integration.errors import StackError
from integration.launch.guarding import Guard
from integration.launch.processes import ProcessRecord, end, is_running, start_mark
from integration.launch.programs import Program, Startup, record_of, run_once, spawn
from integration.launch.stopping import Stop, Stopped
from integration.launch.supervisor import Supervisor

ENVIRON = {"PATH": os.defpath}


def shell(name: str, script: str) -> Program:
    return Program(name=name, argv=["/bin/sh", "-c", script], environ=ENVIRON)


def await_true(condition: Callable[[], object], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(
        tmp_path, tell_guard=lambda _record: None, say=said.append, changed=lambda _records: None
    )
    yield made
    made.close()


def test_a_dead_child_is_named_with_its_last_lines_and_started_again(
    supervisor: Supervisor, said: list[str]
) -> None:
    supervisor.start(shell("lamp", "echo the bulb broke; sleep 0.1; exit 3"))
    first = supervisor.running()[0].pid

    def is_back() -> bool:
        supervisor.step()
        return any(record.pid != first for record in supervisor.running())

    await_true(is_back)
    assert "lamp died (exit code 3), starting it again in 0.2 s" in said[0]
    assert "the bulb broke" in said[1]


def test_five_deaths_in_a_minute_end_the_stack_with_the_reason(supervisor: Supervisor) -> None:
    supervisor.start(shell("lamp", "echo no power; exit 1"))

    def step_until_raised() -> None:
        while True:
            supervisor.step()
            time.sleep(0.02)

    with pytest.raises(StackError, match=r"lamp died 5 times in a minute[\s\S]*no power"):
        step_until_raised()


def test_a_program_that_cannot_be_run_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match="lamp cannot be run"):
        supervisor.start(Program(name="lamp", argv=["/nowhere/lamp"], environ=ENVIRON))


def test_the_log_of_the_start_before_is_kept(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "lamp.log").write_text("old light\n")
    supervisor.start(shell("lamp", "sleep 60"))
    assert (tmp_path / "lamp.log.1").read_text() == "old light\n"


def test_closing_ends_a_child_that_does_not_listen_and_its_children(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    marker = tmp_path / "grandchild"
    script = f"trap '' TERM; sleep 60 & echo $! > {marker}; wait; sleep 60"
    supervisor.start(shell("deaf", script))
    await_true(lambda: marker.exists() and marker.read_text().strip())
    grandchild = int(marker.read_text())
    began = time.monotonic()
    supervisor.close()
    assert time.monotonic() - began < 40
    await_true(lambda: start_mark(grandchild) is None)


def test_nothing_starts_after_closing(supervisor: Supervisor) -> None:
    supervisor.close()
    with pytest.raises(Stopped):
        supervisor.start(shell("late", "sleep 60"))


def test_the_guard_ends_what_it_was_told_of_when_its_pipe_ends() -> None:
    guard = Guard()
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as child:
        guard.watch(record_of(shell("child", ""), child.pid))
        guard.close()
        assert child.wait(timeout=30) < 0


def test_a_killed_guard_is_replaced_by_one_that_knows_as_much() -> None:
    guard = Guard()
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as child:
        guard.watch(record_of(shell("child", ""), child.pid))
        first = guard.pid
        os.kill(first, 9)

        def is_replaced() -> bool:
            guard.step()
            return guard.pid != first

        await_true(is_replaced)
        guard.close()
        assert child.wait(timeout=30) < 0


def test_a_process_of_the_same_number_is_left_alone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as stranger:
        record = ProcessRecord(name="ours", pid=stranger.pid, started="another moment")
        assert not is_running(record)
        assert end([record]) == []
        assert is_running(replace(record, started=start_mark(stranger.pid) or ""))
        stranger.kill()


def test_a_step_that_fails_shows_its_last_lines_and_the_advice() -> None:
    startup = Startup(ENVIRON, print, Stop(), lambda _record: None)
    with pytest.raises(StackError, match=r"set THIS; its last lines:\n +it broke"):
        run_once(shell("step", "echo it broke; exit 1"), startup, failure="set THIS")


def test_a_stop_ends_a_step_that_runs() -> None:
    stop = Stop()
    startup = Startup(ENVIRON, print, stop, lambda _record: None)
    stop.request()
    began = time.monotonic()
    with pytest.raises(Stopped):
        run_once(shell("step", "sleep 60"), startup, failure="")
    assert time.monotonic() - began < 40


def test_a_child_gets_no_descriptor_of_ours(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        program = Program(
            name="list",
            argv=[sys.executable, "-c", f"import os; os.fstat({writer})"],
            environ=ENVIRON,
        )
        with (tmp_path / "log").open("wb") as log:
            assert spawn(program, output=log.fileno()).wait() == 1
    finally:
        os.close(reader)
        os.close(writer)
