"""Pages over HTTP, in front of a stand-in for Kratos that plays its recorded answers."""

from collections.abc import Iterator
from contextlib import contextmanager

from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from integration.services import make_services
from integration.settings import Settings
from integration.web import pages
from tests.kratos_double import PUBLIC

FLOW = "0b1e7d5e-3b7c-4d42-8f3e-1f6a9d1c2b3a"
CSRF_VIOLATION = {"error": {"id": "security_csrf_violation", "code": 403}}
NO_SESSION = {"error": {"id": "session_inactive", "code": 401}}
NEEDS_AAL2 = {"error": {"id": "session_aal2_required", "code": 403}}


@contextmanager
def browser(kratos_url: str, *, embedded: bool = False) -> Iterator[TestClient]:
    settings = Settings(
        public_url=f"{PUBLIC}/",
        database_url="postgresql://nobody@/none?host=/nonexistent",
        valkey_url="unix:///nonexistent/valkey.sock",
        kratos_public_url=kratos_url,
        hook_secret="only for this test",
        secret="only for this test",
        upstream_timeout="PT2S",
        embedded=embedded,
    )
    app = FastAPI()
    app.state.services = make_services(settings)
    app.include_router(pages.router)
    with TestClient(app, base_url=PUBLIC, follow_redirects=False) as client:
        yield client
    app.state.services.close()


def soup(response: Response) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")
