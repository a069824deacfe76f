"""The permissions that exist, and Keto's tuples about them, which are seeded from here.

Changes of the catalogue concern everybody: they move the epoch of `EDGES`.
"""

import time
from datetime import datetime

from sqlalchemy.orm import Session

from integration import effects
from integration.authority import admins, permissions
from integration.authority.admins import Admin
from integration.authority.refusals import expect_allowed
from integration.db import authority_audit, epochs, grants, outbox
from integration.db.epochs import EDGES
from integration.db.grant_tables import AddedPermission
from integration.errors import NotFoundError
from integration.services import Services
from policies.decisions import SyncPermissions
from policies.permission_additions import decide_addition
from policies.permission_removals import decide_removal, told_of, vanishing
from policies.permissions import CatalogueTuple, Permission, catalogue_tuples

_LOOK_SECONDS = 0.05


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


def remove(session: Session, admin: Admin, name: str, *, reason: str, now: datetime) -> None:
    """Take a permission of the application out of the catalogue, and from the roles that have it.

    Raises:
        NotFoundError: the application has none of this name.
        ConflictError: it is granted (`permission_granted`).
        ForbiddenError: as `policies.permission_removals` says.
    """
    # Nobody grants it from here on; whoever is granting it is waited for.
    row = session.get(AddedPermission, name, with_for_update=True)
    if row is None:
        raise NotFoundError("The application has added no permission of this name.", detail=name)
    decision = decide_removal(
        permissions.as_permission(row),
        admins.granter(session, admin, now=now),
        granted=grants.count_live(session, vanishing(name, permissions.added(session)), now=now),
    )
    expect_allowed(decision)
    before = {"name": name, "lowest_role": row.lowest_role, "description": row.description}
    authority_audit.record(
        session, admin.by, permissions.REMOVED, None, now=now, before=before, reason=reason
    )
    session.delete(row)
    epochs.move(session, EDGES)
    effects.record(session, EDGES, (SyncPermissions(),), now=now)


def until_told(services: Services, *, seconds: float = 2.0) -> bool:
    """Wait until Keto has been told, not for ever: it is true already, and will be told."""
    deadline = time.monotonic() + seconds
    while is_on_its_way(services):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def ask_for_sync(services: Services) -> None:
    """Have Keto told of the catalogue soon and surely, unless that is on its way already."""
    if not is_on_its_way(services):
        with services.transaction() as session:
            effects.record(session, EDGES, (SyncPermissions(),), now=services.now())


def sync(services: Services) -> frozenset[CatalogueTuple]:
    """Make Keto hold what it should, and return what differed. The caller holds the lock of
    `EDGES`.

    What others wrote is left alone: an application may keep permissions of its own in Keto.
    """
    missing, left_over = _differences(services)
    if missing or left_over:
        services.keto.change_catalogue(insert=missing, delete=left_over)
        with services.transaction() as session:
            epochs.move(session, EDGES)
    return missing | left_over


def lacking(services: Services) -> frozenset[CatalogueTuple]:
    """Return what Keto does not know yet about the permissions there are, or were."""
    missing, left_over = _differences(services)
    return missing | left_over


def is_on_its_way(services: Services) -> bool:
    """Tell whether Keto is about to be told."""
    with services.transaction() as session:
        return outbox.is_pending(session, EDGES, (effects.LANES[SyncPermissions],))


def unknown(services: Services) -> frozenset[CatalogueTuple]:
    """Return what Keto holds about permissions of ours that did not come from us."""
    wanted, _ = _wanted(services)
    ours = {item.permission for item in wanted}
    return frozenset(item for item in services.keto.catalogue() - wanted if item.permission in ours)


def _differences(
    services: Services,
) -> tuple[frozenset[CatalogueTuple], frozenset[CatalogueTuple]]:
    """Return what Keto lacks, and what it holds of permissions that were removed."""
    wanted, unwanted = _wanted(services)
    have = services.keto.catalogue()
    return wanted - have, unwanted & have


def _wanted(services: Services) -> tuple[frozenset[CatalogueTuple], frozenset[CatalogueTuple]]:
    """Return what Keto should hold, and what it was told once and should hold no more."""
    with services.transaction() as session:
        wanted = catalogue_tuples(permissions.catalogue(session).values())
        return wanted, told_of(permissions.removed(session)) - wanted
