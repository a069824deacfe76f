"""The admin API of authority in one router: permissions, roles, grants, elevations, audit."""

from fastapi import APIRouter

from integration.api import admin_audit, admin_grants, admin_permissions, admin_roles, elevations

router = APIRouter()
for _part in (admin_permissions, admin_roles, admin_grants, elevations, admin_audit):
    router.include_router(_part.router)
