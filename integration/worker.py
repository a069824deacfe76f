"""The worker: Celery with its schedule. It works in threads, for all it does is wait."""

import threading
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from celery import Celery
from celery.beat import Scheduler, Service
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_ready

from integration.authority import catalogue
from integration.doorbell import DELIVER, QUEUE, make_celery
from integration.services import Services, make_services
from integration.settings import Settings
from integration.tasks import expiry, reconcile, relay, sweeps
from integration.tasks.deliver import deliver

log = structlog.get_logger()

CONCURRENCY = 8
# The row's transaction, the identity's lock, and what is read in between.
_CONNECTIONS_PER_TASK = 3
# After the broker was away, not every missed run is made up for.
_LONGEST_QUEUED = timedelta(seconds=30)


def make_worker(services: Services) -> Celery:
    """Return the Celery application with its tasks and its schedule."""
    app = make_celery(services.settings)
    settings = services.settings

    # shared=False: a second application in this process would run the first one's tasks.
    @app.task(name=DELIVER, shared=False)  # type: ignore[untyped-decorator]
    def deliver_effect(effect_id: str) -> None:
        deliver(services, UUID(effect_id))

    def periodically(name: str, period: timedelta, work: Callable[[Services], object]) -> None:
        # A run that found no worker in time is replaced by a later one.
        expires = max(_LONGEST_QUEUED, period).total_seconds()

        @app.task(name=name, shared=False)  # type: ignore[untyped-decorator]
        def run() -> None:
            work(services)

        app.add_periodic_task(period, run.s(), name=name, expires=expires)

    periodically("kleis.relay", settings.relay_period, relay.relay)
    periodically("kleis.expire_grants", settings.grant_expiry_period, expiry.expire)
    periodically("kleis.sweep", settings.sweep_period, sweeps.sweep)
    periodically("kleis.reconcile", settings.reconcile_period, reconcile.reconcile)
    return app


def run(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C; tasks under way are finished."""
    services = make_services(settings, pool_size=CONCURRENCY * _CONNECTIONS_PER_TASK)
    app = make_worker(services)

    # Whoever listens here has set up logging; else Celery would do it in its own way.
    setup_logging.connect(lambda **_: None, weak=False)
    worker_ready.connect(lambda **_: _begin(app, services), weak=False)
    # Celery warns root of pickled messages; ours are JSON, and nothing else is accepted.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app.Worker(
        pool_cls="threads",
        concurrency=CONCURRENCY,
        queues=[QUEUE],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    ).start()


def _begin(app: Celery, services: Services) -> None:
    try:
        catalogue.ask_for_sync(services)
    except Exception:
        # The reconciler comes to it too; without a schedule it would not.
        log.exception("permissions_not_asked_for")
    _start_schedule(app)


def _start_schedule(app: Celery) -> None:
    """Keep the schedule going in a thread: it ends with the worker, however that ends."""

    def keep() -> None:
        while True:
            try:
                Service(app, max_interval=1, scheduler_cls=Scheduler).start()
            except Exception:
                # Without the relay, what was rung for in vain would wait for ever.
                log.exception("schedule_failed")
            time.sleep(1)

    threading.Thread(target=keep, name="schedule", daemon=True).start()
