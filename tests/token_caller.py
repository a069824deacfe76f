"""A first-party application, as one person has it in a whole stack."""

from typing import Any

import httpx

AGENT = {"User-Agent": "Owner/1.0"}


class Caller:
    """A first-party application of one person."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, headers=AGENT)

    def register(self, person: Any, **more: str) -> httpx.Response:
        body = {"email": person.email, "username": person.username, "password": person.password}
        return self.http.post("/api/auth/register", json=body | more)

    def log_in(self, identifier: str, password: str, **more: Any) -> httpx.Response:
        body = {"identifier": identifier, "password": password}
        return self.http.post("/api/auth/login", json=body | more)

    def refresh(self, token: str) -> httpx.Response:
        return self.http.post("/api/tokens/refresh", json={"refresh_token": token})

    def me(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.get("/api/me", headers=headers).status_code

    def whoami(self, token: str) -> int:
        headers = {"X-Session-Token": token}
        return self.http.get("/sessions/whoami", headers=headers).status_code
