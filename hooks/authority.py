"""The edge is about to ask Keto about a subject of whom Keto may not know everything yet."""

import threading
from uuid import UUID

from fastapi import APIRouter, Request

from hooks.authentication import FromKratos
from hooks.payloads import HookPayload
from integration.authority import keto_tuples
from integration.dependencies import UsesServices
from integration.errors import BusyError

router = APIRouter(prefix="/hooks/authority", dependencies=[FromKratos])

AT_ONCE = 6
"""Each takes up to two connections and a thread, which logins need as well."""
_PATIENCE_SECONDS = 0.2


def make_turns() -> threading.Semaphore:
    """Return what all calls of one listener share."""
    return threading.Semaphore(AT_ONCE)


class Subject(HookPayload):
    """One member; or the id of nobody, of whom there is nothing to tell."""

    subject_id: UUID


@router.post("/settle", status_code=204)
def settle_authority(payload: Subject, request: Request, services: UsesServices) -> None:
    """Answer once Keto holds exactly what our tables say of the subject; else 503, soon.

    Takes the identity's lock: whoever calls this must not hold it.
    """
    turns: threading.Semaphore = request.app.state.settling
    if not turns.acquire(timeout=_PATIENCE_SECONDS):
        raise BusyError("Many members are being changed.")
    try:
        keto_tuples.settle(services, payload.subject_id)
    finally:
        turns.release()
