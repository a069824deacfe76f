"""The service: our API and pages on one listener, the hooks on a private one.

One process, but each listener has an event loop, threads and database connections of its own: a
call that drives a Kratos flow waits for a hook, which must find a free thread.
"""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from hooks import (
    admin,
    authority,
    courier,
    login,
    recovery,
    registration,
    relation_tuples,
    verification,
)
from hooks import settings as settings_hooks
from integration.api import (
    admin_appeals,
    admin_authority,
    auth_login,
    auth_register,
    auth_tickets,
    flows,
    health,
    jwks,
    me,
    me_appeals,
    me_deactivation,
    me_email,
    me_password,
    me_second_factor,
    me_security_events,
    me_sessions,
    permissions,
    problems,
    revocations,
    tokens,
    well_known,
)
from integration.api.request_log import RequestLog
from integration.services import Services, make_services
from integration.settings import Settings
from integration.web import pages

log = structlog.get_logger()

_TITLE = "Kleis"
_VERSION = "1"
_SUMMARY = "The identity layer on Ory Kratos and Ory Keto"
# The first that matches answers, so what is called most comes first.
_ROUTED = (
    tokens,
    revocations,
    health,
    well_known,
    jwks,
    auth_register,
    auth_login,
    auth_tickets,
    me,
    me_appeals,
    me_deactivation,
    me_email,
    me_password,
    me_sessions,
    me_second_factor,
    me_security_events,
    flows,
    admin_authority,
    admin_appeals,
    permissions,
)
_HOOKS = (
    registration,
    verification,
    recovery,
    login,
    settings_hooks,
    courier,
    admin,
    authority,
    relation_tuples,
)


def make_api(services: Services) -> FastAPI:
    """Return what the edge forwards everything to that is not Ory's: API and pages."""
    app = FastAPI(
        title=_TITLE,
        version=_VERSION,
        summary=_SUMMARY,
        lifespan=_live,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=services.settings.max_body_bytes,
    )
    app.state.services = services
    app.state.checks = health.Checks()
    problems.install(app)
    for module in _ROUTED:
        app.include_router(module.router)
    app.include_router(pages.router)
    app.add_middleware(RequestLog)
    return app


@asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(revocations.close, app)


def make_hooks(services: Services) -> FastAPI:
    """Return what Kratos alone may call."""
    # FastAPI reads a body whole before it asks who sent it. The largest tells what an import made,
    # in other words than the import's.
    largest = 4 * services.settings.max_import_bytes
    app = FastAPI(title="Kleis hooks", openapi_url=None, max_body_size=largest)
    app.state.services = services
    app.state.settling = authority.make_turns()
    problems.install(app)
    for module in _HOOKS:
        app.include_router(module.router)
    app.get("/health/alive")(health.alive)
    app.add_middleware(RequestLog)
    return app


def openapi() -> dict[str, Any]:
    """Return the contract of our API, without building anything that connects."""
    app = FastAPI(title=_TITLE, version=_VERSION, summary=_SUMMARY)
    for module in _ROUTED:
        app.include_router(module.router)
    return app.openapi()


def serve(settings: Settings) -> None:
    """Serve both listeners until SIGTERM or Ctrl-C; requests under way are finished."""
    both = (
        _server(make_hooks(make_services(settings)), settings, settings.port_hooks),
        _server(make_api(make_services(settings)), settings, settings.port_service),
    )

    def stop(_: int, __: FrameType | None) -> None:
        for server in both:
            server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threads = [threading.Thread(target=server.run, daemon=True) for server in both]
    for thread in threads:
        thread.start()
    # Neither listener is of use without the other: when one ends, so does the process.
    while all(thread.is_alive() for thread in threads):
        time.sleep(0.1)
    for server in both:
        server.should_exit = True
    for thread in threads:
        thread.join(timeout=5)


def _server(app: FastAPI, settings: Settings, port: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.bind,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            # Longer than the edge and Kratos keep theirs.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=5,
        )
    )
