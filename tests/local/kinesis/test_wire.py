from __future__ import annotations

import base64
import json
from typing import Any

import cbor2
import pytest

from local.kinesis import requests, wire
from local.kinesis.errors import KinesisError, stream_not_found


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/x-amz-json-1.1", wire.JSON),
        ("application/x-amz-json-1.1; charset=utf-8", wire.JSON),
        ("application/x-amz-cbor-1.1", wire.CBOR),
        ("application/CBOR", wire.CBOR),
        ("text/html", None),
        (None, None),
    ],
)
def test_encoding_by_content_type(content_type: str | None, expected: str | None) -> None:
    assert wire.encoding_of(content_type) == expected


def _body(encoding: str, members: dict[str, Any]) -> bytes:
    if encoding == wire.CBOR:
        return cbor2.dumps(members)
    plain = {name: base64.b64encode(v).decode() if isinstance(v, bytes) else v for name, v in members.items()}
    return json.dumps(plain).encode()


@pytest.mark.parametrize("encoding", [wire.JSON, wire.CBOR])
def test_both_encodings_give_the_same_request(encoding: str) -> None:
    body = _body(encoding, {"StreamName": "s", "Data": b"\x00\xff", "PartitionKey": "k", "Unknown": 1})
    request = wire.decode(body, requests.PutRecord, encoding)
    assert (request.stream_name, request.data, request.partition_key) == ("s", b"\x00\xff", "k")


def test_a_time_is_seconds_in_json_and_tagged_milliseconds_in_cbor() -> None:
    members = {"ShardId": "shardId-0", "ShardIteratorType": "AT_TIMESTAMP"}
    in_json = wire.decode(json.dumps(members | {"Timestamp": 1.5}).encode(), requests.GetShardIterator, wire.JSON)
    tagged = cbor2.dumps(members | {"Timestamp": cbor2.CBORTag(1, 1_760_000_000_500)})
    in_cbor = wire.decode(tagged, requests.GetShardIterator, wire.CBOR)
    assert (in_json.timestamp, in_cbor.timestamp) == (1.5, 1_760_000_000.5)
    answer = {"At": wire.Timestamp(1_760_000_000_500), "Data": b"\xff"}
    assert json.loads(wire.encode(answer, wire.JSON)) == {"At": 1_760_000_000.5, "Data": "/w=="}
    decoded = cbor2.loads(wire.encode(answer, wire.CBOR), semantic_decoders={1: lambda value, _: ("ms", value)})
    assert decoded == {"At": ("ms", 1_760_000_000_500), "Data": b"\xff"}


def test_what_has_no_place_on_the_wire_is_an_error() -> None:
    with pytest.raises(TypeError, match="object"):
        wire.encode({"a": object()}, wire.JSON)


@pytest.mark.parametrize("encoding", [wire.JSON, wire.CBOR])
def test_an_error_has_the_services_shape(encoding: str) -> None:
    body = wire.encode_error(stream_not_found("s"), encoding)
    decoded = json.loads(body) if encoding == wire.JSON else cbor2.loads(body)
    assert decoded == {
        "__type": "ResourceNotFoundException",
        "message": "Stream s under account 000000000000 not found.",
    }


def _refusal(kind: Any, members: dict[str, Any], encoding: str = wire.JSON) -> tuple[str, str]:
    with pytest.raises(KinesisError) as raised:
        wire.decode(_body(encoding, members), kind, encoding)
    return raised.value.code, raised.value.message


@pytest.mark.parametrize("encoding", [wire.JSON, wire.CBOR])
@pytest.mark.parametrize(
    ("kind", "members", "text"),
    [
        (requests.CreateStream, {}, "Value null at 'streamName' failed to satisfy constraint: Member must not be null"),
        (
            requests.CreateStream,
            {"StreamName": "s", "ShardCount": 0},
            "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            requests.GetRecords,
            {"ShardIterator": "i", "Limit": 10_001},
            "Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
        ),
        (
            requests.DescribeStream,
            {"StreamName": ""},
            "Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            requests.DescribeStream,
            {"StreamName": "a b"},
            "Value 'a b' at 'streamName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            requests.UpdateShardCount,
            {"StreamName": "s", "TargetShardCount": 1, "ScalingType": "ODD"},
            "Value 'ODD' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set",
        ),
        (
            requests.PutRecords,
            {"StreamName": "s", "Records": []},
            "Value (not shown) at 'records' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_a_broken_constraint_is_worded_as_the_service_does(
    encoding: str, kind: Any, members: dict[str, Any], text: str
) -> None:
    assert _refusal(kind, members, encoding) == ("ValidationException", f"1 validation error detected: {text}")


def test_a_record_is_named_by_its_place_and_never_quoted() -> None:
    members = {
        "StreamName": "s",
        "Records": [{"Data": "", "PartitionKey": "k"}, {"Data": "", "PartitionKey": "w" * 300}],
    }
    code, text = _refusal(requests.PutRecords, members)
    assert code == "ValidationException"
    assert "at 'records.2.member.partitionKey'" in text
    assert "www" not in text


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{", wire.JSON),
        (b'"text"', wire.JSON),
        (b'{"StreamName": 5}', wire.JSON),
        (b"\xff\xff", wire.CBOR),
        (b"", wire.CBOR),
        (cbor2.dumps({"StreamName": 5}), wire.CBOR),
        (cbor2.dumps([1]), wire.CBOR),
    ],
)
def test_what_cannot_be_read_is_a_serialization_error(body: bytes, encoding: str) -> None:
    with pytest.raises(KinesisError) as raised:
        wire.decode(body, requests.CreateStream, encoding)
    expected = "ValidationException" if body == b"" else "SerializationException"
    assert raised.value.code == expected
