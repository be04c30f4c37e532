from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from gateway.admission import Connection
from gateway.errors import WireError
from gateway.tables import Tables
from ingest import handler
from ingest.doors import Doors
from ingest.handler import IN_FLIGHT, WRITE_ATTEMPTS, Ingest
from ingest.rate import CLOSE_AFTER_MS, LEASE_MS, WARN_AFTER_MS
from streams import records
from streams.aws import Clients
from streams.errors import Unavailable
from streams.kinesis import OrderedWriter
from streams.records import AudioChunk
from streams.telemetry import Log, Metrics

T0 = 1_700_000_000_000
PCM = bytes(range(0, 200, 2)) * 2


def event(connection_id: str = "c1", at_ms: int = T0, pcm: bytes = PCM, **more: Any) -> dict[str, Any]:
    body = {"action": "sendAudio", "audioData": base64.b64encode(pcm).decode(), **more}
    context = {
        "routeKey": "sendAudio",
        "connectionId": connection_id,
        "requestTimeEpoch": at_ms,
        "requestId": "r",
    }
    return {"requestContext": context, "body": json.dumps(body), "isBase64Encoded": False}


class Stream:
    """A Kinesis client in plain sight; what the writer does with the real one is shown in tests/streams."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.fails = 0
        self.gate: asyncio.Event | None = None

    async def put_records(self, **arguments: Any) -> Any:
        rows = arguments["Records"]
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            self.fails -= 1
            raise Unavailable("writing")
        self.batches.append([(row["PartitionKey"], records.decode(row["Data"])) for row in rows])
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in rows]}

    @property
    def written(self) -> list[Any]:
        return [record for batch in self.batches for _, record in batch]


class Posts:
    def __init__(self) -> None:
        self.closed: list[str] = []

    async def disconnect(self, connection_id: str) -> None:
        self.closed.append(connection_id)


class Room:
    def __init__(self, dynamo: Any, prefix: str) -> None:
        self.now_ms = T0
        self.stream = Stream()
        self.posts = Posts()
        self.metrics = Metrics("test")
        doors = Doors(dynamo, f"{prefix}-Connections", 50, "a", lambda: self.now_ms)
        writer = OrderedWriter(self.stream, "audio", attempts=WRITE_ATTEMPTS, in_flight=IN_FLIGHT)
        self.ingest = Ingest(doors, writer, self._posts, lambda: self.now_ms, Log("test"), self.metrics)

    async def _posts(self) -> Posts:
        return self.posts

    async def say(self, **arguments: Any) -> dict[str, Any]:
        answer = await self.ingest.handle(event(at_ms=self.now_ms, **arguments), None)
        return {"status": answer["statusCode"], **json.loads(answer.get("body", "{}"))}


@pytest.fixture
async def room(dynamo: Any, prefix: str, tables: Tables) -> Room:
    await tables.add_speaker(Connection("c1", "golden-eagle-427", "speaker"), T0, acknowledge=True)
    return Room(dynamo, prefix)


async def test_the_record_has_all_of_row_a4(room: Room) -> None:
    answer = await room.say(sequence=3, timestamp=T0 - 40)
    assert answer == {
        "status": 200,
        "type": "audioReceived",
        "sessionId": "golden-eagle-427",
        "timestamp": T0 // 1000,
        "sequence": 3,
    }
    [[(key, chunk)]] = room.stream.batches
    assert key == "golden-eagle-427"
    assert isinstance(chunk, AudioChunk)
    assert (chunk.session_id, chunk.sequence, chunk.pcm) == (key, 3, PCM)
    assert (chunk.captured_at_ms, chunk.admitted_at_ms) == (T0 - 40, T0)
    assert chunk.times_ms == {"captured": T0 - 40, "admitted": T0}
    assert chunk.connection != "c1"


async def test_a_connection_may_go_on_with_the_count_of_an_earlier_one(room: Room, tables: Tables) -> None:
    """Row W12: for readers its chunks and those of the earlier one are of one count."""
    speaker = Connection("c1", "golden-eagle-427", "speaker")
    await tables.add_speaker(speaker, T0, acknowledge=True, audio_count="of an earlier one")
    await room.say(sequence=7)
    [chunk] = room.stream.written
    assert (chunk.connection, chunk.sequence) == ("of an earlier one", 7)


async def test_what_the_speaker_does_not_say_is_left_out(room: Room) -> None:
    assert "sequence" not in await room.say()
    [chunk] = room.stream.written
    assert (chunk.sequence, chunk.captured_at_ms) == (None, None)


async def test_it_answers_only_once_kinesis_has_the_record(room: Room) -> None:
    room.stream.gate = asyncio.Event()
    saying = asyncio.ensure_future(room.say())
    done, _ = await asyncio.wait({saying}, timeout=0.1)
    assert not done
    room.stream.gate.set()
    assert (await saying)["type"] == "audioReceived"


async def test_calls_at_once_share_a_put(room: Room, tables: Tables) -> None:
    for n in range(8):
        await tables.add_speaker(Connection(f"d{n}", f"session-{n}", "speaker"), T0, acknowledge=True)
    room.stream.gate = asyncio.Event()
    saying = asyncio.gather(*(room.say(connection_id=f"d{n}", sequence=n) for n in range(8)))
    while len(room.ingest.writer._queues) + len(room.ingest.writer._busy) < 8:
        await asyncio.sleep(0.001)
    room.stream.gate.set()
    assert sorted(answer["sequence"] for answer in await saying) == list(range(8))
    assert len(room.stream.batches) <= 2 + IN_FLIGHT


async def test_a_put_that_fails_in_passing_is_made_again_and_then_told(room: Room) -> None:
    room.stream.fails = WRITE_ATTEMPTS - 1
    assert (await room.say())["type"] == "audioReceived"
    room.stream.fails = WRITE_ATTEMPTS
    with pytest.raises(WireError) as told:
        await room.say(sequence=7)
    assert (told.value.code, told.value.details) == ("SERVICE_UNAVAILABLE", {"sequence": 7})
    assert len(room.stream.written) == 1


async def test_what_is_refused_reaches_no_stream(room: Room, tables: Tables) -> None:
    await tables.add_listener(Connection("l1", "golden-eagle-427", "listener"), T0)
    for arguments, status, code in (
        ({"connection_id": "nobody"}, 404, "CONNECTION_NOT_FOUND"),
        ({"connection_id": "l1"}, 403, "UNAUTHORIZED"),
        ({"sessionId": "silver-otter-100"}, 403, "UNAUTHORIZED"),
        ({"sequence": "x"}, 400, "INVALID_MESSAGE"),
        ({"pcm": bytes(33 * 1024)}, 413, "PAYLOAD_TOO_LARGE"),
        ({"pcm": b"odd"}, 400, "INVALID_AUDIO_FORMAT"),
        ({"pcm": b""}, 400, "INVALID_AUDIO_FORMAT"),
    ):
        answer = await room.say(**arguments)
        assert (answer["status"], answer["code"]) == (status, code)
    await tables.close_door("c1")
    room.now_ms += LEASE_MS
    assert (await room.say())["code"] == "SESSION_NOT_FOUND"
    assert room.stream.written == []


async def test_a_refusal_says_which_chunk_it_is_about(room: Room) -> None:
    assert (await room.say(sequence=5, pcm=b"odd"))["details"] == {"reason": "oddLength", "sequence": 5}
    assert "sequence" not in (await room.say(pcm=b"odd"))["details"]


async def test_a_speaker_over_the_limit_is_warned_and_then_closed(room: Room) -> None:
    first_warning_ms = closed_ms = 0
    while not room.posts.closed and room.now_ms < T0 + 40_000:
        room.now_ms += 10
        answer = await room.say()
        if answer.get("details") and not first_warning_ms:
            first_warning_ms = room.now_ms
            assert answer["details"]["closedAfterMs"] == CLOSE_AFTER_MS
    closed_ms = room.now_ms
    assert room.posts.closed == ["c1"]
    assert WARN_AFTER_MS <= first_warning_ms - T0 <= WARN_AFTER_MS + 1_500
    assert CLOSE_AFTER_MS <= closed_ms - T0 <= CLOSE_AFTER_MS + 1_500


async def test_as_lambda_calls_it(
    clients: Clients, prefix: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERALD_PREFIX", prefix)
    kinesis = await clients.get("kinesis")
    await kinesis.create_stream(StreamName=f"{prefix}-audio", ShardCount=1)
    await kinesis.get_waiter("stream_exists").wait(StreamName=f"{prefix}-audio", WaiterConfig={"Delay": 0.05})
    await tables.add_speaker(Connection("c1", "golden-eagle-427", "speaker"), T0, acknowledge=False)
    try:
        answer = await handler.handle(event(), None)
        refused = await handler.handle(event(pcm=b"odd"), None)
    finally:
        await handler.FUNCTION.close()
    assert answer == {"statusCode": 200}
    assert refused["statusCode"] == 400
