"""Folders outside the home are believed only when they are ours."""

from pathlib import Path

import pytest

from integration.launch.home import Home, home_at, make_home
from integration.launch.placement import OWNER_FILE, place, remove_outside

PROGRAMS = Path("/usr/bin")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = home_at(tmp_path / "home")
    make_home(made)
    return made


def test_a_folder_is_remembered(home: Home) -> None:
    try:
        assert place(home, PROGRAMS).sockets == place(home, PROGRAMS).sockets
    finally:
        remove_outside(home)


def test_a_folder_that_somebody_put_in_the_place_of_ours_is_not_used(home: Home) -> None:
    ours = place(home, PROGRAMS).sockets
    remove_outside(home)
    theirs = ours.with_name(f"{ours.name}-theirs")
    theirs.mkdir(mode=0o700)
    (theirs / OWNER_FILE).write_text(f"{home.root}\n")
    ours.symlink_to(theirs)
    try:
        assert place(home, PROGRAMS).sockets != ours
        remove_outside(home)
        assert theirs.is_dir()
    finally:
        ours.unlink()
        (theirs / OWNER_FILE).unlink()
        theirs.rmdir()
