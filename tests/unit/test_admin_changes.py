"""What an admin's change to an identity means for the member."""

import pytest

from policies.admin_changes import Move, Seen, decide_enabling, decide_moves, may_be_patched
from policies.decisions import Allow, Deny
from policies.lifecycle import Status


def seen(*, enabled: bool = True, verified: bool = False, asked: bool = False) -> Seen:
    return Seen(enabled=enabled, email_verified=verified, asked_to_enable=asked)


@pytest.mark.parametrize(
    ("status", "after", "moves"),
    [
        (None, seen(), (Move.REGISTER,)),
        (None, seen(verified=True), (Move.REGISTER, Move.VERIFY)),
        (None, seen(enabled=False, verified=True), (Move.REGISTER,)),
        (Status.ACTIVE, seen(), ()),
        (Status.ACTIVE, seen(enabled=False), (Move.DISABLE,)),
        (Status.SUSPENDED, seen(asked=True), (Move.ENABLE,)),
        (Status.SUSPENDED, seen(enabled=False), ()),
        (Status.PENDING_VERIFICATION, seen(verified=True), (Move.VERIFY,)),
        (Status.EXPIRED, seen(verified=True), (Move.VERIFY,)),
        (Status.BANNED, seen(asked=True), ()),
        (Status.DEACTIVATED, seen(asked=True), ()),
        (Status.ACTIVE, None, (Move.DELETE,)),
        (Status.BANNED, None, (Move.DELETE,)),
        (Status.DELETED, None, ()),
        (None, None, ()),
    ],
)
def test_a_member_follows(status, after, moves):
    assert decide_moves(status, after) == moves


def test_an_identity_kratos_was_not_told_of_yet_is_not_let_back_in_by_another_change():
    """Suspended a moment ago, still enabled in Kratos, and an admin corrects a name."""
    assert decide_moves(Status.SUSPENDED, seen(enabled=True, asked=False)) == ()


@pytest.mark.parametrize("status", list(Status))
def test_enabling_is_refused_where_no_arrow_leads_back(status):
    refused = {Status.BANNED, Status.DEACTIVATED, Status.DELETED}

    assert isinstance(decide_enabling(status), Deny if status in refused else Allow)


@pytest.mark.parametrize(
    "path",
    ["/state", "/schema_id", "/traits", "/traits/email", "/metadata_public", "/metadata_public/a/b",
     "/metadata_admin", "/metadata_admin/status", "/metadata_public/a~1b"],
)  # fmt: skip
def test_paths_that_may_be_patched(path):
    assert may_be_patched(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "state", "/State", "/state/", "/state/x", "/traits/../credentials", "/credentials",
     "/credentials/password/config/hashed_password", "/id", "/created_at", "/metadata_public/role",
     "/metadata_public/status", "/metadata_public/status/x", "/metadata_publi\u0441",
     "/verifiable_addresses/0/verified", "//traits/email", "/TRAITS/email"],
)  # fmt: skip
def test_paths_that_may_not(path):
    allowed = {"/traits/../credentials"}  # a member of the traits called `..`, of no use
    assert may_be_patched(path) is (path in allowed)
