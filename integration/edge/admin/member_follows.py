"""Tells the service what an admin changed, before the admin is answered.

The decisions are the service's (`hooks/admin.py`); here is only the call, on its private port.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from integration.edge.admin.passwords import NewPassword
from integration.edge.forwarding import Forwarder
from integration.edge.problems import BUSY, UPSTREAM_TEMPORARY, Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.routes import Upstream
from integration.settings import Settings

log = structlog.get_logger()

_AT_ONCE = 100
_IS_SHUT_OUT = "The member is in a state that `state: active` does not lead out of."
STATE_REFUSED = Refusal(409, "state_not_allowed", _IS_SHUT_OUT)
# What the service reads of an identity.
_READ = ("id", "state", "traits", "metadata_public", "verifiable_addresses", "created_at")


class MemberFollows:
    """Calls `/hooks/admin/…`."""

    def __init__(self, forwarder: Forwarder, settings: Settings) -> None:
        self._forwarder = forwarder
        self._secret = [(b"x-kleis-hook-secret", settings.hook_secret.get_secret_value().encode())]

    async def ask_to_enable(self, request: Request, identity_id: UUID) -> None:
        """Return when `state: active` is allowed for this identity.

        Raises:
            RefusedError: it is not (409), or nobody could say.
        """
        status = await self._call(request, "asked", {"identity_id": str(identity_id)})
        if status == 409:
            raise RefusedError(STATE_REFUSED)
        if status != 204:
            raise RefusedError(BUSY if status == 503 else UPSTREAM_TEMPORARY)

    async def told(
        self,
        request: Request,
        after: Mapping[UUID, Mapping[str, Any] | None],
        state: str | None,
        passwords: Mapping[UUID, NewPassword],
    ) -> Sequence[UUID]:
        """Let members follow, and return those that did not. Never raises.

        Args:
            after: Each identity as it is now; None when it is gone.
            state: What the call set `state` to, if it did.
            passwords: Those it set in clear text.
        """
        left: list[UUID] = []
        everybody = list(after.items())
        for start in range(0, len(everybody), _AT_ONCE):
            some = everybody[start : start + _AT_ONCE]
            changes = [
                _change(identity_id, seen, state, passwords.get(identity_id))
                for identity_id, seen in some
            ]
            try:
                status = await self._call(request, "changed", {"changes": changes})
            except RefusedError as error:
                status = error.refusal.status
            if status != 204:
                log.error("members_did_not_follow", status=status, members=len(some))
                left += [identity_id for identity_id, _ in some]
        return left

    async def _call(self, request: Request, name: str, document: object) -> int:
        answer = await self._forwarder.fetch(
            Upstream.HOOKS,
            f"/hooks/admin/{name}",
            "",
            request,
            method="POST",
            body=json.dumps(document).encode(),
            extra=self._secret,
        )
        return answer.status


def _change(
    identity_id: UUID,
    seen: Mapping[str, Any] | None,
    state: str | None,
    password: NewPassword | None,
) -> dict[str, object]:
    after = None if seen is None else {name: seen[name] for name in _READ if name in seen}
    kept = None
    if password is not None:
        kept = {"salt": password.salt.hex(), "digest": password.digest.hex()}
    return {"identity_id": str(identity_id), "state": state, "after": after, "password": kept}
