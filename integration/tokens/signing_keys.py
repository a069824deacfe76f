"""The life of a signing key: published, then used, then published until its last token expires.

Times of one rotation, with `KLEIS_JWKS_MAX_AGE` of 5 minutes and tokens of 15:

    0:00  made and published; the old key signs on
    5:30  every verifier has it: it signs from now on, the old one no more
    21:30 the old one's last token has expired: it is published no longer
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from integration.db import signing_keys
from integration.db.token_tables import SigningKey
from integration.settings import Settings
from integration.tokens import jwk, key_sealing

# Processes read the table every few seconds, and their clocks differ a little.
_MARGIN = timedelta(seconds=30)


def overlap(settings: Settings) -> timedelta:
    """Return how long a retired key's tokens may be in use."""
    return settings.access_token_lifetime + 2 * _MARGIN


def rotate(session: Session, settings: Settings, *, now: datetime) -> SigningKey:
    """Make and publish a key that signs as soon as every verifier can know it.

    Returns:
        The one that is waiting already, where there is one; the first of all signs at once.
    """
    signing_keys.lock(session)
    keys = signing_keys.published(session, now=now, overlap=overlap(settings))
    waiting = next((key for key in keys if key.active_from > now), None)
    if waiting is not None:
        return waiting
    wait = settings.jwks_max_age + _MARGIN if keys else timedelta(0)
    return _succeed(session, settings, now=now, active_from=now + wait)


def replace_compromised(session: Session, settings: Settings, *, now: datetime) -> SigningKey:
    """Withdraw every key at once and make one that signs at once.

    Our own API refuses the withdrawn keys' tokens within seconds, others when what they keep of
    the JWKS is too old.
    """
    signing_keys.lock(session)
    for key in signing_keys.published(session, now=now, overlap=overlap(settings)):
        key.withdrawn_at = now
    session.flush()
    return _succeed(session, settings, now=now, active_from=now)


def ensure(session: Session, settings: Settings, *, now: datetime) -> None:
    """See to it that there is a key that signs, of the algorithm that is set.

    A key that cannot be opened, because `KLEIS_SECRET` is another now, stays published for the
    tokens it signed and is succeeded at once.
    """
    signing_keys.lock(session)
    keys = signing_keys.published(session, now=now, overlap=overlap(settings))
    unretired = [key for key in keys if key.retired_at is None or key.retired_at > now]
    usable = [key for key in unretired if _opens(key, settings)]
    if not any(key.active_from <= now for key in usable):
        # Others stay as they are: processes with another secret may be using them.
        _add(session, settings, now=now, active_from=now)
    elif usable[0].algorithm != settings.token_algorithm and usable[0].active_from <= now:
        active_from = now + settings.jwks_max_age + _MARGIN
        _succeed(session, settings, now=now, active_from=active_from)


def _succeed(
    session: Session, settings: Settings, *, now: datetime, active_from: datetime
) -> SigningKey:
    """Add a key; those that sign until then retire when it begins."""
    for key in signing_keys.published(session, now=now, overlap=overlap(settings)):
        if key.retired_at is None or key.retired_at > active_from:
            key.retired_at = active_from
    return _add(session, settings, now=now, active_from=active_from)


def _add(
    session: Session, settings: Settings, *, now: datetime, active_from: datetime
) -> SigningKey:
    private = key_sealing.generate(settings.token_algorithm)
    shown = jwk.to_jwk(private.public_key())
    kid = jwk.thumbprint(shown)
    new = SigningKey(
        kid=kid,
        algorithm=settings.token_algorithm,
        public_jwk=shown | {"kid": kid, "alg": settings.token_algorithm, "use": "sig"},
        sealed=key_sealing.seal(private, kid, secret=settings.secret.get_secret_value()),
        created_at=now,
        active_from=active_from,
        retired_at=None,
        withdrawn_at=None,
    )
    session.add(new)
    session.flush()
    return new


def _opens(key: SigningKey, settings: Settings) -> bool:
    secret = settings.secret.get_secret_value()
    return key_sealing.unseal(key.sealed, key.kid, secret=secret) is not None
