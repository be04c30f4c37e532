from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.posts import Posts
from streams.errors import NotFound, Throttled, Unavailable


class Management:
    """API Gateway's management API, as its client answers. The twin's contract test has the same answers."""

    def __init__(self, code: str = "", status: int = 200) -> None:
        self._error = ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
            "PostToConnection",
        )
        self._fails = bool(code)
        self.calls: list[dict[str, Any]] = []

    async def post_to_connection(self, **arguments: Any) -> None:
        self.calls.append(arguments)
        if self._fails:
            raise self._error

    delete_connection = post_to_connection


async def test_a_message_is_sent_as_bytes() -> None:
    client = Management()
    await Posts(client).send("c=", '{"type":"é"}')
    assert client.calls == [{"ConnectionId": "c=", "Data": '{"type":"é"}'.encode()}]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("GoneException", 410, NotFound),
        ("LimitExceededException", 429, Throttled),
        ("InternalServerError", 500, Unavailable),
    ],
)
async def test_errors(code: str, status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await Posts(Management(code, status)).send("c=", "{}")


async def test_closing_what_is_gone_is_no_error() -> None:
    await Posts(Management("GoneException", 410)).disconnect("c=")
    with pytest.raises(Unavailable):
        await Posts(Management("InternalServerError", 500)).disconnect("c=")
