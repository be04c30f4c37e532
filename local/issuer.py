"""The issuer of tokens on this machine: what Cognito is on AWS. Signs with a key of its own, and publishes its half.

python -m local.issuer --role speaker --issuer URL --audience herald --keys DIR
python -m local.issuer --rotate --issuer URL --keys DIR    a new key; the one before it stays published
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

KEY_FILE: Final = "issuer.pem"
FORMER_KEY_FILE: Final = "issuer-former.pem"
"""Tokens that it has signed are good until it is withdrawn, by the next rotation."""
ALGORITHM: Final = "ES256"
DEFAULT_TTL_S: Final = 12 * 3600
_KEY_ID_CHARS: Final = 16


class Issuer:
    """Signs tokens for `audience` in the name of `issuer` (a URL). The key is made once, in `directory`, mode 0600.

    Another process may rotate it: each call goes by the files.
    """

    def __init__(self, directory: Path, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._directory = directory
        _load_or_make(directory / KEY_FILE)

    def sign(self, subject: str, role: str, ttl_s: float = DEFAULT_TTL_S, *, now_s: float | None = None) -> str:
        """A token that makes `subject` a `role` for `ttl_s` seconds."""
        issued_s = time.time() if now_s is None else now_s
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "role": role,
            "iat": int(issued_s),
            "exp": int(issued_s + ttl_s),
        }
        key = _load_or_make(self._directory / KEY_FILE)
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": _public(key)["kid"]})

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish."""
        former = self._directory / FORMER_KEY_FILE
        keys = [_load_or_make(self._directory / KEY_FILE), *([_load(former)] if former.exists() else [])]
        return {"keys": [_public(key) for key in keys]}

    def rotate(self) -> None:
        """Sign with a new key from now on; the present one stays published, an earlier one is withdrawn."""
        (self._directory / KEY_FILE).replace(self._directory / FORMER_KEY_FILE)
        _load_or_make(self._directory / KEY_FILE)


def _public(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    public: dict[str, Any] = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": str(public["x"])[:_KEY_ID_CHARS], "use": "sig", "alg": ALGORITHM}


def _load_or_make(path: Path) -> ec.EllipticCurvePrivateKey:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        try:
            os.link(beside, path)  # fails if another process was first, whose key then counts
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return _load(path)


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no key of an elliptic curve")
    return key


def main() -> int:
    """Print a token."""
    parser = argparse.ArgumentParser(prog="python -m local.issuer", description="Sign a token for the local stack.")
    parser.add_argument("--keys", type=Path, required=True, help="the directory with the issuer's key")
    parser.add_argument("--issuer", default=os.environ.get("TOKEN_ISSUER"), required="TOKEN_ISSUER" not in os.environ)
    parser.add_argument("--audience", default=os.environ.get("TOKEN_AUDIENCE", "herald"))
    parser.add_argument("--subject", default="local-speaker")
    parser.add_argument("--role", default="speaker", choices=["speaker", "listener"])
    parser.add_argument("--ttl-s", type=float, default=DEFAULT_TTL_S)
    parser.add_argument("--jwks", action="store_true", help="print the key set instead")
    parser.add_argument("--rotate", action="store_true", help="make a new key, and print the key set")
    args = parser.parse_args()
    issuer = Issuer(args.keys, args.issuer, args.audience)
    if args.rotate:
        issuer.rotate()
    text = json.dumps(issuer.jwks()) if args.jwks or args.rotate else issuer.sign(args.subject, args.role, args.ttl_s)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
