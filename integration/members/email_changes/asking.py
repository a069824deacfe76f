"""A member asks for another address, proves it, or takes a change back: over our own API and pages.

The same ends as by Kratos' flows. Where Kratos is written to, its identity's lock is held and no
transaction is open.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from integration.db import email_changes, locks, members
from integration.errors import ConflictError, DeniedError, KleisError, NotFoundError
from integration.members import password_changes
from integration.members.email_changes import following, recording, tickets
from integration.ory.own_edge import AskingClient, FlowAnswer
from integration.rules import registration_rules
from integration.services import Services
from policies.decisions import Deny, Reason, decide_all
from policies.email_changes import TAKEN, State, decide_asking
from policies.registration import RegistrationAttempt, decide_change_of_traits

log = structlog.get_logger()

# Kratos waits for the hook that waits for this.
_SHORT = timedelta(seconds=1)
_UNCHANGED = Reason("email_unchanged", "This is your e-mail address already.", "#/email")
_WRONG_CODE = Reason("code_wrong", "This code is wrong, too old, or was used before.", "#/code")
_NO_CODE = Reason("code_not_sent", "No code was sent. Ask for the change once more.", "#/code")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member's address stands.

    Attributes:
        pending: The address that is to be confirmed, until when; None: there is none.
        revertible_until: Until when the old address can take the last change back.
    """

    email: str
    pending: str | None
    pending_until: datetime | None
    revertible_until: datetime | None


def standing(services: Services, identity_id: UUID) -> Standing:
    """Return where a member's address stands.

    Raises:
        NotFoundError: there is no such member.
    """
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None:
            raise NotFoundError("There is no such member.")
        change = email_changes.open_of(session, identity_id)
        last = email_changes.revertible(session, identity_id, services.now())
        waits = change is not None and change.state != State.REVERTING
        return Standing(
            email=member.email or "",
            pending=change.new_email if change is not None and waits else None,
            pending_until=change.expires_at if change is not None and waits else None,
            revertible_until=None if last is None else last.revertible_until,
        )


def ask(services: Services, identity_id: UUID, wanted: str, client: AskingClient) -> None:
    """Put an address where it waits to be proven, and have a code sent to it.

    Asking again for the same address sends another code.

    Raises:
        DeniedError: it cannot be the member's address.
        LimitedError: too many mails went out.
        BusyError, UpstreamUnavailableError: worth trying again.
    """
    wanted = wanted.strip().lower()
    _refuse_unless_allowed(services, identity_id, wanted)
    with locks.identity_lock(
        services.engine, identity_id, timeout=services.settings.database_timeout
    ):
        try:
            services.kratos.changes.put_pending_email(identity_id, wanted)
        except ConflictError as error:
            raise DeniedError((replace(TAKEN, pointer="#/email"),)) from error
        with services.transaction() as session:
            recording.asked(session, identity_id, wanted, services.settings, now=services.now())
    answer = _send_code(services, wanted, client)
    if answer.status == 404 and standing(services, identity_id).pending == wanted:
        # Kratos lost sight of the address while another wish was replaced by this one.
        answer = _send_code(services, wanted, client)
    _expect_sent(answer)


def cancel(services: Services, identity_id: UUID) -> None:
    """Forget the address that waits; none at all is as good.

    Raises:
        BusyError, UpstreamUnavailableError: worth trying again.
    """
    with locks.identity_lock(
        services.engine, identity_id, timeout=services.settings.database_timeout
    ):
        current = services.kratos.get(identity_id)
        if current is not None and current.pending_email:
            services.kratos.changes.withdraw_pending_email(identity_id)
        with services.transaction() as session:
            recording.asked(session, identity_id, "", services.settings, now=services.now())


def give_way(services: Services, email: str) -> None:
    """Let go of an address that somebody is about to register, where a member only asked for it.

    Kratos keeps every address of an identity from everybody else, and whoever merely asked for one
    must not keep its owner out. Never raises: Kratos then calls the address taken.
    """
    with services.transaction() as session:
        asked = email_changes.asked_for(session, email)
        identity_id = None if asked is None else asked.identity_id
    if identity_id is None:
        return
    try:
        with locks.identity_lock(services.engine, identity_id, timeout=_SHORT):
            current = services.kratos.get(identity_id)
            if current is None or current.pending_email != email:
                return
            if current.is_address_verified(email):
                return
            services.kratos.changes.withdraw_pending_email(identity_id)
            now = services.now()
            with services.transaction() as session:
                members.lock(session, identity_id)
                change = email_changes.asked_for(session, email)
                if change is not None and change.identity_id == identity_id:
                    recording.end(session, change, State.TAKEN, now=now)
    except KleisError as error:
        log.warning("address_not_let_go", code=error.code, detail=error.detail)


