"""What a route requires of a member: a permission, or an action on the object in its address."""

import re
from collections.abc import Mapping
from string import Formatter

from kleis_client.checks import Check, Decision
from kleis_client.errors import PermissionDeniedError, PermissionUndecidedError
from kleis_client.member import Member
from kleis_client.permissions import PermissionClient

_NAME = re.compile(r"[A-Za-z0-9._*-]{1,128}")
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}:.")
# No colon and no star: a value from an address names one object, and nothing else of the template.
_VALUE = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class Requirement:
    """One permission that is needed.

    Args:
        name: A permission such as `content.publish`; with `on` an action such as `edit`.
        on: The object, with names from the address in braces, such as `Content:{id}`.

    Raises:
        ValueError: If either is not of that form.
    """

    def __init__(self, permissions: PermissionClient, name: str, on: str | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a permission or an action")
        self._permissions, self._name, self._on = permissions, name, on
        self._fields = _fields(on) if on is not None else []

    def enforce(self, member: Member, parameters: Mapping[str, object]) -> None:
        """Return if the member may.

        Args:
            parameters: Names in the address, and what stands for them in this request.

        Raises:
            PermissionDeniedError: If it may not.
            PermissionUndecidedError: If nobody can tell now.
            LookupError: If the address lacks a name of the template.
        """
        check = self._check(member, parameters)
        _judge(self._permissions.check(check.subject, check.name, check.on))

    async def enforce_async(self, member: Member, parameters: Mapping[str, object]) -> None:
        """Do what `enforce` does without holding up the event loop."""
        check = self._check(member, parameters)
        _judge(await self._permissions.check_async(check.subject, check.name, check.on))

    def _check(self, member: Member, parameters: Mapping[str, object]) -> Check:
        if self._on is None:
            return Check(member.id, self._name)
        values = {name: str(parameters[name]) for name in self._fields}
        if not all(_VALUE.fullmatch(value) for value in values.values()):
            raise PermissionDeniedError("object_malformed")
        return Check(member.id, self._name, self._on.format(**values))


def _fields(template: str) -> list[str]:
    if not _NAMESPACE.match(template):
        raise ValueError(f"{template!r} is no object: it begins with a namespace and a colon")
    names = []
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{template!r}: in braces stand plain names of the address")
        names.append(name)
    return names


def _judge(decision: Decision) -> None:
    if decision.allowed:
        return
    if decision.is_decided:
        raise PermissionDeniedError(decision.reason)
    raise PermissionUndecidedError
