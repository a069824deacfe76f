"""All pages as one router; the service includes it last."""

from fastapi import APIRouter

from integration.web import (
    account_pages,
    api_page,
    email_revert_page,
    flow_pages,
    mailbox_page,
    missing_page,
    sessions_page,
    start_page,
    unlock_page,
)

router = APIRouter(include_in_schema=False)
router.include_router(start_page.router)
router.include_router(flow_pages.router)
router.include_router(account_pages.router)
router.include_router(mailbox_page.router)
router.include_router(unlock_page.router)
router.include_router(sessions_page.router)
router.include_router(email_revert_page.router)
router.include_router(api_page.router)
router.include_router(missing_page.router)
