"""The permissions that exist, and Keto's tuples about them, which are seeded from here.

Changes of the catalogue concern everybody: they move the epoch of `EDGES`.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import admins, permissions
from integration.authority.admins import Admin
from integration.authority.refusals import expect_allowed
from integration.db import authority_audit, epochs, outbox
from integration.db.epochs import EDGES
from integration.db.grant_tables import AddedPermission
from integration.services import Services
from policies.decisions import SyncPermissions
from policies.permission_additions import decide_addition
from policies.permissions import CatalogueTuple, Permission, catalogue_tuples


def add(session: Session, admin: Admin, new: Permission, *, now: datetime) -> bool:
    """Add a permission of the application; False when it is there already, just so.

    Raises:
        ConflictError: it exists otherwise (`permission_exists`).
        ForbiddenError, InvalidInputError: as `policies.permission_additions` says.
    """
    if new in permissions.added(session):
        return False
    giver = admins.granter(session, admin, now=now)
    expect_allowed(decide_addition(new, giver, permissions.catalogue(session)))
    session.add(
        AddedPermission(
            name=new.name,
            description=new.description,
            lowest_role=new.lowest_role,
            created_at=now,
            created_by=admin.by.actor,
        )
    )
    after = {"name": new.name, "lowest_role": new.lowest_role}
    authority_audit.record(session, admin.by, "permission.added", None, now=now, after=after)
    epochs.move(session, EDGES)
    effects.record(session, EDGES, (SyncPermissions(),), now=now)
    return True


def ask_for_sync(services: Services) -> None:
    """Have Keto told of the catalogue soon and surely, unless that is on its way already."""
    if not is_on_its_way(services):
        with services.transaction() as session:
            effects.record(session, EDGES, (SyncPermissions(),), now=services.now())


def sync(services: Services) -> frozenset[CatalogueTuple]:
    """Write to Keto what is missing and return it. The caller holds the lock of `EDGES`.

    What others wrote is left alone: an application may keep permissions of its own in Keto.
    """
    if missing := lacking(services):
        services.keto.change_catalogue(insert=missing)
        with services.transaction() as session:
            epochs.move(session, EDGES)
    return missing


def lacking(services: Services) -> frozenset[CatalogueTuple]:
    """Return what Keto does not know yet about the permissions there are."""
    return _wanted(services) - services.keto.catalogue()


def is_on_its_way(services: Services) -> bool:
    """Tell whether Keto is about to be told."""
    with services.transaction() as session:
        return outbox.is_pending(session, EDGES, (effects.LANES[SyncPermissions],))


def unknown(services: Services) -> frozenset[CatalogueTuple]:
    """Return what Keto holds about permissions of ours that did not come from us."""
    wanted = _wanted(services)
    ours = {item.permission for item in wanted}
    return frozenset(item for item in services.keto.catalogue() - wanted if item.permission in ours)


def _wanted(services: Services) -> frozenset[CatalogueTuple]:
    with services.transaction() as session:
        return catalogue_tuples(permissions.catalogue(session).values())
