"""A member changes its password in one call: the specification's workflow, by Kratos' flows.

The present password is proven by a login that renews the caller's own session, so that a wrong one
counts like every failed login; the new one goes through the settings flow with all its rules.
"""

from integration.errors import (
    DeniedError,
    ReauthenticationRequiredError,
    UpstreamUnavailableError,
    WrongPasswordError,
)
from integration.ory.own_edge import AskingClient, FlowAnswer, OpenFlow, OwnEdge
from policies.decisions import Reason

_WRONG_CREDENTIALS = 4000006
_CHANGED = "success"


def change(edge: OwnEdge, client: AskingClient, *, identifier: str, current: str, new: str) -> None:
    """Change the password of the member whose session `client` has. Every session ends by it.

    Args:
        identifier: The member's own e-mail address or username.

    Raises:
        WrongPasswordError: `current` is not the password.
        DeniedError: the rules refuse `new`, with every reason.
        LimitedError: too many attempts.
        ReauthenticationRequiredError: the session needs more than its password.
        UpstreamUnavailableError: worth trying again.
    """
    _prove(edge, client, identifier, current)
    flow = _started(edge.start("settings", client))
    answer = edge.submit(flow, method="password", password=new)
    _refuse_what_is_no_answer(answer)
    if answer.status == 200 and answer.body.get("state") == _CHANGED:
        return
    reasons = tuple(
        Reason(_code_of(message), str(message.get("text", "")), "#/new")
        for message in answer.messages()
        if message.get("type") == "error"
    )
    if not reasons:
        raise UpstreamUnavailableError(
            "An identity service gave an answer we cannot read.", detail=str(answer.status)
        )
    raise DeniedError(reasons)


def _prove(edge: OwnEdge, client: AskingClient, identifier: str, current: str) -> None:
    flow = _started(edge.start("login", client, refresh="true"))
    answer = edge.submit(flow, method="password", identifier=identifier, password=current)
    _refuse_what_is_no_answer(answer)
    if answer.status == 200:
        return
    if any(message.get("id") == _WRONG_CREDENTIALS for message in answer.messages()):
        raise WrongPasswordError("The current password is not right.")
    raise UpstreamUnavailableError(
        "An identity service gave an answer we cannot read.", detail=str(answer.status)
    )


def _started(flow: OpenFlow | FlowAnswer) -> OpenFlow:
    if isinstance(flow, OpenFlow):
        return flow
    _refuse_what_is_no_answer(flow)
    raise UpstreamUnavailableError(
        "An identity service did not start the flow.", detail=str(flow.status)
    )


def _refuse_what_is_no_answer(answer: FlowAnswer) -> None:
    if answer.status == 429:
        raise answer.limited()
    if answer.status in (401, 403):
        raise ReauthenticationRequiredError(
            "Please log in again to confirm that it is you.", detail=answer.error_id
        )


def _code_of(message: dict[str, object]) -> str:
    """Return the reason's name where a hook of ours refused, else one for all of Kratos' own."""
    context = message.get("context")
    code = context.get("code") if isinstance(context, dict) else None
    return code if isinstance(code, str) else "password_refused"
