"""Speakers prove who they are by a signed token (row X1): OpenID Connect, keys published as a JSON Web Key Set.

Checked: signature, algorithm (an allow-list), issuer, audience, expiry, subject, role. A token is never logged, and no
error repeats any of it.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import aiohttp
import jwt

from gateway.errors import ErrorCode, WireError
from streams.errors import Unavailable

ALGORITHMS: Final = ("RS256", "ES256")
"""Asymmetric only: with a symmetric one, whoever can check could sign. Cognito signs with RS256."""
LEEWAY_S: Final = 5
"""How far clocks may be apart."""
KEYS_FRESH_S: Final = 1800.0
"""Keys are asked for again after so long."""
KEYS_KEPT_S: Final = 3600.0
"""While they can't be had, those that are known are used up to this age: an issuer may be away for half an hour, and a
withdrawn key stops working within the hour all the same."""
KEYS_ASKED_EVERY_S: Final = 10.0
"""A token with an unknown key has the keys asked for again, but no more often than this, however many come."""
ASKED_AGAIN_AFTER_S: Final = 1.0
"""After a failure: nobody waits for an issuer that has just not answered somebody else."""
FETCH_TIME_LIMIT_S: Final = 5.0
SPEAKER: Final = "speaker"

Fetch = Callable[[], Awaitable[dict[str, Any]]]


class Identity(NamedTuple):
    """Who a token speaks for. owner_hash: SHA-256 of issuer and subject; the subject itself is not kept (row X2)."""

    owner_hash: str


def fetch_from(url: str) -> Fetch:
    """How to ask a key set from its URL. Raises Unavailable."""

    async def fetch() -> dict[str, Any]:
        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_TIME_LIMIT_S)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                answer.raise_for_status()
                keys: dict[str, Any] = await answer.json()
                return keys
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable("the issuer's keys could not be had") from error

    return fetch


class KeySet:
    """The issuer's public keys, kept between invocations."""

    def __init__(self, fetch: Fetch, monotonic_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic_s = monotonic_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._had_at_s = self._ask_from_s = float("-inf")
        self._is_away = False
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when the issuer has no such key. Raises Unavailable when it can't be asked."""
        if self._is_due(key_id):
            async with self._lock:
                if self._is_due(key_id):
                    await self._refresh()
        found = self._known(key_id)
        if found is None and self._is_away:
            raise Unavailable("the issuer's keys could not be had")
        return found

    def _is_due(self, key_id: str) -> bool:
        is_fresh = self._monotonic_s() - self._had_at_s <= KEYS_FRESH_S
        return (not is_fresh or key_id not in self._keys) and self._monotonic_s() >= self._ask_from_s

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        return self._keys.get(key_id) if self._monotonic_s() - self._had_at_s <= KEYS_KEPT_S else None

    async def _refresh(self) -> None:
        try:
            self._keys = _usable(await self._fetch())
        except Unavailable:
            self._is_away = True
            self._ask_from_s = self._monotonic_s() + ASKED_AGAIN_AFTER_S
        else:
            self._is_away = False
            self._had_at_s = self._monotonic_s()
            self._ask_from_s = self._had_at_s + KEYS_ASKED_EVERY_S


def _usable(found: Any) -> dict[str, jwt.PyJWK]:
    """found: whatever the issuer answered."""
    keys: dict[str, jwt.PyJWK] = {}
    rows = found.get("keys") if isinstance(found, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or "kid" not in row or row.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(row)
        except (jwt.PyJWKError, jwt.InvalidKeyError):
            continue  # a kind of key that we do not know is no error of a set that has others
        if key.algorithm_name in ALGORITHMS:
            keys[str(row["kid"])] = key
    return keys


class Verifier:
    """Checks tokens of one issuer for one audience. role_claim: the claim that must be, or hold, "speaker"."""

    def __init__(self, keys: KeySet, issuer: str, audience: str, role_claim: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim

    async def verify(self, token: str) -> Identity:
        """Whose token it is.

        Raises WireError: UNAUTHENTICATED for a token that proves nothing, UNAUTHORIZED for one that does not make its
        bearer a speaker. Raises Unavailable when the issuer's keys can't be had.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise _unauthenticated() from error
        if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
            raise _unauthenticated()
        key = await self._keys.key(header["kid"])
        if key is None or key.algorithm_name != header["alg"]:
            raise _unauthenticated()
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise _unauthenticated() from error
        roles = claims.get(self._role_claim, [])
        if SPEAKER not in (roles if isinstance(roles, list) else [roles]):
            raise WireError(ErrorCode.UNAUTHORIZED, "This token does not make its bearer a speaker.")
        owner = f"{claims['iss']}\n{claims['sub']}"
        return Identity(hashlib.sha256(owner.encode()).hexdigest())


def _unauthenticated() -> WireError:
    return WireError(ErrorCode.UNAUTHENTICATED, "A valid token is needed.")
