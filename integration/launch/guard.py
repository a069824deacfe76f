"""Ends the stack's processes when the launcher is killed and cannot do it itself.

A process of its own session. It reads lines from a pipe that only the launcher holds: one
JSON object for each process that was started. The end of the pipe is the end of the launcher,
whatever ended it; then every process told of, and still that process, is ended. After a clean
stop nothing is left to end.

Runs as `python -m integration.launch.guard` and needs nothing but the standard library.
"""

import json
import signal
import sys

from integration.launch.processes import ProcessRecord, end


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    records: dict[str, ProcessRecord] = {}
    for line in sys.stdin:
        record = ProcessRecord(**json.loads(line))
        records[record.name] = record
    end(list(records.values()))


if __name__ == "__main__":
    main()
