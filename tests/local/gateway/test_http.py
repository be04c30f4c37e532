"""The management API's contract, by the real client; and Lambda's Invoke, as far as it goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from websockets.exceptions import ConnectionClosed

from local.faults import Fault
from local.gateway.http import runner
from tests.local.gateway.twin import Twin, next_of, twin

NOBODY = "AAAAAAAAAAAAAAA="


@pytest.fixture
async def it() -> AsyncIterator[Twin]:
    async with twin() as started:
        yield started


def _client(it: Twin, service: str = "apigatewaymanagementapi", **options: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=1, proxies={})
    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=it.url, config=config, **(credentials | options))


async def _code(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as failed:
        await asyncio.to_thread(call, **arguments)
    response = failed.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def _id(it: Twin) -> str:
    return str((await it.seen("$connect"))["requestContext"]["connectionId"])


async def test_post(it: Twin) -> None:
    client = _client(it)
    async with it.connect() as socket:
        connection_id = await _id(it)
        await asyncio.to_thread(client.post_to_connection, ConnectionId=connection_id, Data=b'{"n":1}')
        assert await next_of(socket) == {"n": 1}
        large = json.dumps({"x": "x" * (128 * 1024 - 9)}).encode()
        assert len(large) == 128 * 1024
        await asyncio.to_thread(client.post_to_connection, ConnectionId=connection_id, Data=large)
        assert len((await next_of(socket))["x"]) == 128 * 1024 - 9
        for too_large in (large + b" ", bytes(2 * 1024 * 1024)):
            error = await _code(client.post_to_connection, ConnectionId=connection_id, Data=too_large)
            assert error == ("PayloadTooLargeException", 413)
    assert await _code(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}") == ("GoneException", 410)


async def test_get(it: Twin) -> None:
    client = _client(it)
    async with it.connect(user_agent_header="agent"):
        found = await asyncio.to_thread(client.get_connection, ConnectionId=await _id(it))
        assert found["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "agent"}
        assert found["LastActiveAt"] >= found["ConnectedAt"]
    assert await _code(client.get_connection, ConnectionId=NOBODY) == ("GoneException", 410)


async def test_delete(it: Twin) -> None:
    client = _client(it)
    async with it.connect() as socket:
        await asyncio.to_thread(client.delete_connection, ConnectionId=await _id(it))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
    await it.seen("$disconnect")
    assert await _code(client.delete_connection, ConnectionId=await _id(it)) == ("GoneException", 410)


async def test_unsigned_and_wrongly_signed_requests_are_refused(it: Twin) -> None:
    for options in ({"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "unknown"}):
        error = await _code(_client(it, **options).get_connection, ConnectionId=NOBODY)
        assert error == ("ForbiddenException", 403)
    assert it.calls.as_dict()["GetConnection"] == {"calls": 2, "errors": 2}


async def test_faults(it: Twin) -> None:
    client = _client(it)
    it.faults.replace([Fault("throttle", "PostToConnection")])
    error = await _code(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}")
    assert error == ("LimitExceededException", 429)
    it.faults.replace([Fault("error", "PostToConnection")])
    assert (await _code(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}"))[1] == 500
    it.faults.replace([Fault("slow", "PostToConnection", delay_ms=5)])
    assert (await _code(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}"))[1] == 410
    it.faults.replace([Fault("cut", "PostToConnection")])
    with pytest.raises(ConnectionClosedError):
        await asyncio.to_thread(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}")
    it.faults.replace([Fault("half_open", "PostToConnection")])
    with pytest.raises(ReadTimeoutError):
        await asyncio.to_thread(client.post_to_connection, ConnectionId=NOBODY, Data=b"{}")


async def test_functions_are_invoked_without_waiting(it: Twin) -> None:
    client = _client(it, "lambda")
    arguments = {"FunctionName": "herald-welcome", "InvocationType": "Event"}
    answer = await asyncio.to_thread(client.invoke, **arguments, Payload=b'{"a":1}')
    assert answer["StatusCode"] == 202
    async with asyncio.timeout(5):
        while not it.events:
            await asyncio.sleep(0.005)
    assert it.events == [{"a": 1}]
    assert await _code(client.invoke, **arguments, Payload=b"no json") == ("InvalidRequestContentException", 400)
    arguments["FunctionName"] = "herald-nobody"
    assert await _code(client.invoke, **arguments) == ("ResourceNotFoundException", 404)
    waited = {"FunctionName": "herald-welcome", "InvocationType": "RequestResponse"}
    assert await _code(client.invoke, **waited) == ("InvalidParameterValueException", 400)


async def test_a_second_request_that_does_not_end_is_waited_for_only_so_long() -> None:
    served = runner(web.Application(), 0.1, kept_s=0.1)
    await served.setup()
    try:
        await web.TCPSite(served, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*served.addresses[0][:2])
        async with asyncio.timeout(10):
            writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
        writer.transport.abort()
    finally:
        await served.cleanup()
