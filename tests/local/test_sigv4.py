"""The verifier against the signers that clients really use: botocore's, and amazon-transcribe's for chunks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from amazon_transcribe.auth import Credentials as TranscribeCredentials
from amazon_transcribe.eventstream import EventSigner, EventStreamMessageSerializer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from local import sigv4
from local.sigv4 import SignatureError, verify

SECRETS = {"AKIDLOCAL": "a secret"}


def signed(
    method: str = "POST",
    url: str = "https://kinesis.test/",
    body: bytes = b'{"StreamName": "audio"}',
    secret: str = "a secret",
    key_id: str = "AKIDLOCAL",
    headers: dict[str, str] | None = None,
) -> tuple[dict[str, str], datetime]:
    """The headers that botocore signs this request with, and the time at which it did."""
    request = AWSRequest(method, url, headers={"Host": "kinesis.test", **(headers or {})}, data=body)
    SigV4Auth(Credentials(key_id, secret), "kinesis", "eu-west-1").add_auth(request)
    out = {name.title(): value for name, value in request.headers.items()}
    return out, datetime.strptime(out["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def refused(
    headers: dict[str, str], now: datetime, changed: Mapping[str, object] = MappingProxyType({})
) -> SignatureError:
    call: dict[str, object] = {
        "method": "POST", "path": "/", "query": "", "headers": headers, "body": b'{"StreamName": "audio"}',
        "secrets": SECRETS, "now": now,
    }  # fmt: skip
    with pytest.raises(SignatureError) as caught:
        verify(**{**call, **changed})  # type: ignore[arg-type]  # the keys are the parameters' names
    return caught.value


def test_botocore_signature_is_verified() -> None:
    headers, now = signed(headers={"X-Amz-Target": "Kinesis_20131202.PutRecord"})
    found = verify("POST", "/", "", headers, b'{"StreamName": "audio"}', SECRETS, now)
    assert (found.access_key_id, found.region, found.service) == ("AKIDLOCAL", "eu-west-1", "kinesis")
    assert headers["Authorization"].endswith(f"Signature={found.signature}")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/@connections/abc%3D", ""),
        ("/live/@connections/L0SM9cOFvHcCIhw%3D", ""),
        ("/v1/speech", "b=2&a=1&a=0"),
        ("/v1/lexicons/a%20b", "empty=&name=x%2Fy%20z~"),
    ],
)
def test_paths_and_queries_as_on_the_wire(path: str, query: str) -> None:
    headers, now = signed("GET", f"https://kinesis.test{path}?{query}".rstrip("?"), b"")
    assert verify("GET", path, query, headers, b"", SECRETS, now).service == "kinesis"


@given(body=st.binary(max_size=200), value=st.text("abc  -/=", min_size=1, max_size=20))
def test_any_body_and_header_value(body: bytes, value: str) -> None:
    headers, now = signed(body=body, headers={"X-Amz-Meta": value})
    assert verify("POST", "/", "", headers, body, SECRETS, now).region == "eu-west-1"


def test_unsigned_payload_is_taken_at_its_word() -> None:
    headers, now = signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert verify("POST", "/", "", headers, b"something else", SECRETS, now).service == "kinesis"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": b"changed"},
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "a=1"},
        {"secrets": {"AKIDLOCAL": "another"}},
        {"service": "dynamodb"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_was_changed_after_signing_is_refused(changed: dict[str, object]) -> None:
    assert refused(*signed(), changed).code == "InvalidSignatureException"


def test_a_changed_signed_header_is_refused() -> None:
    headers, now = signed(headers={"X-Amz-Target": "Kinesis_20131202.PutRecord"})
    assert (
        refused({**headers, "X-Amz-Target": "Kinesis_20131202.DeleteStream"}, now).code == "InvalidSignatureException"
    )
    del headers["X-Amz-Target"]
    assert "x-amz-target" in refused(headers, now).message


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(minutes: int) -> None:
    headers, now = signed()
    assert refused(headers, now + timedelta(minutes=minutes)).code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("Bearer abc", "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260101/eu-west-1/kinesis/aws4_request",
            "IncompleteSignatureException",
        ),
        ("AWS4-HMAC-SHA256 Credential=AKIDLOCAL, SignedHeaders=host, Signature=00", "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDOTHER/20260101/eu-west-1/kinesis/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=00",
            "UnrecognizedClientException",
        ),
    ],
)
def test_a_malformed_authorization_has_its_own_code(authorization: str | None, code: str) -> None:
    headers, now = signed()
    del headers["Authorization"]
    if authorization is not None:
        headers["Authorization"] = authorization
    assert refused(headers, now).code == code


def test_a_missing_date_and_one_of_another_day_are_refused() -> None:
    headers, now = signed()
    assert refused({**headers, "X-Amz-Date": "yesterday"}, now).code == "IncompleteSignatureException"
    assert refused({**headers, "X-Amz-Date": "20200101T000000Z"}, now).code == "InvalidSignatureException"


def test_host_must_be_signed() -> None:
    headers, now = signed()
    headers["Authorization"] = headers["Authorization"].replace("SignedHeaders=host;", "SignedHeaders=")
    assert "Host" in refused(headers, now).message


def test_chunk_signature_is_the_clients() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
    prior, payload = bytes(range(32)), b"wrapped message"
    signer = EventSigner("transcribe", "us-east-1", utc_now=lambda: at)
    headers = signer.sign(payload, prior, TranscribeCredentials("AKIDLOCAL", "a secret"))
    date_header = EventStreamMessageSerializer().encode_headers({":date": headers[":date"]})
    date_ms = int(at.timestamp() * 1000)
    ours = sigv4.chunk_signature("a secret", "us-east-1", "transcribe", date_ms, prior, date_header, payload)
    assert ours == headers[":chunk-signature"]
