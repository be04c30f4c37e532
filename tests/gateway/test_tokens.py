from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from gateway.errors import WireError
from gateway.tokens import KEYS_ASKED_EVERY_S, KEYS_KEPT_S, KeySet, Verifier, fetch_from
from local.issuer import Issuer
from streams.errors import Unavailable

ISSUER, AUDIENCE = "https://issuer.test/", "herald"


class Keys:
    """A key set that counts how often it is asked."""

    def __init__(self, *sets: dict[str, Any]) -> None:
        self.rows = [row for keys in sets for row in keys["keys"]]
        self.asked = 0
        self.now_s = 0.0

    async def fetch(self) -> dict[str, Any]:
        self.asked += 1
        return {"keys": self.rows}

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


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": time.time() - 60},
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


async def test_a_forged_token_with_a_known_key_id(issuer: Issuer, tmp_path: Path) -> None:
    forger = Issuer(tmp_path / "forger", ISSUER, AUDIENCE)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "role": "speaker", "exp": time.time() + 60}
    kid = issuer.jwks()["keys"][0]["kid"]
    token = jwt.encode(claims, forger._key, algorithm="ES256", headers={"kid": kid})
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
    keys.now_s += KEYS_KEPT_S + 1
    assert await _refused(verifier, newer.sign("x", "speaker")) == "UNAUTHENTICATED"


async def test_unusable_keys_of_a_set_are_passed_over(issuer: Issuer) -> None:
    rows = [{"kid": "x", "kty": "what"}, {"kty": "EC"}, {"kid": "e", "use": "enc"}]
    assert (await Keys({"keys": rows}, issuer.jwks()).verifier().verify(issuer.sign("x", "speaker"))).owner_hash


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