def confirm(services: Services, identity_id: UUID, code: str, client: AskingClient) -> None:
    """Prove the address that waits by the code from its mail, and make it the member's.

    Raises:
        DeniedError: the code is wrong, or there is nothing to confirm.
        LimitedError: too many attempts.
        BusyError, UpstreamUnavailableError: worth trying again.
    """
    with services.transaction() as session:
        change = email_changes.open_of(session, identity_id)
        flow_id = None if change is None else change.verification_flow_id
    if flow_id is None:
        raise DeniedError((_NO_CODE,))
    path = f"/self-service/verification?flow={flow_id}"
    answer = services.edge.post(path, client.anonymous(), method="code", code=code)
    _refuse_limited(answer)
    if answer.status != 200 or answer.body.get("state") != "passed_challenge":
        raise DeniedError((_WRONG_CODE,))
    timeout = services.settings.database_timeout
    with locks.identity_lock(services.engine, identity_id, timeout=timeout):
        # At once, and not in a moment by the worker.
        following.follow(services, identity_id)


def revert(services: Services, ticket: str) -> State:
    """Give an account its old address back, or cancel the change that is under way.

    Returns:
        `reverted`; `reverting` while that is still on its way; `lost` when somebody else has the
        old address.

    Raises:
        NotFoundError: no ticket of ours.
        ConflictError: too late.
    """
    change_id = tickets.read(services.settings.secret.get_secret_value(), ticket)
    if change_id is None:
        raise NotFoundError("This link is not one of ours.")
    now = services.now()
    with services.transaction() as session:
        reverting, is_begun = recording.revert(session, change_id, now=now)
        identity_id, state = reverting.identity_id, State(reverting.state)
    if not is_begun:
        return state
    timeout = services.settings.database_timeout
    try:
        with locks.identity_lock(services.engine, identity_id, timeout=timeout):
            following.follow(services, identity_id)
            password_changes.forget(services, identity_id, before=now)
    except KleisError as error:
        # It is recorded, and the worker goes on trying.
        log.warning("revert_is_late", code=error.code, detail=error.detail)
    with services.transaction() as session:
        change = email_changes.get(session, change_id)
        return State.REVERTED if change is None else State(change.state)


def is_of_use(services: Services, ticket: str) -> bool:
    """Tell whether a ticket would still take something back. Changes nothing."""
    change_id = tickets.read(services.settings.secret.get_secret_value(), ticket)
    if change_id is None:
        return False
    with services.transaction() as session:
        change = email_changes.get(session, change_id)
        return change is not None and recording.is_revertible(change, services.now())


def _refuse_unless_allowed(services: Services, identity_id: UUID, wanted: str) -> None:
    now = services.now()
    with services.transaction() as session:
        member = members.get(session, identity_id)
        if member is None or member.email is None:
            raise NotFoundError("There is no such member.")
        before = RegistrationAttempt(email=member.email, username=member.username or "")
        known = email_changes.open_of(session, identity_id)
        asked = email_changes.asks_of(session, identity_id, now)
        reserved = email_changes.is_reserved(session, wanted, but_for=identity_id, now=now)
    if wanted == before.email:
        raise DeniedError((_UNCHANGED,))
    decision = decide_change_of_traits(
        before, replace(before, email=wanted), registration_rules(services.settings)
    )
    if known is None or known.new_email != wanted:
        decision = decide_all(decision, decide_asking(asked, is_reserved=reserved, now=now))
    if isinstance(decision, Deny):
        raise DeniedError(tuple(replace(each, pointer="#/email") for each in decision.reasons))


def _send_code(services: Services, email: str, client: AskingClient) -> FlowAnswer:
    flow = services.edge.start("verification", client.anonymous())
    if isinstance(flow, FlowAnswer):
        return flow
    return services.edge.submit(flow, method="code", email=email)


def _expect_sent(answer: FlowAnswer) -> None:
    _refuse_limited(answer)
    if answer.status != 200:
        why = f"{answer.status} {answer.error_id} {[m.get('id') for m in answer.messages()]}"
        raise ConflictError("No code was sent: you may have asked for another address.", detail=why)


def _refuse_limited(answer: FlowAnswer) -> None:
    if answer.status == 429:
        raise answer.limited()
