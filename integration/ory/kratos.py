"""Kratos: the admin calls we use. `whoami`: `session_check.py`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from integration.errors import NotFoundError, UpstreamRefusedError
from integration.ory.identity_changes import IdentityChanges
from integration.ory.kratos_models import Extension, Identity
from integration.ory.transport import send

_FEW_SESSIONS = 3


class Kratos:
    """Kratos, by its two ports.

    Attributes:
        changes: Writes to an identity's addresses and credentials.
    """

    def __init__(self, *, admin: httpx.Client, public: httpx.Client) -> None:
        self.changes = IdentityChanges(admin)
        self._admin = admin
        self._public = public

    def shows_flow(self, kind: str, flow_id: UUID, cookie: str | None) -> bool:
        """Tell whether Kratos shows a flow to whoever sends this `Cookie` header, or none.

        Args:
            kind: `registration`, `login` and so on, as in Kratos' paths.
        """
        headers = {} if cookie is None else {"cookie": cookie}
        path = f"/self-service/{kind}/flows"
        try:
            send(self._public, "GET", path, params={"id": str(flow_id)}, headers=headers)
        except (NotFoundError, UpstreamRefusedError):
            return False
        return True

    def get(self, identity_id: UUID) -> Identity | None:
        """Return one identity, or None when Kratos has none of this id."""
        try:
            response = send(self._admin, "GET", f"/admin/identities/{identity_id}")
        except NotFoundError:
            return None
        return Identity.model_validate_json(response.content)

    def find(self, identifier: str) -> Identity | None:
        """Return the identity that logs in with an e-mail address or username; None also when
        more than one might."""
        response = send(
            self._admin,
            "GET",
            "/admin/identities",
            params={"credentials_identifier": identifier},
        )
        found = response.json()
        return Identity.model_validate(found[0]) if len(found) == 1 else None

    def everybody(self, *, page_size: int = 250) -> Iterator[Identity]:
        """Yield all identities, page by page.

        v1.3.1 names credentials in a list only when asked to show one kind of them. That of the
        mailed code holds addresses, and no secret.
        """
        query: dict[str, str | int] = {"page_size": page_size, "include_credential": "code"}
        for item in self._pages("/admin/identities", query):
            yield Identity.model_validate(item)

    def create(self, body: dict[str, Any]) -> Identity:
        """Create an identity. Source: Ory API, POST /admin/identities."""
        response = send(self._admin, "POST", "/admin/identities", json=body)
        return Identity.model_validate_json(response.content)

    def put_state(
        self, identity_id: UUID, *, enabled: bool, metadata_public: dict[str, Any]
    ) -> None:
        """Set what Kratos is told of a member. The caller holds the identity's lock."""
        operations: list[dict[str, Any]] = [
            {"op": "replace", "path": "/state", "value": "active" if enabled else "inactive"},
            {"op": "add", "path": "/metadata_public", "value": metadata_public},
        ]
        send(self._admin, "PATCH", f"/admin/identities/{identity_id}", json=operations)

    def end_sessions(self, identity_id: UUID) -> None:
        """Delete all sessions of an identity; none at all is as good."""
        try:
            send(self._admin, "DELETE", f"/admin/identities/{identity_id}/sessions")
        except NotFoundError:
            return

    def end_sessions_before(self, identity_id: UUID, moment: datetime) -> None:
        """End the sessions of an identity whose last authentication is before a moment.

        Where there are many and none is newer, one call ends all; who logs in during this very
        call logs in again.
        """
        path = f"/admin/identities/{identity_id}/sessions"
        query: dict[str, str | int] = {"active": "true", "page_size": 250}
        try:
            found = list(self._pages(path, query))
        except NotFoundError:
            return
        # Both moments have an offset; Kratos writes nanoseconds, which 3.11 reads.
        older = [i for i in found if datetime.fromisoformat(i["authenticated_at"]) < moment]
        if len(older) == len(found) > _FEW_SESSIONS:
            self.end_sessions(identity_id)
            return
        for item in older:
            self.end_session(UUID(item["id"]))

    def end_session(self, session_id: UUID) -> None:
        """End one session; one that is gone already is as good."""
        try:
            send(self._admin, "DELETE", f"/admin/sessions/{session_id}")
        except NotFoundError:
            return

    def has_sessions(self, identity_id: UUID) -> bool:
        """Tell whether an identity has a session row, valid or not."""
        path = f"/admin/identities/{identity_id}/sessions"
        try:
            return bool(send(self._admin, "GET", path, params={"page_size": 1}).json())
        except NotFoundError:
            return False

    def living_sessions(self, identity_id: UUID) -> frozenset[UUID]:
        """Return the sessions of an identity that Kratos would accept."""
        path = f"/admin/identities/{identity_id}/sessions"
        try:
            found = list(self._pages(path, {"active": "true", "page_size": 250}))
        except NotFoundError:
            return frozenset()
        return frozenset(UUID(item["id"]) for item in found)

    def logged_in(self, *, page_size: int = 250) -> Iterator[UUID]:
        """Yield the identity of every valid session, as often as it has one."""
        query: dict[str, str | int] = {
            "active": "true",
            "expand": "identity",
            "page_size": page_size,
        }
        for item in self._pages("/admin/sessions", query):
            if item.get("identity"):
                yield UUID(item["identity"]["id"])

    def extend_session(self, session_id: UUID) -> datetime | None:
        """Give a session its whole lifespan again and return its end; None when it is gone."""
        try:
            response = send(self._admin, "PATCH", f"/admin/sessions/{session_id}/extend")
        except NotFoundError:
            return None
        return Extension.model_validate_json(response.content).expires_at

    def delete(self, identity_id: UUID) -> None:
        """Delete an identity; one that is gone already is as good."""
        try:
            send(self._admin, "DELETE", f"/admin/identities/{identity_id}")
        except NotFoundError:
            return

    def check_ready(self) -> None:
        """Return when Kratos says it is ready.

        Raises:
            UpstreamUnavailableError: it is not.
        """
        # On the admin port the path differs between releases.
        send(self._public, "GET", "/health/ready")

    def _pages(self, path: str, query: dict[str, str | int]) -> Iterator[dict[str, Any]]:
        """Yield what all pages of a list hold.

        Args:
            query: With a `page_size`. A page that holds less is the last: v1.3.1 links the list
                of an identity's sessions to a next page for ever.
        """
        url = httpx.URL(path, params=query)
        while True:
            response = send(self._admin, "GET", str(url))
            items = response.json()
            yield from items
            following = response.links.get("next", {}).get("url")
            if not following or len(items) < int(query["page_size"]):
                return
            # The link names the port Kratos believes to have; only its query is of use.
            url = httpx.URL(path, query=httpx.URL(following).query)
