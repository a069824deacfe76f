"""Which arrows are taken when somebody registers, asks for another code, or proves an address."""

from datetime import timedelta

from policies.decisions import Deny, Reason
from policies.lifecycle import Actor, Status, Transition, Trigger, decide_walk

RESENDS_FOR = timedelta(days=30)
"""How long after a registration another mail brings an expired member back: names must not be kept
for ever by whoever asks for a code now and then."""

_TOO_LATE = Deny((Reason("registration_too_old", "Please register again."),))
_AGAIN = (Trigger.RESEND_VERIFICATION, Trigger.RESUME_REGISTRATION)
_BEFORE_VERIFYING: dict[Status | None, tuple[Trigger, ...]] = {
    Status.EXPIRED: _AGAIN,
    Status.PENDING_REGISTRATION: (Trigger.RESUME_REGISTRATION,),
}


def decide_recording(actor: Actor) -> tuple[Transition, ...] | Deny:
    """Decide the arrows of a registration that Kratos has stored: a guest gets a row."""
    return decide_walk(None, (Trigger.START_REGISTRATION, Trigger.SUBMIT_REGISTRATION), actor)


def decide_resend(
    current: Status | None, actor: Actor, *, age: timedelta
) -> tuple[Transition, ...] | Deny:
    """Decide the arrows of one more verification mail.

    Args:
        age: Since the registration.

    Returns:
        No arrow for somebody who is pending anyway; a denial for those with nothing to verify.
    """
    if current is Status.PENDING_VERIFICATION:
        return ()
    if current is Status.EXPIRED and age > RESENDS_FOR:
        return _TOO_LATE
    return decide_walk(current, _AGAIN, actor)


def decide_verification(current: Status | None, actor: Actor) -> tuple[Transition, ...] | Deny:
    """Decide all arrows from `current` to active, once the address is proven.

    Returns:
        No arrow for a member who is active already: the same proof may be told twice.
    """
    if current is Status.ACTIVE:
        return ()
    return decide_walk(current, (*_BEFORE_VERIFYING.get(current, ()), Trigger.VERIFY_EMAIL), actor)
