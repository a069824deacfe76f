"""What a member can do that has the right password and may not log in."""

from enum import StrEnum

from policies.lifecycle import Status


class NextStep(StrEnum):
    """What there is to do. The value also names the ticket that lets one do it."""

    RESEND_VERIFICATION = "resend_verification"
    COMPLETE_PROFILE = "complete_profile"
    APPEAL = "appeal"
    REACTIVATE = "reactivate"


_NEXT: dict[Status, tuple[NextStep, ...]] = {
    Status.PENDING_REGISTRATION: (NextStep.RESEND_VERIFICATION,),
    Status.PENDING_VERIFICATION: (NextStep.RESEND_VERIFICATION,),
    Status.EXPIRED: (NextStep.RESEND_VERIFICATION,),
    Status.PROVISIONAL: (NextStep.COMPLETE_PROFILE,),
    Status.SUSPENDED: (NextStep.APPEAL,),
    Status.BANNED: (NextStep.APPEAL,),
    Status.DEACTIVATED: (NextStep.REACTIVATE,),
}


def next_steps(status: Status) -> tuple[NextStep, ...]:
    """Return what a member in this state can do to get in; nothing for the active and deleted."""
    return _NEXT.get(status, ())
