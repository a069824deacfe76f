"""Answers in the form Kratos understands.

A blocking hook is read by status: 200 with an `identity` changes it before it is stored, 204
goes on, 400 to 499 must carry at least one message or the person sees an internal error.
Source: ory/kratos, selfservice/hook/web_hook.go; measured on v1.3.1.
"""

from typing import Any

from fastapi import status
from fastapi.responses import JSONResponse, Response

from policies.decisions import Deny, Reason

# Kratos' own message ids end below; each refusal of ours has one number for ever.
_FIRST_MESSAGE_ID = 9_400_000
MESSAGE_IDS: dict[str, int] = {
    code: _FIRST_MESSAGE_ID + number
    for number, code in {
        1: "email_format",
        2: "email_too_long",
        3: "email_blocked",
        4: "email_domain_blocked",
        5: "email_disposable",
        11: "username_too_short",
        12: "username_too_long",
        13: "username_characters",
        14: "username_reserved",
        15: "username_lookalike",
        16: "username_taken",
        21: "display_name_length",
        22: "display_name_characters",
        23: "first_name_too_long",
        24: "first_name_characters",
        25: "last_name_too_long",
        26: "last_name_characters",
        27: "email_change",
        28: "pending_email",
        29: "email_taken",
        30: "email_change_too_often",
        41: "email_not_verified",
        42: "profile_incomplete",
        43: "account_suspended",
        44: "account_banned",
        45: "account_deactivated",
        46: "account_deleted",
        47: "account_not_ready",
        61: "password_too_short",
        62: "password_too_long",
        63: "password_without_upper",
        64: "password_without_lower",
        65: "password_without_digit",
        66: "password_without_special",
        67: "password_common",
        68: "password_personal",
        69: "password_guessable",
        70: "password_reused",
        71: "password_unchecked",
    }.items()
}


def go_on() -> Response:
    """Let the flow continue."""
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def go_on_with(identity: dict[str, Any]) -> Response:
    """Let the flow continue with a changed identity: the given members replace Kratos' own."""
    return JSONResponse({"identity": identity})


def refuse(denial: Deny) -> Response:
    """Stop the flow and show the reasons where the person typed."""
    by_field: dict[str, list[dict[str, object]]] = {}
    for reason in denial.reasons:
        by_field.setdefault(reason.pointer or "#/", []).append(_message(reason))
    messages = [
        {"instance_ptr": pointer, "messages": reasons} for pointer, reasons in by_field.items()
    ]
    return JSONResponse({"messages": messages}, status_code=status.HTTP_400_BAD_REQUEST)


def _message(reason: Reason) -> dict[str, object]:
    return {
        "id": MESSAGE_IDS[reason.code],
        "type": "error",
        "text": reason.text,
        "context": {"code": reason.code},
    }
