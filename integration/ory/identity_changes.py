"""What we write to an identity in Kratos besides its state: addresses and credentials."""

from typing import Any
from uuid import UUID

import httpx

from integration.errors import NotFoundError
from integration.ory.transport import send


class IdentityChanges:
    """Kratos' admin port. The caller of each method holds the identity's lock."""

    def __init__(self, admin: httpx.Client) -> None:
        self._admin = admin

    def put_pending_email(self, identity_id: UUID, email: str) -> None:
        """Set the address that is to be proven.

        Raises:
            ConflictError: it is an address of somebody else.
        """
        operations = [{"op": "add", "path": "/traits/pending_email", "value": email}]
        self._patch(identity_id, operations)

    def withdraw_pending_email(self, identity_id: UUID) -> None:
        """Forget the address that was to be proven."""
        self._patch(identity_id, [{"op": "remove", "path": "/traits/pending_email"}])

    def put_email(
        self, identity_id: UUID, email: str, *, has_pending: bool, is_verified: bool = False
    ) -> None:
        """Make an address the identity's own, and no other.

        Args:
            has_pending: There is a `pending_email`, which goes.
            is_verified: Say that it is verified; else it is if it was as `pending_email`.

        Raises:
            ConflictError: it is an address or a username of somebody else.
        """
        operations: list[dict[str, Any]] = [
            {"op": "replace", "path": "/traits/email", "value": email}
        ]
        if has_pending:
            operations.append({"op": "remove", "path": "/traits/pending_email"})
        if is_verified:
            proven = {"value": email, "verified": True, "via": "email", "status": "completed"}
            operations.append({"op": "add", "path": "/verifiable_addresses", "value": [proven]})
        self._patch(identity_id, operations)

    def put_password_hash(self, identity_id: UUID, password_hash: str) -> None:
        """Replace the password by one of this hash.

        v1.3.1 removes no password ("first factor credentials"); a PUT keeps what it is given.
        """
        path = f"/admin/identities/{identity_id}"
        known = send(self._admin, "GET", path).json()
        kept = ("schema_id", "state", "traits", "metadata_public", "metadata_admin")
        body = {name: known[name] for name in kept if known.get(name) is not None}
        credentials = {"password": {"config": {"hashed_password": password_hash}}}
        send(self._admin, "PUT", path, json={**body, "credentials": credentials})

    def remove_provider_links(self, identity_id: UUID) -> None:
        """Remove every link to an OpenID provider; none at all is as good."""
        path = f"/admin/identities/{identity_id}"
        known = send(self._admin, "GET", path, params={"include_credential": "oidc"}).json()
        links = (known.get("credentials") or {}).get("oidc") or {}
        for identifier in links.get("identifiers") or ():
            query = {"identifier": identifier}
            send(self._admin, "DELETE", f"{path}/credentials/oidc", params=query)

    def remove_second_factor(self, identity_id: UUID, kind: str) -> None:
        """Remove `totp` or `lookup_secret`; one that is not there is as good."""
        try:
            send(self._admin, "DELETE", f"/admin/identities/{identity_id}/credentials/{kind}")
        except NotFoundError:
            return

    def _patch(self, identity_id: UUID, operations: list[dict[str, Any]]) -> None:
        send(self._admin, "PATCH", f"/admin/identities/{identity_id}", json=operations)
