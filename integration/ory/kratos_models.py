"""What we read of Kratos' answers; unknown fields of newer versions are ignored."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from policies.step_up import ENROLLED_FACTORS


def _object_or_none(value: object) -> object:
    """Take what an admin may have put there: any JSON at all, as far as Kratos is concerned."""
    return value if isinstance(value, dict) else None


Metadata = Annotated[dict[str, Any] | None, BeforeValidator(_object_or_none)]


class Address(BaseModel):
    """One verifiable address of an identity."""

    value: str
    verified: bool = False
    via: str = "email"


class Identity(BaseModel):
    """What we read of a Kratos identity; unknown fields of newer versions are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: UUID
    state: str = "active"
    traits: dict[str, Any]
    metadata_public: Metadata = None
    verifiable_addresses: list[Address] | None = None
    created_at: AwareDatetime
    # By type. Kratos shows it of a single identity; in lists only where it is asked to.
    credentials: dict[str, Any] | None = None

    @property
    def has_second_factor(self) -> bool:
        """Is TOTP, look-up codes or a security key enrolled?"""
        return not ENROLLED_FACTORS.isdisjoint(self.credentials or ())

    @property
    def email(self) -> str:
        return str(self.traits.get("email", "")).lower()

    @property
    def pending_email(self) -> str:
        """The address a member asked for and has not proven, in lower case; mostly ""."""
        return str(self.traits.get("pending_email", "")).lower()

    def is_enabled(self) -> bool:
        return self.state == "active"

    def is_verified(self) -> bool:
        """Is the address in `traits.email` verified?"""
        return self.is_address_verified(self.email)

    def is_address_verified(self, email: str) -> bool:
        return any(
            address.verified and address.value.lower() == email
            for address in self.verifiable_addresses or ()
        )


class AuthenticationMethod(BaseModel):
    """One proof in a session's history; Kratos appends one with every login and refresh."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    method: str = ""


class KratosSession(BaseModel):
    """A valid session of Kratos."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id: UUID
    identity: Identity
    authenticated_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    authenticator_assurance_level: str = Field(default="aal1")
    authentication_methods: list[AuthenticationMethod] | None = None

    @property
    def methods(self) -> list[str]:
        """How the member proved who it is, in order: `password`, `totp`, ..."""
        return [each.method for each in self.authentication_methods or ()]


class Extension(BaseModel):
    """What Kratos answers to an extension, of which the end counts."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    expires_at: AwareDatetime
