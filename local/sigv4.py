"""AWS Signature Version 4, from the side of the service: is this request signed by someone whose secret we know?

Written from AWS' specification ("Create a signed AWS API request" and, for the chunks of an event stream,
"Signing event streams" in Amazon Transcribe's guide), not from a client, so that a twin checks what a client does
instead of repeating it. Pure: the time is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
CHUNK_ALGORITHM = "AWS4-HMAC-SHA256-PAYLOAD"
MAX_SKEW = timedelta(minutes=5)
"""How far a signature's time may be from ours: five minutes, in AWS' guide to troubleshooting signatures."""

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_SPACES = re.compile(r" +")
_UNRESERVED = "-_.~"


class SignatureError(Exception):
    """The request is not proven to come from a known caller.

    ``code`` is AWS' error code, ``status`` the HTTP status that REST services answer it with. Services that speak
    JSON 1.0 or 1.1 (Kinesis, DynamoDB, Translate) answer the same codes with 400; that is for their twins to map.
    """

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Verified:
    """Who signed, for what, and the signature in lower-case hex (it seeds the chunk signatures of an event stream)."""

    access_key_id: str
    region: str
    service: str
    signature: str


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Mapping[str, str],
    now: datetime,
    *,
    service: str | None = None,
) -> Verified:
    """Check a request's ``Authorization`` header.

    ``path`` and ``query`` are as they came over the wire, still percent-encoded, the query without its ``?``.
    ``headers`` may be in any case; over HTTP/2 the caller puts ``:authority`` there as ``host``. ``secrets`` maps
    access key ids to secret keys. ``now`` is aware. With ``service`` given, a signature for another one is refused.

    Raises ``SignatureError``, with the codes that AWS answers: ``MissingAuthenticationTokenException``,
    ``IncompleteSignatureException``, ``UnrecognizedClientException``, ``InvalidSignatureException``.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    fields = _authorization(lowered.get("authorization"))
    access_key_id, date, region, signed_service = _scope(fields["Credential"])
    if access_key_id not in secrets:
        raise SignatureError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if service is not None and signed_service != service:
        raise SignatureError(
            "InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'."
        )
    signed_at = _signing_time(lowered, date, now)

    signed = fields["SignedHeaders"].split(";")
    if "host" not in signed or not {"x-amz-date", "date"} & set(signed):
        raise SignatureError("InvalidSignatureException", "'Host' and the date must be 'SignedHeaders'.")
    missing = [name for name in signed if name not in lowered]
    if missing:
        raise SignatureError("InvalidSignatureException", f"Signed headers are missing: {', '.join(missing)}.")

    canonical = "\n".join(
        (
            method,
            _canonical_path(path or "/"),
            _canonical_query(query),
            *[f"{name}:{_one_spaced(lowered[name])}" for name in signed],
            "",
            fields["SignedHeaders"],
            _payload_hash(lowered, body),
        )
    )
    scope = f"{date}/{region}/{signed_service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{signed_at}\n{scope}\n{digest}"
    key = signing_key(secrets[access_key_id], date, region, signed_service)
    expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), fields["Signature"].encode()):
        raise SignatureError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return Verified(access_key_id, region, signed_service, expected)


def chunk_signature(
    secret: str, region: str, service: str, date_ms: int, prior: bytes, headers: bytes, payload: bytes
) -> bytes:
    """The 32 bytes that sign one chunk of an event stream.

    ``date_ms`` is the chunk's ``:date`` in Unix milliseconds, ``prior`` the signature before it (the request's own,
    decoded from hex, for the first chunk), ``headers`` the encoded ``:date`` header alone, ``payload`` the wrapped
    message.
    """
    at = datetime.fromtimestamp(date_ms // 1000, UTC)
    date = at.strftime("%Y%m%d")
    to_sign = "\n".join(
        (
            CHUNK_ALGORITHM,
            at.strftime(_DATE_FORMAT),
            f"{date}/{region}/{service}/aws4_request",
            prior.hex(),
            hashlib.sha256(headers).hexdigest(),
            hashlib.sha256(payload).hexdigest(),
        )
    )
    return hmac.new(signing_key(secret, date, region, service), to_sign.encode(), hashlib.sha256).digest()


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key derived from a secret for one day (``YYYYMMDD``), region and service; cached, as it costs four HMACs."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _authorization(header: str | None) -> dict[str, str]:
    if not header:
        raise SignatureError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureError("IncompleteSignatureException", f"Unsupported AWS 'algorithm': '{algorithm}'.", 400)
    fields = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise SignatureError(
                "IncompleteSignatureException", f"Authorization header requires '{name}' parameter.", 400
            )
    return fields


def _scope(credential: str) -> tuple[str, str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise SignatureError(
            "IncompleteSignatureException", "Credential must have 5 parts: key/date/region/service/aws4_request.", 400
        )
    return parts[0], parts[1], parts[2], parts[3]


def _signing_time(headers: Mapping[str, str], scope_date: str, now: datetime) -> str:
    """The request's time as it was signed, once it is known to be near ``now`` and on the day of its scope."""
    text = headers.get("x-amz-date") or headers.get("date") or ""
    try:
        at = _parsed(text)
    except ValueError:
        raise SignatureError("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.", 400) from None
    if not text.startswith(scope_date):
        raise SignatureError("InvalidSignatureException", "Date in Credential scope does not match the request's date.")
    if abs(now - at) > MAX_SKEW:
        side = "expired" if at < now else "not yet current"
        raise SignatureError("InvalidSignatureException", f"Signature {side}: {text}, it is {now:{_DATE_FORMAT}}.")
    return text


@lru_cache(maxsize=64)
def _parsed(text: str) -> datetime:
    """A signing time; cached, as all requests of a second have the same and parsing costs half of a verification."""
    return datetime.strptime(text, _DATE_FORMAT).replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _canonical_path(path: str) -> str:
    """Encoded once more; cached, as the connections that are posted to are the same for hours."""
    return quote(path, safe="/" + _UNRESERVED)


def _one_spaced(value: str) -> str:
    value = value.strip()
    return _SPACES.sub(" ", value) if "  " in value else value


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((quote(unquote(name), safe=_UNRESERVED), quote(unquote(value), safe=_UNRESERVED)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _payload_hash(headers: Mapping[str, str], body: bytes) -> str:
    """What the client signed as the body's hash: its own claim where it is one that need not be the body's hash."""
    claimed = headers.get("x-amz-content-sha256", "")
    if claimed == "UNSIGNED-PAYLOAD" or claimed.startswith("STREAMING-"):
        return claimed
    return hashlib.sha256(body).hexdigest() if body else _EMPTY_SHA256
