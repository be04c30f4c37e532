"""Errors of the services in our words: what may be tried again, and nothing that was sent."""

from datetime import UTC
from typing import Any

import pytest
from aiobotocore.session import get_session
from aiohttp import ClientPayloadError
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError

from streams.aws import Clients, as_error
from streams.errors import HeraldError, NotFound, Refused, Throttled, TimedOut, Unavailable
from streams.json_api import JsonApi
from tests.streams.conftest import make_stream
from tests.support.services import CREDENTIALS, free_port


def client_error(code: str, status: int) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "repeats what it got"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Operation")  # type: ignore[arg-type]  # the stub asks for every field of AWS


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (client_error("ProvisionedThroughputExceededException", 400), Throttled, None),
        (client_error("ThrottlingException", 400), Throttled, None),
        (client_error("SomethingNew", 429), Throttled, None),
        (client_error("LimitExceededException", 400), Throttled, None),
        (client_error("ResourceNotFoundException", 400), NotFound, None),
        (client_error("GoneException", 410), NotFound, None),
        (client_error("InternalFailure", 500), Unavailable, None),
        (client_error("ServiceUnavailable", 503), Unavailable, None),
        (client_error("ValidationException", 400), Refused, None),
        (client_error("InvalidSsmlException", 400), Refused, None),
        (TimeoutError(), TimedOut, "TimedOut"),
        (ConnectionResetError("reset"), Unavailable, "Unavailable"),
        (ConnectionResetError(), Unavailable, "Unavailable"),
        (EndpointConnectionError(endpoint_url="http://x"), Unavailable, "Unavailable"),
        (ClientPayloadError("repeats what it got"), Unavailable, "Unavailable"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Unavailable, "Unavailable"),
    ],
)
def test_each_kind_of_error(error: BaseException, kind: type[HeraldError], code: str | None) -> None:
    ours = as_error(error, "asking")
    assert type(ours) is kind
    assert str(ours).startswith("asking: ")
    if isinstance(error, ClientError):
        assert ours.code == error.response["Error"]["Code"]
        assert str(ours) == f"asking: {ours.code}"
        assert "repeats" not in repr(ours)
    else:
        assert ours.code == code


def test_ours_stay_as_they_are_and_bugs_are_not_dressed_up() -> None:
    ours = Refused("no")
    assert as_error(ours, "asking") is ours
    with pytest.raises(KeyError):
        as_error(KeyError("x"), "asking")


async def test_nobody_there_is_unavailable_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", f"http://127.0.0.1:{free_port()}")
    async with Clients() as clients:
        kinesis = await clients.get("kinesis")
        assert await clients.get("kinesis") is kinesis
        with pytest.raises(EndpointConnectionError) as caught:
            await kinesis.list_streams()
    assert isinstance(as_error(caught.value, "listing"), Unavailable)


async def test_times_are_botocore_s_own_in_utc(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    answer = await kinesis.put_record(StreamName=stream, Data=b"x", PartitionKey="k")
    start = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": answer["SequenceNumber"]}
    arrived = []
    async with get_session().create_client("kinesis", config=kinesis.meta.config) as bare:
        for client in (kinesis, bare):
            iterator = await client.get_shard_iterator(StreamName=stream, ShardId=answer["ShardId"], **start)
            page = await client.get_records(ShardIterator=iterator["ShardIterator"])
            arrived.append(page["Records"][0]["ApproximateArrivalTimestamp"])
    assert arrived[0] == arrived[1]
    assert arrived[0].tzinfo is UTC


@pytest.mark.parametrize(("exempt", "is_theirs"), [("", True), ("127.0.0.1", False)])
async def test_by_way_of_a_proxy_the_sdk_s_client_calls(
    monkeypatch: pytest.MonkeyPatch, exempt: str, is_theirs: bool
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name, value in (("http_proxy", "http://127.0.0.1:9"), ("no_proxy", exempt)):
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    async with Clients() as clients:
        client = await clients.get("dynamodb")
        assert isinstance(client, JsonApi) is not is_theirs
