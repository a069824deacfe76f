"""Who asks about permissions: a service with an API key about anybody, a member about itself."""

from dataclasses import dataclass

from integration.edge.api_keys import ApiKeys, key_id_of
from integration.edge.decisions.people import People
from integration.edge.problems import Refusal, RefusedError
from integration.edge.requests import Request
from integration.edge.sessions.second_factor_required import CODE

SCOPE = "permissions:read"
_KEY = "bearer kleis_"

CREDENTIALS_REQUIRED = Refusal(
    401,
    "credentials_required",
    "An API key, a session or an access token is needed here.",
    ((b"www-authenticate", b'Bearer realm="kleis"'),),
)
SUBJECT_REQUIRED = Refusal(422, "subject_required", "With an API key a question names its subject.")
SECOND_FACTOR_REQUIRED = Refusal(403, CODE, "This session needs a second factor first.")
NOT_YOURS = Refusal(403, "subject_not_yours", "A member asks about itself; services have keys.")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        name: For the log: `key:<public id>`, or `member`.
        subject: The only subject it may ask about; None: any.
    """

    name: str
    subject: str | None

    @property
    def share(self) -> str:
        """In whose name it takes turns with others: a key, or one member."""
        return self.subject or self.name

    def subject_of(self, named: str | None) -> str:
        """Return whom a question is about.

        Raises:
            RefusedError: it names nobody where that is needed, or somebody else.
        """
        if self.subject is None:
            if named is None:
                raise RefusedError(SUBJECT_REQUIRED)
            return named
        if named not in (None, self.subject):
            raise RefusedError(NOT_YOURS)
        return self.subject


class Askers:
    """Finds out."""

    def __init__(self, keys: ApiKeys, people: People) -> None:
        self._keys = keys
        self._people = people

    async def of(self, request: Request) -> Asker:
        """Return who asks.

        Raises:
            RefusedError: nobody who may, or it cannot be said.
        """
        given = request.header(b"authorization")
        if given is not None and given[: len(_KEY)].lower() == _KEY:
            return await self.with_key(request)
        person = await self._people.of(request)
        if person is None:
            raise RefusedError(CREDENTIALS_REQUIRED)
        if person.is_held:
            raise RefusedError(SECOND_FACTOR_REQUIRED)
        return Asker("member", person.id)

    async def with_key(self, request: Request) -> Asker:
        """Return a service with an API key. Raises as `ApiKeys.require`."""
        await self._keys.require(request.headers, SCOPE)
        return self.key_of(request)

    def key_of(self, request: Request) -> Asker:
        """Return the service whose key was let through already."""
        return Asker(f"key:{key_id_of(request.headers)}", None)
