"""Passwords and keys of one embedded stack: generated at first start, kept in its home."""

import secrets
import string
from dataclasses import asdict, dataclass, fields

from integration.errors import StackError
from integration.launch.files import read_json, write_json
from integration.launch.home import Home

DEMO_ROLES = ("admin", "moderator", "creator", "user")
_LETTERS = string.ascii_letters + string.digits


def _random(length: int) -> str:
    """Return letters and digits only: nothing to escape in a URL, in YAML or in SQL."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret of the stack; never printed but for the demo passwords.

    Attributes:
        cipher_secret: Exactly 32 characters, as Kratos wants it.
        admin_api_key: The whole token; empty until the stack was ready once.
    """

    postgres_password: str
    kleis_password: str
    kratos_password: str
    keto_password: str
    hook_secret: str
    kleis_secret: str
    cookie_secret: str
    cipher_secret: str
    default_secret: str
    demo_passwords: dict[str, str]
    admin_api_key: str = ""


def new_credentials() -> Credentials:
    return Credentials(
        postgres_password=_random(32),
        kleis_password=_random(32),
        kratos_password=_random(32),
        keto_password=_random(32),
        hook_secret=_random(43),
        kleis_secret=_random(43),
        cookie_secret=_random(43),
        cipher_secret=_random(32),
        default_secret=_random(43),
        demo_passwords={role: _random(16) for role in DEMO_ROLES},
    )


def credentials_of(home: Home) -> Credentials:
    """Return the secrets kept in `home`, made and stored at first use.

    Raises:
        StackError: the file is there and lacks some.
    """
    if not home.credentials.exists():
        made = new_credentials()
        store(home, made)
        return made
    kept = read_json(home.credentials)
    try:
        return Credentials(**{name.name: kept[name.name] for name in fields(Credentials)})
    except KeyError:
        raise StackError(
            f"{home.credentials} is damaged; delete {home.root} for a fresh start, "
            "or set KLEIS_HOME to another folder"
        ) from None


def store(home: Home, credentials: Credentials) -> None:
    write_json(home.credentials, asdict(credentials))
