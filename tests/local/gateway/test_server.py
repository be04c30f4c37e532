"""The whole front: real clients, the gateway with its functions, DynamoDB, Kinesis."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from local.issuer import Issuer
from stages.emotion.requests import SPEAKER, Warn
from stages.emotion.speaker import Speaker as QualityWarnings
from streams import records
from streams.aws import Clients
from streams.breakers import Guard
from streams.kinesis import get_iterator, get_page, list_shards
from streams.policy import Breaker
from streams.records import AudioChunk, Record, SessionEvent
from streams.stage import Input, Position
from streams.telemetry import Log, Metrics
from streams.timeline import Timeline
from tests.support.stack import AUDIENCE, Client, Stack, another_gateway, front

SPEECH = Path(__file__).parents[2] / "recordings" / "austen-0870.wav"
CHUNK_BYTES = 3_200


def _speech(chunks: int) -> list[bytes]:
    with wave.open(str(SPEECH)) as file:
        pcm = file.readframes(chunks * CHUNK_BYTES // 2)
    return [pcm[start : start + CHUNK_BYTES] for start in range(0, len(pcm), CHUNK_BYTES)]


def _base64(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()


@pytest.fixture
async def clients(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    async with Clients() as opened:
        yield opened


async def _written(clients: Clients, session_id: str) -> list[Record]:
    """Everything that the audio stream has of a session."""
    kinesis = await clients.get("kinesis")
    found = []
    for shard in await list_shards(kinesis, "herald-audio"):
        iterator: str | None = await get_iterator(
            kinesis, "herald-audio", shard.shard_id, ShardIteratorType="TRIM_HORIZON"
        )
        while iterator is not None:
            page = await get_page(kinesis, shard.shard_id, iterator)
            found += [(row.key, records.decode(row.data)) for row in page.records]
            iterator = page.iterator if page.records else None
    assert all(key == record.session_id for key, record in found)
    return [record for key, record in found if key == session_id]


async def test_what_is_said_is_in_the_stream_before_it_is_acknowledged(stack: Stack, clients: Clients) -> None:
    speech = _speech(20)
    async with stack.speaker() as speaker:
        for sequence, pcm in enumerate(speech):
            answer = await speaker.say(
                "sendAudio", audioData=_base64(pcm), sequence=sequence, timestamp=1000 + sequence
            )
            assert answer["type"] == "audioReceived"
            assert (answer["sessionId"], answer["sequence"]) == (speaker.session_id, sequence)
            if sequence == 9:
                assert len(await _written(clients, speaker.session_id)) == 11
        ended = await speaker.say("endSession")
        assert ended["type"] == "sessionEnded"
    created, *chunks, last = await _written(clients, speaker.session_id)
    assert isinstance(created, SessionEvent)
    assert isinstance(last, SessionEvent)
    assert (created.event, created.source_language) == ("created", "en-US")
    assert (last.event, last.reason) == ("ended", "speaker")
    assert all(isinstance(chunk, AudioChunk) for chunk in chunks)
    audio = [chunk for chunk in chunks if isinstance(chunk, AudioChunk)]
    assert [chunk.pcm for chunk in audio] == speech
    assert [(chunk.sequence, chunk.captured_at_ms) for chunk in audio] == [(n, 1000 + n) for n in range(20)]
    assert len({chunk.connection for chunk in audio}) == 1
    assert len(audio[0].connection) == 64


async def test_many_at_once_share_their_way_and_lose_nothing(stack: Stack, clients: Clients) -> None:
    speech = _speech(30)

    async def speak() -> str:
        async with stack.speaker() as speaker:
            for sequence, pcm in enumerate(speech):
                await speaker.send("sendAudio", audioData=_base64(pcm), sequence=sequence)
            answers = [await speaker.next() for _ in speech]
            assert sorted(answer["sequence"] for answer in answers) == list(range(len(speech)))
            return speaker.session_id

    for session_id in await asyncio.gather(*(speak() for _ in range(8))):
        chunks = [chunk for chunk in await _written(clients, session_id) if isinstance(chunk, AudioChunk)]
        assert sorted((chunk.sequence, chunk.pcm) for chunk in chunks) == list(enumerate(speech))


async def test_a_hundred_speakers_in_real_time_are_all_heard(stack: Stack) -> None:
    """As many as make DynamoDB slower than a lease lasts; the gateway goes on serving everything else. A machine that
    cannot do it in real time takes longer: no speaker has more than a few chunks unanswered."""
    speech = [_base64(pcm) for pcm in _speech(30)]
    async with AsyncExitStack() as opened:
        speakers = [await opened.enter_async_context(stack.speaker()) for _ in range(100)]
        unanswered = [asyncio.Semaphore(3) for _ in speakers]

        async def speak(speaker: Client, room: asyncio.Semaphore) -> None:
            for sequence, audio in enumerate(speech):
                await room.acquire()
                await speaker.send("sendAudio", audioData=audio, sequence=sequence)
                await asyncio.sleep(0.1)

        async def hear(speaker: Client, room: asyncio.Semaphore) -> None:
            answers: list[dict[str, Any]] = []
            async with asyncio.timeout(120):
                while len(answers) < len(speech):
                    answer = json.loads(await speaker.socket.recv())
                    if answer["type"] != "sessionStatus":
                        answers.append(answer)
                        room.release()
            assert [answer for answer in answers if answer["type"] != "audioReceived"] == []
            assert sorted(answer["sequence"] for answer in answers) == list(range(len(speech)))

        async with asyncio.TaskGroup() as group:
            for speaker, room in zip(speakers, unanswered, strict=True):
                group.create_task(speak(speaker, room))
                group.create_task(hear(speaker, room))
            assert await asyncio.to_thread(stack.control, "GET", "health") == {"ok": True}


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _process_at(url: str) -> psutil.Process:
    """Whose port it is."""
    port = int(url.rpartition(":")[2])
    [process_id] = {c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    return psutil.Process(process_id)


async def test_a_stall_of_the_table_costs_no_chunk_of_a_speaker_within_the_rate(stack: Stack) -> None:
    table = _process_at(stack.dynamodb_url)
    chunk = _base64(_speech(1)[0][:640])
    async with stack.speaker() as first, stack.speaker() as second:

        async def speak(speaker: Client) -> None:
            for sequence in range(100):
                await speaker.send("sendAudio", audioData=chunk, sequence=sequence)
                await asyncio.sleep(0.025)

        async def hear(speaker: Client) -> None:
            for _ in range(100):
                answer = await speaker.next()
                assert answer["type"] == "audioReceived", answer

        async def stall() -> None:
            await asyncio.sleep(0.4)
            table.suspend()
            try:
                await asyncio.sleep(1.0)
            finally:
                table.resume()

        async with asyncio.TaskGroup() as group:
            for speaker in (first, second):
                group.create_task(speak(speaker))
                group.create_task(hear(speaker))
            group.create_task(stall())


async def test_answers_can_be_switched_off_but_not_errors(stack: Stack) -> None:
    async with stack.speaker(acknowledgeAudio="false") as speaker:
        await speaker.send("sendAudio", audioData=_base64(bytes(640)))
        await speaker.send("sendAudio", audioData=_base64(bytes(641)))
        assert (await speaker.next())["code"] == "INVALID_AUDIO_FORMAT"
        assert (await speaker.say("heartbeat"))["type"] == "heartbeatAck"


async def test_listeners_join_by_language_and_hear_what_is_posted(stack: Stack, clients: Clients) -> None:
    dynamo, posts = await clients.get("dynamodb"), await clients.get("apigatewaymanagementapi")
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es") as listener:
        rows: list[Any] = []
        async with asyncio.timeout(5):
            while not rows:
                found = await dynamo.query(
                    TableName="herald-Connections",
                    IndexName="sessionId-targetLanguage-index",
                    KeyConditionExpression="sessionId = :s AND targetLanguage = :l",
                    ExpressionAttributeValues={":s": {"S": speaker.session_id}, ":l": {"S": "es"}},
                )
                rows = found["Items"]
        assert len(rows) == 1
        assert rows[0]["role"] == {"S": "listener"}
        await posts.post_to_connection(ConnectionId=rows[0]["connectionId"]["S"], Data=b'{"type":"caption"}')
        assert await listener.next() == {"type": "caption"}


async def test_a_speaker_is_told_of_its_listeners_and_asks_for_them(stack: Stack) -> None:
    """Rows W7 and W14: unasked when a language appears, on request at any time."""
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es"):
        told = await speaker.until("sessionStatus", updateReason="newLanguage")
        assert told["languageDistribution"] == {"es": 1}
        async with stack.listener(speaker.session_id, "ca"):
            await speaker.until("sessionStatus", languageDistribution={"ca": 1, "es": 1})
            answer = await speaker.say("getSessionStatus")
            assert (answer["listenerCount"], answer["updateReason"]) == (2, "requested")
        await speaker.until("sessionStatus", updateReason="listenerCountChange", listenerCount=1)
        async with stack.listener(speaker.session_id, "en") as listener:
            assert (await listener.say("getSessionStatus"))["code"] == "UNAUTHORIZED"


async def test_a_warning_of_the_audio_s_quality_reaches_the_speaker_wherever_it_is(
    stack: Stack, clients: Clients
) -> None:
    """Row W15: by the session's own row, so on the connection that it has now."""
    warns = QualityWarnings(
        clients.get, "herald-Sessions", Guard(SPEAKER, Breaker(), Log("emotion"), Metrics("emotion"))
    )
    token = stack.token()
    async with stack.speaker(token=token) as first:
        session = {"sessionId": first.session_id, "token": token}
        async with stack.client(action="refreshConnection", **session) as second:
            await second.until("connectionRefreshed")
            warn = Warn("AUDIO_CLIPPING", active=True, at_ms=1_700_000_000_000)
            assert (await warns.perform(first.session_id, warn, lambda _: None)).reached
            told = await second.until("audioQualityWarning")
            assert (told["code"], told["active"], told["timestamp"]) == ("AUDIO_CLIPPING", True, 1_700_000_000)


