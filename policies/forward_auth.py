"""Which rule of `/api/forward-auth` a request falls under, and what it asks for.

Rules are read from the top, the first that matches counts, and what matches none is denied. A
path is looked at in its one canonical spelling. Where another reader could take it for another
rule (capitals, a slash at the end, parameters behind `;`), it is denied as well: the application
behind the proxy may be that reader.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from policies.permission_questions import OBJECT_FORM, PERMITS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REST = "**"
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\Z")
_PATTERN_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\Z")
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()+,=:@-]+\Z")
_CAPTURE = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}\Z")
_NAMED = re.compile(r"\{([^}]*)\}")
_PERMISSION = "permission:"


class Need(Enum):
    """What a rule asks for, when it is no permit."""

    NOTHING = "public"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit on an object, whose name may hold captures of the path: `{id}`."""

    namespace: str
    object: str
    relation: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        host: In lower case; `*.example.test` for every name below; None: any.
        segments: Of the path: text, `{name}` for one segment, `**` at the end for whatever is
            left, nothing included.
        methods: In capitals; None: all of `METHODS`.
    """

    name: str
    host: str | None
    segments: tuple[str, ...]
    methods: frozenset[str] | None
    need: Need | Permit


@dataclass(frozen=True, slots=True)
class Matched:
    """The rule of a request, with the object's name filled in."""

    rule: Rule
    need: Need | Permit


class Unmatched(Enum):
    """Why a request is denied whoever sends it."""

    MALFORMED = "request_malformed"
    NO_RULE = "no_rule"
    AMBIGUOUS = "path_ambiguous"
    OBJECT = "object_malformed"


def find(rules: Sequence[Rule], *, method: str, host: str, path: str) -> Matched | Unmatched:
    """Return the rule that a request falls under.

    Args:
        host: As sent, a port may follow.
        path: Canonical, without query; see `integration.edge.canonical`.
    """
    name = plain_host(host)
    if name is None or method not in METHODS or not path.startswith("/"):
        return Unmatched.MALFORMED
    segments = path[1:].split("/")
    found = _first(rules, method, name, segments)
    if _first(rules, method, name, _loose(segments), loosely=True) is not found:
        return Unmatched.AMBIGUOUS
    if found is None:
        return Unmatched.NO_RULE
    if isinstance(found.need, Need):
        return Matched(found, found.need)
    captured = _captured(found.segments, segments)
    filled = _NAMED.sub(lambda each: captured[each[1]], found.need.object)
    if not OBJECT_FORM.match(filled):
        return Unmatched.OBJECT
    return Matched(found, Permit(found.need.namespace, filled, found.need.relation))


def plain_host(host: str) -> str | None:
    """Return a host in lower case without port and final dot; None when it is none."""
    name, colon, port = host.lower().partition(":")
    if colon and not (port.isascii() and port.isdecimal()):
        return None
    name = name.removesuffix(".")
    return name if _HOST.match(name) else None


def _first(
    rules: Iterable[Rule], method: str, host: str, segments: list[str], *, loosely: bool = False
) -> Rule | None:
    return next(
        (
            rule
            for rule in rules
            if (rule.methods is None or method in rule.methods)
            and _has_host(rule, host)
            and _has_path(rule, segments, loosely=loosely)
        ),
        None,
    )


def _has_host(rule: Rule, host: str) -> bool:
    if rule.host is None:
        return True
    if rule.host.startswith("*."):
        return host.endswith(rule.host[1:])
    return host == rule.host


def _has_path(rule: Rule, segments: list[str], *, loosely: bool) -> bool:
    pattern = list(rule.segments)
    if loosely:
        pattern = _loose(pattern)
    if pattern and pattern[-1] == REST:
        pattern.pop()
        segments = segments[: len(pattern)]
    if len(pattern) != len(segments):
        return False
    pairs = zip(pattern, segments, strict=True)
    return all(bool(has) if _CAPTURE.match(want) else want == has for want, has in pairs)


def _loose(segments: list[str]) -> list[str]:
    """Return a path as a careless reader might take it."""
    loose = [each.lower().partition(";")[0].rstrip(".") for each in segments]
    while len(loose) > 1 and not loose[-1]:
        loose.pop()
    return loose


def _captured(pattern: tuple[str, ...], segments: list[str]) -> Mapping[str, str]:
    pairs = zip(pattern, segments, strict=False)
    return {found[1]: has for want, has in pairs if (found := _CAPTURE.match(want))}


def read_path(text: str) -> tuple[str, ...]:
    """Read a pattern such as `/media/{id}` or `/admin/**`.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not text.startswith("/"):
        raise ValueError("a path begins with /")
    segments = tuple(text[1:].split("/"))
    for at, segment in enumerate(segments):
        is_last = at == len(segments) - 1
        if segment == REST and not is_last:
            raise ValueError("** stands only at the end of a path")
        is_known = segment == REST or _CAPTURE.match(segment) or _LITERAL.match(segment)
        if not is_known and not (is_last and segment == ""):
            raise ValueError(f"{segment!r} is neither plain text nor {{name}} nor **")
    names = captures(segments)
    if len(names) != len(set(names)):
        raise ValueError("a name is captured twice")
    return segments


def captures(segments: Iterable[str]) -> list[str]:
    """Return the names a path captures."""
    return [found[1] for each in segments if (found := _CAPTURE.match(each))]


def read_host(text: str) -> str:
    """Read a host or `*.host`.

    Raises:
        ValueError: it is none.
    """
    host = text.lower()
    if not _PATTERN_HOST.match(host):
        raise ValueError("a host is a name such as app.example.test, or *.example.test")
    return host


def read_need(text: str, names: Iterable[str]) -> Need | Permit:
    """Read `public`, `session`, `permission:content.publish` or `Content:{id}#view`.

    Args:
        names: What the path captures.

    Raises:
        ValueError: says what is wrong with it.
    """
    if text in (each.value for each in Need):
        return Need(text)
    if text.startswith(_PERMISSION):
        permit = Permit("Permission", text.removeprefix(_PERMISSION), "use")
    else:
        target, _, relation = text.partition("#")
        namespace, _, name = target.partition(":")
        permit = Permit(namespace, name, relation)
    if permit.relation not in PERMITS.get(permit.namespace, ()):
        raise ValueError(
            "write public, session, permission:<name>, or <Namespace>:<object>#<permit> with a "
            "permit of the model"
        )
    unknown = set(_NAMED.findall(permit.object)) - set(names)
    if unknown:
        raise ValueError(f"the path captures no {{{min(unknown)}}}")
    if not OBJECT_FORM.match(_NAMED.sub("x", permit.object)):
        raise ValueError("an object has letters, digits and . _ ~ : * -")
    return permit
