"""The tables of signing keys, token families, proofs seen, and what befell an account."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from integration.db.tables import Table


class SigningKey(Table):
    """One key pair that signs access tokens.

    Attributes:
        kid: Thumbprint of the public key (RFC 7638).
        public_jwk: What the JWKS shows.
        sealed: The private key, encrypted (`integration.tokens.key_sealing`).
        active_from: The first moment at which it may sign; it is published before.
        retired_at: The first moment at which its successor signs; None: it has none.
        withdrawn_at: Since when it is not published nor believed any more, whatever it signed.
    """

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[str]
    public_jwk: Mapped[dict[str, Any]]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    active_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]


class TokenFamily(Table):
    """All refresh tokens that grew out of one; one row, however often it is rotated.

    Attributes:
        id: Travels inside each refresh token and nowhere else: who knows it has seen one.
        application: Whose tokens these are: `aud`.
        generation: Of the newest token, from 0.
        current_hash: SHA-256 of the newest token's secret.
        previous_hash: Of the one before; None before the first rotation.
        client_hash: Of the client that got the newest one (`refresh_tokens.client_hash`).
        jkt: Thumbprint of the key the family is bound to (RFC 9449), or None.
    """

    __tablename__ = "token_families"
    # No index on what a rotation changes, and room on each page: rotations then stay on it.
    __table_args__ = (
        Index("ix_token_families_session_id", "session_id"),
        Index("ix_token_families_created_at", "created_at"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    identity_id: Mapped[UUID]
    application: Mapped[str]
    generation: Mapped[int]
    current_hash: Mapped[bytes] = mapped_column(LargeBinary)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    client_hash: Mapped[bytes] = mapped_column(LargeBinary)
    jkt: Mapped[str | None]
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(server_default="")


class DpopProof(Table):
    """A proof of possession that was used: it counts once. Kept while it could be used again.

    Attributes:
        id: SHA-256 of the key's thumbprint and the proof's `jti`.
    """

    __tablename__ = "dpop_proofs"
    __table_args__ = (Index("ix_dpop_proofs_expires_at", "expires_at"),)

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    expires_at: Mapped[datetime]
