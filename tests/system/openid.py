"""A person who logs in with an OpenID provider, step by step, as a browser goes."""

import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
JSON = "application/json"


class Account:
    """Somebody's account at the demo provider; its claims may be changed at any time."""

    def __init__(self, provider_url: str, **claims: Any) -> None:
        name = secrets.token_hex(4)
        self.subject = f"subject-{name}"
        self.provider_url = provider_url
        self.claims: dict[str, Any] = {
            "email": f"{name}@provider.test",
            "email_verified": True,
            "preferred_username": f"ada-{name}",
            "name": "Ada Lovelace",
            "given_name": "Ada",
            **claims,
        }
        self.tell()

    @property
    def email(self) -> str:
        return str(self.claims["email"])

    @property
    def username(self) -> str:
        return str(self.claims["preferred_username"])

    def tell(self, **claims: Any) -> None:
        """Have the provider say this from now on; None: say nothing of it."""
        self.claims.update(claims)
        said = {name: value for name, value in self.claims.items() if value is not None}
        httpx.put(
            f"{self.provider_url}/people/{self.subject}", json=said, timeout=30
        ).raise_for_status()

    def consent(self, address: str, **query: str) -> str:
        """Say yes at the provider's page; return where it sends the browser back to."""
        answer = httpx.get(
            f"{address}&{urlencode({'login_hint': self.subject, **query})}", timeout=30
        )
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def refuse(self, address: str) -> str:
        return self.consent(address, refuse="yes")


class Visitor:
    """A browser: its cookies, and whether a page or a script of it asks."""

    def __init__(self, stack: Any, *, accept: str = HTML) -> None:
        headers = {"accept": accept, "user-agent": f"a browser {secrets.token_hex(3)}"}
        self.http = httpx.Client(base_url=stack.edge_url, headers=headers, timeout=30)

    def close(self) -> None:
        self.http.close()

    def start(self, kind: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(
            f"/self-service/{kind}/browser", params=query, headers={"accept": JSON}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def flow(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the flow that an answer leads to."""
        there = urlsplit(answer.headers["location"])
        kind = there.path.rpartition("/")[2]
        found = self.http.get(
            f"/self-service/{kind}/flows",
            params={"id": parse_qs(there.query)["flow"][0]},
            headers={"accept": JSON},
        )
        assert found.status_code == 200, found.text
        return found.json()

    def submit(self, flow: dict[str, Any], **fields: Any) -> httpx.Response:
        nodes = (node["attributes"] for node in flow["ui"]["nodes"])
        token = next(node["value"] for node in nodes if node.get("name") == "csrf_token")
        return self.http.post(flow["ui"]["action"], data={"csrf_token": token, **fields})

    def choose(self, flow: dict[str, Any], provider: str = "demo", **fields: Any) -> str:
        """Press a provider's button; return the provider's address."""
        answer = self.submit(flow, provider=provider, **fields)
        if answer.status_code == 422:
            return answer.json()["redirect_browser_to"]
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def come_back(self, address: str, **headers: str) -> httpx.Response:
        """Follow the provider's redirect."""
        return self.http.get(address, headers=headers)

    def go_through(
        self, account: Account, kind: str = "login", *, provider: str = "demo", **query: str
    ) -> httpx.Response:
        """The whole way, and the answer at its end."""
        address = self.choose(self.start(kind, **query), provider)
        return self.come_back(account.consent(address))

    def whoami(self) -> httpx.Response:
        return self.http.get("/sessions/whoami", headers={"accept": JSON})

    def me(self) -> httpx.Response:
        return self.http.get("/api/me", headers={"accept": JSON})

    @property
    def has_session_cookie(self) -> bool:
        return "ory_kratos_session" in self.http.cookies


def message_ids(flow: dict[str, Any]) -> list[int]:
    """Return the ids of all messages of a flow."""
    shown = [*(flow["ui"].get("messages") or [])]
    for node in flow["ui"]["nodes"]:
        shown += node.get("messages") or []
    return [message["id"] for message in shown]
