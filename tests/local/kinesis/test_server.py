"""The twin on the wire: signatures, both encodings, both HTTPs, faults, the control plane, the AWS command line."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import h2.config
import h2.connection
import h2.events
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError
from urllib3.exceptions import ProtocolError

from local.kinesis.wire import CBOR, JSON
from tests.local.kinesis.support import KEY_ID, REGION, SECRET, Process, client, running, wait_until

_TARGET = "Kinesis_20131202."


@pytest.fixture(scope="module")
def twin() -> Iterator[Process]:
    """Its own: faults would disturb others."""
    with running("--transition-ms", "0", "--subscription-s", "0.5") as process:
        yield process


@pytest.fixture
def stream(twin: Process) -> Iterator[str]:
    name = f"s-{uuid.uuid4().hex[:8]}"
    client(twin.url).create_stream(StreamName=name, ShardCount=1)
    yield name
    control(twin, "DELETE", "faults")
    client(twin.url).delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def control(twin: Process, method: str, place: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", twin.port, timeout=5)
    connection.request(method, f"/_herald/{place}", None if body is None else json.dumps(body))
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return content if answer.status == 200 else (answer.status, content)


def faulty(twin: Process, **fault: Any) -> None:
    control(twin, "PUT", "faults", [fault])


def signed(
    twin: Process, operation: str, body: bytes, content_type: str = JSON, secret: str = SECRET
) -> dict[str, str]:
    """The headers of a signed request."""
    headers = {"X-Amz-Target": _TARGET + operation, "Content-Type": content_type}
    request = AWSRequest("POST", f"{twin.url}/", headers, body)
    SigV4Auth(Credentials(KEY_ID, secret), "kinesis", REGION).add_auth(request)
    return dict(request.headers.items()) | {"Host": f"127.0.0.1:{twin.port}"}


def post(twin: Process, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", twin.port, timeout=5)
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer.headers["content-type"]


def cbor_call(twin: Process, operation: str, **members: Any) -> dict[str, Any]:
    body = cbor2.dumps(members)
    status, content, content_type = post(twin, body, signed(twin, operation, body, CBOR))
    assert (status, content_type) == (200, CBOR), content
    answer: dict[str, Any] = cbor2.loads(content, semantic_decoders={1: lambda value, _: ("ms", value)})
    return answer


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def test_unsigned_and_wrongly_signed_requests_are_refused(twin: Process) -> None:
    unsigned = post(twin, b"{}", {"X-Amz-Target": _TARGET + "ListStreams", "Content-Type": JSON})
    assert unsigned[0] == 400
    assert json.loads(unsigned[1])["__type"] == "MissingAuthenticationTokenException"
    with pytest.raises(ClientError) as raised:
        client(twin.url, key_id="nobody").list_streams()
    assert code_of(raised.value) == "UnrecognizedClientException"
    with pytest.raises(ClientError) as raised:
        client(twin.url, secret="wrong").list_streams()
    assert code_of(raised.value) == "InvalidSignatureException"
    changed = signed(twin, "ListStreams", b"{}")
    status, content, _ = post(twin, b'{"Limit":1}', changed)
    assert (status, json.loads(content)["__type"]) == (400, "InvalidSignatureException")


def test_unknown_operation_and_rubbish(twin: Process) -> None:
    body = b"{}"
    status, content, _ = post(twin, body, signed(twin, "MakeCoffee", body))
    assert (status, json.loads(content)["__type"]) == (400, "UnknownOperationException")
    for body in (b"{", b"\xff", b"[]", b'{"Limit":"many"}'):
        status, content, _ = post(twin, body, signed(twin, "ListStreams", body))
        assert (status, json.loads(content)["__type"]) == (400, "SerializationException"), body


def test_cbor(twin: Process, stream: str) -> None:
    put = cbor_call(twin, "PutRecord", StreamName=stream, Data=b"\x00\xff", PartitionKey="k")
    place = {"StreamName": stream, "ShardId": put["ShardId"], "ShardIteratorType": "AT_TIMESTAMP"}
    before_ms = time.time_ns() // 1_000_000 - 60_000
    answer = cbor_call(twin, "GetShardIterator", Timestamp=cbor2.CBORTag(1, before_ms), **place)
    (record,) = cbor_call(twin, "GetRecords", ShardIterator=answer["ShardIterator"])["Records"]
    assert record["Data"] == b"\x00\xff"
    tag, arrived_ms = record["ApproximateArrivalTimestamp"]
    assert tag == "ms"
    assert before_ms < arrived_ms < before_ms + 120_000
    body = cbor2.dumps({"StreamName": "absent"})
    status, content, _ = post(twin, body, signed(twin, "DescribeStream", body, CBOR))
    assert (status, cbor2.loads(content)["__type"]) == (400, "ResourceNotFoundException")


class _H2:
    """A client of HTTP/2 over cleartext, by prior knowledge."""

    def __init__(self, twin: Process) -> None:
        self._twin = twin
        self._socket = socket.create_connection(("127.0.0.1", twin.port), timeout=5)
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._connection.initiate_connection()
        self._socket.sendall(self._connection.data_to_send())

    def call(self, operation: str, body: bytes, content_type: str = JSON) -> tuple[str, bytes]:
        """Status and body, when the stream has ended."""
        headers = {name.lower(): value for name, value in signed(self._twin, operation, body, content_type).items()}
        authority = headers.pop("host")
        number = self._connection.get_next_available_stream_id()
        pseudo = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", authority)]
        self._connection.send_headers(number, [*pseudo, *headers.items()])
        self._connection.send_data(number, body, end_stream=True)
        self._socket.sendall(self._connection.data_to_send())
        status, content = "", b""
        while True:
            received = self._socket.recv(65_536)
            assert received, "the connection was closed"
            for event in self._connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    status = str(dict(event.headers)[":status"])  # type: ignore[index]  # decoded, by the configuration
                elif isinstance(event, h2.events.DataReceived):
                    content += event.data
                    self._connection.acknowledge_received_data(event.flow_controlled_length, number)
                elif isinstance(event, h2.events.StreamEnded):
                    return status, content
            self._socket.sendall(self._connection.data_to_send())

    def close(self) -> None:
        self._socket.close()


def test_http2_on_the_same_port(twin: Process, stream: str) -> None:
    connection = _H2(twin)
    try:
        body = cbor2.dumps({"StreamName": stream, "Data": b"two", "PartitionKey": "k"})
        status, content = connection.call("PutRecord", body, CBOR)
        assert (status, cbor2.loads(content)["ShardId"]) == ("200", "shardId-000000000000")
        status, content = connection.call("ListStreams", b"{}")
        assert (status, stream in json.loads(content)["StreamNames"]) == ("200", True)
    finally:
        connection.close()


def _consumer(twin: Process, stream: str) -> str:
    arn = f"arn:aws:kinesis:{REGION}:000000000000:stream/{stream}"
    answer = client(twin.url).register_stream_consumer(StreamARN=arn, ConsumerName="c")
    return str(answer["Consumer"]["ConsumerARN"])


def test_subscription_over_http2_ends_by_itself(twin: Process, stream: str) -> None:
    client(twin.url).put_record(StreamName=stream, Data=b"pushed", PartitionKey="k")
    members = {
        "ConsumerARN": _consumer(twin, stream),
        "ShardId": "shardId-000000000000",
        "StartingPosition": {"Type": "TRIM_HORIZON"},
    }
    connection = _H2(twin)
    try:
        status, content = connection.call("SubscribeToShard", cbor2.dumps(members), CBOR)
    finally:
        connection.close()
    assert status == "200"
    assert b"pushed" in content
    assert content.index(b"initial-response") < content.index(b"SubscribeToShardEvent")


def _subscribe(twin: Process, consumer: str, start: str = "LATEST") -> Any:
    return client(twin.url).subscribe_to_shard(
        ConsumerARN=consumer, ShardId="shardId-000000000000", StartingPosition={"Type": start}
    )["EventStream"]


def test_subscription_is_pushed_to_as_records_come(twin: Process, stream: str) -> None:
    events = iter(_subscribe(twin, _consumer(twin, stream)))
    assert next(events)["SubscribeToShardEvent"]["Records"] == []
    put = client(twin.url).put_record(StreamName=stream, Data=b"later", PartitionKey="k")
    event = next(events)["SubscribeToShardEvent"]
    assert [record["Data"] for record in event["Records"]] == [b"later"]
    assert event["ContinuationSequenceNumber"] == put["SequenceNumber"]
    assert list(events) == []  # after half a second, which here stands for five minutes


def test_subscription_again_too_soon_is_refused(twin: Process, stream: str) -> None:
    consumer = _consumer(twin, stream)
    first = _subscribe(twin, consumer)
    with pytest.raises(ClientError) as raised:
        _subscribe(twin, consumer)
    assert code_of(raised.value) == "ResourceInUseException"
    first.close()


def test_subscription_ends_with_the_shard(twin: Process, stream: str) -> None:
    events = iter(_subscribe(twin, _consumer(twin, stream)))
    next(events)
    client(twin.url).split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    (last,) = list(events)
    children = [child["ShardId"][-1] for child in last["SubscribeToShardEvent"]["ChildShards"]]
    assert children == ["1", "2"]
    assert "ContinuationSequenceNumber" not in last["SubscribeToShardEvent"]


def test_subscription_fails_when_its_consumer_goes(twin: Process, stream: str) -> None:
    consumer = _consumer(twin, stream)
    events = iter(_subscribe(twin, consumer))
    next(events)
    client(twin.url).deregister_stream_consumer(ConsumerARN=consumer)
    with pytest.raises(ClientError) as raised:
        list(events)
    assert code_of(raised.value) == "ResourceNotFoundException"


def test_fault_throttle_and_error(twin: Process, stream: str) -> None:
    kinesis = client(twin.url)
    faulty(twin, kind="throttle", operation="PutRecord", count=1)
    with pytest.raises(ClientError) as raised:
        kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="k")
    assert code_of(raised.value) == "ProvisionedThroughputExceededException"
    kinesis.put_record(StreamName=stream, Data=b"", PartitionKey="k")
    faulty(twin, kind="error", operation="*", code="KMSThrottlingException")
    with pytest.raises(ClientError) as raised:
        kinesis.list_streams()
    assert code_of(raised.value) == "KMSThrottlingException"
    faulty(twin, kind="error")
    with pytest.raises(ClientError) as raised:
        kinesis.list_streams()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_fault_partial(twin: Process, stream: str) -> None:
    kinesis = client(twin.url)
    faulty(twin, kind="partial")
    entries = [{"Data": b"%d" % i, "PartitionKey": "k"} for i in range(4)]
    answer = kinesis.put_records(StreamName=stream, Records=entries)
    assert answer["FailedRecordCount"] == 2
    assert ["ErrorCode" in record for record in answer["Records"]] == [False, True, False, True]
    place = kinesis.get_shard_iterator(
        StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    page = kinesis.get_records(ShardIterator=place["ShardIterator"])
    assert page["Records"] == []
    assert page["MillisBehindLatest"] > 0
    control(twin, "DELETE", "faults")
    page = kinesis.get_records(ShardIterator=page["NextShardIterator"])
    assert [record["Data"] for record in page["Records"]] == [b"0", b"2"]


def test_fault_slow_cut_and_half_open(twin: Process, stream: str) -> None:
    patient, hasty = client(twin.url), client(twin.url, read_timeout=0.3)
    faulty(twin, kind="slow", delay_ms=600)
    with pytest.raises(ReadTimeoutError):
        hasty.list_streams()
    assert stream in patient.list_streams()["StreamNames"]
    faulty(twin, kind="half_open", count=1)
    with pytest.raises(ReadTimeoutError):
        hasty.list_streams()
    faulty(twin, kind="cut", count=1)
    with pytest.raises(ConnectionClosedError):
        patient.list_streams()
    assert stream in patient.list_streams()["StreamNames"]


def test_fault_ends_and_cuts_subscriptions(twin: Process, stream: str) -> None:
    client(twin.url).put_record(StreamName=stream, Data=bytes(5000), PartitionKey="k")
    consumer = _consumer(twin, stream)
    faulty(twin, kind="partial", operation="SubscribeToShard", count=1)
    assert len(list(_subscribe(twin, consumer, "LATEST"))) == 1
    faulty(twin, kind="cut", operation="SubscribeToShard", count=1, after_bytes=2000)
    with pytest.raises((ProtocolError, ResponseStreamingError, ConnectionClosedError)):
        list(_subscribe(twin, consumer, "TRIM_HORIZON"))


def test_control_plane(twin: Process, stream: str) -> None:
    assert control(twin, "GET", "health") == {"ok": True}
    before = control(twin, "GET", "calls").get("PutRecords", {"calls": 0, "records": 0})
    client(twin.url).put_records(StreamName=stream, Records=[{"Data": b"", "PartitionKey": "k"}] * 3)
    after = control(twin, "GET", "calls")["PutRecords"]
    assert (after["calls"] - before["calls"], after["records"] - before["records"]) == (1, 3)
    with pytest.raises(ClientError):
        client(twin.url).describe_stream(StreamName="absent")
    assert control(twin, "GET", "calls")["DescribeStream"]["errors"] > 0
    faulty(twin, kind="slow", delay_ms=5)
    assert [fault["kind"] for fault in control(twin, "GET", "faults")] == ["slow"]
    assert control(twin, "PUT", "faults", [{"kind": "volcano"}])[0] == 400
    assert [fault["kind"] for fault in control(twin, "GET", "faults")] == ["slow"]
    control(twin, "DELETE", "faults")
    assert control(twin, "GET", "faults") == []
    assert control(twin, "GET", "nothing")[0] == 404


def test_aws_command_line(twin: Process, stream: str) -> None:
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_KINESIS": twin.url,
        "AWS_CONFIG_FILE": os.devnull,
    }

    def aws(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("aws")), "kinesis", *arguments, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
        return json.loads(done.stdout or "{}")

    put = aws("put-record", "--stream-name", stream, "--partition-key", "k", "--data", "hello")
    place = aws(
        *("get-shard-iterator", "--stream-name", stream, "--shard-id", put["ShardId"]),
        *("--shard-iterator-type", "AT_TIMESTAMP", "--timestamp", "2025-01-01T00:00:00Z"),
    )
    page = aws("get-records", "--shard-iterator", place["ShardIterator"])
    assert [record["Data"] for record in page["Records"]] == [base64.b64encode(b"hello").decode()]
    assert len(aws("list-shards", "--stream-name", stream)["Shards"]) == 1


def test_limits_of_the_service(twin: Process, stream: str) -> None:
    kinesis = client(twin.url)
    megabyte = bytes(1 << 20)
    kinesis.put_record(StreamName=stream, Data=megabyte, PartitionKey="k")
    with pytest.raises(ClientError) as raised:
        kinesis.put_record(StreamName=stream, Data=megabyte, PartitionKey="k")
    assert code_of(raised.value) == "ProvisionedThroughputExceededException"
    wait_until(
        lambda: (
            kinesis.put_records(StreamName=stream, Records=[{"Data": b"", "PartitionKey": "k"}])["FailedRecordCount"]
            == 0
        ),
        "the shard takes records again",
    )
    heavy = [{"Data": bytes(400_000), "PartitionKey": "k"}] * 4
    answer = kinesis.put_records(StreamName=stream, Records=heavy)
    assert answer["FailedRecordCount"] > 0
    refused = [record["ErrorCode"] for record in answer["Records"] if "ErrorCode" in record]
    assert set(refused) == {"ProvisionedThroughputExceededException"}
    place = kinesis.get_shard_iterator(StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="LATEST")
    with pytest.raises(ClientError) as raised:  # noqa: PT012 - any of the calls may be the one too many
        for _ in range(7):
            kinesis.get_records(ShardIterator=place["ShardIterator"])
    assert code_of(raised.value) == "ProvisionedThroughputExceededException"
