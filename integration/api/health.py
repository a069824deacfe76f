"""`/health/alive` and `/health/ready`."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Lock

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from integration.api.authentication import has_scope
from integration.db import sessions
from integration.dependencies import UsesServices
from integration.services import Services

router = APIRouter(prefix="/health", tags=["health"])
log = structlog.get_logger()

_REMEMBERED_SECONDS = 0.5


@router.get("/alive")
def alive() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@router.get("/ready")
def ready(request: Request, services: UsesServices) -> JSONResponse:
    """Tell whether Kratos, Keto with its whole model, and PostgreSQL answer.

    200 with `degraded` when only the broker is missing: nothing is lost, effects start late.
    Which part fails is told to holders of `operations:read` alone.
    """
    checks: Checks = request.app.state.checks
    failed = checks.failed(services)
    degraded = [name for name in failed if name == "valkey"]
    missing = [name for name in failed if name != "valkey"]
    if not missing:
        return JSONResponse({"status": "ok", "degraded": degraded})
    log.warning("not_ready", missing=missing)
    body: dict[str, object] = {
        "type": "urn:kleis:problem:not_ready",
        "title": "Not ready yet.",
        "status": int(HTTPStatus.SERVICE_UNAVAILABLE),
    }
    if "postgresql" not in missing and has_scope(request, services, "operations:read"):
        body["missing"] = missing
    return JSONResponse(
        body,
        HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": "1"},
        media_type="application/problem+json",
    )


class Checks:
    """Asks all parts, for whoever wants to know: anybody may, as often as they like.

    Their answers count for `_REMEMBERED_SECONDS`; while they are asked again, the last ones do.
    """

    def __init__(self) -> None:
        self._asking = Lock()
        self._failed: tuple[str, ...] | None = None
        self._until = 0.0

    def failed(self, services: Services) -> tuple[str, ...]:
        """Return the names of the parts that do not answer."""
        known = self._failed
        if known is not None and time.monotonic() < self._until:
            return known
        if not self._asking.acquire(blocking=known is None):
            return known or ()
        try:
            if self._failed is None or time.monotonic() >= self._until:
                self._failed = _ask(services)
                self._until = time.monotonic() + _REMEMBERED_SECONDS
            return self._failed
        finally:
            self._asking.release()


def _ask(services: Services) -> tuple[str, ...]:
    needed: dict[str, Callable[[], object]] = {
        "kratos": services.kratos.check_ready,
        "keto": services.keto.check_ready,
        "postgresql": lambda: _check_database(services),
        "valkey": services.check_broker,
    }
    with ThreadPoolExecutor(len(needed)) as pool:
        fails = zip(needed, pool.map(_fails, needed.values()), strict=True)
        return tuple(name for name, is_missing in fails if is_missing)


def _fails(check: Callable[[], object]) -> bool:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
        log.info("health_check_failed", error=repr(error)[:300])
        return True
    return False


def _check_database(services: Services) -> None:
    with sessions.transaction(services.session_factory) as session:
        session.execute(text("select 1 from members limit 1"))
