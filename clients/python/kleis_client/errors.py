"""Errors of the kit.

    KleisClientError
    ├── TokenError                  the bearer is not known: 401
    │   ├── TokenMissingError       no token came
    │   ├── TokenInvalidError       not a token of this issuer for this application
    │   ├── TokenExpiredError       it was one, its time is over
    │   └── TokenRevokedError       its session was ended
    ├── PermissionDeniedError       the bearer is known and may not: 403
    ├── UndecidedError              nobody can tell now, so the answer is no; worth retrying: 503
    │   ├── KeysUnavailableError    the issuer's keys are unknown or too old
    │   ├── RevocationsUnknownError the revocation feed has been silent for too long
    │   └── PermissionUndecidedError  the permission could not be asked for
    ├── IssuerError                 the issuer did not answer, or not as agreed
    ├── SessionEndedError           the refresh token was refused: log in again
    └── SecondFactorRequiredError   the session waits for a second factor; its tokens stay good

No message holds a token or a claim; all may be logged and shown.
"""


class KleisClientError(Exception):
    """Any error of the kit; `code` names it for programs, in snake case."""

    code = "kleis_client"


class TokenError(KleisClientError):
    """The request carries no access token that counts."""

    code = "token_invalid"


class TokenMissingError(TokenError):
    """There is no bearer token."""

    code = "token_missing"

    def __init__(self) -> None:
        super().__init__("An access token is required.")


class TokenInvalidError(TokenError):
    """Not an access token of this issuer for this application.

    Attributes:
        reason: What is wrong with it, for logs, as a constant in snake case.
    """

    code = "token_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__("The access token is not valid.")
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.reason})"


class TokenExpiredError(TokenError):
    """Its time is over."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__("The access token has expired.")


class TokenRevokedError(TokenError):
    """Its session was ended."""

    code = "token_revoked"

    def __init__(self) -> None:
        super().__init__("The session of this access token has ended.")


class PermissionDeniedError(KleisClientError):
    """The member is known and lacks the permission.

    Attributes:
        reason: The issuer's word for why.
    """

    code = "permission_denied"

    def __init__(self, reason: str) -> None:
        super().__init__("This is not permitted.")
        self.reason = reason


class UndecidedError(KleisClientError):
    """What is needed to say yes is not known now, so the answer is no. Worth retrying."""

    code = "undecided"


class KeysUnavailableError(UndecidedError):
    """The issuer's keys were never read, or so long ago that they do not count any more."""

    code = "keys_unavailable"

    def __init__(self) -> None:
        super().__init__("Access tokens cannot be verified right now.")


class RevocationsUnknownError(UndecidedError):
    """Which sessions have ended has been unknown for longer than `max_silence`."""

    code = "revocations_unknown"

    def __init__(self) -> None:
        super().__init__("It is not known right now which sessions have ended.")


class PermissionUndecidedError(UndecidedError):
    """The issuer gave no decision in time."""

    code = "permission_undecided"

    def __init__(self) -> None:
        super().__init__("Permissions cannot be checked right now.")


class IssuerError(KleisClientError):
    """The issuer did not answer in time, or answered something else than agreed."""

    code = "issuer_unavailable"


class SessionEndedError(KleisClientError):
    """The refresh token was refused. Only a new login helps."""

    code = "session_ended"

    def __init__(self) -> None:
        super().__init__("The session has ended. Log in again.")


class SecondFactorRequiredError(KleisClientError):
    """The session waits for a second factor; until it is given there are no new tokens."""

    code = "session_aal2_required"

    def __init__(self) -> None:
        super().__init__("Please confirm that it is you.")
