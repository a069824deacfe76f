"""The contract of what the edge answers about permissions. Nobody is asked here.

The edge answers these paths by itself (`integration/edge/decisions/`), so that a check costs no
second hop; clients read of them in the same document as of everything else.
"""

from datetime import datetime
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter
from pydantic import BaseModel, Field

from integration.errors import NotFoundError

router = APIRouter(tags=["permissions"])


class Question(BaseModel):
    """Name a permission, or an action and a resource.

    `subject`: the UUID of an identity, or `guest`; a member leaves it out. `at_least`: the epoch of
    an earlier answer. `fresh`: know everything that was answered before.
    """

    subject: str | None = None
    permission: str | None = None
    action: str | None = None
    resource: str | None = None
    at_least: str | None = None
    fresh: bool = False


class Answered(BaseModel):
    """A decision; what is not allowed for sure is denied."""

    allowed: bool
    reason: str
    epoch: str


class Questions(BaseModel):
    checks: Annotated[list[Question], Field(min_length=1, max_length=1000)]


class Failed(BaseModel):
    """A question that could not be answered; `error` is a problem (RFC 9457)."""

    error: dict[str, Any]


class Results(BaseModel):
    """One for each question, in their order."""

    results: list[Answered | Failed]


class Asked(Question):
    """With `who` and without a subject: list who could be allowed."""

    who: bool = False


class Way(BaseModel):
    """One way that allows; `until` and `grant_reason` when it is a grant."""

    kind: str
    text: str
    at: str
    via: list[str]
    until: datetime | None = None
    grant_reason: str | None = None


class Explained(Answered):
    """A decision with the ways that led to it, or what is missing. Members get no tree."""

    paths: list[Way]
    missing: list[str]
    tree: dict[str, Any] | None
    complete: bool


class Holding(BaseModel):
    id: str
    permission: str
    expires_at: datetime | None
    reason: str
    granted_by: str


class Holdings(BaseModel):
    """What a member may do, by its role and by grants; nothing counts unless it is active."""

    subject: str
    status: str
    role: str
    permissions: list[str]
    grants: list[Holding]


class Moved(BaseModel):
    """What to forget; with `edges` or `reset` everything. `cursor` is the next `since`."""

    cursor: str
    subjects: list[str]
    edges: bool
    reset: bool


def _at_the_edge() -> NoReturn:
    raise NotFoundError("This is answered by the edge.")


@router.post("/api/permissions/check")
def check_permission(_: Question) -> Answered:
    """Answer one question. API key `permissions:read` about anybody; a member about itself."""
    _at_the_edge()


@router.post("/api/permissions/batch-check")
def check_permissions(_: Questions) -> Results:
    """Answer up to 1,000 questions; a bad one fails alone."""
    _at_the_edge()


@router.post("/api/permissions/explain")
def explain_permission(_: Asked) -> Explained:
    """Answer one question, and say why."""
    _at_the_edge()


@router.get("/api/permissions/epochs")
def moved_epochs(since: str | None = None, wait: Annotated[float, Field(le=25)] = 0) -> Moved:
    """Tell what has moved since a cursor; wait for it at most so many seconds."""
    _at_the_edge()


@router.get("/api/permissions/{subject}")
def permissions_of(subject: str) -> Holdings:
    """List what a member may do."""
    _at_the_edge()


@router.get("/api/forward-auth")
def forward_auth() -> None:
    """Tell a reverse proxy whether to let a request through: 200 with `X-Kleis-*`, 401 or 403."""
    _at_the_edge()
