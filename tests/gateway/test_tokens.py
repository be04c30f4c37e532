from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.errors import WireError
from gateway.tokens import (
    ASKED_AGAIN_AFTER_S,
    KEYS_ASKED_EVERY_S,
    KEYS_FRESH_S,
    KEYS_KEPT_S,
    LEEWAY_S,
    KeySet,
    Verifier,
    fetch_from,
)
from local.issuer import Issuer
from streams.errors import Unavailable

ISSUER, AUDIENCE = "https://issuer.test/", "herald"


class Keys:
    """A key set that counts how often it is asked."""

    def __init__(self, *sets: dict[str, Any]) -> None:
        self.rows = [row for keys in sets for row in keys["keys"]]
        self.asked = 0
        self.now_s = 0.0
        self.is_away = False
        self.issuer: Issuer | None = None

    def fetch_from_issuer(self, issuer: Issuer) -> None:
        self.issuer = issuer

    async def fetch(self) -> dict[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("away")
        return self.issuer.jwks() if self.issuer else {"keys": self.rows}

    def verifier(self, role_claim: str = "role") -> Verifier:
        return Verifier(KeySet(self.fetch, lambda: self.now_s), ISSUER, AUDIENCE, role_claim)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path, ISSUER, AUDIENCE)


async def _refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(WireError) as refused:
        await verifier.verify(token)
    assert token not in str(refused.value) or not token
    return refused.value.code


async def test_a_speaker(issuer: Issuer) -> None:
    verifier = Keys(issuer.jwks()).verifier()
    somebody = await verifier.verify(issuer.sign("somebody", "speaker"))
    assert somebody == await verifier.verify(issuer.sign("somebody", "speaker", 60))
    assert somebody != await verifier.verify(issuer.sign("another", "speaker"))
    assert "somebody" not in somebody.owner_hash


async def test_a_listener_is_no_speaker(issuer: Issuer) -> None:
    assert await _refused(Keys(issuer.jwks()).verifier(), issuer.sign("x", "listener")) == "UNAUTHORIZED"


async def test_roles_may_be_a_list_under_another_claim() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    row = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k", "use": "sig", "alg": "RS256"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "s", "exp": time.time() + 60, "cognito:groups": ["a", "speaker"]}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k"})
    assert (await Keys({"keys": [row]}).verifier("cognito:groups").verify(token)).owner_hash


async def test_rubbish_is_no_token(issuer: Issuer) -> None:
    verifier = Keys(issuer.jwks()).verifier()
    good = issuer.sign("x", "speaker")
    header, payload, signature = good.split(".")
    changed = base64.urlsafe_b64encode(json.dumps({"sub": "boss"}).encode()).decode().rstrip("=")
    for token in ("", "x", "a.b.c", good[:-8], f"{header}.{changed}.{signature}", f"{header}.{payload}."):
        assert await _refused(verifier, token) == "UNAUTHENTICATED"


async def test_algorithm_none_and_symmetric_ones_are_refused(issuer: Issuer) -> None:
    keys = Keys(issuer.jwks())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    kid = {"kid": issuer.jwks()["keys"][0]["kid"]}
    public = str(issuer.jwks()["keys"][0]["x"]).encode()
    for token in (
        jwt.encode(claims, None, algorithm="none", headers=kid),
        jwt.encode(claims, public, algorithm="HS256", headers=kid),
    ):
        assert await _refused(keys.verifier(), token) == "UNAUTHENTICATED"
    assert keys.asked == 0


def _signed_by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """As HS256 has it: PyJWT itself signs nothing with a public key."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """Algorithm confusion: the token says HS256, and is signed with what everybody can read."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    row = RSAAlgorithm.to_jwk(key, as_dict=True) | {"kid": "k", "use": "sig", "alg": "RS256"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    secrets = [
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(row).encode(),
    ]
    for secret in secrets:
        for algorithm in ("HS256", "RS256", "ES256"):
            token = _signed_by_hand({"alg": algorithm, "kid": "k"}, claims, secret)
            assert await _refused(Keys({"keys": [row]}).verifier(), token) == "UNAUTHENTICATED"


