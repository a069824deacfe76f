"""What a refused flow says about which field. Source: Ory Kratos, `text/id.go`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

INVALID_CREDENTIALS = "invalid_credentials"

# Kratos' own numbers that programs care about; a hook of ours gives its own code.
_CODES = {
    4000002: "missing",
    4000003: "too_short",
    4000004: "pattern",
    4000005: "password_refused",
    4000006: INVALID_CREDENTIALS,
    4000007: "identifier_taken",
    4000027: "identifier_taken",
    4000028: "identifier_taken",
    4000032: "password_too_short",
    4000033: "password_too_long",
}


@dataclass(frozen=True, slots=True)
class FlowComplaint:
    """One sentence for the person.

    Attributes:
        field: `email`, `password`, ..., or empty: the whole form.
        code: Stable name for programs.
    """

    field: str
    code: str
    text: str


def complaints(flow: Mapping[str, Any]) -> list[FlowComplaint]:
    """Return every error message of a flow as Kratos answers a refused submit with."""
    ui = flow.get("ui")
    if not isinstance(ui, dict):
        return []
    found = [_complaint("", message) for message in _errors(ui.get("messages"))]
    for node in ui.get("nodes") or ():
        name = str(node.get("attributes", {}).get("name", ""))
        field = name.removeprefix("traits.")
        found += [_complaint(field, message) for message in _errors(node.get("messages"))]
    return found


def _errors(messages: Any) -> Iterator[Mapping[str, Any]]:
    for message in messages or ():
        if isinstance(message, dict) and message.get("type") == "error":
            yield message


def _complaint(field: str, message: Mapping[str, Any]) -> FlowComplaint:
    number = message.get("id")
    ours = (message.get("context") or {}).get("code")
    code = ours if isinstance(ours, str) else _CODES.get(number or 0, f"kratos_{number}")
    return FlowComplaint(field, code, str(message.get("text", "")))
