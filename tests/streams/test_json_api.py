"""Our calls beside the SDK's own, to the same services: the same answers, the same errors."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiobotocore.session import get_session
from aiohttp import web
from botocore.exceptions import ClientError

from streams.aws import Clients, as_error
from streams.errors import Refused, Throttled, Unavailable
from streams.json_api import OPERATIONS, JsonApi
from streams.resources import SNAPSHOTS
from tests.streams.conftest import make_stream, make_table

ITEM = {
    "id": {"S": "¿qué? \u2028"},
    "shard": {"S": "x"},
    "B": {"B": b"\x00\xff"},
    "nested": {"M": {"B": {"S": "not bytes"}, "list": {"L": [{"B": b"1"}, {"N": "1.5"}, {"NULL": True}]}}},
    "yes": {"BOOL": True},
}
KEY = {SNAPSHOTS.hash_key: {"S": "k"}}


async def put_faults(url: str, faults: list[dict[str, Any]]) -> None:
    async with aiohttp.ClientSession() as http, http.put(f"{url}/_herald/faults", json=faults) as answer:
        assert answer.status == 200


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


async def test_tables(dynamo: JsonApi, prefix: str) -> None:
    table = await make_table(dynamo, prefix, SNAPSHOTS)
    item = {**ITEM, **KEY}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_item", {"Key": KEY, "ConsistentRead": True}),
        ("get_item", {"Key": {SNAPSHOTS.hash_key: {"S": "none"}}}),
        (
            "update_item",
            {
                "Key": KEY,
                "UpdateExpression": "SET #a = :a",
                "ExpressionAttributeNames": {"#a": "a"},
                "ExpressionAttributeValues": {":a": {"B": b"\x01\x02"}},
                "ReturnValues": "ALL_NEW",
            },
        ),
        (
            "query",
            {
                "KeyConditionExpression": "#k = :k",
                "ExpressionAttributeNames": {"#k": SNAPSHOTS.hash_key},
                "ExpressionAttributeValues": {":k": {"S": "k"}},
            },
        ),
        ("scan", {"Limit": 1}),
    ]
    theirs = dynamo._client
    assert "Attributes" not in await dynamo.put_item(TableName=table, Item=item, ReturnValues="ALL_OLD")
    assert (await dynamo.put_item(TableName=table, Item=item, ReturnValues="ALL_OLD"))["Attributes"] == item
    for name, arguments in calls:
        ours = await getattr(dynamo, name)(TableName=table, **arguments)
        assert plain(ours) == plain(await getattr(theirs, name)(TableName=table, **arguments))
    wanted = {table: {"Keys": [KEY]}}
    assert plain(await dynamo.batch_get_item(RequestItems=wanted)) == plain(
        await theirs.batch_get_item(RequestItems=wanted)
    )
    deleted = await dynamo.delete_item(TableName=table, Key=KEY, ReturnValues="ALL_OLD")
    assert deleted["Attributes"] == item | {"a": {"B": b"\x01\x02"}}
    assert {name for name, _ in calls} | {"put_item", "delete_item", "batch_get_item"} == set(dynamo._ours)


async def test_a_condition_that_failed_gives_the_item(dynamo: JsonApi, prefix: str) -> None:
    table = await make_table(dynamo, prefix, SNAPSHOTS)
    await dynamo.put_item(TableName=table, Item={**ITEM, **KEY})
    failing = {
        "TableName": table,
        "Key": KEY,
        "UpdateExpression": "SET a = :a",
        "ConditionExpression": "attribute_not_exists(yes)",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    found = []
    for client in (dynamo, dynamo._client):
        with pytest.raises(ClientError) as refused:
            await client.update_item(**failing)
        response: dict[str, Any] = refused.value.response  # type: ignore[assignment]
        assert refused.value.operation_name == "UpdateItem"
        found.append((response["Error"]["Code"], response["Item"], response["ResponseMetadata"]["HTTPStatusCode"]))
    assert found[0] == found[1]
    assert found[0][0] == "ConditionalCheckFailedException"


async def test_streams(kinesis: JsonApi, prefix: str) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    records = [{"Data": b"\x00\xff", "PartitionKey": "¿a?"}, {"Data": b"", "PartitionKey": "b", "ExplicitHashKey": "1"}]
    answer = await kinesis.put_records(StreamName=stream, Records=records)
    assert answer["FailedRecordCount"] == 0
    shards = (await kinesis.list_shards(StreamName=stream))["Shards"]  # the SDK's
    iterator = await kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    page = await kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert [(row["PartitionKey"], row["Data"]) for row in page["Records"]] == [("¿a?", b"\x00\xff"), ("b", b"")]
    for client in (kinesis, kinesis._client):
        with pytest.raises(ClientError) as refused:
            await client.put_records(StreamName="nobody-s", Records=records)
        assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert set(kinesis._ours) == {"put_records"}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "throttle"}, Throttled),
        ({"kind": "error", "code": "InternalFailure"}, Unavailable),
        ({"kind": "cut"}, Unavailable),
    ],
)
async def test_faults_are_ours(
    kinesis: JsonApi, kinesis_url: str, prefix: str, fault: dict[str, Any], kind: type[Exception]
) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    await put_faults(kinesis_url, [{"operation": "PutRecords", "count": 1, **fault}])
    with pytest.raises((ClientError, OSError)) as failed:
        await kinesis.put_records(StreamName=stream, Records=[{"Data": b"x", "PartitionKey": "k"}])
    assert isinstance(as_error(failed.value, "writing"), kind)
    await kinesis.put_records(StreamName=stream, Records=[{"Data": b"x", "PartitionKey": "k"}])


async def test_without_credentials_it_says_so(clients: Clients, kinesis: JsonApi) -> None:
    without = JsonApi(kinesis._client, None, OPERATIONS["kinesis"], most=1, connect_s=1.0, answer_s=1.0)
    with pytest.raises(Refused, match="no credentials"):
        await without.put_records(StreamName="x", Records=[])
    with pytest.raises(AttributeError):
        without.no_such_call  # noqa: B018


@pytest.mark.parametrize("body", ["<html>", '["a"]', '{"a":', '{"B":"%"}'])
async def test_an_answer_of_somebody_else_s(clients: Clients, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, status=200 if request.headers["x-amz-target"].endswith("GetItem") else 502)

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with Clients() as elsewhere:
            table = await elsewhere.get("dynamodb")
            with pytest.raises(Unavailable, match=r"^calling GetItem: the answer is none"):
                await table.get_item(TableName="t", Key=KEY)
            with pytest.raises(ClientError) as failed:
                await table.put_item(TableName="t", Item=KEY)
            assert isinstance(as_error(failed.value, "writing"), Unavailable)
    finally:
        await runner.cleanup()


async def test_its_names_are_the_sdk_s() -> None:
    for service, operations in OPERATIONS.items():
        async with get_session().create_client(service, region_name="us-east-1") as client:
            assert set(operations) <= set(client.meta.service_model.operation_names)
