"""Kratos' `input` nodes as labelled fields."""

import re
from collections.abc import Mapping

from integration.ory.kratos_flows import Node
from integration.web import words
from integration.web.views import Field

# What HTML knows and a person can fill in; a browser shows any other type as text, so do we.
_TYPES = frozenset({"text", "email", "password", "number", "tel", "date", "url", "checkbox"})
_NO_FIELDS = frozenset({"hidden", "submit", "button", "image", "reset", "file"})
_CLASS = re.compile(
    r"\^?\[(?P<set>-?(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_. ])+-?)\]"
    r"(?P<times>[+*]|\{\d+(?:,\d*)?\})\$?"
)


def name_of(node: Node) -> str:
    return text_of(node, "name")


def text_of(node: Node, attribute: str) -> str:
    """Return an attribute as form text: nothing is empty, true is `true`."""
    value = node.attributes.get(attribute)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_hidden(node: Node) -> bool:
    return node.type == "input" and text_of(node, "type") == "hidden" and bool(name_of(node))


def is_button(node: Node) -> bool:
    """A button that submits. Those of type `button` only start scripts."""
    return node.type == "input" and text_of(node, "type") == "submit" and bool(name_of(node))


def is_field(node: Node) -> bool:
    return node.type == "input" and text_of(node, "type") not in _NO_FIELDS and bool(name_of(node))


def to_field(
    node: Node,
    *,
    group: str,
    prefill: Mapping[str, str],
    labels: Mapping[str, str],
    hints: Mapping[str, str],
) -> Field:
    """Make a field of an input node.

    Args:
        group: The section it stands in; a shared field may stand in several.
        prefill: Values for fields that Kratos left empty, by name.
        labels: What fields are called on this page, by name, where it differs.
        hints: Sentences of help that settings decide, by what browsers fill in.
    """
    name = name_of(node)
    wanted = text_of(node, "type")
    kind = wanted if wanted in _TYPES else "text"
    autocomplete = words.autocomplete(name) or text_of(node, "autocomplete") or None
    hint = words.hint(name) or hints.get(autocomplete or "", "")
    return Field(
        id=f"{group}-{name}".replace(".", "-"),
        name=name,
        type=kind,
        label=labels.get(name) or words.label(name, node.meta.label),
        value=_value(node, kind, prefill),
        hint=hint,
        required=node.attributes.get("required") is True,
        disabled=node.attributes.get("disabled") is True,
        checked=kind == "checkbox" and node.attributes.get("value") is True,
        autocomplete=autocomplete,
        inputmode="numeric" if name in {"code", "totp_code"} else None,
        # Without a sentence that explains it, a refused pattern is a riddle.
        pattern=portable_pattern(text_of(node, "pattern")) if hint else None,
        min_length=_length(node, "minlength"),
        max_length=_length(node, "maxlength"),
        errors=tuple(
            words.sentence(message, name)
            for message in node.messages or ()
            if message.type == "error"
        ),
    )


def portable_pattern(pattern: str) -> str | None:
    """Return a pattern that every browser reads as Kratos does, or None when in doubt.

    Kratos' patterns are Go's; browsers compile theirs with the `v` flag, where a bare hyphen at
    the end of a class is an error and the whole check silently gone. Kratos checks in any case.
    Source: HTML Living Standard, the `pattern` attribute; ECMA-262, `ClassSetCharacter`.
    """
    found = _CLASS.fullmatch(pattern)
    if found is None:
        return None
    characters = re.sub(r"^-|-$", r"\\-", found["set"])
    return f"[{characters}]{found['times']}"


def _value(node: Node, kind: str, prefill: Mapping[str, str]) -> str:
    if kind == "checkbox":
        return "true"
    if kind == "password":
        return ""
    return text_of(node, "value") or prefill.get(name_of(node), "")


def _length(node: Node, attribute: str) -> int | None:
    value = node.attributes.get(attribute)
    return value if isinstance(value, int) and value > 0 else None
