"""Rubbish is answered by its error, harms nobody, and reaches no stream."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import boto3
import pytest
from botocore.config import Config
from websockets.asyncio.client import ClientConnection, connect

from ops import tokens
from streams.records import AudioChunk, Receipt, Record, SessionEvent, decode
from streams.resources import STREAMS
from tests.e2e.whole_stack import WholeStack, described

FRAME = 16 * 1024
GOOD = base64.b64encode(bytes(3200)).decode()


def audio(data: str, **more: object) -> str:
    return json.dumps({"action": "sendAudio", "audioData": data, **more})


RUBBISH = {
    "odd length": (audio(base64.b64encode(bytes(3201)).decode()), "INVALID_AUDIO_FORMAT"),
    "no base64": (audio("!!!!"), "INVALID_AUDIO_FORMAT"),
    "no JSON": ("{action: sendAudio", "INVALID_MESSAGE"),
    "another's session": (audio(GOOD, sessionId="golden-eagle-427"), "UNAUTHORIZED"),
    "33 KiB": (audio(base64.b64encode(bytes(33 * 1024)).decode()), "PAYLOAD_TOO_LARGE"),
}


def records(stack: WholeStack, session_id: str, since: datetime) -> dict[str, list[Record]]:
    """What each stream holds of a session begun then; without the journal, which tells of it at its own pace."""
    environment = stack.environment
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=environment["AWS_ENDPOINT_URL_KINESIS"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "total_max_attempts": 20}),  # the stages read too
    )
    names = [stream.name for stream in STREAMS if stream.name != "journal"]
    return {name: _records(kinesis, f"herald-{name}", session_id, since) for name in names}


def _records(kinesis: Any, stream: str, session_id: str, since: datetime) -> list[Record]:
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        answer: dict[str, Any] = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="AT_TIMESTAMP", Timestamp=since
        )
        iterator: str | None = answer["ShardIterator"]
        while iterator is not None:  # another test may have split the shard: it has an end
            page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            found += [decode(one["Data"]) for one in page["Records"] if one["PartitionKey"] == session_id]
            iterator = page.get("NextShardIterator")
            if page["MillisBehindLatest"] == 0:
                break
    return found


@pytest.mark.parametrize("name", RUBBISH)
async def test_rubbish_is_answered_and_the_session_goes_on(tone_stack: WholeStack, name: str) -> None:
    message, code = RUBBISH[name]
    stack = described(tone_stack)
    token = tokens.token(stack, "somebody")
    since = datetime.now(UTC)
    query = urlencode({"token": token, "action": "createSession", "sourceLanguage": "en-US"})
    async with connect(f"{stack.url}?{query}") as socket:
        created = json.loads(await socket.recv())
        await socket.send(frames(message))
        assert (await answer(socket))["code"] == code
        for stream, found in (await asyncio.to_thread(records, tone_stack, created["sessionId"], since)).items():
            assert all(is_of_the_session_itself(record) for record in found), stream

        await socket.send(audio(GOOD, sequence=0, sessionId=created["sessionId"]))
        assert (await answer(socket))["type"] == "audioReceived"
        written = (await asyncio.to_thread(records, tone_stack, created["sessionId"], since))["audio"]
        assert [type(record) for record in written] == [SessionEvent, AudioChunk]


async def answer(socket: ClientConnection) -> dict[str, Any]:
    """The next message that is no report of who listens, which comes unasked."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message.get("type") != "sessionStatus":
            return message


def is_of_the_session_itself(record: Record) -> bool:
    """That it was created, passed on by each stage, and that listeners were told."""
    return isinstance(record, SessionEvent) or (isinstance(record, Receipt) and record.of == "event")


def frames(message: str) -> list[str]:
    """A message as the gateway takes it: no frame over 32 KiB, or it closes the connection."""
    return [message[at : at + FRAME] for at in range(0, len(message), FRAME)]


@pytest.mark.parametrize("forged", ["", "not-a-token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6InNwZWFrZXIifQ."])
async def test_a_speaker_without_a_good_token_is_refused(tone_stack: WholeStack, forged: str) -> None:
    query = {"action": "createSession", "sourceLanguage": "en-US"} | ({"token": forged} if forged else {})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(tone_stack.described()["url"], params=query)
    assert refused.value.status == 401
