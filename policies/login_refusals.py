"""What a member can do that has the right password and may not log in."""

from enum import StrEnum

from policies.lifecycle import Actor, Status, Transition, Trigger, decide_transition


class NextStep(StrEnum):
    """What there is to do. The value also names the ticket that lets one do it."""

    RESEND_VERIFICATION = "resend_verification"
    COMPLETE_PROFILE = "complete_profile"
    APPEAL = "appeal"
    REACTIVATE = "reactivate"


# The arrow that a step leads to, and who takes it. A state without that arrow has not that step:
# nobody is asked to appeal who is banned for good.
_ARROWS: dict[NextStep, tuple[tuple[Trigger, Actor], ...]] = {
    NextStep.RESEND_VERIFICATION: (
        (Trigger.VERIFY_EMAIL, Actor.MEMBER),
        (Trigger.RESUME_REGISTRATION, Actor.MEMBER),
        (Trigger.RESEND_VERIFICATION, Actor.MEMBER),
    ),
    NextStep.COMPLETE_PROFILE: ((Trigger.COMPLETE_PROFILE, Actor.MEMBER),),
    NextStep.APPEAL: ((Trigger.APPEAL_APPROVED, Actor.ADMIN),),
    NextStep.REACTIVATE: ((Trigger.REACTIVATION_REQUEST, Actor.MEMBER),),
}


def next_steps(status: Status) -> tuple[NextStep, ...]:
    """Return what a member in this state can do to get in; nothing for the active and deleted."""
    return tuple(
        step
        for step, arrows in _ARROWS.items()
        if any(isinstance(decide_transition(status, *arrow), Transition) for arrow in arrows)
    )
