from __future__ import annotations

import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from local import certificates


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_shakes_hands(tmp_path: Path, name: str) -> None:
    made = certificates.ensure(tmp_path / "made")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    assert handshake(server, ssl.create_default_context(cafile=str(made.authority)), name) == "TLSv1.3"


def test_a_client_that_does_not_know_the_authority_refuses(tmp_path: Path) -> None:
    made, other = certificates.ensure(tmp_path / "made"), certificates.ensure(tmp_path / "other")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cafile=str(other.authority)), "localhost")


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(certificates.ensure(tmp_path).key.stat().st_mode) == 0o600


def test_what_is_there_and_valid_is_kept_and_what_soon_expires_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> bytes:
        return certificates.ensure(tmp_path).certificate.read_bytes()

    first = read()
    assert read() == first
    monkeypatch.setattr(certificates, "RENEW_BEFORE", certificates.VALID_FOR + timedelta(days=1))
    renewed = read()
    assert renewed != first
    monkeypatch.undo()
    (tmp_path / "ca.pem").unlink()
    assert read() != renewed


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """A TLS handshake in memory, no socket: the version agreed on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    sides, done = [asking, accepting], 0
    while done < 2:
        done = 0
        for side in sides:
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
    return asking.version()
