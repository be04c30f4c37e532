"""The signature, beside the SDK's own for the same request."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from streams.signing import signed_headers

NOW = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    key=words,
    secret=words,
    token=words | st.none(),
    identifier=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
        lambda text: text not in {".", ".."}
    ),
    stage=st.sampled_from(["", "/live", "/a~b"]),
    host=st.sampled_from(["127.0.0.1:8080", "abc.execute-api.eu-west-1.amazonaws.com"]),
    body=st.binary(max_size=100),
)
def test_it_is_the_sdk_s(
    key: str, secret: str, token: str | None, identifier: str, stage: str, host: str, body: bytes
) -> None:
    credentials = ReadOnlyCredentials(key, secret, token)
    path = f"{stage}/@connections/{quote(identifier, safe='')}"
    ours = signed_headers(
        credentials, service="execute-api", region="eu-west-1", method="POST", host=host, path=path, body=body, now=NOW
    )
    request = AWSRequest("POST", f"https://{host}{path}", data=body)
    signer = SigV4Auth(credentials, "execute-api", "eu-west-1")
    request.context["timestamp"] = ours["x-amz-date"]
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request).replace(request.headers["X-Amz-Date"], ours["x-amz-date"])
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={key}/20261130/eu-west-1/execute-api/aws4_request, "
        f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, Signature={signature}"
    )
    assert ours.get("x-amz-security-token") == token


def test_the_time_is_that_of_the_request() -> None:
    credentials = ReadOnlyCredentials("key", "secret", None)
    one, other = (
        signed_headers(
            credentials,
            service="s",
            region="r",
            method="GET",
            host="h",
            path="/",
            body=b"",
            now=NOW.replace(second=second),
        )
        for second in (1, 2)
    )
    assert (one["x-amz-date"], other["x-amz-date"]) == ("20261130T235901Z", "20261130T235902Z")
    assert one["Authorization"] != other["Authorization"]


@pytest.mark.parametrize("secret", ["a", "b"])
def test_a_secret_s_keys_are_its_own(secret: str) -> None:
    proofs = {
        signed_headers(
            ReadOnlyCredentials("key", name, None),
            service="s", region="r", method="GET", host="h", path="/", body=b"", now=NOW,
        )["Authorization"]
        for name in (secret, "c", secret)
    }  # fmt: skip
    assert len(proofs) == 2
