"""Another verification mail for a member that may not log in before its address is proven.

It is the mail of Kratos' own flow, asked for through the edge, with its limits. What follows from
it for an expired member is recorded when the mail leaves (`hooks/courier.py`). No transaction is
open while the flow is driven.
"""

from uuid import UUID

from integration.errors import LimitedError, UpstreamUnavailableError
from integration.members import tickets
from integration.ory.own_edge import AskingClient, FlowAnswer, OpenFlow
from integration.services import Services
from policies.login_refusals import NextStep

_STEP = NextStep.RESEND_VERIFICATION


def resend(services: Services, ticket: str, client: AskingClient) -> UUID:
    """Have a code sent to the member of a ticket; return the flow that takes the code.

    The ticket stays good when no mail was sent.

    Raises:
        ForbiddenError: `ticket_refused`.
        LimitedError: too many mails went out.
        UpstreamUnavailableError: worth trying again.
    """
    now = services.now()
    with services.transaction() as session:
        member = tickets.redeem(session, services.settings, _STEP, ticket, now=now)
        email = member.email or ""
    try:
        return _send(services, email, client.anonymous())
    except (LimitedError, UpstreamUnavailableError):
        with services.transaction() as session:
            tickets.give_back(session, services.settings, _STEP, ticket, now=now)
        raise


def _send(services: Services, email: str, client: AskingClient) -> UUID:
    flow = services.edge.start("verification", client)
    if isinstance(flow, OpenFlow):
        return _sent(services.edge.submit(flow, method="code", email=email))
    return _sent(flow)


def _sent(answer: FlowAnswer) -> UUID:
    if answer.status == 429:
        raise answer.limited()
    if answer.status != 200 or answer.body.get("state") != "sent_email":
        raise UpstreamUnavailableError("No mail was sent. Please try again in a moment.")
    return UUID(answer.body["id"])
