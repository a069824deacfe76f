"""A launcher in the background: `kleis up --detach`.

The command starts a second launcher in a session of its own and shows what that one says,
until it is ready or gives up. From then on the launcher writes to its log.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from integration.launch.home import Home, make_home

READY = "\x04"


def launch(home: Home, environ: Mapping[str, str], *, say: Callable[[str], None]) -> int:
    """Start a launcher and return its exit code, or 0 once it is ready."""
    make_home(home)
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("kleis"), "up", "--notify", str(writer)],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        pass_fds=[writer],
        start_new_session=True,
    )
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith(READY):
                    return 0
                say(line.rstrip("\n"))
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
    return process.wait()


def started(notify: int, home: Home) -> None:
    """Tell the waiting command that all is ready, and write to the log from now on."""
    log = os.open(home.logs / "launcher.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.close(log)
    os.write(notify, f"{READY}\n".encode())
    os.close(notify)
