"""The words every policy speaks: allow with effects, or deny with reasons."""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused.

    Attributes:
        code: Stable name for programs and dashboards, snake case; never shown to people.
        text: One sentence for the person, saying what to change.
        pointer: JSON pointer to the form field at fault (`#/traits/username`), or None when
            the whole form is.
    """

    code: str
    text: str
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class SyncAuthority:
    """Make Keto's tuples of the member match its status, its role and its grants."""


@dataclass(frozen=True, slots=True)
class SyncPermissions:
    """Make Keto know every permission there is: what covers it, and which roles have it."""


@dataclass(frozen=True, slots=True)
class SyncIdentity:
    """Make Kratos' identity (state, `metadata_public`) match the member.

    Attributes:
        enable: Also enable an identity that is disabled. Only an arrow back to active asks for
            it; else what somebody disabled in Kratos stays disabled.
    """

    enable: bool = False


@dataclass(frozen=True, slots=True)
class EndSessions:
    """Delete every Kratos session of the member; of an active one, those of before this moment."""


@dataclass(frozen=True, slots=True)
class EndSession:
    """Delete one Kratos session.

    Attributes:
        session_id: A UUID.
    """

    session_id: str


@dataclass(frozen=True, slots=True)
class EndOlderSessions:
    """Delete the Kratos sessions of the member that began before a moment, and no younger ones.

    Attributes:
        before: ISO 8601, with its offset.
    """

    before: str


@dataclass(frozen=True, slots=True)
class FollowSessions:
    """End with us whatever session of the member Kratos has ended: whoever asked Kratos to may have
    died before it could say so."""


@dataclass(frozen=True, slots=True)
class DeleteIdentity:
    """Delete the identity in Kratos; its names are free afterwards."""


@dataclass(frozen=True, slots=True)
class FollowEmailChange:
    """Make the addresses in Kratos match the member's open change of address, and end it."""


@dataclass(frozen=True, slots=True)
class ForgetCredentials:
    """Make what somebody may know or have stop working: the password, links to providers.

    Attributes:
        before: ISO 8601, with its offset. A password that was set later is kept.
    """

    before: str


@dataclass(frozen=True, slots=True)
class SendMail:
    """Send one mail of ours to the member.

    Attributes:
        template: Name of a template in `integration/mail/templates`, such as `welcome`.
        facts: Names and values that the template mentions, besides those of every mail.
        to: An address that is not the member's (any more); empty: the member's own.
    """

    template: str
    facts: tuple[tuple[str, str], ...] = ()
    to: str = ""


@dataclass(frozen=True, slots=True)
class PublishEvent:
    """Tell the application that something happened.

    Attributes:
        name: Dotted name, such as `member.registered`.
        facts: Names and values that travel along; never traits.
    """

    name: str
    facts: tuple[tuple[str, bool | int | str], ...] = field(default=())


Effect: TypeAlias = (
    SyncAuthority
    | SyncPermissions
    | SyncIdentity
    | EndSession
    | EndSessions
    | EndOlderSessions
    | FollowSessions
    | DeleteIdentity
    | FollowEmailChange
    | ForgetCredentials
    | SendMail
    | PublishEvent
)


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on, then bring about `effects`, in this order."""

    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """Stop. There is always at least one reason."""

    reasons: tuple[Reason, ...]

    def __post_init__(self) -> None:
        if not self.reasons:
            raise ValueError("a denial needs a reason")


Decision: TypeAlias = Allow | Deny


def decide_all(*decisions: Decision) -> Decision:
    """Allow what every decision allows; else deny with the reasons of all."""
    reasons = tuple(
        reason
        for decision in decisions
        if isinstance(decision, Deny)
        for reason in decision.reasons
    )
    if reasons:
        return Deny(reasons)
    return Allow(
        tuple(
            effect
            for decision in decisions
            if isinstance(decision, Allow)
            for effect in decision.effects
        )
    )