async def test_a_cut_speaker_comes_back_and_nothing_is_lost_or_twice(stack: Stack, clients: Clients) -> None:
    """Rows W12 and W13: two connections more, one after a cut, one beside the old; one count of chunks."""
    speech = _speech(12)
    own = {"token": stack.token(), "continueSequence": "true"}

    async def say(client: Client, *sequences: int) -> None:
        for sequence in sequences:
            answer = await client.say("sendAudio", audioData=_base64(speech[sequence]), sequence=sequence)
            assert answer["type"] == "audioReceived", answer

    async with stack.speaker(token=own["token"]) as first, stack.listener(first.session_id, "es") as listener:
        session = {"sessionId": first.session_id}
        await say(first, *range(5))
        first.socket.transport.abort()
        assert (await listener.until("speakerDisconnected"))["sessionId"] == first.session_id
        async with stack.client(action="resumeSession", **session, **own) as second:
            assert (await second.next())["type"] == "sessionResumed"
            await listener.until("speakerReconnected")
            await say(second, 4, 5, 6)  # 4 had been acknowledged, but the answer may have been lost
            async with stack.client(action="refreshConnection", **session, **own) as third:
                assert (await third.next())["type"] == "connectionRefreshed"
                await say(third, 7, 8)
                await say(second, 9)  # the old one may finish what it has
                await say(third, 10, 11)
                with pytest.raises(ConnectionClosed):
                    await second.until("never")
                assert (await third.say("endSession"))["type"] == "sessionEnded"
    chunks = [record for record in await _written(clients, first.session_id) if isinstance(record, AudioChunk)]
    assert len({chunk.connection for chunk in chunks}) == 1
    assert [chunk.sequence for chunk in chunks] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11]
    timeline = Timeline()
    heard = []
    for number, chunk in enumerate(chunks):
        passed = timeline.push(Input(Position("s", number), chunk, number, number), number)
        heard += [placed.chunk.pcm for placed in passed.placed]
    assert heard == speech


