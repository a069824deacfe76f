"""Kratos and Keto as programs: given ones, or built once from their published modules."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from integration.errors import StackError
from integration.launch import toolchain
from integration.launch.files import read_json, write_json
from integration.launch.home import CHECKOUT
from integration.launch.programs import Program, Startup, run_once
from integration.launch.stopping import Stop
from integration.launch.toolchain import Toolchain

PROGRESS_PERIOD = 20.0
"""Seconds between two lines about a build."""
NEEDED_BYTES = 200_000_000
"""Both servers while they are written; Go's own cache lies elsewhere and needs more."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server that is built.

    Attributes:
        takes: Roughly how long a first build takes on two cores, in words.
    """

    name: str
    module: str
    takes: str

    @property
    def folder(self) -> Path:
        return CHECKOUT / self.name / "server"

    @property
    def setting(self) -> str:
        return f"KLEIS_{self.name.upper()}_BIN"


KRATOS = Server("kratos", "github.com/ory/kratos", "two minutes")
KETO = Server("keto", "github.com/ory/keto", "one minute")


def default_cache(environ: Mapping[str, str]) -> Path:
    """Return the platform's folder for what can be made again, with `kleis` in it."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "kleis"
    given = Path(environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else home / ".cache") / "kleis"


def obtain(
    server: Server,
    *,
    given: Path | None,
    cache: Path,
    startup: Startup,
) -> Path:
    """Return the program of `server`: `given`, or the cached one, built when missing.

    Raises:
        StackError: it cannot be run or built; says which setting helps.
    """
    if given is not None:
        program = CHECKOUT / given.expanduser()
        if not (program.is_file() and os.access(program, os.X_OK)):
            raise StackError(f"{server.setting} is {given}, which is not a program")
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "toolchain.lock", startup.stop):
        go = toolchain.find(server.folder / "go.mod", cache, startup)
    target = cache / f"{server.name}-{_key(server, go)}"
    with _locked(cache / f"{server.name}.lock", startup.stop):
        if not _is_whole(target):
            _build(server, go, target, startup)
    return target


def _key(server: Server, go: Toolchain) -> str:
    digest = sha256(go.version.encode())
    for name in ("go.mod", "go.sum"):
        digest.update((server.folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _is_whole(target: Path) -> bool:
    """Whether a build is there in full: its size was noted when it was finished."""
    try:
        return target.stat().st_size == read_json(_note(target)).get("size")
    except FileNotFoundError:
        return False


def _build(server: Server, go: Toolchain, target: Path, startup: Startup) -> None:
    for half in target.parent.glob(f"{server.name}-*.new"):
        half.unlink()
    fresh = target.with_name(f"{target.name}.new")
    _require_room(target.parent)
    fixed = {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    environ = startup.environ
    if not environ.get("HOME") and not environ.get("GOCACHE"):
        fixed |= {"GOCACHE": str(target.parent / "go-build"), "GOPATH": str(target.parent / "go")}
    options: list[str | Path] = ["-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", fresh]
    program = Program(
        name=f"build of {server.name}",
        argv=[go.program, "build", *options, server.module],
        environ={**environ, **fixed},
        folder=server.folder,
    )
    with _progress(server, startup.say) as tick:
        run_once(
            program,
            startup,
            failure=f"{server.name} could not be built with {go.version} (if the disk is full, "
            f"set KLEIS_CACHE and GOCACHE to folders with room; a built one can be given "
            f"with {server.setting})",
            seconds=3600,
            tick=tick,
        )
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(target)
    write_json(_note(target), {"size": target.stat().st_size, "built_with": go.version})


@contextmanager
def _progress(server: Server, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    started = time.monotonic()
    title = f"building {server.name} (about {server.takes}, once)"
    say(f"{title} ...")
    said = started

    def tick() -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= PROGRESS_PERIOD:
            said = now
            say(f"{title} ... {now - started:.0f} s")

    yield tick
    say(f"built {server.name} in {time.monotonic() - started:.0f} s")


def _require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise StackError(
            f"only {free // 1_000_000} MB are free in {folder}: make room, or set KLEIS_CACHE "
            "to a folder with more"
        )


@contextmanager
def _locked(path: Path, stop: Stop) -> Iterator[None]:
    """Hold `path` against other launchers; wait for one that builds right now."""
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.pause(0.2)
        yield
