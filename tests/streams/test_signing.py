"""The signature, beside the SDK's own for the same request."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from streams.signing import Signer

NOW = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def sent(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The first line, the headers by their names as they are, and the body of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


@given(
    key=words,
    secret=words,
    token=words | st.none(),
    identifier=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    stage=st.sampled_from(["", "/live", "/a~b"]),
    host=st.sampled_from(["127.0.0.1:8080", "abc.execute-api.eu-west-1.amazonaws.com"]),
    more=st.sampled_from([{}, {"x-amz-target": "A_1.B", "content-type": "application/x-amz-json-1.1"}]),
    body=st.binary(max_size=100),
)
def test_it_is_the_sdk_s(
    key: str, secret: str, token: str | None, identifier: str, stage: str, host: str, more: dict[str, str], body: bytes
) -> None:
    credentials = ReadOnlyCredentials(key, secret, token)
    path = f"{stage}/@connections/{quote('c' + identifier, safe='')}"
    signer = Signer(URL(f"https://{host}"), "execute-api", "eu-west-1")
    first, headers, sent_body = sent(signer.request(credentials, "POST", path, body, NOW, more))
    assert (first, sent_body) == (f"POST {path} HTTP/1.1", body)
    assert headers["content-length"] == str(len(body))
    assert headers["x-amz-date"] == "20261130T235959Z"
    assert headers.get("x-amz-security-token") == token
    assert more.items() <= headers.items()

    theirs = SigV4Auth(credentials, "execute-api", "eu-west-1")
    request = AWSRequest("POST", f"https://{host}{path}", data=body, headers=more)
    request.context["timestamp"] = headers["x-amz-date"]
    theirs._modify_request_before_signing(request)
    names = theirs.signed_headers(theirs.headers_to_sign(request))
    ours = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert set(ours.split(";")) <= set(names.split(";"))
    for name in set(names.split(";")) - set(ours.split(";")):
        del request.headers[name]  # what need not be signed, and the SDK signs all the same
    canonical = theirs.canonical_request(request).replace(request.headers["X-Amz-Date"], headers["x-amz-date"])
    signature = theirs.signature(theirs.string_to_sign(request, canonical), request)
    assert headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={key}/20261130/eu-west-1/execute-api/aws4_request, "
        f"SignedHeaders={theirs.signed_headers(theirs.headers_to_sign(request))}, Signature={signature}"
    )


def proof(secret: str, now: datetime) -> str:
    signer = Signer(URL("https://h"), "s", "r")
    return sent(signer.request(ReadOnlyCredentials("key", secret, None), "GET", "/", b"", now))[1]["authorization"]


def test_each_second_each_day_and_each_secret_has_its_own() -> None:
    times = [NOW, NOW.replace(second=1), NOW.replace(day=29)]
    assert len({proof(secret, now) for secret in "ab" for now in times}) == 6
    assert proof("a", NOW) == proof("a", NOW)