async def test_a_listener_s_connection_is_refreshed(stack: Stack, clients: Clients) -> None:
    """Row W12: both get everything; the old one is closed; one row is left."""
    posts = await clients.get("apigatewaymanagementapi")
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es") as old:
        mine = {"sessionId": speaker.session_id, "connectionId": old.received[0]["connectionId"]}
        async with stack.client(action="refreshConnection", targetLanguage="es", **mine) as new:
            greeting = await new.next()
            assert (greeting["type"], greeting["targetLanguage"]) == ("connectionRefreshed", "es")
            for connection_id in (mine["connectionId"], greeting["connectionId"]):
                await posts.post_to_connection(ConnectionId=connection_id, Data=b'{"type":"caption"}')
            assert await old.next() == await new.next() == {"type": "caption"}
            with pytest.raises(ConnectionClosed):
                await old.next()
            await speaker.until("sessionStatus", listenerCount=1)
            assert (await new.say("heartbeat"))["type"] == "heartbeatAck"


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Stack]:
    environ = {"SPEAKER_GRACE_S": "1", "CONNECTION_LIFETIME_S": "910"}
    with front(tmp_path, "--round-s", "0.2", environ=environ) as it:
        yield it


async def test_what_is_due_is_done_on_a_schedule(impatient: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows W13, W14, W17: an abandoned session ends, a speaker is told, an old connection is warned, once."""
    stack = impatient
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    async with Clients() as clients, stack.speaker() as stays:
        async with stack.speaker() as speaker:
            await speaker.say("sendAudio", audioData=_base64(bytes(640)))
        assert (await stays.until("sessionStatus", updateReason="periodic"))["listenerCount"] == 0
        await stays.until("sessionStatus", updateReason="periodic")
        async with asyncio.timeout(10):
            while len(found := await _written(clients, speaker.session_id)) < 3:
                await asyncio.sleep(0.02)
        assert isinstance(found[-1], SessionEvent)
        assert (found[-1].event, found[-1].reason) == ("ended", "speakerDisconnected")
        assert len(await _written(clients, stays.session_id)) == 1
        dynamodb = await clients.get("dynamodb")
        [row] = await _rows(clients, "Connections")
        long_ago = {"N": str(int(row["connectedAt"]["N"]) - 60_000)}
        await dynamodb.update_item(
            TableName="herald-Connections",
            Key={"connectionId": row["connectionId"]},
            UpdateExpression="SET connectedAt = :at",
            ExpressionAttributeValues={":at": long_ago},
        )
        warning = await stays.until("connectionWarning")
        assert 800 < warning["remainingSeconds"] < 850


async def test_clients_are_told_before_the_gateway_stops(tmp_path: Path) -> None:
    """Row W17; and row W13: the session is there when the gateway is again."""
    issued_by = "https://issuer.test/"
    with front(tmp_path, environ={"TOKEN_ISSUER": issued_by}) as stack:
        token = Issuer(tmp_path / "keys", issued_by, AUDIENCE).sign("somebody", "speaker")
        with another_gateway(stack, _made(tmp_path / "first")) as first:
            process = _process_at(first.url)
            async with first.speaker(token=token) as speaker, first.listener(speaker.session_id, "es") as listener:
                process.terminate()
                for client in (speaker, listener):
                    assert (await client.until("serverDraining"))["reconnectAfterSeconds"] == 2
                    with pytest.raises(ConnectionClosed, match="1001"):
                        await client.until("never")
            process.wait(10)
        back = {"action": "resumeSession", "sessionId": speaker.session_id}
        async with stack.client(**back, token=token) as again:
            assert (await again.next())["type"] == "sessionResumed"


async def _refused_at_the_door(stack: Stack, **query: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with stack.client(**query):
            pass
    return refused.value.response.status_code


async def test_who_is_not_let_in(stack: Stack, tmp_path: Path) -> None:
    create = {"action": "createSession", "sourceLanguage": "en-US"}
    forged = Issuer(tmp_path, f"{stack.url}/", AUDIENCE).sign("somebody", "speaker")
    nobody = jwt.encode({"sub": "x", "role": "speaker"}, "", algorithm="none")
    assert await _refused_at_the_door(stack, **create) == 401
    assert await _refused_at_the_door(stack, **create, token=forged) == 401
    assert await _refused_at_the_door(stack, **create, token=nobody) == 401
    assert await _refused_at_the_door(stack, **create, token=stack.token(ttl_s=-60)) == 401
    assert await _refused_at_the_door(stack, **create, token=stack.token(role="listener")) == 403
    assert await _refused_at_the_door(stack, **create | {"sourceLanguage": "tlh"}, token=stack.token()) == 400
    assert await _refused_at_the_door(stack, action="dance") == 400
    join = {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}
    assert await _refused_at_the_door(stack, **join) == 404


async def _set_door(clients: Clients, session_id: str, **door: bool) -> None:
    dynamo = await clients.get("dynamodb")
    session = await dynamo.get_item(TableName="herald-Sessions", Key={"sessionId": {"S": session_id}})
    shut = {"isActive": True, "isPaused": False, "isMuted": False} | door
    await dynamo.update_item(
        TableName="herald-Connections",
        Key={"connectionId": session["Item"]["speakerConnectionId"]},
        UpdateExpression="SET door = :door",
        ExpressionAttributeValues={":door": {"M": {name: {"BOOL": value} for name, value in shut.items()}}},
    )


async def _say_until(speaker: Client, code: str | None) -> int:
    """Silence until it is answered by `code`; how many chunks passed meanwhile."""
    passed = 0
    async with asyncio.timeout(5):
        while (await speaker.say("sendAudio", audioData=_base64(bytes(640)))).get("code") != code:
            passed += 1
            await asyncio.sleep(0.03)
    return passed


async def test_paused_and_muted_audio_never_reaches_the_stream(stack: Stack, clients: Clients) -> None:
    async with stack.speaker() as speaker:
        passed = 0
        for door, code in (({"isPaused": True}, "BROADCAST_PAUSED"), ({"isMuted": True}, "BROADCAST_MUTED")):
            await _set_door(clients, speaker.session_id, **door)
            passed += await _say_until(speaker, code)
            for _ in range(5):
                assert (await speaker.say("sendAudio", audioData=_base64(bytes(640))))["code"] == code
            await _set_door(clients, speaker.session_id)
            await _say_until(speaker, None)
            passed += 1
        assert len(await _written(clients, speaker.session_id)) == 1 + passed


async def test_rubbish_is_answered_and_harms_nothing(stack: Stack, clients: Clients) -> None:
    good = {"audioData": _base64(_speech(1)[0])}
    async with (
        stack.speaker() as other,
        stack.speaker() as speaker,
        stack.listener(speaker.session_id, "es") as listener,
    ):

        async def code(client: Client, *frames: str) -> str:
            await client.socket.send(frames if len(frames) > 1 else frames[0])
            answer = await client.next()
            assert answer["type"] == "error"
            return str(answer["code"])

        def audio(**fields: object) -> str:
            return json.dumps({"action": "sendAudio", **good, **fields})

        big = audio(audioData=_base64(bytes(33 * 1024)))
        assert await code(speaker, audio(audioData=_base64(bytes(3_201)))) == "INVALID_AUDIO_FORMAT"
        assert await code(speaker, audio(audioData="no base64!")) == "INVALID_AUDIO_FORMAT"
        assert await code(speaker, audio(audioData="")) == "INVALID_AUDIO_FORMAT"
        assert await code(speaker, audio(audioData=_base64(b"RIFF" + bytes(640)))) == "INVALID_AUDIO_FORMAT"
        assert await code(speaker, audio(audioData=17)) == "INVALID_MESSAGE"
        assert await code(speaker, '{"action":"sendAudio"}') == "INVALID_MESSAGE"
        assert await code(speaker, audio(sequence=-1)) == "INVALID_MESSAGE"
        assert await code(speaker, "{no json") == "INVALID_MESSAGE"
        assert await code(speaker, "null") == "INVALID_MESSAGE"
        assert await code(speaker, '{"action":"dance"}') == "INVALID_MESSAGE"
        assert await code(speaker, '{"action":"$connect"}') == "INVALID_MESSAGE"
        assert await code(speaker, big[:32_000], big[32_000:]) == "PAYLOAD_TOO_LARGE"
        assert await code(speaker, json.dumps({"action": "endSession", "x": "x" * 4096})) == "PAYLOAD_TOO_LARGE"
        assert await code(speaker, audio(sessionId=other.session_id)) == "UNAUTHORIZED"
        assert (
            await code(speaker, json.dumps({"action": "endSession", "sessionId": other.session_id})) == "UNAUTHORIZED"
        )
        assert await code(listener, audio()) == "UNAUTHORIZED"
        assert await code(listener, '{"action":"endSession"}') == "UNAUTHORIZED"
        await speaker.socket.send(b'{"action":"heartbeat"}')
        assert (await speaker.next())["code"] == "INVALID_MESSAGE"

        assert [type(record) for record in await _written(clients, speaker.session_id)] == [SessionEvent]
        assert [type(record) for record in await _written(clients, other.session_id)] == [SessionEvent]
        assert (await speaker.say("sendAudio", **good))["type"] == "audioReceived"
        assert (await listener.say("heartbeat"))["type"] == "heartbeatAck"
        assert (await speaker.say("endSession"))["type"] == "sessionEnded"
        assert await code(speaker, audio()) == "SESSION_NOT_FOUND"
        assert await code(speaker, '{"action":"endSession"}') == "SESSION_NOT_FOUND"
        kinds = [type(record) for record in await _written(clients, speaker.session_id)]
        assert kinds == [SessionEvent, AudioChunk, SessionEvent]


async def test_excess_is_dropped_counted_and_told(stack: Stack, clients: Clients) -> None:
    async with stack.speaker() as speaker:
        for sequence in range(80):
            await speaker.send("sendAudio", audioData=_base64(bytes(64)), sequence=sequence)
        answers = [await speaker.next() for _ in range(80)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} == {"RATE_LIMIT_EXCEEDED"}
        assert 50 <= 80 - len(refused) < 80
        assert len(await _written(clients, speaker.session_id)) == 1 + 80 - len(refused)


async def test_frames_and_messages_keep_the_service_s_limits(stack: Stack) -> None:
    async with stack.client(action="createSession", sourceLanguage="en", token=stack.token()) as client:
        await client.next()
        await client.socket.send("x" * (32 * 1024))
        assert (await client.next())["code"] == "INVALID_MESSAGE"
        await client.socket.send("x" * (32 * 1024 + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    async with stack.client(action="createSession", sourceLanguage="en", token=stack.token()) as client:
        await client.next()
        await client.socket.send(["x" * 32_000] * 4)
        assert (await client.next())["code"] == "INVALID_MESSAGE"
        await client.socket.send(["x" * 32_000] * 5)
        with pytest.raises(ConnectionClosedError) as closed:
            await client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_how_much_audio_fits_a_frame_is_told_and_true(stack: Stack, clients: Clients) -> None:
    async with stack.speaker() as speaker:
        limits = speaker.received[0]["limits"]
        fits, most = limits["maxAudioBytesPerFrame"], limits["maxAudioBytes"]
        largest = {"sessionId": speaker.session_id, "timestamp": 2**53, "sequence": 2**53}

        def audio(size: int) -> str:
            return json.dumps({"action": "sendAudio", "audioData": _base64(bytes(size)), **largest}, indent=1)

        assert (await speaker.say("sendAudio", audioData=_base64(bytes(fits))))["type"] == "audioReceived"
        await speaker.socket.send(audio(fits))
        assert (await speaker.next())["type"] == "audioReceived"
        whole = audio(most)
        await speaker.socket.send([whole[:32_000], whole[32_000:]])
        assert (await speaker.next())["type"] == "audioReceived"
        over = audio(33 * 1024)
        await speaker.socket.send([over[:32_000], over[32_000:]])
        assert (await speaker.next())["code"] == "PAYLOAD_TOO_LARGE"
        assert (await speaker.say("sendAudio", audioData=_base64(bytes(640))))["type"] == "audioReceived"
        assert len(await _written(clients, speaker.session_id)) == 1 + 4
        await speaker.socket.send(over)
        with pytest.raises(ConnectionClosedError) as closed:
            await speaker.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_refusals_at_the_door_say_what_is_on_offer(stack: Stack) -> None:
    async with stack.speaker() as speaker:
        with pytest.raises(InvalidStatus) as refused:
            async with stack.client(action="joinSession", sessionId=speaker.session_id, targetLanguage="tlh"):
                pass
        told = json.loads(refused.value.response.body or b"")
        assert (told["type"], told["code"]) == ("error", "UNSUPPORTED_LANGUAGE")
        assert "es" in told["details"]["languages"]
        async with stack.listener(speaker.session_id, "es-MX") as listener:
            assert listener.received[0]["targetLanguage"] == "es"


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Stack]:
    with front(tmp_path, "--idle-s", "0.4", "--lifetime-s", "1.5") as it:
        yield it


async def _beat_for_ever(client: Client) -> None:
    while True:
        await client.say("heartbeat")
        await asyncio.sleep(0.1)


async def test_silent_and_old_connections_are_ended(short_lived: Stack) -> None:
    stack = short_lived
    async with stack.client(action="createSession", sourceLanguage="en", token=stack.token()) as idle:
        await idle.next()
        with pytest.raises(ConnectionClosed, match="1001"):
            await idle.next()
    async with stack.speaker() as speaker:
        with pytest.raises(ConnectionClosed, match="1001"):
            await _beat_for_ever(speaker)


async def _rows(clients: Clients, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await (await clients.get("dynamodb")).scan(TableName=f"herald-{table}"))["Items"]
    return rows


async def test_a_gateway_that_was_killed_leaves_no_session_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with front(tmp_path, environ={"SPEAKER_GRACE_S": "0"}) as stack:
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        async with Clients() as clients, AsyncExitStack() as opened:
            with another_gateway(stack, _made(tmp_path / "first")) as first:
                speaker = await opened.enter_async_context(first.speaker())
                await opened.enter_async_context(first.listener(speaker.session_id, "es"))
                process = _process_at(first.url)
                process.kill()
                process.wait(5)
            assert len(await _rows(clients, "Connections")) == 2
            with another_gateway(stack, _made(tmp_path / "second")) as second:
                join = {"action": "joinSession", "sessionId": speaker.session_id, "targetLanguage": "es"}
                assert await _refused_at_the_door(second, **join) == 404
            assert await _rows(clients, "Connections") == []
            [session] = await _rows(clients, "Sessions")
            assert session["broadcastState"]["M"]["isActive"] == {"BOOL": False}
            _, ended = await _written(clients, speaker.session_id)
            assert isinstance(ended, SessionEvent)
            assert (ended.event, ended.reason) == ("ended", "speakerDisconnected")


async def test_rows_of_the_silent_are_dropped_on_a_schedule_but_not_who_takes_what_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with front(tmp_path, "--sweep-s", "0.1") as stack:
        for name, value in stack.environ.items():
            monkeypatch.setenv(name, value)
        async with Clients() as clients, stack.speaker() as speaker:
            dynamodb = await clients.get("dynamodb")
            [row] = await _rows(clients, "Connections")
            stale = row | {"lastSeenAt": {"N": "1"}}
            await dynamodb.put_item(TableName="herald-Connections", Item=stale)
            await dynamodb.put_item(
                TableName="herald-Connections",
                Item=stale | {"connectionId": {"S": "nobody"}, "role": {"S": "listener"}},
            )
            async with asyncio.timeout(5):
                while len(await _rows(clients, "Connections")) > 1:
                    await asyncio.sleep(0.02)
            assert (await speaker.say("heartbeat"))["type"] == "heartbeatAck"
            [left] = await _rows(clients, "Connections")
            assert left["connectionId"] == row["connectionId"]


async def test_faults_are_the_service_s_own_failures(stack: Stack) -> None:
    async with stack.speaker() as speaker:
        with stack.faults({"kind": "error", "operation": "heartbeat", "count": 1}):
            assert (await speaker.say("heartbeat"))["message"] == "Internal server error"
            assert (await speaker.say("heartbeat"))["type"] == "heartbeatAck"
        with stack.faults({"kind": "throttle", "operation": "sendAudio"}):
            assert (await speaker.say("sendAudio", audioData=""))["message"] == "Limit exceeded"
        with (
            stack.faults({"kind": "cut", "operation": "heartbeat"}),
            pytest.raises(ConnectionClosedError),
        ):
            await speaker.say("heartbeat")
    assert stack.control("GET", "calls")["heartbeat"]["errors"] >= 1


def test_the_log_of_it_all_has_nothing_sensitive(tmp_path: Path) -> None:
    with front(tmp_path) as stack:
        token = stack.token("jane.doe@example.org")
        seen = asyncio.run(_use_everything(stack, token))
    log = stack.log.read_text()
    assert "session created" in log
    for secret in (*seen, token, token.split(".")[1], "jane.doe@example.org", stack.environ["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in log


async def _use_everything(stack: Stack, token: str) -> list[str]:
    """Everything sensitive that was said."""
    pcm = _base64(_speech(1)[0])
    async with stack.speaker(token=token) as speaker, stack.listener(speaker.session_id, "es") as listener:
        await speaker.say("sendAudio", audioData=pcm)
        await speaker.say("sendAudio", audioData=pcm[:-2])
        await speaker.say("sendAudio", audioData=["secret words"])
        await speaker.say("secret words")
        with stack.faults({"kind": "error", "operation": "heartbeat"}):
            failure = await speaker.say("heartbeat")
        await listener.say("sendAudio", audioData=pcm)
        await speaker.say("endSession")
    with pytest.raises(InvalidStatus):
        async with stack.client(action="createSession", sourceLanguage="en", token=token[:-9] + "AAAAAAAAA"):
            pass
    return [pcm[:40], "secret words", failure["connectionId"]]


async def test_who_creates_sessions_too_often_is_refused_at_the_door(stack: Stack, tmp_path: Path) -> None:
    """Row W21: rates that go by address or user hold here too, where the environment sets them."""
    limited = replace(stack, environ=stack.environ | {"MAX_SESSIONS_PER_HOUR": "2"})
    with another_gateway(limited, tmp_path) as gateway:
        token = gateway.token("who-talks-a-lot")
        for _ in range(2):
            async with gateway.speaker(token=token):
                pass
        query = {"action": "createSession", "sourceLanguage": "en", "token": token}
        assert await _refused_at_the_door(gateway, **query) == 429
