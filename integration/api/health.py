"""`/health/alive` and `/health/ready`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

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
    needed: dict[str, Callable[[], object]] = {
        "kratos": services.kratos.check_ready,
        "keto": services.keto.check_ready,
        "postgresql": lambda: _check_database(services),
        "valkey": services.check_broker,
    }
    with ThreadPoolExecutor(len(needed)) as pool:
        failed = dict(zip(needed, pool.map(_fails, needed.values()), strict=True))
    degraded = ["valkey"] if failed.pop("valkey") else []
    missing = [name for name, is_missing in failed.items() if is_missing]
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
