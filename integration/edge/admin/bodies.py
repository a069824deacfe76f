"""Bodies of admin writes: read in one way, kept from what is ours, and written anew.

Go matches JSON names in any case and takes the last of two; what is forwarded is therefore what
was read here, not the bytes that came. Source: the running server, v1.3.1.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from integration.edge.problems import Refusal, RefusedError
from policies.admin_changes import OUR_METADATA, may_be_patched
from policies.authority import Role
from policies.lifecycle import Status

AMBIGUOUS_BODY = Refusal(
    400, "ambiguous_body", "A name in the body appears twice, or is not in lower case."
)
MALFORMED_BODY = Refusal(400, "malformed_body", "The body is not the JSON that belongs here.")
METADATA_NO_OBJECT = Refusal(
    400, "metadata_no_object", "metadata_public is an object: status and role stand in it."
)

_NEW: Mapping[str, Any] = {"status": str(Status.PENDING_VERIFICATION), "role": str(Role.USER)}
_LONGEST_SHOWN = 100
_STATE = "/state"
_STATES = ("active", "inactive")


@dataclass(frozen=True, slots=True)
class PlainPassword:
    """A password that a body sets in clear text, and the traits of whom it is for.

    Attributes:
        place: Of the identity among those of a batch; 0 where there is one.
    """

    password: str = field(repr=False)
    traits: Mapping[str, Any]
    place: int = 0


def read(body: bytes) -> Any:
    """Return a JSON body whose every name stands once.

    Raises:
        RefusedError: no JSON, or a repeated name.
    """
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise RefusedError(MALFORMED_BODY) from error


def write(document: Any) -> bytes:
    """Return the bytes that Kratos gets."""
    return json.dumps(document).encode()


def checked_identity(document: Any) -> dict[str, Any]:
    """Return an identity to create or to put, whose names Kratos can read in one way only.

    Raises:
        RefusedError: no object, or a name that is not in lower case where Kratos has names.
    """
    if not isinstance(document, dict):
        raise RefusedError(MALFORMED_BODY)
    credentials = document.get("credentials")
    for level in (document, credentials, *_kinds(credentials)):
        if isinstance(level, dict) and any(name != name.casefold() for name in level):
            raise RefusedError(AMBIGUOUS_BODY)
    return document


def _kinds(credentials: Any) -> Iterator[Any]:
    for kind in credentials.values() if isinstance(credentials, dict) else ():
        yield kind
        if isinstance(kind, dict):
            yield kind.get("config")


def created(document: dict[str, Any]) -> dict[str, Any]:
    """Return an identity to create, with the status and role every new member starts with."""
    return {**document, "metadata_public": _kept(document.get("metadata_public"), _NEW)}


def put(document: dict[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity to put, with the status and role it has."""
    return {**document, "metadata_public": _kept(document.get("metadata_public"), ours)}


def checked_patch(document: Any) -> list[dict[str, Any]]:
    """Return the operations of a JSON patch that touches nothing but what may be touched.

    Raises:
        RefusedError: no patch, or one of a path that is not open to it; the path is named. A state
            may only be said, not copied from somewhere: what it is to be decides who may.
    """
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise RefusedError(MALFORMED_BODY)
    for item in document:
        for name in ("path", "from"):
            path = item.get(name, "" if name == "path" else None)
            if path is not None and not (isinstance(path, str) and may_be_patched(path)):
                raise RefusedError(_not_patchable(path))
        names_state = _STATE in (item.get("path"), item.get("from"))
        if names_state and item.get("op") != "test" and not _says_state(item):
            raise RefusedError(_not_patchable(_STATE))
    return document


def patch(operations: list[dict[str, Any]], ours: Mapping[str, Any]) -> list[Any]:
    """Return the operations, those on all of `metadata_public` with our names kept in it."""
    return [_with_ours(item, ours) if item["path"] == "/metadata_public" else item
            for item in operations]  # fmt: skip


def asked_state(document: Any) -> str | None:
    """Return the `state` that an identity or a patch sets, if it is one of the two."""
    if isinstance(document, dict):
        states = [document.get("state")]
    else:
        states = [item.get("value") for item in document if _says_state(item)]
    known = [state for state in states if state in _STATES]
    return str(known[-1]) if known else None


def credentials_set(document: Mapping[str, Any]) -> list[str]:
    """Name the credentials that a body sets, and how, without a word of their content."""
    named = []
    credentials = document.get("credentials")
    for kind, content in credentials.items() if isinstance(credentials, dict) else ():
        config = content.get("config") if isinstance(content, dict) else None
        names = config if isinstance(config, dict) else {}
        how = [name for name in ("password", "hashed_password") if names.get(name)]
        named += [f"{kind}:{name}" for name in how] or [str(kind)]
    return named


def plain_password(document: Mapping[str, Any], place: int = 0) -> PlainPassword | None:
    """Return the password that a body sets in clear text, or None.

    Raises:
        RefusedError: it holds half of a surrogate pair, in whose place Kratos would store another
            character.
    """
    credentials = document.get("credentials")
    content = credentials.get("password") if isinstance(credentials, dict) else None
    config = content.get("config") if isinstance(content, dict) else None
    password = config.get("password") if isinstance(config, dict) else None
    traits = document.get("traits")
    if not isinstance(password, str) or not password:
        return None
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(MALFORMED_BODY) from error
    return PlainPassword(password, traits if isinstance(traits, dict) else {}, place)


def _says_state(item: Mapping[str, Any]) -> bool:
    """Tell whether an operation says itself what the state is to be; Kratos refuses odd ones."""
    is_set = item.get("op") in ("add", "replace") and item.get("path") == _STATE
    return is_set and isinstance(item.get("value"), str)


def _with_ours(item: dict[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    if item.get("op") == "remove":
        return {"op": "add", "path": item["path"], "value": dict(ours)} if ours else item
    return {**item, "value": _kept(item.get("value"), ours)}


def _kept(metadata: Any, ours: Mapping[str, Any]) -> dict[str, Any]:
    if metadata is not None and not isinstance(metadata, dict):
        raise RefusedError(METADATA_NO_OBJECT)
    theirs = {name: v for name, v in (metadata or {}).items() if name not in OUR_METADATA}
    return {**theirs, **ours}


def _not_patchable(path: object) -> Refusal:
    shown = ascii(path)[:_LONGEST_SHOWN]
    return Refusal(403, "patch_path_refused", f"The path {shown} cannot be patched.")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise RefusedError(AMBIGUOUS_BODY)
    return names


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number
