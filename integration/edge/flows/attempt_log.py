"""The login attempts, written in batches.

At most a quarter of a second passes between an attempt and its row.
"""

from integration.edge.batch_writer import BatchWriter
from integration.edge.flows.attempt_rows import write_batch
from integration.edge.flows.attempts import Attempt
from integration.settings import Settings

BATCH = 500
LONGEST_WAIT_SECONDS = 0.25
# About 20 MB. At 500 attempts a second PostgreSQL may be away for 40 seconds.
MOST_WAITING = 20_000


class AttemptLog(BatchWriter[Attempt]):
    """Takes attempts, writes them between `start` and `close`."""

    def __init__(self, settings: Settings, *, most_waiting: int = MOST_WAITING) -> None:
        super().__init__(
            settings,
            write_batch,
            name="login_attempts",
            batch=BATCH,
            longest_wait=LONGEST_WAIT_SECONDS,
            most_waiting=most_waiting,
        )
