"""A certificate authority of this machine's own, for the one service whose client insists on TLS.

The client trusts it by the environment variable ``SSL_CERT_FILE``; no trust store of the machine is touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=90)
RENEW_BEFORE = timedelta(days=7)
_BACKDATED = timedelta(days=1)  # so that a clock that is a little behind still trusts it


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the PEM files are: the authority that clients trust, the server's certificate and its private key."""

    authority: Path
    certificate: Path
    key: Path


def ensure(directory: Path) -> Certificates:
    """The certificates in ``directory``; made there if any is missing or soon expires. For localhost and 127.0.0.1.

    The authority's private key is never written: each pair has an authority of its own.
    """
    paths = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not _usable(paths):
        directory.mkdir(parents=True, exist_ok=True)
        _make(paths)
    return paths


def _usable(paths: Certificates) -> bool:
    if not all(path.exists() for path in (paths.authority, paths.certificate, paths.key)):
        return False
    certificate = x509.load_pem_x509_certificate(paths.certificate.read_bytes())
    return certificate.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE


def _make(paths: Certificates) -> None:
    now = datetime.now(UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Herald local authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        _builder(_name("localhost"), authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(paths.key, private, 0o600)
    _write(paths.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(paths.authority, authority.public_bytes(serialization.Encoding.PEM), 0o644)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + VALID_FOR)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write by renaming, so that nobody reads half a file, and never with wider rights than ``mode``."""
    beside = path.with_suffix(path.suffix + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    beside.replace(path)
