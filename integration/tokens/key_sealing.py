"""Private keys as they are stored: encrypted, so that a copy of the database signs nothing.

AES-256-GCM with a key of `KLEIS_SECRET`, a random nonce in front, the key's name as associated
data: a row's content cannot be put into another row.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from integration.keys import derive
from integration.tokens.jwk import PrivateKey

_PURPOSE = "signing keys at rest"
_NONCE_BYTES = 12


def generate(algorithm: str) -> PrivateKey:
    """Return a new key for `EdDSA` or `ES256`."""
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def seal(key: PrivateKey, kid: str, *, secret: str) -> bytes:
    """Return what may be stored."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(derive(secret, _PURPOSE)).encrypt(nonce, plain, kid.encode())


def unseal(sealed: bytes, kid: str, *, secret: str) -> PrivateKey | None:
    """Return the key, or None when it was sealed with another secret or is not intact."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        plain = AESGCM(derive(secret, _PURPOSE)).decrypt(nonce, rest, kid.encode())
    except (InvalidTag, ValueError):
        return None
    key = load_der_private_key(plain, password=None)
    if isinstance(key, (Ed25519PrivateKey, ec.EllipticCurvePrivateKey)):
        return key
    return None
