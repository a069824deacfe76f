"""The edge is about to ask Keto about a subject of whom Keto may not know everything yet."""

from uuid import UUID

from fastapi import APIRouter

from hooks.authentication import FromKratos
from hooks.payloads import HookPayload
from integration.authority import keto_tuples
from integration.dependencies import UsesServices

router = APIRouter(prefix="/hooks/authority", dependencies=[FromKratos])


class Subject(HookPayload):
    """One member; or the id of nobody, of whom there is nothing to tell."""

    subject_id: UUID


@router.post("/settle", status_code=204)
def settle_authority(payload: Subject, services: UsesServices) -> None:
    """Answer once Keto holds exactly what our tables say of the subject; else 503, soon.

    Takes the identity's lock: whoever calls this must not hold it.
    """
    keto_tuples.settle(services, payload.subject_id)
