"""Who may use our admin API: a key of the right scope, or a member who holds the permission.

What a member holds is asked of our own tables, never of Keto: tuples that somebody wrote there do
not open this door, and neither does Keto's absence.
"""

from typing import Any

from fastapi import Depends, Request

from integration.api.authentication import authenticate
from integration.authority import permissions
from integration.authority.admins import Admin
from integration.db import api_keys
from integration.db.authority_audit import By
from integration.dependencies import UsesKeyRing, UsesServices
from integration.errors import ForbiddenError, UnauthenticatedError
from integration.members.callers import Caller
from integration.services import Services
from policies.permissions import allows
from policies.scopes import permits

_KEY_PREFIX = "bearer kleis_"
_LONGEST_REQUEST_ID = 128


def needs(permission: str, scope: str) -> Any:
    """Return a dependency that lets an `Admin` in.

    Args:
        permission: What a member must hold.
        scope: What an API key must have.
    """

    def let_in(request: Request, services: UsesServices, key_ring: UsesKeyRing) -> Admin:
        request_id = request_id_of(request)
        if request.headers.get("authorization", "").lower().startswith(_KEY_PREFIX):
            return _key(request, services, scope, request_id)
        caller = authenticate(request, services, key_ring)
        return _member(caller, services, permission, request_id)

    return Depends(let_in)


def request_id_of(request: Request) -> str:
    return request.headers.get("x-request-id", "")[:_LONGEST_REQUEST_ID]


def _key(request: Request, services: Services, scope: str, request_id: str) -> Admin:
    token = request.headers["authorization"][len("bearer ") :].strip()
    with services.transaction() as session:
        key = api_keys.find(session, token, now=services.now())
    if key is None:
        raise UnauthenticatedError(
            "This API key is unknown, expired or revoked.", problem="api_key_refused"
        )
    scopes = frozenset(key.scopes)
    if not permits(scopes, scope):
        raise ForbiddenError(
            "This API key has not the scope needed here.",
            problem="scope_missing",
            facts={"scope": scope},
        )
    return Admin(By(f"key:{key.id}", request_id), scopes=scopes)


def _member(caller: Caller, services: Services, permission: str, request_id: str) -> Admin:
    identity_id = caller.member.identity_id
    with services.transaction() as session:
        held = permissions.names_of(session, identity_id, services.now())
    if not allows(held, permission):
        raise ForbiddenError(
            "You may not do this.", problem="permission_missing", facts={"permission": permission}
        )
    return Admin(By(f"member:{identity_id}", request_id), member_id=identity_id)
