"""Tells the worker that effects are waiting. A hint: the relay finds them without it."""

import time
from collections.abc import Sequence
from uuid import UUID

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from integration.settings import Settings

DELIVER = "kleis.deliver"
QUEUE = "kleis"

log = structlog.get_logger()

# After the broker failed to answer, callers are not made to wait for it again so soon.
_QUIET_SECONDS = 1.0


def make_celery(settings: Settings) -> Celery:
    """Return the Celery application: its broker, its queue, and no stored results."""
    url = (settings.broker_url or settings.valkey_url).get_secret_value()
    app = Celery("kleis", broker=url.replace("unix://", "redis+socket://", 1), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        accept_content=["json"],
        task_ignore_result=True,
        task_publish_retry=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_connect_timeout": 0.5,
            "socket_timeout": 5,
            "global_keyprefix": "kleis:",
        },
        timezone="UTC",
    )
    return app


class Doorbell:
    """Rings for effects after their transaction is committed. Never raises, never waits long."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._quiet_until = 0.0

    def __call__(self, effect_ids: Sequence[UUID]) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            for effect_id in effect_ids:
                self._celery.send_task(DELIVER, (str(effect_id),), queue=QUEUE, retry=False)
        except (OperationalError, OSError) as error:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("doorbell_silent", error=type(error).__name__)


def check_broker(celery: Celery) -> None:
    """Return when the broker answers.

    Raises:
        OperationalError: it does not.
    """
    with celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=1)
