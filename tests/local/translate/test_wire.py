from __future__ import annotations

import json

import pytest

from local.aws_http import Request, ServiceError
from local.translate import wire


def request(target: str, method: str = "POST", path: str = "/") -> Request:
    return Request(method, path, "", {"X-Amz-Target": target}, b"")


def test_operations() -> None:
    assert wire.operation(request("AWSShineFrontendService_20170701.TranslateText")) == "TranslateText"


@pytest.mark.parametrize(
    "asked",
    [
        request("AWSShineFrontendService_20170701.Nothing"),
        request("TranslateText"),
        request(""),
        request("AWSShineFrontendService_20170701.TranslateText", method="GET"),
        request("AWSShineFrontendService_20170701.TranslateText", path="/x"),
    ],
)
def test_unknown_operations(asked: Request) -> None:
    with pytest.raises(ServiceError) as caught:
        wire.operation(asked)
    assert caught.value.code == "UnknownOperationException"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"\xff", "SerializationException"),
        (b"[]", "ValidationException"),
        (b"{}", "ValidationException"),
        (b'{"Text":"","SourceLanguageCode":"en","TargetLanguageCode":"es"}', "ValidationException"),
        (b'{"Text":1,"SourceLanguageCode":"en","TargetLanguageCode":"es"}', "ValidationException"),
        (b'{"Text":"secret","SourceLanguageCode":"e","TargetLanguageCode":"es"}', "ValidationException"),
        (
            b'{"Text":"secret","SourceLanguageCode":"en","TargetLanguageCode":"es","Settings":{"Brevity":"x"}}',
            "ValidationException",
        ),
    ],
)
def test_bad_bodies(body: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        wire.decode(body, wire.TranslateText)
    assert caught.value.code == code
    assert "secret" not in caught.value.message


def test_errors() -> None:
    response = wire.error(ServiceError("SomeException", "why", 403, Extra="x"))
    assert response.status == 400
    assert json.loads(response.body) == {"__type": "SomeException", "Message": "why", "Extra": "x"}
    assert wire.error(ServiceError("SomeException", "why", 500)).status == 500
