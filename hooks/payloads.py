"""The bodies Kratos sends. Each is made by the template of the same name in `kratos/hooks/`."""

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from policies.registration import RegistrationAttempt


def _attempt_id(given: object) -> UUID | None:
    """What is no id says as little as none: the password counts as not judged."""
    try:
        return UUID(str(given))
    except ValueError:
        return None


Text = Annotated[str, Field(max_length=1024)]
# 128 random bits of the edge's; "" when the submit came past the edge.
AttemptId = Annotated[UUID | None, BeforeValidator(_attempt_id)]
NIL = UUID(int=0)


class HookPayload(BaseModel):
    """A body whose every field is expected: neither more nor fewer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Traits(HookPayload):
    """Traits of an identity, with "" for those that are not given."""

    email: Text
    username: Text
    first_name: Text
    last_name: Text
    display_name: Text

    def to_attempt(self) -> RegistrationAttempt:
        return RegistrationAttempt(
            email=self.email,
            username=self.username,
            first_name=self.first_name,
            last_name=self.last_name,
            display_name=self.display_name,
        )


class SubmittedTraits(Traits):
    """Traits that a person asks for."""

    pending_email: Text

    def to_attempt(self) -> RegistrationAttempt:
        return replace(super().to_attempt(), pending_email=self.pending_email)


class RegistrationSubmitted(HookPayload):
    """Before the identity is stored: it has no id yet."""

    flow_id: UUID
    traits: SubmittedTraits


class RegistrationCompleted(HookPayload):
    """After the identity is stored."""

    flow_id: UUID
    identity_id: UUID
    traits: Traits
    verified: bool


class RegistrationPasswordSubmitted(RegistrationSubmitted):
    """The same with a password, which the edge judged under `attempt`."""

    attempt: AttemptId


class RegistrationPasswordCompleted(RegistrationCompleted):
    """The same with a password."""

    attempt: AttemptId


class VerificationCompleted(HookPayload):
    """After Kratos marked an address verified; our answer can no longer prevent it.

    Attributes:
        verified: The address in `traits.email` is.
        pending_email: The address to be proven, or "".
        pending_verified: And it is proven.
    """

    flow_id: UUID
    identity_id: UUID
    traits: Traits
    verified: bool
    pending_email: Text = ""
    pending_verified: bool = False


class RecoverySubmitted(HookPayload):
    """A right recovery code was given; no session exists yet."""

    flow_id: UUID
    identity_id: UUID


class RecoveryCompleted(HookPayload):
    """The same moment, once nothing refused it: the code proves the address."""

    flow_id: UUID
    identity_id: UUID
    traits: Traits


class LoginSubmitted(HookPayload):
    """Right credentials were given; the session is not stored yet."""

    flow_id: UUID
    identity_id: UUID


class VerifiableAddress(HookPayload):
    """One address as Kratos has it, in the words in which Kratos takes it back."""

    value: Text
    via: Text
    verified: bool
    status: Text
    verified_at: Text | None


class SettingsSubmitted(HookPayload):
    """Before a change of settings is stored."""

    flow_id: UUID
    identity_id: UUID
    traits: SubmittedTraits
    traits_before: SubmittedTraits


class SettingsTraitsSubmitted(SettingsSubmitted):
    """The same by a method that may change traits."""

    addresses_before: tuple[VerifiableAddress, ...]


class SettingsCompleted(HookPayload):
    """After a change of settings is stored."""

    flow_id: UUID
    identity_id: UUID
    traits: SubmittedTraits


class SettingsConnectionCompleted(HookPayload):
    """After an OpenID provider was linked or unlinked.

    Attributes:
        provider: Its id, of one that was linked; "" where Kratos does not tell.
        occasion: Names what happened, the same each time it is told.
    """

    flow_id: UUID
    identity_id: UUID
    is_linked: bool
    provider: Text
    occasion: Text


class SettingsFactorCompleted(HookPayload):
    """After a second factor came or went.

    Attributes:
        method: `totp` or `lookup_secret`.
        is_set: Whether there is one now.
    """

    flow_id: UUID
    identity_id: UUID
    method: Literal["totp", "lookup_secret"]
    is_set: bool


class SettingsPasswordSubmitted(SettingsSubmitted):
    """Before a password is changed; the edge judged the new one under `attempt`."""

    attempt: AttemptId


class SettingsPasswordCompleted(SettingsCompleted):
    """After a password was changed."""

    attempt: AttemptId


class CourierMail(HookPayload):
    """A mail that Kratos' courier hands over. Its code is a secret: never log this."""

    recipient: Text
    template: Text
    subject: Text
    body: Annotated[str, Field(max_length=65_536)]
    identity_id: UUID | None
    code: Text
    link: Annotated[str, Field(max_length=4096)]
