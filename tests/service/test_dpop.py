"""Refresh tokens bound to a key of their client (RFC 9449)."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from sqlalchemy import func, select

from integration.db import member_sessions
from integration.db.token_tables import DpopProof
from integration.services import Services
from integration.tasks import sweeps
from integration.tokens import dpop, jwk
from integration.tokens.clients import Client
from integration.tokens.refresh_tokens import RefreshToken
from tests.token_stage import kratos_session, new_member, ring_of, tokens_of

URL = "http://127.0.0.1:4455/api/tokens/refresh"


@pytest.fixture(params=["ES256", "EdDSA"])
def key(request):
    if request.param == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return Ed25519PrivateKey.generate()


@dataclass
class Device:
    """A client with a refresh token that is bound to its key."""

    services: Services
    api: TestClient
    key: Any
    session_id: UUID
    token: str

    def prove(self, **changes):
        return proof(self.key, self.services.now, **changes)

    def refresh(self, token, proved=None, agent="Owner/1.0"):
        return refresh(self.api, token, proved, agent)

    def is_alive(self):
        with self.services.transaction() as session:
            return member_sessions.get(session, self.session_id).ended_at is None


@pytest.fixture
def device(services, api, key):
    url = "http://127.0.0.1:4455/api/tokens"
    claim = dpop.read(proof(key, services.now, htu=url), method="POST", url=url, now=services.now())
    seen = kratos_session(services, new_member(services))
    client = Client("192.0.2.1", "Owner/1.0", claim)
    made = tokens_of(services, ring_of(services), seen, client=client)
    return Device(services, api, key, seen.id, made.refresh_token)


def proof(key, clock, *, header=None, **changes):
    is_curve = isinstance(key, ec.EllipticCurvePrivateKey)
    claims = {
        "jti": uuid4().hex,
        "htm": "POST",
        "htu": URL,
        "iat": int(clock().timestamp()),
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    headers = {"typ": "dpop+jwt", "jwk": jwk.to_jwk(key.public_key()), **(header or {})}
    return jwt.encode(claims, key, algorithm="ES256" if is_curve else "EdDSA", headers=headers)


def refresh(api, token, proved=None, agent="Owner/1.0"):
    headers = {"User-Agent": agent} | ({} if proved is None else {"DPoP": proved})
    return api.post("/api/tokens/refresh", json={"refresh_token": token}, headers=headers)


def test_the_key_opens_and_another_program_with_it_is_the_same_client(api, clock, device):
    first = device.refresh(device.token, device.prove())
    assert first.status_code == 200
    lost = device.refresh(device.token, device.prove(), agent="After an update/2.0")
    assert lost.json()["refresh_token"] == first.json()["refresh_token"]


def test_without_its_key_a_stolen_token_is_worth_nothing_and_harms_nobody(
    services, api, clock, device
):
    thief = Ed25519PrivateKey.generate()
    for proved in (None, proof(thief, clock)):
        answer = device.refresh(device.token, proved)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:kleis:problem:dpop_proof_invalid"
    assert device.is_alive()
    assert device.refresh(device.token, device.prove()).status_code == 200


def test_a_proof_counts_once(services, api, clock, device):
    proved = device.prove()
    assert device.refresh(device.token, proved).status_code == 200
    assert device.refresh(device.token, proved).status_code == 401
    assert device.is_alive()


def test_reuse_by_the_holder_of_the_key_is_reuse(services, api, clock, device):
    first = device.refresh(device.token, device.prove()).json()["refresh_token"]
    assert device.refresh(first, device.prove()).status_code == 200
    answer = device.refresh(device.token, device.prove())
    assert answer.json()["type"] == "urn:kleis:problem:refresh_token_reused"
    assert not device.is_alive()


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htu": "https://evil.example/api/tokens/refresh"},
        {"htu": "http://127.0.0.1:4455/api/tokens"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 200},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1e300},
        {"iat": float("nan")},
        {"iat": float("-inf")},
        {"iat": 10**400},
        {"iat": True},
        {"htm": None},
        {"header": {"typ": "JWT"}},
        {"header": {"kid": "x"}},
        {"header": {"jwk": "x"}},
        {"header": {"jwk": {"kty": "oct", "k": "x"}}},
    ],
)
def test_a_proof_that_does_not_hold_is_refused(services, api, clock, device, changes):
    answer = device.refresh(device.token, device.prove(**changes))
    assert answer.status_code == 422
    assert device.is_alive()
    assert device.refresh(device.token, device.prove()).status_code == 200


@pytest.mark.parametrize("away", [61, -61, 600, -600])
def test_a_proof_of_another_minute_is_refused(api, clock, device, away):
    iat = int((clock() + timedelta(seconds=away)).timestamp())
    assert device.refresh(device.token, device.prove(iat=iat)).status_code == 422


def test_a_proof_with_a_private_or_symmetric_key_is_refused(api, clock, device):
    private = Ed25519PrivateKey.generate()
    shown = OKPAlgorithm.to_jwk(private, as_dict=True)
    assert (
        device.refresh(device.token, proof(private, clock, header={"jwk": shown})).status_code
        == 422
    )
    curve = ec.generate_private_key(ec.SECP384R1())
    other = ECAlgorithm.to_jwk(curve.public_key(), as_dict=True)
    big = rsa.generate_private_key(65537, 2048)
    for algorithm, signer in (("ES384", curve), ("RS256", big), ("HS256", "k" * 32)):
        claims = {"jti": "a", "htm": "POST", "htu": URL, "iat": int(clock().timestamp())}
        headers = {"typ": "dpop+jwt", "jwk": other}
        proved = jwt.encode(claims, signer, algorithm=algorithm, headers=headers)
        assert device.refresh(device.token, proved).status_code == 422


def test_two_proofs_are_none(api, clock, device):
    headers = [("User-Agent", "Owner/1.0"), ("DPoP", "x"), ("DPoP", device.prove())]
    answer = api.post("/api/tokens/refresh", json={"refresh_token": device.token}, headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("garbage", ["x", "a.b.c", "." * 5000, "e" * 4000 + ".."])
def test_garbage_is_refused_before_it_costs_anything(services, api, garbage):
    answer = refresh(api, "x", garbage)
    assert answer.status_code == 422
    assert json.loads(answer.text)["status"] == 422


def test_proofs_for_families_that_are_not_there_are_not_kept(services, api, clock, device):
    """What is kept is bounded by valid tokens, not by who sends proofs."""
    before = kept(services)
    for _ in range(20):
        token = RefreshToken(uuid4(), 0, b"x" * 32).text()
        assert device.refresh(token, device.prove()).status_code == 401
    assert kept(services) == before


def kept(services):
    with services.transaction() as session:
        return session.scalar(select(func.count()).select_from(DpopProof))


def test_used_proofs_are_forgotten_with_time(services, api, clock, device):
    device.refresh(device.token, device.prove())
    assert kept(services) == 2
    clock.advance(timedelta(days=2))
    sweeps.forget_the_past(services)
    assert kept(services) == 0
