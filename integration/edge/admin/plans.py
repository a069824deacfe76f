"""What an admin's write asks for, understood before Kratos sees it.

Everything Kratos could read in another way than we do is refused or written anew.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from integration.edge.admin import bodies as admin_bodies
from integration.edge.problems import NOT_FOUND, RefusedError

IDENTITIES = "/admin/identities"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IDENTITY = re.compile(rf"{IDENTITIES}/({_UUID})(?=/|\Z)", re.IGNORECASE)
_ANY_UUID = re.compile(_UUID, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """One write, understood.

    Attributes:
        document: The body as it was read; None where the body means nothing.
        state: What it sets `state` to, if it does.
    """

    method: str
    path: str
    identity_id: UUID | None
    document: Any = None
    state: str | None = None
    credentials: tuple[str, ...] = ()
    passwords: tuple[admin_bodies.PlainPassword, ...] = field(default=(), repr=False)

    @property
    def is_of_identity(self) -> bool:
        """Whether it changes the identity itself, not what belongs to it."""
        return self.path == f"{IDENTITIES}/{self.identity_id}"

    @property
    def is_batch(self) -> bool:
        return (self.method, self.path) == ("PATCH", IDENTITIES)

    @property
    def shuts_out(self) -> bool:
        """Whether it disables the identity, or deletes it."""
        return self.is_of_identity and (self.method == "DELETE" or self.state == "inactive")

    @property
    def template(self) -> str:
        return _ANY_UUID.sub("{id}", self.path)

    def rewritten(self, ours: Mapping[str, str]) -> bytes | None:
        """Return the body for Kratos, given the member's status and role; None: as it came."""
        document = self.document
        if document is None:
            return None
        if self.is_batch:
            items = [
                {**item, "create": admin_bodies.created(item["create"])}
                if item.get("create")
                else item
                for item in document["identities"]
            ]
            return admin_bodies.write({**document, "identities": items})
        if self.method == "PATCH":
            return admin_bodies.write(admin_bodies.patch(document, ours))
        if self.method == "PUT":
            return admin_bodies.write(admin_bodies.put(document, ours))
        return admin_bodies.write(admin_bodies.created(document))


def plan(method: str, path: str, body: bytes) -> Plan:
    """Understand an admin write, or refuse it.

    Raises:
        RefusedError: an identity that is not written as a UUID, a body that is not what
            belongs here, a patch of what may not be patched.
    """
    if not path.startswith(IDENTITIES):
        return Plan(method, path, _identity_in(body))
    if path == IDENTITIES:
        return _plan_of_new(method, path, body)
    found = _IDENTITY.match(path)
    if found is None:
        # Kratos also knows `{…}`, `urn:uuid:…` and a UUID without dashes.
        raise RefusedError(NOT_FOUND)
    identity_id = UUID(found[1])
    path = path.replace(found[1], str(identity_id), 1)
    if method == "PUT":
        document = admin_bodies.checked_identity(admin_bodies.read(body))
        return _plan_of_one(method, path, identity_id, document)
    if method == "PATCH" and path == f"{IDENTITIES}/{identity_id}":
        operations = admin_bodies.checked_patch(admin_bodies.read(body))
        state = admin_bodies.asked_state(operations)
        return Plan(method, path, identity_id, operations, state)
    return Plan(method, path, identity_id)


def _plan_of_new(method: str, path: str, body: bytes) -> Plan:
    if method == "POST":
        document = admin_bodies.checked_identity(admin_bodies.read(body))
        return _plan_of_one(method, path, None, document)
    if method != "PATCH":
        return Plan(method, path, None)
    document = admin_bodies.read(body)
    items = document.get("identities") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RefusedError(admin_bodies.MALFORMED_BODY)
    if set(document) != {"identities"} or any(set(item) - {"create", "patch_id"} for item in items):
        raise RefusedError(admin_bodies.MALFORMED_BODY)
    made = {
        place: admin_bodies.checked_identity(item["create"])
        for place, item in enumerate(items)
        if item.get("create")
    }
    named = dict.fromkeys(
        name for one in made.values() for name in admin_bodies.credentials_set(one)
    )
    passwords = [admin_bodies.plain_password(one, place) for place, one in made.items()]
    return Plan(
        method,
        path,
        None,
        document,
        credentials=tuple(named),
        passwords=tuple(each for each in passwords if each is not None),
    )


def _plan_of_one(
    method: str, path: str, identity_id: UUID | None, document: dict[str, Any]
) -> Plan:
    password = admin_bodies.plain_password(document)
    return Plan(
        method,
        path,
        identity_id,
        document,
        admin_bodies.asked_state(document),
        tuple(admin_bodies.credentials_set(document)),
        () if password is None else (password,),
    )


def _identity_in(body: bytes) -> UUID | None:
    """Return the identity a recovery is asked for, for the record; None without one."""
    return uuid_of((object_in(body) or {}).get("identity_id"))


def object_in(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def uuid_of(text: object) -> UUID | None:
    """Return what is written like a UUID, or None."""
    try:
        return UUID(str(text))
    except ValueError:
        return None
