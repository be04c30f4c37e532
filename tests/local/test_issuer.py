from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.issuer import KEY_FILE, Issuer


def test_a_token_can_be_checked_with_what_is_published(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, "https://i/", "herald")
    [row] = issuer.jwks()["keys"]
    token = issuer.sign("somebody", "speaker", 60)
    assert jwt.get_unverified_header(token)["kid"] == row["kid"]
    claims = jwt.decode(token, jwt.PyJWK(row).key, algorithms=["ES256"], audience="herald", issuer="https://i/")
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("somebody", "speaker", 60)
    assert "d" not in row


def test_the_key_is_made_once_and_its_owner_s_alone(tmp_path: Path) -> None:
    first = Issuer(tmp_path / "keys", "https://i/", "herald")
    assert Issuer(tmp_path / "keys", "https://i/", "herald").jwks() == first.jwks()
    assert (tmp_path / "keys" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "keys") == [KEY_FILE]


def test_a_rotated_key_stays_published_until_the_next_rotation(tmp_path: Path) -> None:
    serving, signing = Issuer(tmp_path, "https://i/", "herald"), Issuer(tmp_path, "https://i/", "herald")
    names = [jwt.get_unverified_header(signing.sign("x", "speaker"))["kid"]]
    for _ in range(2):
        signing.rotate()
        names.append(jwt.get_unverified_header(signing.sign("x", "speaker"))["kid"])
        assert [row["kid"] for row in serving.jwks()["keys"]] == [names[-1], names[-2]]
    assert len(set(names)) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / KEY_FILE).write_bytes(pem)
    with pytest.raises(TypeError, match=KEY_FILE):
        Issuer(tmp_path, "https://i/", "herald")


def test_as_a_program(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "local.issuer", "--keys", str(tmp_path), "--issuer", "https://i/"]
    token = subprocess.run([*argv, "--role", "listener"], check=True, capture_output=True, text=True).stdout.strip()
    keys = json.loads(subprocess.run([*argv, "--jwks"], check=True, capture_output=True, text=True).stdout)
    assert keys == Issuer(tmp_path, "https://i/", "herald").jwks()
    assert jwt.decode(token, options={"verify_signature": False})["role"] == "listener"
    subprocess.run([*argv, "--rotate"], check=True, capture_output=True)
    rotated = Issuer(tmp_path, "https://i/", "herald").jwks()["keys"]
    assert rotated[1:] == keys["keys"]