async def test_a_symmetric_key_in_the_set_is_not_used() -> None:
    secret = b"0" * 32
    row = {"kty": "oct", "kid": "k", "alg": "HS256", "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    token = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "k"})
    assert await _refused(Keys({"keys": [row]}).verifier(), token) == "UNAUTHENTICATED"


@pytest.mark.parametrize("kid", [None, 7, "", "another", "k\n", ["k"]])
async def test_without_the_id_of_a_key_there_is_none(kid: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    row = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k", "alg": "ES256"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    good = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k"})
    header = {"alg": "ES256"} if kid is None else {"alg": "ES256", "kid": kid}
    first = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    token = ".".join([first, *good.split(".")[1:]])
    assert await _refused(Keys({"keys": [row]}).verifier(), token) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("claim", "off_s", "passes"),
    [
        ("exp", -(LEEWAY_S - 2), True),
        ("exp", -(LEEWAY_S + 2), False),
        ("nbf", LEEWAY_S - 2, True),
        ("nbf", LEEWAY_S + 2, False),
        ("iat", LEEWAY_S - 2, True),
        ("iat", LEEWAY_S + 2, False),
    ],
)
async def test_clocks_may_be_a_few_seconds_apart(claim: str, off_s: int, passes: bool) -> None:
    """Expiry, not-before and time of issue, on either side of what clocks may differ by."""
    key = ec.generate_private_key(ec.SECP256R1())
    row = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k", "alg": "ES256"}
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": int(time.time()) + 60}
    token = jwt.encode(good | {claim: int(time.time()) + off_s}, key, algorithm="ES256", headers={"kid": "k"})
    verifier = Keys({"keys": [row]}).verifier()
    if passes:
        assert (await verifier.verify(token)).owner_hash
    else:
        assert await _refused(verifier, token) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": time.time() - 60},
        {"exp": "soon"},
        {"nbf": time.time() + 3600},
        {"iss": None},
        {"aud": None},
        {"aud": []},
        {"sub": 7},
        {"iss": "https://other.test/"},
        {"aud": "other"},
        {"sub": None},
        {"exp": None},
    ],
)
async def test_every_claim_counts(claims: dict[str, Any]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    row = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k", "alg": "ES256"}
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    wrong = {name: value for name, value in (good | claims).items() if value is not None}
    token = jwt.encode(wrong, key, algorithm="ES256", headers={"kid": "k"})
    assert await _refused(Keys({"keys": [row]}).verifier(), token) == "UNAUTHENTICATED"


async def test_a_forged_token_with_a_known_key_id(issuer: Issuer) -> None:
    forged = ec.generate_private_key(ec.SECP256R1())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    kid = issuer.jwks()["keys"][0]["kid"]
    token = jwt.encode(claims, forged, algorithm="ES256", headers={"kid": kid})
    assert await _refused(Keys(issuer.jwks()).verifier(), token) == "UNAUTHENTICATED"


async def test_keys_are_kept_and_unknown_ones_asked_for_now_and_then(issuer: Issuer, tmp_path: Path) -> None:
    keys = Keys(issuer.jwks())
    verifier = keys.verifier()
    for _ in range(3):
        await verifier.verify(issuer.sign("x", "speaker"))
    assert keys.asked == 1
    newer = Issuer(tmp_path / "newer", ISSUER, AUDIENCE)
    for _ in range(3):
        assert await _refused(verifier, newer.sign("x", "speaker")) == "UNAUTHENTICATED"
    assert keys.asked == 1
    keys.rows += newer.jwks()["keys"]
    keys.now_s += KEYS_ASKED_EVERY_S + 1
    await verifier.verify(newer.sign("x", "speaker"))
    assert keys.asked == 2
    keys.rows.pop()
    keys.now_s += KEYS_FRESH_S + 1
    assert await _refused(verifier, newer.sign("x", "speaker")) == "UNAUTHENTICATED"


async def test_a_rotated_key_and_then_a_withdrawn_one(issuer: Issuer) -> None:
    keys = Keys()
    keys.fetch_from_issuer(issuer)
    verifier = keys.verifier()
    first = issuer.sign("x", "speaker")
    await verifier.verify(first)
    keys.now_s += KEYS_ASKED_EVERY_S + 1
    issuer.rotate()
    await verifier.verify(issuer.sign("x", "speaker"))
    await verifier.verify(first)
    issuer.rotate()
    await verifier.verify(first)  # withdrawn, but not known to be yet
    keys.now_s += KEYS_FRESH_S + 1
    assert await _refused(verifier, first) == "UNAUTHENTICATED"


async def test_an_issuer_that_is_away(issuer: Issuer) -> None:
    """Known keys are good for half an hour; others are not called wrong; a withdrawn one ends within the hour."""
    keys = Keys(issuer.jwks())
    verifier, token = keys.verifier(), issuer.sign("x", "speaker")
    keys.is_away = True
    with pytest.raises(Unavailable):
        await verifier.verify(token)
    keys.is_away = False
    keys.now_s += ASKED_AGAIN_AFTER_S
    await verifier.verify(token)
    keys.is_away = True
    keys.now_s += KEYS_FRESH_S + 1
    asked = keys.asked
    for _ in range(5):
        await verifier.verify(token)
    assert keys.asked == asked + 1
    keys.now_s += KEYS_KEPT_S - KEYS_FRESH_S
    with pytest.raises(Unavailable):
        await verifier.verify(token)


async def test_many_at_once_ask_once(issuer: Issuer) -> None:
    keys = Keys(issuer.jwks())
    verifier = keys.verifier()
    await asyncio.gather(*(verifier.verify(issuer.sign("x", "speaker")) for _ in range(20)))
    assert keys.asked == 1


async def test_unusable_keys_of_a_set_are_passed_over(issuer: Issuer) -> None:
    rows: list[Any] = [{"kid": "x", "kty": "what"}, {"kty": "EC"}, {"kid": "e", "use": "enc"}, None, 7, "key", []]
    rows += [{"kid": "b", "kty": "EC", "crv": "P-256", "x": "!", "y": "!"}, {"kid": "r", "kty": "RSA", "n": 1, "e": []}]
    assert (await Keys({"keys": rows}, issuer.jwks()).verifier().verify(issuer.sign("x", "speaker"))).owner_hash


@pytest.mark.parametrize("junk", [[], {"keys": None}, {"keys": {"kid": "k"}}, {}, None, "keys"])
async def test_what_is_no_set_of_keys_has_none(junk: Any, issuer: Issuer) -> None:
    async def fetch() -> Any:
        return junk

    verifier = Verifier(KeySet(fetch, lambda: 0.0), ISSUER, AUDIENCE, "role")
    assert await _refused(verifier, issuer.sign("x", "speaker")) == "UNAUTHENTICATED"


async def test_keys_come_over_http(issuer: Issuer) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.json_response(issuer.jwks()) if request.path == "/keys" else web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{path}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        assert await fetch_from(f"{url}/keys")() == issuer.jwks()
        with pytest.raises(Unavailable):
            await fetch_from(f"{url}/other")()
    finally:
        await runner.cleanup()
    with pytest.raises(Unavailable):
        await fetch_from(f"{url}/keys")()
